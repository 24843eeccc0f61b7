"""The runs of this process, and what happens to them when it forks, is ended by a signal, and ends."""

import atexit
import contextlib
import os
import sys
import threading
from typing import Any, Protocol

from runstream.client import background, leaving
from runstream.client.ending import EndStatus, status_of


class Active(Protocol):
    """What this module asks of a run."""

    @property
    def joined(self) -> bool:
        """Whether another process started it."""

    @property
    def handle_sigterm(self) -> bool:
        """Whether SIGTERM may be handled for it."""

    def finish(
        self,
        status: EndStatus = "finished",
        timeout_s: float | None = None,
        *,
        message: str | None = None,
        error: BaseException | None = None,
    ) -> bool: ...

    def leave_end_to_exit_code(self, timeout_s: float | None = None) -> None:
        """End as the exit code of this process will tell."""

    def terminate(self, message: str) -> None:
        """End as killed, from a signal handler that ends the process after it."""

    def after_fork(self) -> None:
        """This is a forked child now."""


_lock = threading.RLock()
_runs: list[Active] = []
_installed = False


def remember(run: Active) -> None:
    """Count `run` as active: it is ended when the process ends, and follows it into forked children."""
    _install()
    with _lock:
        _runs.append(run)


def forget(run: Active) -> None:
    """`run` has ended."""
    with _lock:
        with contextlib.suppress(ValueError):
            _runs.remove(run)
        none_left = not _runs
    if none_left and (sigterm := _sigterm_if_taken()) is not None:
        sigterm.let_go()


def newest() -> Active | None:
    """The run that was remembered last and not forgotten; None if there is none. Never blocks."""
    try:
        return _runs[-1]
    except IndexError:
        return None


def writes_here(run: Active) -> None:
    """`run` has a writer in this process from now on: it ends with it, in whatever way that ends."""
    if run.handle_sigterm:
        from runstream.client import sigterm

        sigterm.take(_at_sigterm)
    _at_end_of_worker(run)


def _at_end_of_worker(run: Active) -> None:
    """End `run` when a worker of `multiprocessing` ends, which calls no `atexit` functions."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, _end_worker, args=(run,), exitpriority=10)


def _end_worker(run: Active) -> None:
    error = sys.exc_info()[1]  # the worker's `finally` calls this while what it raised is on its way
    run.finish(status_of(error), timeout_s=0 if run.joined else None, error=error)


def _install() -> None:
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
    leaving.watch()
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork,
            after_in_parent=_after_fork_in_parent,
            after_in_child=_after_fork_in_child,
        )


def _at_exit() -> None:
    end = leaving.process_end()
    for run in _runs.copy():  # those that finish are taken out of it
        timeout_s = 0 if run.joined else None
        try:
            if end is None:
                run.leave_end_to_exit_code(timeout_s)
            else:
                run.finish(end.status, timeout_s, message=end.message, error=end.error)
        except KeyboardInterrupt:  # waiting is what is interrupted; everything stands in the spool
            continue


def _at_sigterm() -> None:
    for run in _runs.copy():
        run.terminate("ended by SIGTERM")


def _sigterm_if_taken() -> Any:
    # Not imported for this: where nobody imported it, there is nothing to let go of.
    return sys.modules.get("runstream.client.sigterm")


def _before_fork() -> None:
    background.before_fork()
    if (sigterm := _sigterm_if_taken()) is not None:
        sigterm.before_fork()


def _after_fork_in_parent() -> None:
    if (sigterm := _sigterm_if_taken()) is not None:
        sigterm.after_fork_in_parent()
    background.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _lock
    background.after_fork_in_child()
    _lock = threading.RLock()
    leaving.forget_parent()
    if (sigterm := _sigterm_if_taken()) is not None:
        sigterm.after_fork_in_child()
    for run in _runs:
        run.after_fork()
