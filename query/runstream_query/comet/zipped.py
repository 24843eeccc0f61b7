"""Several files as one archive that is made while it is sent."""

import re
import zipfile
from collections.abc import Sequence
from typing import IO, cast
from urllib.parse import quote

from aiohttp import web

from runstream.service.assets import AssetMissing
from runstream_query.http.context import Context
from runstream_query.http.endpoint import POSITION_HEADER


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
    context: Context, request: web.Request, name: str, files: Sequence[tuple[str, str, int]]
) -> web.StreamResponse:
    """An archive of stored files: name in it, sha256, size in bytes. They are not packed smaller, weights hardly get
    so. Raises AssetMissing before it begins; a failure later breaks the connection off."""
    for file, sha256, _ in files:
        if await context.assets.size_of(sha256) is None:
            raise AssetMissing(f"the bytes of {file!r} ({sha256}) are not in the storage")
    plain = re.sub(r"[^A-Za-z0-9 ._\-]", "_", name)
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            POSITION_HEADER: str(context.visibility.visible()),
        }
    )
    await response.prepare(request)
    written = _Written()
    with zipfile.ZipFile(cast("IO[bytes]", written), "w", zipfile.ZIP_STORED) as archive:
        for file, sha256, size_bytes in files:
            entry = zipfile.ZipInfo(file)
            entry.file_size = size_bytes
            stream = await context.assets.open(sha256)
            with archive.open(entry, "w") as sink:
                async for chunk in stream.chunks:
                    sink.write(chunk)
                    await response.write(written.taken())
    await response.write(written.taken())
    await response.write_eof()
    return response
