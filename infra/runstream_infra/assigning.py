"""An embedded log as the cluster's log shall hold it: each record with the partition and offset that it gets there."""

import heapq
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from runstream.events.kafka import partition_of
from runstream_service.log import LogReader, LogUnavailable, Record

#: What is read and appended at once: eight of Kafka's batches.
CHUNK_BYTES: Final = 8_000_000
#: A durable record that does not come within this is a failure.
_READ_S: Final = 30.0

Place = tuple[int, int]  # partition, offset


@dataclass(frozen=True, slots=True)
class Survey:
    """`ends`: the next offset of each partition. `records`: those at the places that were asked for."""

    ends: Mapping[int, int]
    records: Mapping[Place, Record]


class Assignment(Protocol):
    """The records of a log that stands still, in their places. Raises what `LogReader.read` raises."""

    @property
    def partitions(self) -> int: ...

    async def survey(self, wanted: Collection[Place]) -> Survey:
        """How many records there are, and which stand at `wanted`; places that do not exist are left out."""

    def chunks(self, starts: Mapping[int, int]) -> AsyncIterator[list[Record]]:
        """All records from `starts` (the next offset of each partition) on, in order in every partition."""


class SamePartitions:
    """As many partitions: every record keeps its place."""

    def __init__(self, log: LogReader, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._log = log
        self._chunk_bytes = chunk_bytes

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def survey(self, wanted: Collection[Place]) -> Survey:
        ends = dict(await self._log.next_offsets())
        there = [(part, offset) for part, offset in wanted if offset < ends.get(part, 0)]
        return Survey(ends, {place: (await _read(self._log, *place, 1))[0] for place in there})

    async def chunks(self, starts: Mapping[int, int]) -> AsyncIterator[list[Record]]:
        ends = await self._log.next_offsets()
        nexts = {part: starts.get(part, 0) for part in ends}
        while unread := [part for part, offset in nexts.items() if offset < ends[part]]:
            chunk: list[Record] = []
            for part in unread:
                records = await _read(self._log, part, nexts[part], self._chunk_bytes // len(unread))
                nexts[part] = records[-1].offset + 1
                chunk += records
            yield chunk


class NewPartitions:
    """Another number of partitions: each record goes where its key falls. Those of a key stay in order, because they
    come from one partition; those of several partitions are taken in the order of the log's clock, so that it runs
    backwards nowhere and every record keeps its time."""

    def __init__(self, log: LogReader, partitions: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._log = log
        self._partitions = partitions
        self._chunk_bytes = chunk_bytes

    @property
    def partitions(self) -> int:
        return self._partitions

    async def survey(self, wanted: Collection[Place]) -> Survey:
        ends = dict.fromkeys(range(self._partitions), 0)
        found: dict[Place, Record] = {}
        async for record in self._all():
            ends[record.partition] += 1
            if (record.partition, record.offset) in wanted:
                found[record.partition, record.offset] = record
        return Survey(ends, found)

    async def chunks(self, starts: Mapping[int, int]) -> AsyncIterator[list[Record]]:
        chunk: list[Record] = []
        size = 0
        async for record in self._all():
            if record.offset < starts.get(record.partition, 0):
                continue
            chunk.append(record)
            size += len(record.value)
            if size >= self._chunk_bytes:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    async def _all(self) -> AsyncIterator[Record]:
        """Every record in its new place. Where it is follows from the whole log before it, so this always begins at
        the beginning: reading is fast beside everything that comes after it."""
        counts = [0] * self._partitions
        sources = [self._partition(part) for part in range(self._log.partitions)]
        heads: list[tuple[int, int, Record]] = []
        for part, source in enumerate(sources):
            if (first := await anext(source, None)) is not None:
                heads.append((first.at_us, part, first))
        heapq.heapify(heads)
        while heads:
            _, part, record = heads[0]
            target = partition_of(record.key, self._partitions)
            yield replace(record, partition=target, offset=counts[target])
            counts[target] += 1
            following = await anext(sources[part], None)
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (following.at_us, part, following))

    async def _partition(self, part: int) -> AsyncIterator[Record]:
        end = (await self._log.next_offsets())[part]
        offset = 0
        while offset < end:
            records = await _read(self._log, part, offset, self._chunk_bytes // self._log.partitions)
            offset = records[-1].offset + 1
            for record in records:
                yield record


async def _read(log: LogReader, part: int, offset: int, max_bytes: int) -> list[Record]:
    records = await log.read(part, offset, max_bytes, _READ_S)
    if not records:
        raise LogUnavailable(f"record {offset} of partition {part} did not come within {_READ_S:g} s")
    return records
