"""How long to wait after a failure: exponential, with full jitter, so that a thousand senders do not return as one."""

from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.1
LONGEST_S: Final = 15.0


class Backoff:
    """Counts failures in a row. `uniform` returns a number in [0, 1)."""

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._uniform = uniform
        self.failures = 0

    def succeeded(self) -> None:
        self.failures = 0

    def next_wait_s(self) -> float:
        """Count one more failure; up to 0.1 s after the first, doubling up to 15 s. Never less than a tenth of that, so
        that bad luck is no busy loop."""
        # 0.1 * 2**8 is beyond the longest wait; the exponent is bounded so that years of failures do not overflow.
        bound_s = min(FIRST_S * (1 << min(self.failures, 8)), LONGEST_S)
        self.failures += 1
        return bound_s * (0.1 + 0.9 * self._uniform())

    def jittered_s(self, wait_s: float) -> float:
        """A wait that the other side asked for: never shorter, up to a quarter longer."""
        return wait_s * (1.0 + 0.25 * self._uniform())
