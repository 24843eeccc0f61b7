"""How several workers write one table and none of its rows comes twice (docs/design/cluster.md). No I/O.

Which worker should fold a partition is for the consumer group to say; which one did is for the table. Every insert
says behind which row of its partition it belongs: the last one that the worker knows of in this table. Those rows
are a chain, and an insert is a compare-and-set on its end: its deduplication token names the partition and the end,
not what is inserted, so of two inserts behind the same row the engine takes one. Afterwards the worker looks where
the table ends now, which tells whether that one was its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from runstream_processors.store.resume import NOTHING


class Overtaken(Exception):
    """Another worker wrote what this one was about to write, or knows more than it: what is in memory counts for
    nothing any more. Start again from the tables, or leave the partition to its new owner."""


class Outcome(Enum):
    """What a look at the table says about an insert."""

    WRITTEN = "written"
    #: The token was taken and there is no row: the engine died between the two. Insert again under the next one.
    ABSENT = "absent"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True)
class Claim:
    """The place of one insert in a table: rows of one partition behind `after`, the last of them at `last`."""

    part: int
    after: int
    last: int
    attempt: int = 0

    def __post_init__(self) -> None:
        if self.last <= self.after:
            raise ValueError(f"rows of partition {self.part} up to {self.last} cannot stand behind {self.after}")

    @property
    def token(self) -> str:
        """The same for every worker that inserts at this place, whatever it inserts."""
        return f"{self.part}:{self.after}:{self.attempt}"

    def outcome(self, end: int) -> Outcome:
        """What it means that the table's rows of the partition end at `end` now (NOTHING if there are none)."""
        if end == self.last:
            # This block, or one that another worker made of the same records behind the same row: they are equal.
            return Outcome.WRITTEN
        return Outcome.ABSENT if end == self.after else Outcome.OVERTAKEN

    def again(self) -> "Claim":
        """The next try at the same place. Every worker goes through the same sequence, so two never both succeed."""
        return Claim(self.part, self.after, self.last, self.attempt + 1)


def claim_of(after: Mapping[int, int], last: Mapping[int, int]) -> Claim:
    """The claim of a block. Raises ValueError unless its rows are of one partition: partitions change hands one by
    one, and two new owners could not repeat an insert that belongs to both."""
    if len(last) != 1:
        raise ValueError(f"a claimed block has rows of one partition, not of {sorted(last)}")
    [(part, offset)] = last.items()
    return Claim(part, after.get(part, NOTHING), offset)
