"""When tables that are being folded have nearly all of a log that goes on growing. Pure: no I/O, no clock."""

from collections.abc import Mapping
from typing import Final

#: So few records are folded before a reader notices.
NEAR_RECORDS: Final = 1_000
#: What came to the log within so many seconds is folded before a reader notices, too.
SOON_S: Final = 2.0


def left(ends: Mapping[int, int], folded: Mapping[int, int]) -> int:
    """Return how many records up to `ends` are not folded. Both are next offsets by partition."""
    return sum(max(end - folded.get(part, 0), 0) for part, end in ends.items())


class CatchingUp:
    """Watches tables that are folded from the beginning of the log, look by look.

    They are near the log's end when they have all that it had at an earlier look, and either needed no longer than
    `soon_s` for that or have at most NEAR_RECORDS left. What is left then keeps readers waiting for about as long.
    """

    def __init__(self, soon_s: float = SOON_S) -> None:
        self._soon_s = soon_s
        self._goal: Mapping[int, int] | None = None
        self._goal_at_s = 0.0

    def look(self, ends: Mapping[int, int], folded: Mapping[int, int], now_s: float) -> bool:
        """Return whether the tables are near the end of the log, which is at `ends` now. False at the first look."""
        if self._goal is not None and left(self._goal, folded):
            return False
        is_first, was_soon = self._goal is None, now_s - self._goal_at_s <= self._soon_s
        self._goal, self._goal_at_s = ends, now_s
        return not is_first and (was_soon or left(ends, folded) <= NEAR_RECORDS)
