"""What the log does to a disk, as a value: tests put a full or a broken disk in its place."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Where the system has no fdatasync (macOS), fsync does the same and more.
_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True)
class Disk:
    """`pwrite(descriptor, data, position)` may write less than all; `fdatasync(descriptor)` returns when it is there.
    Both raise OSError."""

    pwrite: Callable[[int, bytes | memoryview, int], int] = os.pwrite
    fdatasync: Callable[[int], None] = _fdatasync


def write_all(disk: Disk, descriptor: int, data: bytes, position: int) -> None:
    """Write every byte. Raises OSError; then any part of them may be there."""
    view = memoryview(data)
    while view:
        written = disk.pwrite(descriptor, view, position)
        view = view[written:]
        position += written


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
