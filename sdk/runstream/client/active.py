"""The runs of this process, and what happens to them when it forks and when it ends."""

import atexit
import contextlib
import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runstream.client import background

if TYPE_CHECKING:
    from runstream.client.run import Run

_lock = threading.RLock()
_runs: "list[Run]" = []
_installed = False
#: How the program ends, as far as we can tell: the exception nobody caught, or the code it exits with.
_uncaught: BaseException | None = None
_exit_code: Any = None


def remember(run: "Run") -> None:
    """Count `run` as active: it is ended when the process ends, and follows it into forked children."""
    _install()
    with _lock:
        _runs.append(run)


def forget(run: "Run") -> None:
    """`run` has ended."""
    with _lock, contextlib.suppress(ValueError):
        _runs.remove(run)


def active_run() -> "Run | None":
    """The run that was started last and has not ended; None if there is none."""
    with _lock:
        return _runs[-1] if _runs else None


def at_end_of_worker(run: "Run") -> None:
    """End `run` when a worker of `multiprocessing` ends, which calls no `atexit` functions."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, _end_worker, args=(run,), exitpriority=10)


def _end_worker(run: "Run") -> None:
    from runstream.client.run import status_of

    error = sys.exc_info()[1]  # the worker's `finally` calls this while what it raised is on its way
    run.finish(status_of(error), timeout_s=0, error=error)


def _install() -> None:
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
    previous_hook, previous_exit = sys.excepthook, sys.exit

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _uncaught
        if not hasattr(sys, "ps1"):  # at a prompt the program goes on
            _uncaught = error
        previous_hook(kind, error, trace)

    def leave(status: Any = None, /) -> None:
        global _exit_code
        _exit_code = status
        previous_exit(status)

    sys.excepthook = hook
    sys.exit = leave  # type: ignore[assignment]
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=background.before_fork,
            after_in_parent=background.after_fork_in_parent,
            after_in_child=_after_fork_in_child,
        )


def _at_exit() -> None:
    from runstream.client.run import status_of

    with _lock:
        runs = list(_runs)
    error = _uncaught
    message = None
    status = status_of(error)
    if error is None and _exit_code not in (None, 0, False):
        status, message = "failed", f"the program left with exit({_exit_code!r})"
    for run in runs:
        try:
            run.finish(status, timeout_s=0 if run.joined else None, message=message, error=error)
        except KeyboardInterrupt:  # waiting is what is interrupted; everything stands in the spool
            continue


def _after_fork_in_child() -> None:
    global _lock, _uncaught, _exit_code
    background.after_fork_in_child()
    _lock = threading.RLock()
    _uncaught = _exit_code = None
    for run in _runs:
        run._after_fork()
