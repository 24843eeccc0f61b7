"""How a command ends: the exit codes, and the errors that carry them. `runstream --help` prints this table.

0    done
1    failed: the server, the disk or the data said no
2    wrong use or bad input: an option, a filter expression, a name that does not exist
3    the server cannot be reached, or refuses the key
4    not everything is done: some points are not acknowledged, some part is unhealthy
130  ended by Ctrl-C
"""

from typing import Final

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
UNREACHABLE: Final = 3
NOT_EVERYTHING: Final = 4
INTERRUPTED: Final = 130

EXIT_CODES: Final = (
    (OK, "done"),
    (FAILED, "failed: the server, the disk or the data said no"),
    (BAD_INPUT, "wrong use or bad input"),
    (UNREACHABLE, "the server cannot be reached, or refuses the key"),
    (NOT_EVERYTHING, "not everything is done (sync, doctor)"),
    (INTERRUPTED, "ended by Ctrl-C"),
)


class CommandError(Exception):
    """A command cannot go on. The message is one line that names the thing and the next step; `detail` holds further
    lines (a caret under a mistake). Split by what the caller does: look into it, correct the input, get the server
    back, or try again later."""

    exit_code = FAILED

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Failed(CommandError):
    """It was tried and did not work."""


class BadInput(CommandError):
    """The same command will fail again: the input has to change."""

    exit_code = BAD_INPUT


class Unreachable(CommandError):
    """No server answers there, or it does not let this key in."""

    exit_code = UNREACHABLE


class NotEverything(CommandError):
    """A part is done and the rest is safe: running the command again later completes it."""

    exit_code = NOT_EVERYTHING
