"""Brokers that go away, come back, stand still or lose bytes: what was acknowledged is there, in order."""

import asyncio
import time
import warnings
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from kit.servers import real_kafka
from runstream.events.positions import Positions
from runstream_infra.kafka import KafkaCluster, KafkaStartFailed
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogCorrupt, LogUnavailable, LogWriter, Record


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[KafkaCluster]]:
    """The one broker of these tests, last; before it those that could not be started again."""
    made: list[KafkaCluster] = []
    yield made
    for cluster in made:
        cluster.kill()


@pytest.fixture
def broker(clusters: list[KafkaCluster], tmp_path_factory: pytest.TempPathFactory) -> KafkaCluster:
    """A broker that a test may treat badly: running, whatever the test before has left of it."""
    if clusters:
        try:
            clusters[-1].nodes[0].resume()
            clusters[-1].start_node(0)
            return clusters[-1]
        except KafkaStartFailed as error:
            warnings.warn(f"the broker was given up, a new one takes its place: {error}", stacklevel=1)
            clusters[-1].kill()
    clusters.append(real_kafka.new_cluster(tmp_path_factory.mktemp("kafka"), brokers=1))
    clusters[-1].start()
    return clusters[-1]


@pytest.fixture
async def log(broker: KafkaCluster) -> AsyncIterator[KafkaLog]:
    """With as much patience as a slow machine needs."""
    opened = await KafkaLog.open(real_kafka.settings(broker.bootstrap, partitions=2))
    yield opened
    await opened.close()


@pytest.fixture
async def impatient(broker: KafkaCluster) -> AsyncIterator[KafkaLog]:
    """For tests in which the broker does not answer."""
    settings = real_kafka.settings(broker.bootstrap, partitions=2, append_timeout_s=4.0, request_timeout_s=4.0)
    opened = await KafkaLog.open(settings)
    yield opened
    await opened.close()


async def read_all(log: KafkaLog) -> list[Record]:
    found: list[Record] = []
    for partition, end in (await log.next_offsets()).items():
        offset = (await log.begin_offsets())[partition]
        while offset < end:
            records = await log.read(partition, offset, 1 << 30, 60.0)
            assert [record.offset for record in records] == list(range(offset, offset + len(records)))
            found += records
            offset = records[-1].offset + 1
    return found


class Sender:
    """One run's sender: numbers in order, each as three records of one call, sent again until it is acknowledged."""

    def __init__(self, log: LogWriter, key: bytes) -> None:
        self.log, self.key = log, key
        self.acknowledged: list[tuple[int, int]] = []
        self.refusals: list[str] = []
        self.longest_s = 0.0

    async def send(self, count: int, until: asyncio.Event) -> None:
        """At least `count` numbers, and on until the event is set."""
        number = 0
        while number < count or not until.is_set():
            begun = time.monotonic()
            try:
                position = await self.log.append([(self.key, b"%d:%d" % (number, part)) for part in range(3)])
            except LogUnavailable as error:
                self.refusals.append(str(error))
                await asyncio.sleep(0.05)
            else:
                ((_, next_offset),) = position
                self.acknowledged.append((number, next_offset - 1))
                number += 1
                await asyncio.sleep(0.002)
            self.longest_s = max(self.longest_s, time.monotonic() - begun)


async def append_until_taken(log: LogWriter, value: bytes) -> Positions:
    """Append a record as often as it takes, which may leave it in the log more than once."""
    async with asyncio.timeout(200):
        while True:
            try:
                return await log.append([(b"run", value)])
            except LogUnavailable:
                await asyncio.sleep(0.2)


def assert_nothing_lost(sender: Sender, records: list[Record]) -> None:
    """Every acknowledged number lies where it was said to, in one piece; first arrivals of a key are in order."""
    mine = {record.offset: tuple(map(int, record.value.split(b":"))) for record in records if record.key == sender.key}
    for number, offset in sender.acknowledged:
        assert [mine[at] for at in range(offset - 2, offset + 1)] == [(number, 0), (number, 1), (number, 2)]
    arrivals = [mine[offset] for offset in sorted(mine)]
    assert arrivals == [(number, part) for number, _ in arrivals[::3] for part in range(3)]
    first_arrivals = list(dict.fromkeys(number for number, _ in arrivals))
    assert first_arrivals == list(range(len(first_arrivals)))


async def test_a_killed_and_restarted_broker_loses_nothing_acknowledged(
    broker: KafkaCluster, impatient: KafkaLog
) -> None:
    senders = [Sender(impatient, b"run-%d" % n) for n in range(6)]
    back = asyncio.Event()
    sending = [asyncio.create_task(sender.send(200, back)) for sender in senders]
    while not all(len(sender.acknowledged) > 10 for sender in senders):  # noqa: ASYNC110 (pytest's bound ends it)
        await asyncio.sleep(0.01)
    await asyncio.to_thread(broker.kill_node, 0)
    held = sum(len(sender.acknowledged) for sender in senders)
    assert held > 0
    await asyncio.to_thread(broker.start_node, 0)
    back.set()
    await asyncio.gather(*sending)
    records = await read_all(impatient)
    for sender in senders:
        assert_nothing_lost(sender, records)
        assert len(sender.acknowledged) >= 200
    assert sum(len(sender.acknowledged) for sender in senders) > held


async def test_a_broker_that_is_away_is_an_error_within_bounds(broker: KafkaCluster, impatient: KafkaLog) -> None:
    log = impatient
    await append_until_taken(log, b"before")
    partition = zlib.crc32(b"run") % 2
    await asyncio.to_thread(broker.kill_node, 0)
    try:
        async with asyncio.timeout(120):
            for work in (log.append([(b"run", b"never")]), log.read(partition, 0, 100, 0.0), log.next_offsets()):
                with pytest.raises(LogUnavailable) as refused:
                    await work
                assert broker.bootstrap in str(refused.value)
                assert "test-" in str(refused.value)
    finally:
        await asyncio.to_thread(broker.start_node, 0)
    position = await append_until_taken(log, b"after")
    values = [record.value for record in await read_all(log)]
    assert values[0] == b"before"
    assert values[-1] == b"after"
    assert position == Positions({partition: len(values)})


async def test_closing_while_the_broker_is_away_ends(broker: KafkaCluster) -> None:
    settings = real_kafka.settings(broker.bootstrap, partitions=1, append_timeout_s=1.0, request_timeout_s=2.0)
    log = await KafkaLog.open(settings)
    waiting = asyncio.create_task(log.read(0, 0, 100, 60.0))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(broker.kill_node, 0)
    try:
        append = asyncio.create_task(log.append([(b"run", b"never")]))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(120):
            await log.close()
            for task in (append, waiting):
                with pytest.raises(LogUnavailable):
                    await task
            with pytest.raises(LogUnavailable, match="closed"):
                await log.read(0, 0, 100, 0.0)
    finally:
        await asyncio.to_thread(broker.start_node, 0)


async def test_a_broker_that_stands_still_is_waited_for_within_bounds(
    broker: KafkaCluster, impatient: KafkaLog
) -> None:
    log = impatient
    await append_until_taken(log, b"before")
    broker.nodes[0].pause()
    try:
        async with asyncio.timeout(120):
            given_up = [asyncio.create_task(log.append([(b"run", b"0")]))]
            await asyncio.sleep(0.1)
            given_up += [asyncio.create_task(log.append([(b"run", b"%d" % n)])) for n in range(1, 20)]
            for task in given_up:
                with pytest.raises(LogUnavailable, match="append again"):
                    await task
    finally:
        broker.nodes[0].resume()
    # The first of them was under way and may have arrived; the others were taken back.
    await append_until_taken(log, b"after")
    values = list(dict.fromkeys(record.value for record in await read_all(log)))
    assert values in ([b"before", b"after"], [b"before", b"0", b"after"])
    assert log.pending_bytes == 0


async def test_too_much_waiting_is_refused_at_once(broker: KafkaCluster) -> None:
    settings = real_kafka.settings(broker.bootstrap, partitions=1, max_pending_bytes=1000)
    log = await KafkaLog.open(settings)
    broker.nodes[0].pause()
    try:
        waiting = asyncio.create_task(log.append([(b"run", b"x" * 5000)]))  # alone, though it is beyond the bound
        await asyncio.sleep(0)
        with pytest.raises(LogUnavailable, match="beyond 1000"):
            await log.append([(b"run", b"y")])
    finally:
        broker.nodes[0].resume()
    await waiting
    await log.append([(b"run", b"y")])
    await log.close()


async def test_a_refused_batch_does_not_hold_up_those_behind_it(broker: KafkaCluster) -> None:
    """After a refusal the library's sequence numbers have a gap; a new producer begins anew."""
    settings = real_kafka.settings(broker.bootstrap, partitions=2)
    log = await KafkaLog.open(settings)
    keys = [next(b"k%d" % n for n in range(99) if zlib.crc32(b"k%d" % n) % 2 == partition) for partition in (0, 1)]
    await log.append([(keys[0], b"first")])
    await alter_topic(settings, "max.message.bytes", "2000")
    refusals = []
    for _ in range(100):  # until the broker has taken the setting in
        try:
            await log.append([(keys[0], b"x" * 3000)])
        except LogUnavailable as error:
            refusals.append(str(error))
            break
    assert len(refusals) == 1
    assert "MESSAGE_SIZE_TOO_LARGE" in refusals[0] or "MessageSizeTooLarge" in refusals[0]
    outcomes = await asyncio.gather(
        *(log.append([(keys[n % 2], b"x" * 3000 if n == 4 else b"small-%d" % n)]) for n in range(8)),
        log.append([(keys[0], b"x" * 3000)]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[-1], LogUnavailable)
    for n in range(20):
        await log.append([(keys[n % 2], b"later-%d" % n)])
    values = [record.value for record in await read_all(log)]
    assert {b"later-%d" % n for n in range(20)} <= set(values)
    await log.close()


async def test_reading_what_retention_removed_names_the_first_kept_record(broker: KafkaCluster, log: KafkaLog) -> None:
    positions = await log.append([(b"run", b"%d" % n) for n in range(30)])
    ((partition, _),) = positions
    assert len(await log.read(partition, 0, 3, 60.0)) == 3
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    where = TopicPartition(log.settings.topic, partition)
    await admin.delete_records({where: RecordsToDelete(before_offset=20)})
    await admin.close()
    assert (await log.begin_offsets())[partition] == 20
    with pytest.raises(LogCorrupt, match="keeps records from 20 on") as refused:
        await log.read(partition, 5, 100, 1.0)
    assert f"record 5 of partition {partition}" in str(refused.value)
    assert [record.offset for record in await log.read(partition, 20, 1000, 60.0)] == list(range(20, 30))
    assert (await log.position_at(0))[partition] == 0


async def test_reading_beyond_the_end_waits_for_it(log: KafkaLog) -> None:
    partition = zlib.crc32(b"run") % 2
    assert await log.read(partition, 3, 100, 0.0) == []
    waiting = asyncio.create_task(log.read(partition, 3, 100, 30.0))
    await log.append([(b"run", b"%d" % n) for n in range(3)])
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await log.append([(b"run", b"3")])
    assert [(record.offset, record.value) for record in await waiting] == [(3, b"3")]


async def test_a_transaction_of_somebody_else_at_the_end_stalls_no_reader(log: KafkaLog) -> None:
    """It ends with an offset that has no record."""
    await log.append([(b"run", b"0")])
    partition = zlib.crc32(b"run") % 2
    assert len(await log.read(partition, 0, 100, 60.0)) == 1
    producer = AIOKafkaProducer(**log.settings.client_arguments(), transactional_id="somebody")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(log.settings.topic, b"theirs", b"run", partition=partition)
    await producer.stop()
    async with asyncio.timeout(200):
        while (await log.next_offsets())[partition] < 3:  # noqa: ASYNC110 (the broker writes the mark a little later)
            await asyncio.sleep(0.05)
    assert [record.value for record in await log.read(partition, 1, 100, 60.0)] == [b"theirs"]
    for _ in range(2):
        assert await log.read(partition, 2, 100, 0.1) == []
    assert (await log.position_at(2**51))[partition] == 3
    await log.append([(b"run", b"1")])
    assert [(record.offset, record.value) for record in await log.read(partition, 2, 100, 60.0)] == [(3, b"1")]


async def test_a_cancelled_read_hurts_no_other(log: KafkaLog) -> None:
    partition = zlib.crc32(b"run") % 2
    given_up, kept = (asyncio.create_task(log.read(partition, 0, 100, 30.0)) for _ in range(2))
    await asyncio.sleep(0.2)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await log.append([(b"run", b"here")])
    assert [record.value for record in await kept] == [b"here"]


async def test_a_record_that_no_broker_would_take_is_invalid(log: KafkaLog) -> None:
    with pytest.raises(ValueError, match="cannot be appended"):
        await log.append([(b"run", b"fine"), (b"run", b"x" * 1_100_000)])
    assert await read_all(log) == []


async def test_flipped_bytes_on_the_brokers_disk_are_corrupt(broker: KafkaCluster) -> None:
    settings = real_kafka.settings(broker.bootstrap, partitions=1)
    log = await KafkaLog.open(settings)
    for n in range(10):
        await log.append([(b"run", b"value-%d" % n * 20)])
    await log.close()
    # Stopped in order, so that the next start believes the files.
    await asyncio.to_thread(broker.nodes[0].stop)
    (segment,) = (broker.nodes[0].directory / "data" / f"{settings.topic}-0").glob("*.log")
    flip_a_byte_of(segment, b"value-6")
    await asyncio.to_thread(broker.start_node, 0)
    log = await KafkaLog.open(settings)
    found: list[Record] = []

    async def read_on() -> None:
        while True:
            found.extend(await log.read(0, found[-1].offset + 1 if found else 0, 1 << 30, 5.0))

    with pytest.raises(LogCorrupt) as refused:
        await read_on()
    assert settings.topic in str(refused.value)
    assert "partition 0" in str(refused.value)
    assert all(record.value == b"value-%d" % record.offset * 20 for record in found)
    assert len(found) <= 6
    await log.close()


def flip_a_byte_of(path: Path, text: bytes) -> None:
    held = bytearray(path.read_bytes())
    at = held.find(text)
    assert at > 0
    held[at + 2] ^= 0x20
    path.write_bytes(held)


async def alter_topic(settings: KafkaSettings, name: str, value: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic, {name: value})])
    await admin.close()
