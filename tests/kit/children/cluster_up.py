"""`runstream cluster up` with the given arguments, whose processes are forked from it.

It has imported what they need, for which a new interpreter takes two seconds of CPU time: a test that kills thirty of
them waits a minute less. tests/integration/test_cluster_up.py starts them as users do.
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, Final

from runstream_infra.cluster import local

_LOOK_S: Final = 0.02


class ForkedProcess:
    """A process that runs a module of this Python: what the supervisor uses of `subprocess.Popen`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        """command: an interpreter, `-m`, a module and its arguments."""
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_ran(list(command[2:]), environment, log.fileno()))

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it lives."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout_s: float = float("inf")) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        deadline_s = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired(str(self.pid), timeout_s)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _ran(arguments: list[str], environment: Mapping[str, str], log: int) -> int:
    """Be the process, from its session to its end; return its exit code."""
    signal.set_wakeup_fd(-1)  # it is the supervisor's loop that wakes
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.setsid()
    for standard in (1, 2):
        os.dup2(log, standard)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    return 0


if __name__ == "__main__":
    local.spawn = ForkedProcess  # type: ignore[assignment]
    sys.argv = ["runstream_infra.cli", "cluster", "up", *sys.argv[1:]]
    runpy.run_module("runstream_infra.cli", run_name="__main__", alter_sys=True)
