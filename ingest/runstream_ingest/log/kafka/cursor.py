"""One consumer on one partition, read from front to back. It belongs to one event loop and to one read at a time."""

import asyncio
from collections import deque
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from runstream_ingest.log.kafka.failures import ended
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.stamps import next_at_us, stamp_of
from runstream_service.log import Record

#: One response of a broker: four of the largest frames, so that a reader that asks for megabytes is not held up by
#: questions. What is fetched ahead of a reader is at most twice this.
FETCH_BYTES = 4_000_000
#: How long a broker keeps a question for more when there is nothing.
_FETCH_WAIT_MS = 500
#: The library also waits so long before its first question, until it knows who leads the partition.
_RETRY_MS = 20


def new_consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer without a group. It never moves by itself: an offset that is gone is an error."""
    return AIOKafkaConsumer(
        **settings.client_arguments(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_uncommitted",  # nothing here writes transactions
        check_crcs=True,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        retry_backoff_ms=_RETRY_MS,
    )


class Cursor:
    """Records of a partition from an offset on. Raises what the client library raises."""

    def __init__(self, consumer: AIOKafkaConsumer, where: TopicPartition, next_offset: int) -> None:
        self._consumer = consumer
        self._where = where
        #: The log's time of the record before the next one; None until somebody has found it out.
        self.floor_us: int | None = None
        self.next_offset = next_offset
        #: Up to where there is nothing more to fetch: beyond `next_offset` where offsets have no record. Transactions
        #: of somebody else end with such, and deleted or compacted records leave them.
        self.reached = next_offset
        #: When its last read ended, by the loop's clock.
        self.kept_s = 0.0
        #: Fetched and not taken, as the library gave it.
        self._waiting: deque[Any] = deque()

    @classmethod
    async def open(cls, settings: KafkaSettings, partition: int, next_offset: int) -> Self:
        """Connect, and ask for what begins at `next_offset`."""
        consumer = new_consumer(settings)
        try:
            async with asyncio.timeout(settings.request_timeout_s):
                await consumer.start()
            where = TopicPartition(settings.topic, partition)
            consumer.assign([where])
            consumer.seek(where, next_offset)
        except BaseException:
            await ended(consumer.stop(), settings.request_timeout_s)
            raise
        return cls(consumer, where, next_offset)

    @property
    def partition(self) -> int:
        return int(self._where.partition)

    async def close(self, timeout_s: float) -> None:
        await ended(self._consumer.stop(), timeout_s)

    async def fetch(self, timeout_s: float) -> bool:
        """Have at least one record that was not taken; False if none came within the time."""
        if not self._waiting:
            found = await self._consumer.getmany(self._where, timeout_ms=max(0, int(timeout_s * 1000)))
            self._waiting.extend(found.get(self._where, ()))
            if not self._waiting:
                self.reached = max(self.next_offset, await self._consumer.position(self._where))
        return bool(self._waiting)

    def peek_stamp_us(self) -> int:
        """The stamp of the next record, as its writer gave it. Only after a `fetch` that was True."""
        return stamp_of(self._waiting[0].timestamp, self._waiting[0].headers)

    def take(self, max_bytes: int) -> list[Record]:
        """What was fetched, at most `max_bytes` of values but at least one record if there is any."""
        found: list[Record] = []
        size, floor_us = 0, self.floor_us or 0
        while self._waiting:
            given = self._waiting[0]
            value = given.value or b""
            size += len(value)
            if found and size > max_bytes:
                break
            self._waiting.popleft()
            floor_us = next_at_us(floor_us, stamp_of(given.timestamp, given.headers))
            found.append(Record(given.partition, given.offset, floor_us, given.key or b"", value))
        if found:
            self.floor_us, self.next_offset = floor_us, found[-1].offset + 1
        return found
