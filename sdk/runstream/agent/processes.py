"""Processes that came of a run: weighed and killed."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runstream.panels.supervisor import descendants, marked

#: A fork bomb is stopped by killing faster than it forks.
_KILL_S: Final = 10.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def below(root: int) -> list[int]:
    """Return the processes that descend from one; none where there is no /proc."""
    return descendants(root)


def takes_more(pids: Sequence[int], limit_bytes: int) -> bool:
    """Return whether processes have more than this in RAM together. A page that several of them share counts once: a
    loader of data forks workers that share all that was loaded. Looked at closely only where it may be too much."""
    return sum(map(_resident_bytes, pids)) > limit_bytes and sum(map(_own_bytes, pids)) > limit_bytes


def _resident_bytes(pid: int) -> int:
    """What a process has in RAM, with all that it shares; 0 where it has ended."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


def _own_bytes(pid: int) -> int:
    """What a process has in RAM, of a shared page its part; all of it where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return _resident_bytes(pid)


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
