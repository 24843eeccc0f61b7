"""Why a spool cannot grow, in words: a full disk, or a limit of the process."""

import errno
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shortage:
    """What there is too little of, as a sentence, and what helps."""

    cause: str
    remedy: str


def shortage_of(error: OSError) -> Shortage:
    """Return what the error says of the spool."""
    match error.errno:
        case errno.EMFILE:
            return Shortage("the process had too many files open", "raise its limit of open files (ulimit -n)")
        case errno.ENFILE:
            return Shortage("the machine had too many files open", "close some, or raise fs.file-max")
        case errno.EFBIG:
            return Shortage("the process may write no larger files", "raise its limit of file sizes (ulimit -f)")
        case errno.ENOSPC | errno.EDQUOT:
            return Shortage("the disk of the spool was full", "free space")
        case _:
            return Shortage(f"the spool could not grow ({error.strerror or error})", "look at its disk")
