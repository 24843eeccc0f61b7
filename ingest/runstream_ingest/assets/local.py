"""Assets in a local directory: ROOT/ab/SHA256, written as ROOT/incoming/ID first, synced, then renamed.

A file in `incoming` is locked (flock) by the process that writes it, so that one which nobody locks is left over.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, ParamSpec, TypeVar

from runstream.private import make_tight, private_opener
from runstream_service.assets import (
    AssetMismatch,
    AssetMissing,
    AssetStream,
    AssetTooLarge,
    AssetUnavailable,
    check_range,
    check_sha256,
)

P = ParamSpec("P")
T = TypeVar("T")

#: What is read at once.
_PIECE_BYTES: Final = 1 << 20
#: Small pieces are gathered before a thread writes and hashes them: a change of threads costs about 100 us, hashing and
#: writing 256 kB about 0.3 ms. 64 uploads hold 16 MB of them.
_GATHERED_BYTES: Final = 1 << 18
#: Writes, hashes and syncs at once; others wait for a thread. More do not make one disk faster.
_THREADS: Final = 4
#: Where a file system has no locks: an upload that has not grown for so long is nobody's.
_ABANDONED_S: Final = 3600.0


class LocalAssets:
    """AssetStorage over a directory (made if it is missing). Files are read and written in threads.

    Several processes may use one directory, as the gateways of a cluster do. What a process that is gone left
    half-written is removed at the start. Raises AssetUnavailable if the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory.absolute()
        self._incoming = self._root / "incoming"
        self._threads = ThreadPoolExecutor(_THREADS, "assets")
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
        check_sha256(sha256)
        staged = await self.receive(chunks, max_bytes)
        try:
            if staged.sha256 != sha256:
                raise AssetMismatch(
                    f"{staged.size_bytes} bytes came for asset {sha256}, but their SHA-256 is {staged.sha256}: send "
                    "the file again"
                )
            await staged.keep()
            return staged.size_bytes
        finally:
            await staged.discard()

    async def receive(self, chunks: AsyncIterator[bytes], max_bytes: int) -> "_Staged":
        staged = await self._run(self._begun)
        try:
            gathered = bytearray()
            async for chunk in chunks:
                staged.size_bytes += len(chunk)
                if staged.size_bytes > max_bytes:
                    raise AssetTooLarge(f"the asset has more than the {max_bytes} bytes that are allowed")
                gathered += chunk
                if len(gathered) >= _GATHERED_BYTES:
                    await self._run(staged.write, gathered)
                    gathered = bytearray()
            await self._run(staged.write, gathered)
            return staged
        except BaseException:
            await staged.discard()
            raise

    def _begun(self) -> "_Staged":
        """A new file in `incoming`, locked."""
        while True:
            temporary = self._incoming / uuid.uuid4().hex
            file = open(temporary, "xb", buffering=0, opener=private_opener)  # noqa: SIM115 - the staged file owns it
            if not _is_locked_by_other(file) and os.fstat(file.fileno()).st_nlink:
                return _Staged(self, file, temporary)
            file.close()  # another process that is starting took it for a leftover

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, in one of a few threads. Raises AssetUnavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free some space, then send it again" if is_full else "look at the disk, then send it again"
            raise AssetUnavailable(f"an asset cannot be written to {self._root}: {error}; {hint}") from error

    async def delete(self, sha256: str) -> None:
        path = self._path(sha256)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise AssetUnavailable(f"{path} cannot be removed: {error}") from error

    def _path(self, sha256: str) -> Path:
        check_sha256(sha256)
        return self._root / sha256[:2] / sha256


class _Staged:
    """A file in `incoming` that this process holds the lock of."""

    def __init__(self, storage: LocalAssets, file: BinaryIO, temporary: Path) -> None:
        self._storage, self._file, self._temporary = storage, file, temporary
        self._digest = hashlib.sha256()
        # A thread may still be writing when the request that it does it for is given up.
        self._lock = threading.Lock()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, piece: bytearray) -> None:
        """In a thread. Raises OSError."""
        with self._lock:
            if self._file.closed:
                return
            self._digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]

    async def keep(self) -> None:
        path = self._storage._path(self.sha256)
        await self._storage._run(_publish, self._file, self._temporary, path)

    async def discard(self) -> None:
        with contextlib.suppress(AssetUnavailable):
            await self._storage._run(self._remove)

    def _remove(self) -> None:
        with self._lock:
            if not self._file.closed:
                self._file.close()
                self._temporary.unlink(missing_ok=True)


def _is_locked_by_other(file: BinaryIO) -> bool:
    """Take the lock of the file, which goes with the process; false too where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _remove_if_abandoned(path: Path) -> None:
    """Another process may be writing it, and may give it its name at this very moment."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            if time.time() - path.stat().st_mtime <= _ABANDONED_S:
                return
        # A file that got its name in between is not under this one any more.
        path.unlink()


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
