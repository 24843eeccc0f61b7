"""The interpreter of this process, for starting another."""

import os
import sys
from typing import Final

#: How interpreters are called.
_NAMES: Final = ("python", "pypy", "graalpy")


class NotAnInterpreter(OSError):
    """This process cannot start Python: it is a frozen program, or one that embeds Python."""


def interpreter() -> str:
    """Return the path of the Python that runs this process. Raises NotAnInterpreter."""
    name = os.path.basename(sys.executable or "").lower()
    if getattr(sys, "frozen", False) or not name.startswith(_NAMES):
        raise NotAnInterpreter(
            f"{sys.executable or 'this program'} is no Python interpreter but a program that contains one, and would "
            "start itself again"
        )
    return sys.executable
