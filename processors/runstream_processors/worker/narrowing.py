"""Which records to take next while one that cannot be folded is looked for. No I/O.

A fold that raises says nothing about which of its records is to blame, and what is in memory counts for nothing
afterwards. So the batch is folded again in halves: each half that is folded is written, and the half that raises is
halved again, until a record raises alone. That is O(log n) flushes for each such record, however large the batch was.
"""

from collections.abc import Iterable, Mapping

Place = tuple[int, int]


class Narrowing:
    """Looks for records that raise. A place is (partition, offset). Used from one thread.

    The caller folds at most `most` records at once, tells `folded` when they are on their way to the tables, and, where
    it raised, `failed` and then, when it goes on from what is in the tables, `resumed`.
    """

    def __init__(self) -> None:
        #: Records that raised alone: they go to quarantine.
        self.poison: set[Place] = set()
        #: In each partition the offset behind all batches that raised since the first one did.
        self._until: dict[int, int] = {}
        #: The offsets behind the batch that raised last, one of `_within`.
        self._end: dict[int, int] = {}
        self._next: dict[int, int] = {}
        #: What is to be folded before the records among which one raises.
        self._before = 0
        #: One of so many records raises; 0: nobody knows.
        self._within = 0
        self._size = 1

    @property
    def is_active(self) -> bool:
        """Whether records are still ahead among which some may raise."""
        return any(self._next.get(part, 0) < until for part, until in self._until.items())

    def most(self, records: int) -> int:
        """How many records to take at once, where `records` are taken otherwise."""
        if not self.is_active:
            return records
        return min(records, self._before or self._size)

    def failed(self, places: Iterable[Place]) -> bool:
        """The fold of these raised, or the making of their rows. Returns whether the one to blame is known now."""
        places = list(places)
        self._end = {}
        for part, offset in places:
            self._until[part] = max(offset + 1, self._until.get(part, 0))
            self._end[part] = max(offset + 1, self._end.get(part, 0))
        if len(places) == 1:
            self.poison.update(places)
            # The next may be like this one: take one, and twice as many after each that is good.
            self._within, self._size = 0, 1
            return True
        self._within = len(places)
        return False

    def resumed(self, next_offsets: Mapping[int, int]) -> None:
        """Reading goes on from here, which is what the tables hold."""
        self._next = dict(next_offsets)
        ahead = sum(max(0, end - next_offsets.get(part, 0)) for part, end in self._end.items())
        self._before = max(0, ahead - self._within) if self._within else 0
        if self._within:
            self._size = max(1, self._within // 2)

    def folded(self, places: Iterable[Place]) -> None:
        """These were folded, and their rows made."""
        count, are_good = 0, False
        for part, offset in places:
            self._next[part] = offset + 1
            count += 1
            are_good = are_good or (part, offset) not in self.poison
        if self._before:
            self._before = max(0, self._before - count)
        elif self._within:
            self._within = max(0, self._within - count)
            self._size = max(1, self._within // 2)
        elif are_good:
            self._size *= 2
        if not self.is_active:
            self._until, self._before, self._within, self._size = {}, 0, 0, 1
