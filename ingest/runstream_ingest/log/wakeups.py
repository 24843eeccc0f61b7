"""Waiting for something that another thread brings about, from any event loop."""

import asyncio
import contextlib
import threading


class Wakeups:
    """Coroutines of any event loop wait here; any thread wakes all of them. A wake-up wakes who waited before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    def enter(self) -> "asyncio.Future[None]":
        """A future of the running loop that the next wake-up completes. Look at the condition after entering (a
        change between the look and the entering would go unseen), and always `leave`."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.add(future)
        return future

    def leave(self, future: "asyncio.Future[None]") -> None:
        with self._lock:
            self._waiting.discard(future)
        future.cancel()

    def wake(self) -> None:
        """Wake everybody who waits. From any thread; never blocks for long."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # that loop was closed; nobody waits there
                future.get_loop().call_soon_threadsafe(_complete, future)


def _complete(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def wait_for(future: "asyncio.Future[None]", timeout_s: float) -> None:
    """Wait for the future, at most `timeout_s`; never raises TimeoutError and never cancels the future."""
    await asyncio.wait((future,), timeout=timeout_s)
