"""One process a directory: an flock that the kernel releases when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from runstream_ingest.log.errors import LogBusy


def lock_directory(directory: Path) -> int:
    """Take DIRECTORY/LOCK and write our pid into it; returns the descriptor, whose closing releases it.

    Raises LogBusy naming the holder.
    """
    descriptor = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise LogBusy(
            f"the log in {directory} is held by process {holder}: stop that server, or give this one a directory of "
            "its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
