"""What a writer could not say itself when it ended, and the sender has to say in its name.

That is the end of a run that only the exit code of its process tells, which is known when the interpreter is gone; and
records that a full disk kept out of the spool. The file has its room from the beginning, so that a full disk does
not keep it from being written.
"""

import contextlib
import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Self

from runstream.private import open_own, read_own, write_own

_FILE: Final = "ending"
_CODE_FILE: Final = "exit_code"
_POSITION_FILE: Final = "position"
_MAX_POSITION_BYTES: Final = 10_000
_CODE: Final = struct.Struct("=i")
#: Room for a message of 500 characters, each of which JSON may write in 6 bytes (two of them, beyond the 16 bits).
_FILE_BYTES: Final = 8_192
_MAX_MESSAGE_CHARS: Final = 500
_STATUSES: Final = ("finished", "failed", "killed")


def status_of_exit_code(code: int) -> Literal["finished", "failed"]:
    """Return the status of a run whose process exits with `code`: what a parent sees of it are 8 bits."""
    return "failed" if code & 0xFF else "finished"


@dataclass(frozen=True, slots=True)
class Ending:
    """`end_seq`: the number of the first record that the writer did not write. `status`: None if the exit code tells.
    `lost_points`, `lost_events`: what the disk did not take."""

    at_us: int
    end_seq: int
    status: str | None
    message: str | None = None
    lost_points: int = 0
    lost_events: int = 0

    @staticmethod
    def reserve(folder: Path) -> None:
        """Take the room that `write` needs. Raises OSError."""
        descriptor = open_own(folder / _FILE, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(descriptor, b" " * _FILE_BYTES, 0)
        finally:
            os.close(descriptor)

    def write(self, folder: Path) -> None:
        """Say it to the sender, which acts when the writer's lock is free. Raises OSError."""
        fields = asdict(self)
        fields["message"] = self.message[:_MAX_MESSAGE_CHARS] if self.message else None
        descriptor = open_own(folder / _FILE, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(descriptor, json.dumps(fields).encode().ljust(_FILE_BYTES), 0)
        finally:
            os.close(descriptor)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what `write` wrote; None if that was nothing, or is damaged."""
        try:
            fields = json.loads(read_own(folder / _FILE, 2 * _FILE_BYTES))
            ending = cls(**fields)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        numbers = (ending.at_us, ending.end_seq, ending.lost_points, ending.lost_events)
        if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
            return None
        if ending.status not in (None, *_STATUSES) or not isinstance(ending.message, str | None):
            return None
        return ending


def open_exit_code(folder: Path) -> int:
    """Return a descriptor of the file that the exit code is written into. Raises OSError."""
    return open_own(folder / _CODE_FILE, os.O_WRONLY | os.O_CREAT)


def exit_code_is_awaited(folder: Path) -> bool:
    """Whether the file is there that the exit code is written into, or was."""
    return os.path.lexists(folder / _CODE_FILE)


def read_exit_code(folder: Path) -> int | None:
    """Return the exit code of the writer's process; None where it did not come to that (a signal, `os._exit`)."""
    with contextlib.suppress(OSError, struct.error):
        return int(_CODE.unpack(read_own(folder / _CODE_FILE, _CODE.size))[0])
    return None


def write_position(folder: Path, position: str) -> None:
    """Say where in the log the last records are that were acknowledged. Raises OSError."""
    write_own(folder / _POSITION_FILE, position.encode())


def read_position(folder: Path) -> str:
    """Return what `write_position` wrote; empty if nothing did."""
    try:
        return read_own(folder / _POSITION_FILE, _MAX_POSITION_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return ""
