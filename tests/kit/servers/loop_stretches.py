"""How long an event loop is kept from everybody else, by the clock of its thread's own CPU: what other processes do to
the machine meanwhile does not count, and a test can compare it with other work of the same run."""

import asyncio
import json
import threading
import time
import zlib
from typing import Any, Final, Self

#: About what a person's largest ordinary request is.
_REFERENCE: Final = json.dumps(
    [{"metricName": f"train/loss_{number % 50}", "metricValue": number / 7, "step": number} for number in range(15_000)]
).encode()


def reference_s() -> float:
    """CPU seconds of parsing and summing 1 MB of JSON, the best of five."""
    found = []
    for _ in range(5):
        began_s = time.thread_time()
        zlib.crc32(_REFERENCE)
        json.loads(_REFERENCE)
        found.append(time.thread_time() - began_s)
    return min(found)


class Stretches:
    """While the `with` block lasts: the longest that one callback of the event loop in a thread ran, in CPU seconds of
    that thread."""

    def __init__(self, thread_id: int) -> None:
        self._thread_id = thread_id
        self.longest_s = 0.0
        self.what = ""

    def __enter__(self) -> Self:
        self._run = run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            if threading.get_ident() != self._thread_id:
                run(handle)
                return
            began_s = time.thread_time()
            run(handle)
            took_s = time.thread_time() - began_s
            if took_s > self.longest_s:
                self.longest_s, self.what = took_s, _name(handle)

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]


def _name(handle: Any) -> str:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return getattr(owner.get_coro(), "__qualname__", "a task")
    return getattr(callback, "__qualname__", repr(callback))
