"""Three brokers: one may die at any moment and nothing that was acknowledged is lost."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from kit.servers import real_kafka
from runstream_infra.kafka import KafkaCluster
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogUnavailable, Record

PARTITIONS = 3


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    cluster = real_kafka.new_cluster(tmp_path_factory.mktemp("kafka"), brokers=3)
    cluster.start()
    yield cluster
    cluster.kill()


async def leaders_of(settings: KafkaSettings) -> dict[int, int]:
    """The node that leads each partition, by Kafka's ids (from 1)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, request_timeout_ms=5000)
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([settings.topic])
        return {partition["partition"]: partition["leader"] for partition in topic["partitions"]}
    finally:
        await admin.close()


async def send(log: KafkaLog, key: bytes, acknowledged: list[tuple[int, int, int]], stop: asyncio.Event) -> int:
    """Numbers in order, each again until it is acknowledged. Returns how many appends were refused."""
    number = refused = 0
    while not stop.is_set():
        try:
            ((partition, next_offset),) = await log.append([(key, b"%d" % number)])
        except LogUnavailable:
            refused += 1
            await asyncio.sleep(0.05)
        else:
            acknowledged.append((partition, next_offset - 1, number))
            number += 1
            await asyncio.sleep(0.002)
    return refused


async def read_partition(log: KafkaLog, partition: int) -> list[Record]:
    found: list[Record] = []
    end = (await log.next_offsets())[partition]
    while not found or found[-1].offset + 1 < end:
        found += await log.read(partition, found[-1].offset + 1 if found else 0, 1 << 30, 20.0)
    return found


async def until(count: int, acknowledged: list[list[tuple[int, int, int]]]) -> None:
    """Until every sender has so many more acknowledgements than now."""
    wanted = [len(each) + count for each in acknowledged]
    async with asyncio.timeout(240):
        while any(len(each) < least for each, least in zip(acknowledged, wanted, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_any_one_broker_may_die_while_records_are_appended(brokers: KafkaCluster) -> None:
    settings = real_kafka.settings(brokers.bootstrap, replication=3, partitions=PARTITIONS, append_timeout_s=10.0)
    assert settings.wanted_min_insync == 2
    log = await KafkaLog.open(settings)
    acknowledged: list[list[tuple[int, int, int]]] = [[] for _ in range(6)]
    stop = asyncio.Event()
    sending = [asyncio.create_task(send(log, b"run-%d" % n, each, stop)) for n, each in enumerate(acknowledged)]
    await until(30, acknowledged)
    victim = (await leaders_of(settings))[0]
    await asyncio.to_thread(brokers.kill_node, victim - 1)
    await until(30, acknowledged)
    assert victim not in (await leaders_of(settings)).values()
    await asyncio.to_thread(brokers.start_node, victim - 1)
    await until(30, acknowledged)
    stop.set()
    await asyncio.gather(*sending)

    records = {partition: await read_partition(log, partition) for partition in range(PARTITIONS)}
    for held in records.values():
        assert [record.offset for record in held] == list(range(len(held)))
    for n, each in enumerate(acknowledged):
        assert all(int(records[partition][offset].value) == number for partition, offset, number in each)
        mine = [int(r.value) for held in records.values() for r in held if r.key == b"run-%d" % n]
        first_arrivals = list(dict.fromkeys(mine))
        assert first_arrivals == list(range(len(first_arrivals)))
        assert len(first_arrivals) >= len(each) >= 90
    await log.close()


async def test_without_a_second_replica_nothing_is_acknowledged(brokers: KafkaCluster) -> None:
    settings = real_kafka.settings(
        brokers.bootstrap, replication=2, min_insync=2, partitions=1, append_timeout_s=4.0, request_timeout_s=4.0
    )
    log = await KafkaLog.open(settings)
    await log.append([(b"run", b"before")])
    leader = (await leaders_of(settings))[0]
    other = await other_replica(settings, leader)
    await asyncio.to_thread(brokers.kill_node, other - 1)
    try:
        with pytest.raises(LogUnavailable) as refused:
            await log.append([(b"run", b"alone")])
        assert "2 must hold each record" in str(refused.value)
        assert [record.value for record in await log.read(0, 0, 100, 1.0)] == [b"before"]
    finally:
        await asyncio.to_thread(brokers.start_node, other - 1)
    async with asyncio.timeout(240):
        while True:
            try:
                ((_, next_offset),) = await log.append([(b"run", b"together")])
                break
            except LogUnavailable:
                await asyncio.sleep(0.2)
    assert (await read_partition(log, 0))[next_offset - 1].value == b"together"
    await log.close()


async def other_replica(settings: KafkaSettings, leader: int) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    (topic,) = await admin.describe_topics([settings.topic])
    await admin.close()
    (other,) = set(topic["partitions"][0]["replicas"]) - {leader}
    return int(other)
