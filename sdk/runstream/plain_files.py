"""Opening a file that a person named, for reading."""

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from runstream.errors import Invalid


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file, and wait for nobody. `~` is the home directory, unless a file is called so. Raises OSError and
    ValueError as `open` does, and Invalid for what is no plain file (a directory, a pipe, a device)."""
    if str(path).startswith("~") and not os.path.lexists(path):
        with contextlib.suppress(RuntimeError):  # no user of that name
            path = path.expanduser()
    # Without waiting: opening a named pipe would wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise Invalid(f"{path} is a directory: log its files one by one, or an archive of it")
    raise Invalid(f"{path} is no plain file (a pipe, a device): read it, and log the bytes")


def text_name(path: str | bytes | os.PathLike[str]) -> str:
    """Return a path as text: bytes that are no UTF-8 become U+FFFD, which every screen shows as unknown."""
    return os.fsencode(path).decode("utf-8", "replace")
