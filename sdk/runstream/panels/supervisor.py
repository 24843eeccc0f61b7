"""The process between whoever runs a panel and the panel: `python supervisor.py TIMEOUT_S FOLDER COMMAND...`.

It starts COMMAND, and when that has ended, its time is over, or whoever started this one is gone (the end of stdin), it
kills every process that came of it. On Linux it is their reaper: children that left the group by `setsid` or by forking
twice come back to it when their parents end. It needs nothing but Python's own library, and starts in some 20 ms.

It writes `pid N`, then `exit N` (negative: a signal) or `timeout`, to stdout.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
#: Looks at what has ended in between this often, where the kernel does not wake us.
_TICK_S: Final = 0.25
#: A fork bomb is stopped by killing faster than it forks; beyond this the rest is left to the caller.
_KILL_S: Final = 5.0


def main(timeout_s: float, folder: Path, command: list[str]) -> int:
    adopt_orphans()
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        panel = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder / "home",
            start_new_session=True,
        )
    print(f"pid {panel.pid}", flush=True)
    try:
        code = wait(panel.pid, time.monotonic() + timeout_s)
    finally:
        kill_all(panel.pid)
    with contextlib.suppress(OSError):  # nobody listens any more
        print("timeout" if code is None else f"exit {code}", flush=True)
    if code is None and (folder / "live.json").exists():  # of a live panel nobody reads anything any more
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    return 0


def adopt_orphans() -> None:
    """Become the parent of all that descends from this process when its own parents end."""
    with contextlib.suppress(Exception):  # no Linux: the group is killed, as far as that goes
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait(pid: int, until_s: float) -> int | None:
    """Return the exit code of a child; None if its time was over first, or nobody waits for it: stdin has ended. Reaps
    what it orphans."""
    waited: list[int] = [sys.stdin.fileno()]
    with contextlib.suppress(AttributeError, OSError):
        waited.append(os.pidfd_open(pid))
    while (left_s := until_s - time.monotonic()) > 0:
        for ended, status in _reaped():
            if ended == pid:
                return os.waitstatus_to_exitcode(status)
        ready, _, _ = select.select(waited, [], [], min(left_s, _TICK_S))
        if waited[0] in ready:
            return None
    return None


def _reaped() -> Iterator[tuple[int, int]]:
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        yield ended, status


def kill_all(leader: int) -> None:
    """End a child's group and all that descends from this process, stopped first so that they cannot fork on."""
    until_s = time.monotonic() + _KILL_S
    while time.monotonic() < until_s:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        found = descendants(os.getpid())
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, kind)
        for _ in _reaped():
            pass
        if not found:
            return
        time.sleep(0.002)


def descendants(root: int) -> list[int]:
    """The processes below `root`, as /proc has them now; none where there is no /proc. Ended ones are left out."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found: list[int] = []
    level = {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += level
    return found


def marked(marker: bytes) -> list[int]:
    """Processes of this user that were started with `marker`, NAME=VALUE, in their environment."""
    entry = b"\0" + marker + b"\0"
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError, ValueError):
            if path.stat().st_uid == os.getuid() and entry in b"\0" + path.read_bytes():
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
