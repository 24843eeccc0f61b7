"""SIGTERM, by which schedulers end a job: runs end as killed, and then the process ends as it would have without us.

The signal stays the program's. It is taken only where nobody else handles it, given back when the last run has ended,
and left alone if another handler takes our place. The process still dies of the signal, so whoever waits for it sees
the same exit status.
"""

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

#: What takes longer (a lock that is never released, a disk that hangs) is given up: the process ends without it.
#: Schedulers give a job 30 s and more, of which this should leave most to others.
END_WITHIN_S: Final = 2.0

_end: Callable[[], None] | None = None
#: Whether this thread holds the signal back while it forks.
_forking = threading.local()


def take(end: Callable[[], None]) -> bool:
    """Call `end` when SIGTERM comes, before the process ends of it. Returns whether we handle the signal now.

    Not where the program has a handler or ignores the signal, not outside the main thread, where Python forbids it, and
    not in the first process of a container: the kernel does not end that one by a signal it has no handler for, so the
    program would go on with its runs ended.
    """
    global _end
    if os.getpid() == 1 or threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        with contextlib.suppress(ValueError):  # the main thread of an interpreter that is not the main one
            signal.signal(signal.SIGTERM, _handle)
    _end = end
    return signal.getsignal(signal.SIGTERM) is _handle


def let_go() -> None:
    """Let the signal do again what it did before `take`, if that is for us to say."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _handle:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def before_fork() -> None:
    """Hold the signal back in this thread, and so in the child, where it would be lost: it would find our handler, and
    be forgotten when that is given back."""
    if signal.getsignal(signal.SIGTERM) is _handle:
        _forking.holds = signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def after_fork_in_parent() -> None:
    """Let through what `before_fork` held back."""
    if getattr(_forking, "holds", False):
        _forking.holds = False
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def after_fork_in_child() -> None:
    """The child has no runs of its own yet: the signal ends it as it would without us."""
    let_go()
    after_fork_in_parent()


def _handle(number: int, frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGTERM) is not _handle:
        return  # a handler that took our place calls the one it found: what happens to the program is its to say
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        # Not threading.Thread: its locks may be held by what this handler interrupted.
        with contextlib.suppress(RuntimeError):
            _thread.start_new_thread(_end_later, (os.getpid(),))
        if _end is not None:
            _end()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _end_later(pid: int) -> None:
    time.sleep(END_WITHIN_S)
    os.kill(pid, signal.SIGTERM)
