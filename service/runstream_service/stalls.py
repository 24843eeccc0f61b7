"""How long the event loop stands still, and in which request: the metric and a line in the log.

The loop notes the time four times a second; a thread looks whether it did. So a stall is noticed while it lasts, the
thread can see in which code, and one that never ends is told as well. Where a call holds the interpreter itself, the
thread waits too and sees only that time has passed.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)

#: Each beat wakes an idle process twice, and costs 0.2 ms.
_BEAT_S: Final = 0.25
#: What "longest lately" looks back on.
_LATELY_S: Final = 60.0
_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: Where aiohttp calls the handler of a request: `request` is a local there.
_HANDLES: Final = "_handle_request"


class LoopSettings(BaseModel):
    """When a stall of the event loop is told. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A longer one is counted and logged, with the request that it was in. Probes give up after a second.
    stall_warning_s: float = Field(default=0.5, gt=0)
    #: One that lasts so long is logged while it lasts, with the stack.
    stall_stack_s: float = Field(default=10.0, gt=0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the loop's thread was doing."""

    request: str
    place: str
    stack: str


class LoopWatch(Collector):
    """Watches the event loop that `watching` runs in. A collector of its own metrics."""

    def __init__(
        self,
        settings: LoopSettings,
        registry: CollectorRegistry | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._ended = threading.Event()
        self._beat_s = monotonic_s()
        self._thread_id = 0
        self._seen: _Seen | None = None
        self._longest: deque[tuple[float, float]] = deque()
        #: Those beyond `stall_warning_s`, and all time spent in them.
        self.stalls = 0
        self.stalled_s = 0.0
        self._histogram = Histogram(
            "runstream_loop_stall_seconds",
            "By how much the event loop was late, asked four times a second.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "runstream_loop_stall_longest_seconds",
            "The longest stall of the event loop in the last minute.",
            self.longest_s(),
        )
        yield CounterMetricFamily(
            "runstream_loop_stalls", "Stalls of the event loop beyond RUNSTREAM_LOOP_STALL_WARNING_S.", self.stalls
        )

    def longest_s(self) -> float:
        """The longest stall of the last minute."""
        oldest_s = self._monotonic_s() - _LATELY_S
        return max((stall_s for at_s, stall_s in list(self._longest) if at_s >= oldest_s), default=0.0)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch until the end of the block."""
        self._thread_id = threading.get_ident()
        self._beat_s = self._monotonic_s()
        beating = asyncio.create_task(self._beat())
        thread = threading.Thread(target=self._look, name="loop-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            self.beat()

    def beat(self) -> None:
        """Note that the loop runs, `_BEAT_S` after the last time if all is well."""
        now_s = self._monotonic_s()
        stall_s = max(0.0, now_s - self._beat_s - _BEAT_S)
        self._histogram.observe(stall_s)
        self._keep(now_s, stall_s)
        seen, self._seen = self._seen, None
        if stall_s >= self._settings.stall_warning_s:
            self.stalls += 1
            self.stalled_s += stall_s
            request = seen.request if seen else "unknown"
            logger.warning(
                "the event loop stood still for %.2f s in %s%s",
                stall_s,
                request,
                f" ({seen.place})" if seen else "",
                extra={"repeats": request},
            )
        self._beat_s = now_s

    def _keep(self, now_s: float, stall_s: float) -> None:
        longest = self._longest
        while longest and (longest[-1][1] <= stall_s or longest[0][0] < now_s - _LATELY_S):
            # Whatever is shorter and older than this one is never the longest again.
            if longest[-1][1] <= stall_s:
                longest.pop()
            else:
                longest.popleft()
        longest.append((now_s, stall_s))

    def _look(self) -> None:
        told_s = 0.0
        while not self._ended.wait(_BEAT_S):
            beat_s = self._beat_s
            late_s = self._monotonic_s() - beat_s - _BEAT_S
            if late_s >= self._settings.stall_warning_s / 2 and self._seen is None:
                self._seen = _seen(self._thread_id)
            if late_s >= self._settings.stall_stack_s and told_s != beat_s:
                told_s = beat_s
                seen = _seen(self._thread_id)
                if seen is not None:
                    logger.error(
                        "the event loop has stood still for %.0f s in %s:\n%s", late_s, seen.request, seen.stack
                    )


def _seen(thread_id: int) -> _Seen | None:
    frame = sys._current_frames().get(thread_id)
    if frame is None:
        return None
    code = frame.f_code
    place = f"{frame.f_globals.get('__name__', code.co_filename)}:{code.co_qualname}, line {frame.f_lineno}"
    return _Seen(_request(frame), place, "".join(traceback.format_stack(frame)))


def _request(frame: FrameType | None) -> str:
    """The request in whose task a frame runs."""
    while frame is not None:
        if frame.f_code.co_name == _HANDLES:
            request = frame.f_locals.get("request")
            if isinstance(request, web.Request):
                # `match_info` is set once the route is found.
                resource = request.match_info.route.resource if request._match_info is not None else None
                return f"{request.method} {resource.canonical if resource is not None else request.path}"
        frame = frame.f_back
    return "no request"
