"""The writing side. Group commit as in the embedded log, a queue for each partition.

While a batch of a queue is under way, what is appended gathers; when it is acknowledged, all that gathered (as far as a
batch may hold it) goes as the next one. There is no timer. With one batch under way in a partition nothing overtakes:
records of one call stay adjacent, and the order of calls is the order in the log, also when the client library sends a
batch again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from runstream.clock import SYSTEM_CLOCK
from runstream.events.kafka import MAX_BATCH_BYTES, RECORD_OVERHEAD_BYTES, partition_of, stamp_headers
from runstream.events.positions import Positions
from runstream_ingest.log.kafka.failures import CLIENT_ERRORS, ended, unavailable
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import ensure_topic
from runstream_service.log import LogUnavailable, Record

_MAX_RECORD_BYTES: Final = MAX_BATCH_BYTES - RECORD_OVERHEAD_BYTES
#: How long a close waits for a producer that has nothing to deliver.
_CLOSE_S: Final = 1.0
_CLOSED: Final = "the log is closed: open it again"

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    """One call of `append`. `waiting` counts its records that are not acknowledged."""

    done: "asyncio.Future[Positions]"
    waiting: int
    next_offsets: dict[int, int] = field(default_factory=dict)

    @property
    def given_up(self) -> bool:
        return self.done.done()


@dataclass(frozen=True, slots=True)
class _Item:
    """One record on its way, and the call that it belongs to."""

    call: _Call
    stamp_us: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class _Queue:
    """One partition: what waits, and the task that sends it while there is anything."""

    partition: int
    waiting: deque[_Item] = field(default_factory=deque)
    task: "asyncio.Task[None] | None" = None


class KafkaWriter:
    """LogWriter over a topic: an idempotent producer, acknowledged by every in-sync replica (acks=all).

    To be used from the event loop that opened it. Beyond the interface: `append` raises ValueError for a record that no
    broker would take, and everything it raises comes within `append_timeout_s`. A call that is given up by then, or
    cancelled, takes those of its records back that were not handed to the client library yet.
    """

    def __init__(
        self, settings: KafkaSettings, partitions: int, clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us
    ) -> None:
        """For a topic that is there and has so many partitions; `open` finds out."""
        self._settings = settings
        self._clock_us = clock_us
        self._queues = [_Queue(partition) for partition in range(partitions)]
        self._pending_bytes = 0
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()
        self._closing = False

    @classmethod
    async def open(cls, settings: KafkaSettings, clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us) -> Self:
        """Create or check the topic, and connect. Raises LogMismatch, LogUnavailable, InvalidSetting."""
        writer = cls(settings, await ensure_topic(settings), clock_us)
        await writer.start()
        return writer

    async def start(self) -> None:
        """Connect before the first append does. Raises LogUnavailable, InvalidSetting."""
        await self._started_producer()

    @property
    def partitions(self) -> int:
        return len(self._queues)

    @property
    def pending_bytes(self) -> int:
        """Bytes of keys and values that were given to `append` and are neither acknowledged nor taken back."""
        return self._pending_bytes

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        """See LogWriter. The records are stamped with the clock of this process."""
        at_us = self._clock_us()
        return await self._append([(at_us, key, value) for key, value in records])

    async def replay(self, records: Sequence[Record]) -> Positions:
        """As `append`, but with the times that the records had in the log they come from. Their partitions and offsets
        are not kept: the key decides, as ever."""
        return await self._append([(record.at_us, record.key, record.value) for record in records])

    async def close(self) -> None:
        """See LogWriter; waits at most `append_timeout_s`. A second call does nothing more."""
        self._closing = True
        queues = [queue.task for queue in self._queues if queue.task is not None]
        if queues:
            await asyncio.wait(queues, timeout=self._settings.append_timeout_s)
        for task in queues:
            task.cancel()
        await asyncio.gather(*queues, return_exceptions=True)
        if self._producer is not None:
            self._abandon(self._producer, patience_s=_CLOSE_S)
        await asyncio.gather(*self._stopping)

    async def _append(self, stamped: Sequence[tuple[int, bytes, bytes]]) -> Positions:
        call = self._taken(stamped)
        if call is None:
            return Positions()
        settings = self._settings
        try:
            async with asyncio.timeout(settings.append_timeout_s):
                return await call.done
        except TimeoutError:
            missing = call.waiting
            for queue in self._queues:
                self._drop_given_up(queue)
            raise LogUnavailable(
                f"Kafka did not acknowledge {missing} of {len(stamped)} records within "
                f"{settings.append_timeout_s:g} s (topic {settings.topic!r} at {settings.bootstrap}): see whether "
                f"enough brokers run ({settings.wanted_min_insync} must hold each record) and can be reached from "
                "here, then append again"
            ) from None

    def _taken(self, stamped: Sequence[tuple[int, bytes, bytes]]) -> _Call | None:
        """Put the records behind what waits in their queues, all at once: nothing here lets another call in between."""
        size = 0
        for _, key, value in stamped:
            if len(key) + len(value) > _MAX_RECORD_BYTES:
                raise ValueError(
                    f"a record with a key of {len(key)} bytes and a value of {len(value)} cannot be appended: at most "
                    f"{_MAX_RECORD_BYTES} bytes together are allowed"
                )
            size += len(key) + len(value)
        if self._closing:
            raise LogUnavailable(_CLOSED)
        if not stamped:
            return None
        limit = self._settings.max_pending_bytes
        # An append larger than the bound passes alone, or it could never be made.
        if self._pending_bytes and self._pending_bytes + size > limit:
            raise LogUnavailable(
                f"{self._pending_bytes} bytes already wait for Kafka's acknowledgement and {size} more are beyond "
                f"{limit}: append again in a moment"
            )
        call = _Call(asyncio.get_running_loop().create_future(), len(stamped))
        self._pending_bytes += size
        for stamp_us, key, value in stamped:
            queue = self._queues[partition_of(key, len(self._queues))]
            queue.waiting.append(_Item(call, stamp_us, key, value))
            if queue.task is None:
                queue.task = asyncio.create_task(self._send_what_waits(queue))
        return call

    async def _send_what_waits(self, queue: _Queue) -> None:
        """Batch after batch until nothing waits. A batch that fails fails the calls in it; those behind it are sent."""
        batch: list[_Item] = []
        try:
            while batch := self._next_batch(queue):
                try:
                    base_offset = await self._send(queue.partition, batch)
                except LogUnavailable as error:
                    self._fail(batch, error)
                except Exception as error:
                    _logger.exception("a batch for Kafka failed in a way that no broker causes")
                    self._fail(batch, self._unavailable(len(batch), error))
                else:
                    self._acknowledge(queue.partition, batch, base_offset)
        except asyncio.CancelledError:
            self._fail([*batch, *queue.waiting], LogUnavailable("the log was closed before Kafka acknowledged this"))
            queue.waiting.clear()
            raise
        finally:
            queue.task = None

    def _next_batch(self, queue: _Queue) -> list[_Item]:
        """As many of those in front as a batch may hold, without records of calls that were given up."""
        batch: list[_Item] = []
        size = 0
        self._drop_given_up(queue)
        while queue.waiting:
            item = queue.waiting[0]
            size += len(item.key) + len(item.value) + RECORD_OVERHEAD_BYTES
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(queue.waiting.popleft())
            self._drop_given_up(queue)
        return batch

    def _drop_given_up(self, queue: _Queue) -> None:
        """Most calls are given up in the order in which they came, so what nobody waits for is in front; one that was
        cancelled goes when it gets there."""
        while queue.waiting and queue.waiting[0].call.given_up:
            self._settle(queue.waiting.popleft())

    async def _send(self, partition: int, batch: Sequence[_Item]) -> int:
        """The offset of the first record of the batch, once it is acknowledged. Raises LogUnavailable."""
        producer = await self._started_producer()
        try:
            builder = producer.create_batch()
            for item in batch:
                builder.append(
                    timestamp=item.stamp_us // 1000,
                    key=item.key,
                    value=item.value,
                    headers=stamp_headers(item.stamp_us),
                )
            delivery: asyncio.Future[Any] = await producer.send_batch(
                builder, self._settings.topic, partition=partition
            )
            delivery.add_done_callback(_look_at)
            base_offset = int((await asyncio.shield(delivery)).offset)
        except CLIENT_ERRORS as error:
            # The library counted the batch's sequence numbers already, and brokers would refuse the next batch as one
            # that follows a gap. A new producer begins anew.
            self._abandon(producer, self._settings.append_timeout_s)
            raise self._unavailable(len(batch), error) from error
        if base_offset < 0:
            # The broker has the batch from an earlier attempt, and has forgotten where.
            raise LogUnavailable(
                f"Kafka holds {len(batch)} records of partition {partition} of topic {self._settings.topic!r} but "
                "cannot say at which offset: append them again, those that are double do no harm"
            )
        return base_offset

    def _acknowledge(self, partition: int, batch: Sequence[_Item], base_offset: int) -> None:
        for offset, item in enumerate(batch, base_offset):
            call = item.call
            call.next_offsets[partition] = offset + 1
            self._settle(item)
            if not call.waiting and not call.given_up:
                call.done.set_result(Positions(call.next_offsets))

    def _fail(self, batch: Sequence[_Item], error: LogUnavailable) -> None:
        for item in batch:
            self._settle(item)
            if not item.call.given_up:
                item.call.done.set_exception(LogUnavailable(str(error)))

    def _settle(self, item: _Item) -> None:
        """The record is acknowledged, refused or taken back."""
        item.call.waiting -= 1
        self._pending_bytes -= len(item.key) + len(item.value)

    async def _started_producer(self) -> AIOKafkaProducer:
        """The producer, made if there is none. Raises LogUnavailable, InvalidSetting."""
        async with self._starting:
            if self._producer is not None:
                return self._producer
            settings = self._settings
            producer = AIOKafkaProducer(
                **settings.client_arguments(),
                enable_idempotence=True,
                acks="all",
                max_batch_size=MAX_BATCH_BYTES,
            )
            try:
                async with asyncio.timeout(settings.request_timeout_s):
                    await producer.start()
            except BaseException as error:
                self._abandon(producer, patience_s=0.0)
                if not isinstance(error, CLIENT_ERRORS):
                    raise
                raise unavailable(
                    "no broker let a producer begin", settings.bootstrap, settings.topic, error
                ) from error
            self._producer = producer
            return producer

    def _abandon(self, producer: AIOKafkaProducer, patience_s: float) -> None:
        """Use this producer no more, and stop it in the background: at once if nothing is under way, else when that is
        delivered, or `patience_s` later."""
        if self._producer is producer:
            self._producer = None
        task = asyncio.get_running_loop().create_task(self._stop(producer, patience_s))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop(self, producer: AIOKafkaProducer, patience_s: float) -> None:
        stopping = asyncio.create_task(ended(producer.stop(), patience_s + 2 * self._settings.request_timeout_s))
        await asyncio.wait((stopping,), timeout=patience_s)
        # An idempotent producer of the library sends again for ever, and its `stop` waits for that.
        sender = producer._sender.sender_task
        if not stopping.done() and sender is not None:
            sender.cancel()
        await stopping
        producer._message_accumulator.fail_all(ProducerClosed())  # wakes the queues that wait for it
        await ended(producer.client.close(), self._settings.request_timeout_s)

    def _unavailable(self, count: int, error: BaseException) -> LogUnavailable:
        settings = self._settings
        return unavailable(f"Kafka did not take {count} records", settings.bootstrap, settings.topic, error)


def _look_at(delivery: "asyncio.Future[Any]") -> None:
    """So that asyncio does not log the error of a delivery that nobody waits for any more."""
    if not delivery.cancelled():
        delivery.exception()
