"""How many records may go to quarantine because folding them raised, before the code is taken for broken.

One such record is a case that nobody thought of, and must not hold up the others. Very many are a bad release, which
would put everything that arrives into quarantine until somebody notices.
"""

from collections import deque


class PoisonLimitReached(Exception):
    """Too many records of a partition cannot be folded; the message says how many, and what to do."""


class PoisonLimit:
    """Counts such records by partition. Used from one thread."""

    def __init__(self, limit: int, window_s: float) -> None:
        """limit: records of a partition within the window, 0 for any number."""
        self._limit = limit
        self._window_s = window_s
        self._times_s: dict[int, deque[float]] = {}

    def count(self, partition: int, now_s: float) -> None:
        """Count one more. Raises PoisonLimitReached if that is more than may be."""
        if not self._limit:
            return
        times_s = self._times_s.setdefault(partition, deque(maxlen=self._limit))
        if len(times_s) == self._limit and now_s - times_s[0] < self._window_s:
            raise PoisonLimitReached(
                f"more than {self._limit} records of partition {partition} could not be folded within "
                f"{self._window_s:g} s: this release is taken for broken, and the worker stops. Nothing is lost: the "
                "records stay in the log. Start a release that can fold them, or raise RUNSTREAM_WORKER_POISON_LIMIT"
            )
        times_s.append(now_s)
