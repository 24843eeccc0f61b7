"""The one thread of a run: it keeps a sender alive and does everything that would take time in the training thread."""

import threading
from collections.abc import Callable
from typing import Final

from runstream.clock import Clock

#: Whether a sender lives is one flock; a sender that was killed is replaced this soon.
SENDER_CHECK_S: Final = 2.0
_TICK_S: Final = 1.0
#: How long a fork waits for the work at hand. Most of it takes milliseconds; git may take seconds.
_FORK_WAIT_S: Final = 2.0

#: Held while any of these threads works. A fork that came in the middle of an import would leave the child with that
#: module locked for ever, so forks wait for it (`runstream.client.active` asks for that).
_working = threading.RLock()
_forks_held: Final[list[bool]] = []


class Background:
    """A daemon thread that does one piece of work every second, or at once after `wake`, and others at intervals.

    Everything is called from this one thread, one after the other; what raises is skipped until its next turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._tick: Callable[[], None] = _nothing
        self._clock = clock
        self._first: list[Callable[[], None]] = []
        self._repeated: list[tuple[float, Callable[[], None]]] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runstream", daemon=True)

    def on_tick(self, work: Callable[[], None]) -> None:
        """Call `work` every second and after `wake`. Before `start`."""
        self._tick = work

    def at_first(self, work: Callable[[], None]) -> None:
        """Call `work` once, in the order given. Before `start`."""
        self._first.append(work)

    def every(self, interval_s: float, work: Callable[[], None]) -> None:
        """Call `work` at the start and then every `interval_s`. Before `start`."""
        self._repeated.append((interval_s, work))

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Tick soon. Does not block."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Stop after the work at hand and wait for that. False if it took longer."""
        self._stopping.set()
        self._wake.set()
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        due = [(self._clock.monotonic_s(), interval_s, work) for interval_s, work in self._repeated]
        first = list(self._first)
        while True:
            stopping = self._stopping.is_set()
            now = self._clock.monotonic_s()
            for index, (at_s, interval_s, work) in enumerate(due):
                if at_s <= now:
                    due[index] = (now + interval_s, interval_s, work)
                    _quietly(work)
            _quietly(self._tick)
            if first:
                _quietly(first.pop(0))
            elif stopping:
                return
            else:
                self._wake.wait(self._until_next([at_s for at_s, _, _ in due]))
                self._wake.clear()

    def _until_next(self, due_s: list[float]) -> float:
        nearest = min(due_s, default=float("inf")) - self._clock.monotonic_s()
        return max(min(nearest, _TICK_S), 0.0)


def _nothing() -> None:
    return


def before_fork() -> None:
    """Wait, bounded, until no thread of ours is in the middle of something."""
    _forks_held.append(_working.acquire(timeout=_FORK_WAIT_S))


def after_fork_in_parent() -> None:
    """Let our threads go on."""
    if _forks_held.pop():
        _working.release()


def after_fork_in_child() -> None:
    """Our threads are not here; what they held is free."""
    global _working
    _forks_held.clear()
    _working = threading.RLock()


def _quietly(work: Callable[[], None]) -> None:
    try:
        with _working:
            work()
    except Exception:  # nothing that is captured on the side may end a run; each look-up says itself what it needs to
        return
