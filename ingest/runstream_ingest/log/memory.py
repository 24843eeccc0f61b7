"""A log in memory, for tests: the promises of `runstream_service.log` without a disk. It forgets at exit."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from runstream.clock import SYSTEM_CLOCK
from runstream.events.kafka import partition_of
from runstream.events.positions import Positions
from runstream_ingest.log.wakeups import Wakeups, wait_for
from runstream_service.log import LogUnavailable, Record


class MemoryLog:
    """LogWriter and LogReader in memory. Any thread, any event loop; an append is 'durable' at once."""

    def __init__(self, partitions: int = 1, clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us) -> None:
        self._records: list[list[Record]] = [[] for _ in range(partitions)]
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._wakeups = [Wakeups() for _ in range(partitions)]
        self._closed = False

    @property
    def partitions(self) -> int:
        return len(self._records)

    def reopened(self) -> Self:
        """Another log with the same records, as a new process would open it."""
        other = type(self)(len(self._records), self._clock_us)
        other._records = [list(records) for records in self._records]
        return other

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        next_offsets: dict[int, int] = {}
        with self._lock:
            if self._closed:
                raise LogUnavailable("the log is closed: open it again")
            for key, value in records:
                number = partition_of(key, len(self._records))
                kept = self._records[number]
                at_us = max(self._clock_us(), kept[-1].at_us if kept else 0)
                kept.append(Record(number, len(kept), at_us, bytes(key), bytes(value)))
                next_offsets[number] = len(kept)
        for number in next_offsets:
            self._wakeups[number].wake()
        return Positions(next_offsets)

    async def close(self) -> None:
        self._closed = True
        for wakeups in self._wakeups:
            wakeups.wake()

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        if not 0 <= partition < len(self._records):
            raise ValueError(f"there is no partition {partition}: the log has 0 to {len(self._records) - 1}")
        while True:
            waiting = self._wakeups[partition].enter()
            try:
                if self._closed:
                    raise LogUnavailable("the log is closed: open it again")
                found = self._from(partition, next_offset, max_bytes)
                left_s = deadline - loop.time()
                if found or left_s <= 0:
                    return found
                await wait_for(waiting, left_s)
            finally:
                self._wakeups[partition].leave(waiting)

    async def begin_offsets(self) -> Mapping[int, int]:
        return dict.fromkeys(range(len(self._records)), 0)

    async def next_offsets(self) -> Mapping[int, int]:
        return {number: len(records) for number, records in enumerate(self._records)}

    async def position_at(self, at_us: int) -> Positions:
        older = (sum(record.at_us <= at_us for record in records) for records in self._records)
        return Positions(dict(enumerate(older)))

    def _from(self, partition: int, next_offset: int, max_bytes: int) -> list[Record]:
        found: list[Record] = []
        size = 0
        for record in self._records[partition][next_offset:]:
            size += len(record.value)
            if found and size > max_bytes:
                break
            found.append(record)
        return found
