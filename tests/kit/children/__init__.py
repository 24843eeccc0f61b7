"""Programs that tests start, and kill, as processes of their own; and how they are started.

A module of the kit runs as `python -m kit.PACKAGE.MODULE`. A child finds the kit by PYTHONPATH.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

TESTS = Path(__file__).parents[2]


def command(module: str, *arguments: object) -> list[str]:
    """Return the command line that runs a module below `kit` (`children.worker`) with this Python."""
    return [sys.executable, "-m", f"kit.{module}", *map(str, arguments)]


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `base` with the kit's folder as the first place of its PYTHONPATH."""
    places = [str(TESTS), base.get("PYTHONPATH", "")]
    return {**base, "PYTHONPATH": os.pathsep.join(filter(None, places))}
