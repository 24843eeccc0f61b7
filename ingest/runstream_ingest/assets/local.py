"""Assets in a local directory: ROOT/ab/SHA256, written as ROOT/incoming/ID first, synced, then renamed."""

import asyncio
import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from runstream.private import make_tight, private_opener
from runstream.service.assets import (
    AssetMismatch,
    AssetMissing,
    AssetStream,
    AssetTooLarge,
    AssetUnavailable,
    check_range,
    check_sha256,
)

#: Small pieces are gathered before a thread writes and hashes them: a change of threads costs about 100 us, hashing
#: 1 MiB about 1 ms.
_PIECE_BYTES: Final = 1 << 20
#: An upload that has not grown for so long is nobody's: gateways give up a body that is silent for far less.
_ABANDONED_S: Final = 3600.0


class LocalAssets:
    """AssetStorage over a directory (made if it is missing). Files are read and written in threads.

    Several processes may use one directory, as the gateways of a cluster do. What was left half-written and has not
    grown for an hour is removed at the start. Raises AssetUnavailable if the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory.absolute()
        self._incoming = self._root / "incoming"
        try:
            make_tight(self._root)
            make_tight(self._incoming)
            for path in self._incoming.iterdir():
                _remove_if_abandoned(path)
        except OSError as error:
            raise AssetUnavailable(f"the asset directory {self._root} cannot be used: {error}") from error

    def is_at(self, directory: Path) -> bool:
        """Whether these are the assets in `directory`."""
        return directory.exists() and self._root.samefile(directory)

    async def size_of(self, sha256: str) -> int | None:
        path = self._path(sha256)
        try:
            return (await asyncio.to_thread(path.stat)).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AssetUnavailable(f"{path} cannot be read: {error}") from error

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> AssetStream:
        size = await self.size_of(sha256)
        if size is None:
            raise AssetMissing(f"there is no asset {sha256}")
        first, last = check_range(size, start, end)
        return AssetStream(size, first, last, _pieces_of(self._path(sha256), first, last))

    async def write(self, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        path = self._path(sha256)
        temporary = self._incoming / uuid.uuid4().hex
        try:
            with _created(temporary) as file:
                size = await _receive(file, sha256, chunks, max_bytes)
                await asyncio.to_thread(_publish, file, temporary, path)
            return size
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise  # the giver of the chunks is gone; the disk is well
            raise AssetUnavailable(f"asset {sha256} cannot be written: {error}; free some space, then retry") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    async def delete(self, sha256: str) -> None:
        path = self._path(sha256)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise AssetUnavailable(f"{path} cannot be removed: {error}") from error

    def _path(self, sha256: str) -> Path:
        check_sha256(sha256)
        return self._root / sha256[:2] / sha256


def _created(path: Path) -> BinaryIO:
    return open(path, "xb", buffering=0, opener=private_opener)


def _remove_if_abandoned(path: Path) -> None:
    """Another process may be writing it, and may give it its name at this very moment."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            path.unlink()


async def _receive(file: BinaryIO, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
    """Write the chunks into the file and check their hash. Returns the size."""
    digest = hashlib.sha256()
    size = 0
    gathered = bytearray()
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise AssetTooLarge(f"asset {sha256} has more than the {max_bytes} bytes that are allowed")
        gathered += chunk
        if len(gathered) >= _PIECE_BYTES:
            await asyncio.to_thread(_write_piece, file, digest, gathered)
            gathered = bytearray()
    await asyncio.to_thread(_write_piece, file, digest, gathered)
    found = digest.hexdigest()
    if found != sha256:
        raise AssetMismatch(f"{size} bytes came for asset {sha256}, but their SHA-256 is {found}: send the file again")
    return size


def _write_piece(file: BinaryIO, digest: "hashlib._Hash", piece: bytearray) -> None:
    digest.update(piece)
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _publish(file: BinaryIO, temporary: Path, path: Path) -> None:
    """Give a complete file its name, durably."""
    os.fsync(file.fileno())
    make_tight(path.parent)
    temporary.replace(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def _pieces_of(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """The file is opened when the first piece is asked for, so that a stream nobody reads holds nothing open."""
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            at = start
            while at < end:
                piece = await asyncio.to_thread(os.pread, file.fileno(), min(_PIECE_BYTES, end - at), at)
                if not piece:
                    raise AssetUnavailable(f"{path} ends at byte {at}, {end} bytes were expected")
                at += len(piece)
                yield piece
    except OSError as error:
        raise AssetUnavailable(f"{path} cannot be read: {error}") from error
