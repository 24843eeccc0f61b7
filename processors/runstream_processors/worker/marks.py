"""The mark that a worker makes before it decodes a record, so that the next start knows where a process died.

The mark is a page of a file in memory: writing it is no system call, and it is there after the death of the process
(not of the machine, which is no record's fault). It says up to which record of each partition the worker has come. What
is in the tables is committed, so a process that died had the records between the two under way.

A death alone proves nothing: servers are killed by people and by machines. What the next start makes of it is in
`runstream_processors.worker.suspects`.
"""

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

_MAGIC: Final = b"RSMK\x01\0\0\0"
#: Magic, whether it is open, partitions; then (partition, offset) pairs, both int64.
_HEAD: Final = struct.Struct("<8sqq")
_PAIR: Final = struct.Struct("<qq")
_OPEN_AT: Final = 8
#: A page: 250 partitions.
_SIZE: Final = 4096
_MOST_PARTITIONS: Final = (_SIZE - _HEAD.size) // _PAIR.size


class CrashMark:
    """The mark of one worker. Belongs to one thread at a time."""

    def __init__(self, descriptor: int, page: mmap.mmap) -> None:
        """Use `open`."""
        self._descriptor = descriptor
        self._page = page
        self._places: dict[int, int] = {}

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The mark at `path`, made if it is missing; None if a worker has it that was replaced and does not know yet.
        Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_size != _SIZE:
                # Written out: a page without room on the disk would end the process when it is touched.
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, bytes(_SIZE), 0)
            return cls(descriptor, mmap.mmap(descriptor, _SIZE))
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise

    def left_open(self) -> dict[int, int]:
        """The last record of each partition that a process had under way or done when it died; {} if the last one ended
        in order."""
        magic, is_open, count = _HEAD.unpack_from(self._page)
        if magic != _MAGIC or not is_open or not 0 <= count <= _MOST_PARTITIONS:
            return {}
        pairs = (_PAIR.unpack_from(self._page, _HEAD.size + _PAIR.size * i) for i in range(count))
        return {part: last for part, last in pairs if last >= 0}

    def begin(self, next_offsets: Mapping[int, int]) -> None:
        """From now on this worker goes on from here. Partitions beyond 250 are left out."""
        self._page[_OPEN_AT : _OPEN_AT + 8] = bytes(8)
        self._places = {}
        for i, (part, offset) in enumerate(sorted(next_offsets.items())[:_MOST_PARTITIONS]):
            at = _HEAD.size + _PAIR.size * i
            _PAIR.pack_into(self._page, at, part, offset - 1)
            self._places[part] = at
        _HEAD.pack_into(self._page, 0, _MAGIC, 1, len(self._places))

    def under_way(self, part: int, offset: int) -> None:
        """This record is decoded next. Under 1 us."""
        if (at := self._places.get(part)) is not None:
            _PAIR.pack_into(self._page, at, part, offset)

    def leave(self) -> None:
        """Give it up as it was found."""
        self._page.close()
        os.close(self._descriptor)

    def close(self) -> None:
        """This process goes on without the worker, or ends in order."""
        with contextlib.suppress(ValueError):  # closed before
            self._page[_OPEN_AT : _OPEN_AT + 8] = bytes(8)
            self._page.close()
            os.close(self._descriptor)
