"""Time as an argument: what every part of the client that needs a clock takes, so that tests can hold it."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks. Both functions may be called from any thread and never block."""

    #: Nanoseconds since 1970 UTC: the time of a point. May jump when the machine's clock is set.
    time_ns: Callable[[], int] = time.time_ns
    #: Seconds from some moment on, never backwards: for waiting and for rates.
    monotonic_s: Callable[[], float] = time.monotonic

    def at_us(self) -> int:
        """Microseconds since 1970 UTC, as control events carry them."""
        return self.time_ns() // 1000


SYSTEM_CLOCK = Clock()
