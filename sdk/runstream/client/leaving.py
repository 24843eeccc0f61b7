"""How this process ends, told by what it really does and not by what was called on the way.

Two observations are exact. The outermost frame of the main thread returned, or an exception left it; one that Python
printed is still known. And the interpreter reads `code` of the SystemExit that ends the program when no Python frame is
left, which an exception raised by our `sys.exit` notices. What remains is a SystemExit raised by somebody else
(`raise SystemExit(main())`, a `sys.exit` that was imported before us): its code is known to the C library alone, when
the interpreter is gone. `exit_code_goes_to` has it written into a file, and the sender reads it there.
"""

import sys
import threading
from dataclasses import dataclass
from opcode import opmap
from pathlib import Path
from types import FrameType
from typing import Any, Final

from runstream.client.ending import EndStatus, status_of
from runstream.spool.ending import open_exit_code, status_of_exit_code

_RETURNS: Final = {opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opmap}
_NOT_LEFT: Final = object()
#: A member of C, which type checkers take for a plain attribute.
_CODE: Final[Any] = SystemExit.__dict__["code"]
_UNBUFFERED: Final = 2  # _IONBF


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How the program ended. `error`: the exception that nobody caught."""

    status: EndStatus
    message: str | None = None
    error: BaseException | None = None


class _Exit(SystemExit):
    """What our `sys.exit` raises: in everything a SystemExit, and it notices who reads its code."""

    @property
    def code(self) -> Any:
        code = _CODE.__get__(self)
        try:
            sys._getframe(1)
        except ValueError:  # no frame calls this: the interpreter is about to end with this code
            _process.exit_code = code
        return code

    @code.setter
    def code(self, value: Any) -> None:
        _CODE.__set__(self, value)

    def __reduce__(self) -> tuple[type[SystemExit], tuple[Any, ...]]:
        return SystemExit, self.args


_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


class _Process:
    """What is observed of this process."""

    def __init__(self) -> None:
        self.main: FrameType | None = None
        self.exit_code: Any = _NOT_LEFT


_process = _Process()


def watch() -> None:
    """Begin to observe how the process ends. Called once."""
    _process.main = _outermost()
    previous_exit = sys.exit

    def leave(status: Any = None, /) -> None:
        if type(previous_exit) is type(len):
            raise _Exit(status)
        previous_exit(status)  # somebody else's

    sys.exit = leave  # type: ignore[assignment]


def forget_parent() -> None:
    """This is a forked child now: it ends in its own way."""
    _process.exit_code = _NOT_LEFT


def process_end() -> ProcessEnd | None:
    """Return how the program ended; None if only its exit code will tell. For functions that run at the exit."""
    if _process.exit_code is not _NOT_LEFT:
        return _left_with(_process.exit_code)
    main, _process.main = _process.main, None  # the frame keeps the program's objects alive
    if main is None or hasattr(sys, "ps1"):
        return None  # at a prompt each input has a main frame of its own
    if _outermost() is main:
        return ProcessEnd("finished")  # somebody calls the functions of the exit by hand, and may leave by os._exit
    if main.f_code.co_code[main.f_lasti] in _RETURNS:
        return ProcessEnd("finished")
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if isinstance(error, BaseException) and error.__traceback__ is not None and error.__traceback__.tb_frame is main:
        return ProcessEnd(status_of(error), error=error)
    return None


def exit_code_goes_to(folder: Path | None) -> bool:
    """Have the C library write the exit code of this process (4 bytes, an int of the machine) into the folder of a
    writer, as the last thing that it does. False where it cannot: only glibc tells the code (`on_exit`)."""
    if folder is None:
        return False
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        on_exit, write = libc.on_exit, libc.putw
        libc.fdopen.restype = ctypes.c_void_p
        file = ctypes.c_void_p(libc.fdopen(open_exit_code(folder), b"w"))
        if not file or libc.setvbuf(file, None, _UNBUFFERED, ctypes.c_size_t(0)):
            return False
        return bool(on_exit(ctypes.cast(write, ctypes.c_void_p), file) == 0)
    except (ImportError, OSError, AttributeError, TypeError):
        return False


def _outermost() -> FrameType | None:
    """Return the frame in which the main thread began; None where it runs no Python."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _left_with(code: Any) -> ProcessEnd:
    """Return how a program ended that the interpreter ends with `code`, in the way that Python makes a number of it."""
    if code is None:
        return ProcessEnd("finished")
    if not isinstance(code, int):
        return ProcessEnd("failed", f"the program left with exit({code!r})")
    status = status_of_exit_code(code if -(2**31) <= code < 2**31 else -1)
    return ProcessEnd(status, None if status == "finished" else f"the program left with exit({code!r})")
