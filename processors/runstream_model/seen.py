"""Which sequence numbers of a writer are folded: the memory that makes resending harmless."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from runstream_model.failures import InvalidState

Range = tuple[int, int]

#: Ranges of one writer. Who sends in order has one; what stands for a foreign client has one for each request of ten
#: minutes, some thousands at most. 20,000 take 3 MB of memory and 320 kB in a row.
MOST_RANGES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A set of sequence numbers as [begin, end) ranges: ascending, not empty, never touching each other.

    A writer whose frames arrive in order has one range, [0, next). Gaps stay open until what is missing arrives:
    nothing is refused here, so no order of arrival can lose a number or count one twice.
    Immutable; may be used from any thread.
    """

    ranges: tuple[Range, ...] = ()

    def fresh(self, begin: int, end: int) -> tuple[Range, ...]:
        """The parts of [begin, end) that are not in the set, ascending; () if all are, or if the range is empty."""
        if begin >= end:
            return ()
        if not self.ranges or begin >= self.ranges[-1][1]:
            return ((begin, end),)
        missing = []
        for low, high in self.ranges[self._first_ending_after(begin) :]:
            if low >= end:
                break
            if begin < low:
                missing.append((begin, low))
            begin = high
        if begin < end:
            missing.append((begin, end))
        return tuple(missing)

    def with_range(self, begin: int, end: int) -> "Seen":
        """The set with [begin, end) added; ranges that now touch are joined."""
        if begin >= end:
            return self
        first = bisect_left(self.ranges, begin, key=_end)
        last = bisect_right(self.ranges, end, key=_begin)
        joined = self.ranges[first:last]
        if joined:
            begin, end = min(begin, joined[0][0]), max(end, joined[-1][1])
            if joined == ((begin, end),):
                return self
        return Seen((*self.ranges[:first], (begin, end), *self.ranges[last:]))

    def has_room(self, begin: int, end: int) -> bool:
        """Whether [begin, end) can be added within MOST_RANGES."""
        return len(self.ranges) < MOST_RANGES or len(self.with_range(begin, end).ranges) <= MOST_RANGES

    @property
    def next_seq(self) -> int:
        """The first number that has not come: the end of the range that begins at 0, or 0."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 0 else 0

    def to_flat(self) -> list[int]:
        """begin, end, begin, end, ...: how the column `seen` holds it."""
        return [number for bounds in self.ranges for number in bounds]

    @classmethod
    def from_flat(cls, flat: Sequence[int]) -> Self:
        """The set that `to_flat` wrote. Raises InvalidState for anything that `to_flat` cannot have written."""
        numbers = [int(number) for number in flat]
        ascending = all(low < high for low, high in pairwise(numbers))
        if len(numbers) % 2 or not ascending or (numbers and numbers[0] < 0):
            raise InvalidState(
                f"seen ranges {numbers[:8]} are not ascending pairs: the row is damaged, run `runstream rebuild`"
            )
        return cls(tuple(zip(numbers[::2], numbers[1::2], strict=True)))

    def _first_ending_after(self, number: int) -> int:
        return bisect_right(self.ranges, number, key=_end)


def _begin(bounds: Range) -> int:
    return bounds[0]


def _end(bounds: Range) -> int:
    return bounds[1]
