"""The segments of a writer's spool: preallocated files, mapped, and the order in which their bytes are written."""

import contextlib
import errno
import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.spool.format import (
    COMMIT_BYTES,
    KIND,
    KIND_NONE,
    KIND_ROW,
    ROW_TAIL_BYTES,
    SEGMENT_HEADER_BYTES,
    SIZED,
    SegmentHeader,
    segment_path,
)

_ZEROS: Final = bytes(1 << 20)
#: A segment before it has its header and its name; and one that waits to be used.
_FRESH: Final = "fresh.tmp"
_RESERVE: Final = "reserve.tmp"
#: What a file system says that cannot preallocate; then the zeros are written.
_CANNOT_PREALLOCATE: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


def allocate(path: Path, size_bytes: int) -> mmap.mmap:
    """Create `path` with `size_bytes` zeros that really lie on the disk, and map it.

    A hole would turn a full disk into a SIGBUS in the middle of training. Raises OSError (ENOSPC, EDQUOT, ...),
    and then leaves no file behind.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        preallocate(descriptor, size_bytes)
        return mmap.mmap(descriptor, size_bytes)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def preallocate(descriptor: int, size_bytes: int) -> None:
    """Give the file blocks for `size_bytes`. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            return
        except OSError as error:
            if error.errno not in _CANNOT_PREALLOCATE:
                raise
    for at in range(0, size_bytes, len(_ZEROS)):
        piece = _ZEROS[: size_bytes - at]
        while piece:
            piece = piece[os.write(descriptor, piece) :]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a place of a segment, and where it ends or would have ended. `end` is `offset` if nothing does."""

    kind: int
    end: int
    finished: bool


def find_record(buffer: mmap.mmap, offset: int, row_sizes: Sequence[int]) -> Found:
    """What a writer that was interrupted left at `offset`. `row_sizes[i]` is the size of rows with schema i."""
    if offset + SIZED.size > len(buffer):
        return Found(KIND_NONE, offset, False)
    kind, size = SIZED.unpack_from(buffer, offset)
    if kind == KIND_NONE:
        return Found(kind, offset, False)
    end = offset + (row_sizes[kind - KIND_ROW] if kind >= KIND_ROW else SIZED.size + size + ROW_TAIL_BYTES)
    return Found(kind, end, bytes(buffer[end - ROW_TAIL_BYTES : end]) == COMMIT_BYTES)


def write_sized(buffer: mmap.mmap, offset: int, kind: int, payload: bytes) -> int:
    """Write a schema or an event, its mark last. Returns where it ends.

    Pieces are written one by one because a copy of many bytes may put its end before its beginning.
    """
    SIZED.pack_into(buffer, offset, kind, len(payload))
    begin = offset + SIZED.size
    end = begin + len(payload)
    buffer[begin:end] = payload
    buffer[end : end + ROW_TAIL_BYTES] = COMMIT_BYTES
    return end + ROW_TAIL_BYTES


def write_row(buffer: mmap.mmap, offset: int, schema: int, body: bytes) -> int:
    """Write a row that is packed already (step, time, values), its mark last. Returns where it ends."""
    KIND.pack_into(buffer, offset, KIND_ROW + schema)
    begin = offset + KIND.size
    end = begin + len(body)
    buffer[begin:end] = body
    buffer[end : end + ROW_TAIL_BYTES] = COMMIT_BYTES
    return end + ROW_TAIL_BYTES


class SegmentChain:
    """The segments of one writer, one behind the other, and a reserve: a segment that is allocated before it is needed,
    so that a full disk is met early and the allocation is off the hot path.

    Not locked: the writer's lock covers it, but for `prepare`, which allocates without it.
    """

    def __init__(
        self, folder: Path, writer_id: str, at_us: Callable[[], int], first_bytes: int, max_bytes: int
    ) -> None:
        """Allocate the first segment. Raises OSError."""
        self._folder = folder
        self._writer_id = writer_id
        self._at_us = at_us
        self._max_bytes = max_bytes
        self._next_bytes = first_bytes
        self._incoming: tuple[int, mmap.mmap] | None = None
        self._reserve: mmap.mmap | None = None
        self.number = -1
        self.buffer = self._renamed(self._fresh(first_bytes), self._folder / _FRESH, 0)
        self.begin()

    @property
    def reserve_wanted(self) -> bool:
        return self._reserve is None

    def begin(self) -> None:
        """Make the segment that stands on the disk under the next number the current one."""
        if self._incoming is None:
            return
        number, buffer = self._incoming
        self.number = number
        self.buffer = buffer
        self._incoming = None
        if buffer is self._reserve:
            self._reserve = None
        self._next_bytes = min(max(self._next_bytes, len(buffer)) * 2, self._max_bytes)

    def recover(self) -> bool:
        """After an interrupted `rotate`: whether the next segment had its name already, and is the current one now."""
        if self._incoming is None:
            return False
        if segment_path(self._folder, self._incoming[0]).exists():
            self.begin()
            return True
        self._incoming = None
        return False

    def rotate(self, first_seq: int, at_least_bytes: int) -> None:
        """Go on to a new segment, which takes a record of `at_least_bytes`. Raises OSError when there is no space."""
        needed = SEGMENT_HEADER_BYTES + at_least_bytes
        if self._reserve is not None and len(self._reserve) >= needed:
            self._renamed(self._reserve, self._folder / _RESERVE, first_seq)
        else:
            self._renamed(self._fresh(max(self._next_bytes, needed)), self._folder / _FRESH, first_seq)
        self.begin()

    def prepare(self) -> mmap.mmap:
        """Allocate a reserve, which `keep` then takes. Raises OSError. One thread at a time."""
        return allocate(self._folder / _RESERVE, self._next_bytes)

    def keep(self, reserve: mmap.mmap) -> None:
        self._reserve = reserve

    def drop_reserve(self) -> None:
        """Delete what was allocated and not used."""
        self._reserve = None
        for name in (_RESERVE, _FRESH):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _fresh(self, size_bytes: int) -> mmap.mmap:
        return allocate(self._folder / _FRESH, size_bytes)

    def _renamed(self, buffer: mmap.mmap, temporary: Path, first_seq: int) -> mmap.mmap:
        """Write the header, then give the file its name: a reader never sees a segment without its header."""
        header = SegmentHeader(first_seq, self._writer_id, self._at_us())
        buffer[:SEGMENT_HEADER_BYTES] = header.pack()
        number = self.number + 1
        self._incoming = (number, buffer)
        temporary.rename(segment_path(self._folder, number))
        return buffer
