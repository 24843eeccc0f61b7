"""What `runstream_service.log` promises, held against every log.

A log takes part by one `Harness`: add it to `HARNESSES` and change nothing else. Offsets may have gaps (Kafka marks
transactions in them), so nothing here computes one offset from another.
"""

import asyncio
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from kit.servers import real_kafka
from runstream.events import limits
from runstream.events.positions import Positions
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.memory import MemoryLog
from runstream_service.log import LogReader, LogUnavailable, LogWriter, Record

MANY_BYTES = 1 << 30


class Log(LogWriter, LogReader, Protocol):
    """Both sides in one."""


class Harness(ABC):
    """How the suite gets at one kind of log. `clock_us` is the clock that the log stamps its records with."""

    def __init__(self, partitions: int, directory: Path, clock_us: Callable[[], int]) -> None:
        self.partitions = partitions
        self.directory = directory
        self.clock_us = clock_us

    @abstractmethod
    async def open(self) -> Log:
        """Open the log: empty at first, later with what was appended before."""


class EmbeddedHarness(Harness):
    async def open(self) -> Log:
        return EmbeddedLog.open(
            self.directory / "log", partitions=self.partitions, segment_bytes=64_000, clock_us=self.clock_us
        )


class MemoryHarness(Harness):
    kept: MemoryLog | None = None

    async def open(self) -> Log:
        self.kept = self.kept.reopened() if self.kept else MemoryLog(self.partitions, self.clock_us)
        return self.kept


class KafkaHarness(Harness):
    """A topic of its own in a real Kafka."""

    def __init__(self, partitions: int, directory: Path, clock_us: Callable[[], int]) -> None:
        super().__init__(partitions, directory, clock_us)
        self.settings = real_kafka.settings(real_kafka.bootstrap(), partitions=partitions)

    async def open(self) -> Log:
        return await KafkaLog.open(self.settings, self.clock_us)


HARNESSES: dict[str, tuple[type[Harness], int]] = {
    "memory-1": (MemoryHarness, 1),
    "memory-4": (MemoryHarness, 4),
    "embedded-1": (EmbeddedHarness, 1),
    "embedded-4": (EmbeddedHarness, 4),
    "kafka-1": (KafkaHarness, 1),
    "kafka-4": (KafkaHarness, 4),
}


class ManualClock:
    """A clock in microseconds that a test moves."""

    def __init__(self) -> None:
        self.at_us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.at_us


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=list(HARNESSES))
def harness(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Harness:
    kind, partitions = HARNESSES[request.param]
    return kind(partitions, tmp_path, clock)


@pytest.fixture
async def log(harness: Harness) -> AsyncIterator[Log]:
    opened = await harness.open()
    yield opened
    await opened.close()


def partition_of(key: bytes, log: Log) -> int:
    return zlib.crc32(key) % log.partitions


async def read_all(log: LogReader, partition: int, max_bytes: int = MANY_BYTES) -> list[Record]:
    """Everything in a partition, by as many reads as it takes."""
    found: list[Record] = []
    next_offset = (await log.begin_offsets())[partition]
    while next_offset < (await log.next_offsets())[partition]:
        records = await log.read(partition, next_offset, max_bytes, 5.0)
        assert records, f"offset {next_offset} is below the next offset but does not come"
        assert records[0].offset >= next_offset
        found += records
        next_offset = records[-1].offset + 1
    return found


async def test_a_new_log_is_empty(log: Log) -> None:
    assert set(await log.begin_offsets()) == set(await log.next_offsets()) == set(range(log.partitions))
    for partition in range(log.partitions):
        assert await log.read(partition, (await log.begin_offsets())[partition], 100, 0.0) == []


async def test_what_was_appended_is_read_back_value_by_value(log: Log, clock: ManualClock) -> None:
    given = [(f"run-{i % 7}".encode(), bytes([i]) * i) for i in range(100)]
    await log.append(given)
    found = [record for partition in range(log.partitions) for record in await read_all(log, partition)]
    assert sorted((record.key, record.value) for record in found) == sorted(given)
    assert all(record.partition == partition_of(record.key, log) for record in found)
    assert {record.at_us for record in found} == {clock.at_us}


async def test_order_holds_for_each_key_across_calls(log: Log) -> None:
    for start in range(0, 60, 3):
        await log.append([(f"run-{i % 3}".encode(), b"%d" % i) for i in range(start, start + 3)])
    for remainder in range(3):
        key = b"run-%d" % remainder
        values = [int(r.value) for r in await read_all(log, partition_of(key, log)) if r.key == key]
        assert values == list(range(remainder, 60, 3))


async def test_positions_are_right_behind_the_last_record_of_each_partition_written(log: Log) -> None:
    keys = [b"key-%d" % i for i in range(12)]
    positions = await log.append([(key, b"1") for key in keys])
    assert set(positions.next_offsets) == {partition_of(key, log) for key in keys}
    one = await log.append([(keys[0], b"2")])
    assert set(one.next_offsets) == {partition_of(keys[0], log)}
    for partition, next_offset in one:
        last = (await read_all(log, partition))[-1]
        assert (last.offset + 1, last.value) == (next_offset, b"2")
    for partition, next_offset in positions:
        record = (await log.read(partition, next_offset - 1, 1, 1.0))[0]
        assert record.value == b"1"
        assert record.offset == next_offset - 1


async def test_appending_nothing_is_no_position(log: Log) -> None:
    assert await log.append([]) == Positions({})


async def test_records_of_one_call_are_adjacent_under_concurrent_calls(log: Log) -> None:
    async def append(caller: int) -> Positions:
        return await log.append([(b"run", b"%d:%d" % (caller, i)) for i in range(5)])

    responses = await asyncio.gather(*(append(caller) for caller in range(40)))
    partition = partition_of(b"run", log)
    values = [tuple(map(int, r.value.split(b":"))) for r in await read_all(log, partition)]
    assert len(values) == 200
    for at in range(0, 200, 5):
        caller = values[at][0]
        assert values[at : at + 5] == [(caller, i) for i in range(5)]
    assert len({response[partition] for response in responses}) == 40


async def test_concurrent_responses_are_true(log: Log) -> None:
    async def writer(name: int) -> list[tuple[int, bytes]]:
        responses = []
        for i in range(30):
            value = b"%d:%d" % (name, i)
            position = await log.append([(b"run-%d" % name, value)])
            responses.append((position[partition_of(b"run-%d" % name, log)], value))
        return responses

    for name, responses in enumerate(await asyncio.gather(*(writer(n) for n in range(10)))):
        held = {r.offset: r.value for r in await read_all(log, partition_of(b"run-%d" % name, log))}
        assert all(held[next_offset - 1] == value for next_offset, value in responses)


async def test_a_read_is_bounded_but_never_empty_handed(log: Log) -> None:
    await log.append([(b"run", b"x" * 1000) for _ in range(10)])
    partition = partition_of(b"run", log)
    begin = (await log.begin_offsets())[partition]
    assert len(await log.read(partition, begin, 3500, 1.0)) == 3
    assert len(await log.read(partition, begin, 3000, 1.0)) == 3
    assert len(await log.read(partition, begin, 10, 1.0)) == 1
    assert len(await log.read(partition, begin, 0, 1.0)) == 1
    assert len(await read_all(log, partition, max_bytes=1)) == 10


async def test_a_read_without_records_ends_at_its_timeout(log: Log) -> None:
    next_offset = (await log.next_offsets())[0]
    assert await log.read(0, next_offset, 100, 0.0) == []
    async with asyncio.timeout(240):
        assert await log.read(0, next_offset, 100, 0.05) == []


async def test_an_append_wakes_those_who_wait_for_it(log: Log) -> None:
    partition = partition_of(b"run", log)
    next_offset = (await log.next_offsets())[partition]
    readers = [asyncio.create_task(log.read(partition, next_offset, 1000, 60.0)) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert not any(reader.done() for reader in readers)
    async with asyncio.timeout(240):
        await log.append([(b"run", b"here")])
        for records in await asyncio.gather(*readers):
            assert [record.value for record in records] == [b"here"]


async def test_a_reader_in_another_thread_and_loop_is_woken(log: Log) -> None:
    partition = partition_of(b"run", log)
    next_offset = (await log.next_offsets())[partition]
    found: list[list[Record]] = []
    waiting = threading.Event()

    async def read() -> None:
        waiting.set()
        found.append(await log.read(partition, next_offset, 1000, 60.0))
        found.append(await log.read(partition, found[0][-1].offset, 1000, 0.0))

    thread = threading.Thread(target=lambda: asyncio.run(read()))
    thread.start()
    await asyncio.to_thread(waiting.wait)
    await log.append([(b"run", b"across")])
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    assert [[record.value for record in records] for records in found] == [[b"across"], [b"across"]]


async def test_readers_follow_while_appends_go_on(log: Log) -> None:
    """A reader only ever sees a growing prefix, in order, without a hole."""
    partition = partition_of(b"run", log)
    seen: list[int] = []

    async def follow() -> None:
        next_offset = (await log.begin_offsets())[partition]
        while len(seen) < 300:
            records = await log.read(partition, next_offset, 2000, 20.0)
            assert records
            seen.extend(int(record.value[:6]) for record in records)
            next_offset = records[-1].offset + 1

    follower = asyncio.create_task(follow())
    for i in range(100):
        await log.append([(b"run", b"%06d" % (3 * i + k) + b"." * 500) for k in range(3)])
    async with asyncio.timeout(240):
        await follower
    assert seen == list(range(300))


async def test_a_reopened_log_holds_everything_and_goes_on_behind_it(harness: Harness) -> None:
    first = await harness.open()
    responses = [await first.append([(b"run-%d" % (i % 5), b"%d" % i)]) for i in range(50)]
    before = [await read_all(first, partition) for partition in range(first.partitions)]
    ends = dict(await first.next_offsets())
    await first.close()
    second = await harness.open()
    assert [await read_all(second, partition) for partition in range(second.partitions)] == before
    assert dict(await second.next_offsets()) == ends
    later = await second.append([(b"run-0", b"later")])
    partition = partition_of(b"run-0", second)
    assert all(later[partition] > response[partition] for response in responses)
    assert (await read_all(second, partition))[-1].value == b"later"
    await second.close()


async def test_next_offsets_move_only_in_the_partition_that_was_written(log: Log) -> None:
    before = dict(await log.next_offsets())
    positions = await log.append([(b"run", b"1")])
    after = dict(await log.next_offsets())
    assert {p for p in after if after[p] != before[p]} == {partition_of(b"run", log)}
    assert all(after[partition] == next_offset > before[partition] for partition, next_offset in positions)


async def test_position_at_a_time_covers_exactly_what_was_appended_by_then(log: Log, clock: ManualClock) -> None:
    partition = partition_of(b"run", log)
    start_us = clock.at_us
    responses = {}
    for i in range(300):
        clock.at_us = start_us + i * 1_000
        responses[i] = (await log.append([(b"run", b"." * 700)]))[partition]
    assert await log.position_at(start_us - 1) == Positions({})
    for i in (0, 1, 77, 150, 298, 299):
        assert await log.position_at(start_us + i * 1_000) == Positions({partition: responses[i]})
        assert await log.position_at(start_us + i * 1_000 + 999) == Positions({partition: responses[i]})
    assert await log.position_at(start_us + 10**12) == Positions({partition: responses[299]})


async def test_the_logs_time_never_runs_backwards(harness: Harness, clock: ManualClock) -> None:
    log = await harness.open()
    await log.append([(b"run", b"1")])
    clock.at_us -= 5_000_000
    await log.append([(b"run", b"2")])
    await log.close()
    log = await harness.open()
    await log.append([(b"run", b"3")])
    times = [record.at_us for record in await read_all(log, partition_of(b"run", log))]
    assert times == sorted(times)
    assert len(times) == 3
    await log.close()


async def test_records_as_large_as_the_largest_frame(log: Log) -> None:
    value = bytes(range(256)) * (limits.MAX_FRAME_BYTES // 256)
    key = b"k" * limits.MAX_KEY_BYTES
    await log.append([(key, value), (b"", b""), (key, value)])
    held = [(r.key, r.value) for partition in range(log.partitions) for r in await read_all(log, partition, 1500)]
    assert sorted(held) == sorted([(key, value), (b"", b""), (key, value)])


async def test_appending_after_close_is_unavailable(harness: Harness) -> None:
    log = await harness.open()
    await log.append([(b"run", b"1")])
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.append([(b"run", b"2")])
    await log.close()


async def test_close_makes_durable_what_is_pending(harness: Harness) -> None:
    log = await harness.open()
    appends = [asyncio.create_task(log.append([(b"run", b"%d" % i)])) for i in range(20)]
    await asyncio.sleep(0)
    await log.close()
    acknowledged = await asyncio.gather(*appends)
    log = await harness.open()
    offsets = {record.offset for record in await read_all(log, partition_of(b"run", log))}
    assert {response[partition_of(b"run", log)] - 1 for response in acknowledged} == offsets
    await log.close()


async def test_a_cancelled_append_hurts_no_other(log: Log) -> None:
    given_up = asyncio.create_task(log.append([(b"run", b"cancelled")]))
    kept = asyncio.create_task(log.append([(b"run", b"kept")]))
    await asyncio.sleep(0)
    given_up.cancel()
    position = await kept
    partition = partition_of(b"run", log)
    assert (await log.read(partition, position[partition] - 1, 100, 1.0))[0].value == b"kept"
