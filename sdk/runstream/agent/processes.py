"""Processes that came of a run: weighed and killed."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from runstream.panels.supervisor import descendants, marked

#: A fork bomb is stopped by killing faster than it forks.
_KILL_S: Final = 10.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def below(root: int) -> list[int]:
    """Return the processes that descend from one; none where there is no /proc."""
    return descendants(root)


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the memory that processes have in RAM; shared pages count for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return total


def kill_tree(root: int) -> None:
    """Kill a child of this process and what descends from it."""
    for pid in (*below(root), root):
        _kill(pid)


def kill_marked(marker: bytes) -> bool:
    """Kill the processes that were started with `marker` in their environment. Returns whether none is left."""
    until_s = time.monotonic() + _KILL_S
    while (found := marked(marker)) and time.monotonic() < until_s:
        for pid in found:
            _kill(pid)
        time.sleep(0.005)
    return not found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
