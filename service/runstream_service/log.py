"""The log: the one ordered, partitioned, durable stream of frames. Everything else is a fold over it.

Two implementations stand behind these interfaces: the embedded log (`runstream_ingest.log.embedded`) and Kafka.
tests/conformance/test_log.py holds both to what is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from runstream.events.positions import Positions


class LogError(Exception):
    """The log cannot do what was asked."""


class LogUnavailable(LogError):
    """Not now: the disk is full, the broker is away, too much is waiting. Nothing was acknowledged; try again."""


class LogCorrupt(LogError):
    """Bytes before the durable end do not check out. The message names file and position, and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One frame as the log holds it. `at_us` is the log's clock at the append, never running backwards in a
    partition; offsets of a partition ascend (with gaps only where a log compacts or marks transactions)."""

    partition: int
    offset: int
    at_us: int
    key: bytes
    value: bytes


class LogWriter(Protocol):
    """The writing side. Coroutines may be called from one event loop; calls may overlap."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; fixed for the life of a log."""

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        """Append (key, value) pairs in order and return once they are durable (synced to disk, or held by every
        in-sync replica). A key always falls into the same partition: crc32(key) % partitions, in every
        implementation, so that a replay from one log into another keeps the order of each run.

        Returns the position right behind them, in each partition that was written to. Records of one call that fall
        into one partition are adjacent. Concurrent calls share syncs. Raises LogUnavailable when nothing, or not
        everything, became durable: then some records may still be there (append again; folds drop duplicates).
        """

    async def close(self) -> None:
        """Sync what is pending, then release files or connections. Appending afterwards raises LogUnavailable."""


class LogReader(Protocol):
    """The reading side. Coroutines may be called from any event loop, also from several threads."""

    @property
    def partitions(self) -> int: ...

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        """Durable records from `next_offset` on, in order, at most `max_bytes` of values (but at least one record).

        Waits up to `timeout_s` for the first one; an empty list means that none came. Offsets below
        `begin_offsets` raise LogCorrupt, naming the first one that is kept: skipping silently would lose data.
        """

    async def begin_offsets(self) -> Mapping[int, int]:
        """The first kept offset of each partition (0, until retention removed a prefix)."""

    async def next_offsets(self) -> Mapping[int, int]:
        """For each partition the offset that the next durable record will have."""

    async def position_at(self, at_us: int) -> Positions:
        """The position behind the last record of each partition that was appended at or before that time of the log's
        clock. A partition without one is at its beginning."""
