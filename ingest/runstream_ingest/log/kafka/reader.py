"""The reading side: one thread with an event loop of its own, in it a consumer for each place that is being read.

A reader that goes on where its last read ended gets the same consumer again, which has fetched ahead by then. A read at
another offset gets a new one (some 40 ms): turning a consumer round would cost the rest of the question that it has
under way, up to half a second.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from runstream.events.positions import Positions
from runstream_ingest.log.kafka.cursor import Cursor, new_consumer
from runstream_ingest.log.kafka.failures import CLIENT_ERRORS, ended, reading_failed, unavailable
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import ensure_topic
from runstream_service.log import LogCorrupt, LogUnavailable, Record

#: Consumers that nobody reads from: as many as keep a few readers of a partition going; they hold up to 8 MB each.
_IDLE_PER_PARTITION: Final = 3
_IDLE_S: Final = 20.0
#: How often a read beyond the end looks for the end.
_LOOK_AGAIN_S: Final = 0.1
_CLOSED: Final = "the log is closed: open it again"

_T = TypeVar("_T")


class KafkaReader:
    """LogReader over a topic. Coroutines may be called from any event loop and thread.

    Beyond the interface: `read` raises ValueError for a partition that does not exist, everything raises LogUnavailable
    after `close` or when no broker answers within `request_timeout_s`.
    """

    def __init__(self, settings: KafkaSettings, partitions: int) -> None:
        """For a topic that is there and has so many partitions; `open` finds out."""
        self._settings = settings
        self._partitions = [TopicPartition(settings.topic, number) for number in range(partitions)]
        self._idle: dict[int, list[Cursor]] = {number: [] for number in range(partitions)}
        self._asking: AIOKafkaConsumer | None = None
        self._asking_starts = asyncio.Lock()  # binds itself to the loop that first waits for it: ours
        self._working: set[asyncio.Task[Any]] = set()
        self._discarded: set[asyncio.Task[None]] = set()
        self._sweeping = False
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runstream-kafka-read", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, settings: KafkaSettings) -> Self:
        """Create or check the topic, and connect. Raises LogMismatch, LogUnavailable, InvalidSetting."""
        reader = cls(settings, await ensure_topic(settings))
        try:
            await reader.begin_offsets()
        except BaseException:
            await reader.close()
            raise
        return reader

    @property
    def partitions(self) -> int:
        return len(self._partitions)

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        """See LogReader. One call gives what one response of a broker holds, 4 MB at most."""
        if not 0 <= partition < len(self._partitions):
            raise ValueError(f"there is no partition {partition}: the log has 0 to {len(self._partitions) - 1}")
        return await self._in_thread(self._read(partition, next_offset, max_bytes, timeout_s))

    async def begin_offsets(self) -> Mapping[int, int]:
        return await self._in_thread(self._begins())

    async def next_offsets(self) -> Mapping[int, int]:
        return await self._in_thread(self._ends())

    async def position_at(self, at_us: int) -> Positions:
        return await self._in_thread(self._position_at(at_us))

    async def close(self) -> None:
        """Release the connections and end the thread. Reads that wait raise LogUnavailable. A second call does
        nothing."""
        if not self._closing:
            self._closing = True
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._release(), self._loop))
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        if not self._loop.is_closed():
            self._loop.close()

    async def _in_thread(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run it in the reader's own loop. Cancelling the caller cancels it there."""
        if self._closing:
            work.close()
            raise LogUnavailable(_CLOSED)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._counted(work), self._loop))

    # From here on everything runs in the reader's own loop.

    async def _counted(self, work: Coroutine[Any, Any, _T]) -> _T:
        """So that `close` can end what is under way."""
        task = asyncio.current_task()
        assert task is not None
        self._working.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if self._closing:
                raise LogUnavailable(_CLOSED) from None
            raise
        finally:
            self._working.discard(task)

    async def _release(self) -> None:
        working = list(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        for idle in self._idle.values():
            while idle:
                self._discard(idle.pop())
        await asyncio.gather(*self._discarded)
        if self._asking is not None:
            await ended(self._asking.stop(), self._settings.request_timeout_s)

    async def _read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        deadline = self._loop.time() + timeout_s
        cursor = self._idle_cursor(partition, next_offset)
        try:
            if cursor is None:
                if not await self._is_there(partition, next_offset, deadline):
                    return []
                cursor = await Cursor.open(self._settings, partition, next_offset)
            found = []
            if await self._has_fetched(cursor, deadline):
                if cursor.floor_us is None:
                    cursor.floor_us = await self._floor_before(partition, cursor.next_offset, cursor.peek_stamp_us())
                found = cursor.take(max_bytes)
            self._keep(cursor)
            cursor = None
            return found
        except OffsetOutOfRangeError as error:
            await self._refuse_if_gone(partition, next_offset)
            raise reading_failed(
                partition, next_offset, self._settings.bootstrap, self._settings.topic, error
            ) from error
        except CLIENT_ERRORS as error:
            raise reading_failed(
                partition, next_offset, self._settings.bootstrap, self._settings.topic, error
            ) from error
        finally:
            if cursor is not None:
                self._discard(cursor)

    async def _is_there(self, partition: int, next_offset: int, deadline: float) -> bool:
        """Whether to open a consumer at `next_offset`: waits while it is beyond the end, where a broker would refuse
        it. Raises LogCorrupt if it is before the beginning."""
        await self._refuse_if_gone(partition, next_offset)
        while True:
            end = await self._end_of(partition)
            left_s = deadline - self._loop.time()
            if next_offset < end or (next_offset == end and left_s > 0):
                return True
            if left_s <= 0:
                return False
            await asyncio.sleep(min(_LOOK_AGAIN_S, left_s))

    async def _has_fetched(self, cursor: Cursor, deadline: float) -> bool:
        """Whether the cursor has a record by the deadline, or one is durable by then: that one is waited for."""
        if await cursor.fetch(max(0.0, deadline - self._loop.time())):
            return True
        while cursor.reached < (end := await self._end_of(cursor.partition)):
            if await cursor.fetch(self._settings.request_timeout_s):
                return True
            if cursor.reached < end:
                raise TimeoutError(f"durable records did not come within {self._settings.request_timeout_s:g} s")
        return False

    async def _refuse_if_gone(self, partition: int, next_offset: int) -> None:
        begin = await self._begin_of(partition)
        if next_offset < begin:
            raise LogCorrupt(
                f"record {next_offset} of partition {partition} of topic {self._settings.topic!r} at "
                f"{self._settings.bootstrap} is gone: retention keeps records from {begin} on; rebuild from there, or "
                "replay a copy of the log into a new topic"
            )

    async def _floor_before(self, partition: int, offset: int, stamp_us: int) -> int:
        """What `stamps.next_at_us` needs to go on at `offset`, whose record has this stamp: 0 if all before it were
        stamped in earlier milliseconds. Otherwise it finds the latest of these by bisection over Kafka's time index."""
        stamp_ms = stamp_us // 1000
        first = await self._first_at(partition, stamp_ms)
        if first is None or first >= offset:
            return 0
        latest_ms, step_ms = stamp_ms, 1
        beyond_ms: int | None = None
        while beyond_ms is None or beyond_ms - latest_ms > 1:
            probe_ms = latest_ms + step_ms if beyond_ms is None else (latest_ms + beyond_ms) // 2
            found = await self._first_at(partition, probe_ms)
            if found is not None and found < offset:
                latest_ms, first, step_ms = probe_ms, found, step_ms * 2
            else:
                beyond_ms = probe_ms
        floor_us, _ = await self._walk(partition, first, offset, latest_ms * 1000 + 998)
        return floor_us

    async def _position_at(self, at_us: int) -> Positions:
        begins, ends = await self._begins(), await self._ends()
        starts = await self._firsts_at(self._partitions, at_us // 1000)
        laters = await self._firsts_at(self._partitions, at_us // 1000 + 1)
        next_offsets = {}
        for partition, end in ends.items():
            start, later = starts.get(partition), laters.get(partition)
            stop = end if later is None else min(later, end)
            if start is not None and start < stop and at_us % 1000 < 999:
                _, stop = await self._walk(partition, start, stop, at_us)
            if stop > begins[partition]:
                next_offsets[partition] = stop
        return Positions(next_offsets)

    async def _walk(self, partition: int, start: int, stop: int, until_us: int) -> tuple[int, int]:
        """Over the records from `start`, the first one of its millisecond and later than all before it: up to `stop`,
        or to the first whose log's time is later than `until_us`. Returns the log's time of the last one looked at, and
        the offset at which it ended. Rarely more than a millisecond's records."""
        cursor = await Cursor.open(self._settings, partition, start)
        try:
            floor_us = 0
            while cursor.next_offset < stop:
                if not await cursor.fetch(self._settings.request_timeout_s):
                    if cursor.reached >= stop:
                        break
                    raise TimeoutError(f"durable records did not come within {self._settings.request_timeout_s:g} s")
                for record in cursor.take(1 << 30):
                    if record.offset >= stop:
                        return floor_us, stop
                    floor_us = record.at_us
                    if floor_us > until_us:
                        return floor_us, record.offset
            return floor_us, stop
        except CLIENT_ERRORS as error:
            raise reading_failed(partition, start, self._settings.bootstrap, self._settings.topic, error) from error
        finally:
            self._discard(cursor)

    async def _first_at(self, partition: int, at_ms: int) -> int | None:
        """The offset of the first record that was stamped in that millisecond or later."""
        return (await self._firsts_at([self._partitions[partition]], at_ms)).get(partition)

    async def _firsts_at(self, partitions: Sequence[TopicPartition], at_ms: int) -> dict[int, int]:
        """As `_first_at`, of several; those without such a record are left out."""
        found = await self._ask("offsets_for_times", dict.fromkeys(partitions, max(0, at_ms)))
        return {where.partition: int(place.offset) for where, place in found.items() if place is not None}

    async def _begins(self) -> dict[int, int]:
        found = await self._ask("beginning_offsets", self._partitions)
        return {where.partition: int(offset) for where, offset in sorted(found.items())}

    async def _ends(self) -> dict[int, int]:
        """The high watermarks: what is below them is on every in-sync replica."""
        found = await self._ask("end_offsets", self._partitions)
        return {where.partition: int(offset) for where, offset in sorted(found.items())}

    async def _begin_of(self, partition: int) -> int:
        """Of one partition: another one without a leader does not matter then."""
        found = await self._ask("beginning_offsets", [self._partitions[partition]])
        return int(found[self._partitions[partition]])

    async def _end_of(self, partition: int) -> int:
        found = await self._ask("end_offsets", [self._partitions[partition]])
        return int(found[self._partitions[partition]])

    async def _ask(self, what: str, argument: Any) -> Any:
        """A question about offsets, on a connection of its own: a broker answers one after the other, and fetches
        wait."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.request_timeout_s), self._asking_starts:
                if self._asking is None:
                    consumer = new_consumer(settings)
                    try:
                        await consumer.start()
                    except BaseException:
                        await ended(consumer.stop(), settings.request_timeout_s)
                        raise
                    self._asking = consumer
            async with asyncio.timeout(settings.request_timeout_s):
                return await getattr(self._asking, what)(argument)
        except CLIENT_ERRORS as error:
            raise unavailable(
                "the log's offsets cannot be asked for", settings.bootstrap, settings.topic, error
            ) from error

    def _idle_cursor(self, partition: int, next_offset: int) -> Cursor | None:
        for cursor in self._idle[partition]:
            if cursor.next_offset == next_offset:
                self._idle[partition].remove(cursor)
                return cursor
        return None

    def _keep(self, cursor: Cursor) -> None:
        """Have the cursor ready for who goes on there, for a while."""
        idle = self._idle[cursor.partition]
        cursor.kept_s = self._loop.time()
        idle.append(cursor)
        if len(idle) > _IDLE_PER_PARTITION:
            self._discard(idle.pop(0))
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(_IDLE_S, self._sweep)

    def _sweep(self) -> None:
        """Discard what nobody has gone on with, and come back while anything is kept."""
        before_s = self._loop.time() - _IDLE_S
        for idle in self._idle.values():
            while idle and idle[0].kept_s <= before_s:
                self._discard(idle.pop(0))
        self._sweeping = any(self._idle.values())
        if self._sweeping:
            self._loop.call_later(_IDLE_S / 4, self._sweep)

    def _discard(self, cursor: Cursor) -> None:
        closing = self._loop.create_task(cursor.close(self._settings.request_timeout_s))
        self._discarded.add(closing)
        closing.add_done_callback(self._discarded.discard)
