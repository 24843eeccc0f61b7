"""Several files as one archive that is made while it is sent."""

import asyncio
import json
import zipfile
from collections.abc import Sequence
from typing import IO, Final, cast

from aiohttp import web

from runstream.filenames import safe_names
from runstream_query.http.context import Context
from runstream_query.http.serving import POSITION_HEADER
from runstream_service.assets import AssetMissing
from runstream_service.disposition import FILE_POLICY, content_disposition
from runstream_service.problems import Problem

#: The entry, a JSON object, that says which name a file was logged under; only where it could not keep that.
NAMES_FILE: Final = "names-as-logged.json"


class _Written:
    """What was written since it was last taken. It has no `seek` and no `tell`, by which the archive's writer knows
    that it cannot go back: sizes and sums then stand behind the files."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def stream_zip(
    context: Context, request: web.Request, name: str, files: Sequence[tuple[str, str, int]], *, verbatim: bool = False
) -> web.StreamResponse:
    """Return an archive of stored files: name, sha256, size as it was logged. They are not packed smaller, weights
    hardly get so. In it files have safe names; where one is not its own, NAMES_FILE in the archive says which was made
    of which. verbatim: they have the names that they were logged under, for a client that finds them by these.

    Raises AssetMissing and Problem (413) before it begins; a failure later breaks the connection off.
    """
    entries = await _entries(context, files, verbatim)
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": content_disposition(name),
            "Content-Security-Policy": FILE_POLICY,
            POSITION_HEADER: str(context.visibility.visible()),
        }
    )
    await response.prepare(request)
    written = _Written()
    with zipfile.ZipFile(cast("IO[bytes]", written), "w", zipfile.ZIP_STORED) as archive:
        for made, sha256, size_bytes in entries:
            entry = zipfile.ZipInfo(made)
            entry.file_size = size_bytes
            stream = await context.assets.open(sha256)
            with archive.open(entry, "w") as sink:
                async for chunk in stream.chunks:
                    sink.write(chunk)
                    await context.outgoing.write(request, response, written.taken())
        renamed = {made: file for (made, _, _), (file, _, _) in zip(entries, files, strict=True) if made != file}
        if renamed:
            archive.writestr(zipfile.ZipInfo(_names_file(entries)), json.dumps(renamed, indent=1))
    await context.outgoing.write(request, response, written.taken())
    await response.write_eof()
    return response


async def _entries(
    context: Context, files: Sequence[tuple[str, str, int]], verbatim: bool
) -> list[tuple[str, str, int]]:
    """Name in the archive, sha256 and size of each; the size is that of what is stored, whatever was logged."""
    settings = context.settings
    if len(files) > settings.max_archive_files:
        raise _too_large(f"{len(files)} files, at most {settings.max_archive_files}")
    entries, total = [], 0
    names = [file for file, _, _ in files]
    made = names if verbatim else await asyncio.to_thread(safe_names, names)
    for (file, sha256, _), safe in zip(files, made, strict=True):
        size_bytes = await context.assets.size_of(sha256)
        if size_bytes is None:
            raise AssetMissing(f"the bytes of {file!r} ({sha256}) are not in the storage")
        total += size_bytes
        entries.append((safe, sha256, size_bytes))
    if total > settings.max_archive_bytes:
        raise _too_large(f"{total} bytes, at most {settings.max_archive_bytes}")
    return entries


def _too_large(what: str) -> Problem:
    detail = f"The archive would have {what} are packed into one: get the files one by one."
    return Problem(413, "archive-too-large", "The archive would be too large", detail)


def _names_file(entries: Sequence[tuple[str, str, int]]) -> str:
    """NAMES_FILE, or a name like it that no file has."""
    return safe_names([*(made for made, _, _ in entries), NAMES_FILE])[-1]
