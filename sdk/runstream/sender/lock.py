"""The lock that one sender of a spool directory holds."""

import fcntl
import os
from pathlib import Path

from runstream.private import is_held, open_own


class SpoolLock:
    """`SPOOL/sender.lock`. The kernel gives it back when the process ends, however it ends."""

    def __init__(self, spool_dir: Path) -> None:
        self._path = spool_dir / "sender.lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> bool:
        """Take it and write this process's pid into it; False if another process has it. Never blocks."""
        descriptor = open_own(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def sender_lives(spool_dir: Path) -> bool:
    """Whether a process holds the lock: an open and a flock, given back at once."""
    descriptor = open_own(spool_dir / "sender.lock", os.O_RDWR | os.O_CREAT)
    return is_held(descriptor)
