"""The files of a version: from where they are here to the server, and back."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from runstream.api.errors import NotFound, ServerFailed
from runstream.api.parts.saving import targets_of
from runstream.api.session import Session
from runstream.errors import Invalid
from runstream.events.artifacts import ArtifactFile
from runstream.events.protocol import ASSET_HEADER, asset_mark
from runstream.plain_files import open_plain, text_name

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """A file whose bytes stay where they are: `url` says where (s3://..., https://..., file:///...)."""

    url: str
    size_bytes: int = 0


Content = str | os.PathLike[str] | bytes | Link
Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, Content]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be logged, under its name, and where its bytes are (None for a link)."""

    file: ArtifactFile
    content: Path | bytes | None


def sources_of(files: Files) -> list[Source]:
    """What is to be logged. A path is a file under its own name, or a directory with all files in it under their
    relative names; a mapping gives each file its name. Reads every file once, for its hash. Raises Invalid, OSError."""
    named: dict[str, Content] = {}
    if isinstance(files, Mapping):
        for name, content in files.items():
            if not isinstance(content, bytes | Link) and Path(content).is_dir():
                _add(named, {f"{name}/{inner}": path for inner, path in _below(Path(content)).items()})
            else:
                _add(named, {name: content})
    else:
        for given in [files] if isinstance(files, str | os.PathLike) else files:
            path = Path(given)
            _add(named, _below(path) if path.is_dir() else {text_name(path.name): path})
    return [_source(name, content) for name, content in named.items()]


def _add(named: dict[str, Content], more: Mapping[str, Content]) -> None:
    for name, content in more.items():
        if name in named:
            raise Invalid(f"two files are called {name!r}: give each its name, as in {{'a/{name}': path, ...}}")
        named[name] = content


def _below(directory: Path) -> dict[str, Content]:
    found = [path for path in sorted(directory.rglob("*")) if not path.is_dir()]
    return {text_name(path.relative_to(directory).as_posix()): path for path in found}


def _source(name: str, content: Content) -> Source:
    try:
        if isinstance(content, Link):
            return Source(ArtifactFile(name=name, link=content.url, size_bytes=content.size_bytes), None)
        held = content if isinstance(content, bytes) else Path(content)
        digest, size_bytes = hashlib.sha256(), 0
        with _opened(held) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        logged = ArtifactFile(name=name, sha256=digest.hexdigest(), size_bytes=size_bytes, content_type=content_type)
        return Source(logged, held)
    except ValueError as error:
        raise Invalid(f"file {name[:80]!r} cannot be logged: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    lines = str(error).splitlines()
    return lines[2].strip() if len(lines) > 2 else str(error)


@contextmanager
def _opened(content: Path | bytes) -> Iterator[BinaryIO]:
    with io.BytesIO(content) if isinstance(content, bytes) else open_plain(content) as file:
        yield file


def upload(session: Session, source: Source) -> None:
    """Store the bytes at the server, unless they are there. Raises ServerUnreachable, ServerFailed, Refused (also where
    the file changed since it was read for its hash), OSError."""
    if source.content is None:
        return
    path = f"/ingest/v1/assets/{source.file.sha256}"
    size_bytes = source.file.size_bytes
    try:
        with session.open("HEAD", path) as found:
            if found.headers.get(ASSET_HEADER.lower()) == asset_mark(str(source.file.sha256), size_bytes):
                return
    except NotFound:
        pass
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(source.file.size_bytes)}
    with _opened(source.content) as file, session.open("PUT", path, headers=headers, data=file) as response:
        stored = session.json_of(response)
    if (stored.get("sha256"), stored.get("size_bytes")) != (source.file.sha256, size_bytes):
        raise ServerFailed(f"{session.url} does not say that it stored {source.file.name!r}: try again")


def target_of(directory: Path, name: str) -> Path:
    """Where one file of a version goes in a directory, as `targets_of` has it."""
    return targets_of(directory, [name])[0]


def fetch(session: Session, path: str, sha256: str, into: BinaryIO, size_bytes: int = 0) -> None:
    """Write the bytes of a file that is at the server. size_bytes: what was logged, if that is known. Raises
    ServerFailed if other bytes came than were logged, or more."""
    digest, received = hashlib.sha256(), 0
    with session.open("GET", path, headers={"Accept": "*/*"}) as response:
        while chunk := response.read(_CHUNK_BYTES):
            received += len(chunk)
            if size_bytes and received > size_bytes:
                raise ServerFailed(f"{path} has more than the {size_bytes} bytes that were logged: fetch it again")
            digest.update(chunk)
            into.write(chunk)
    if digest.hexdigest() != sha256:
        raise ServerFailed(f"the bytes that came from {path} are not those that were logged: fetch them again")
