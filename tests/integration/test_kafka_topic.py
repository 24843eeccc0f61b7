"""The topic is made as it is declared, and one that is otherwise is refused with what mends it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from kit.servers import real_kafka
from runstream_ingest.log.errors import LogMismatch
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import DEFAULT_PARTITIONS, TopicSpec, ensure_topic
from runstream_service.log import LogUnavailable


@pytest.fixture
def bootstrap() -> str:
    return real_kafka.bootstrap()


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(
    settings: KafkaSettings, partitions: int, changed: Mapping[str, str] = MappingProxyType({})
) -> None:
    """A topic as somebody else might have made it."""
    configs = TopicSpec.of(settings).configs() | dict(changed)
    async with admin_of(settings.bootstrap) as admin:
        response = await admin.create_topics([NewTopic(settings.topic, partitions, 1, topic_configs=configs)])
        assert [entry[1] for entry in response.topic_errors] == [0]


async def test_a_missing_topic_is_made_as_declared(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap, partitions=3, retention_s=7200, retention_bytes=10_000_000)
    assert await ensure_topic(settings) == 3
    async with admin_of(bootstrap) as admin:
        (topic,) = await admin.describe_topics([settings.topic])
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic)])
    assert len(topic["partitions"]) == 3
    held = {entry[0]: entry[1] for entry in response.resources[0][4]}
    assert {name: held[name] for name in TopicSpec.of(settings).configs()} == {
        "cleanup.policy": "delete",
        "retention.ms": "7200000",
        "retention.bytes": "10000000",
        "min.insync.replicas": "1",
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": "3600000",
        "compression.type": "producer",
        "unclean.leader.election.enable": "false",
    }
    assert await ensure_topic(settings) == 3


async def test_without_a_wish_the_topics_own_partitions_are_taken(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap)
    assert await ensure_topic(settings) == DEFAULT_PARTITIONS
    other = real_kafka.settings(bootstrap)
    await make_topic(other, 5)
    assert await ensure_topic(other) == 5


async def test_many_processes_may_begin_at_once(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap, partitions=2)
    assert await asyncio.gather(*(ensure_topic(settings) for _ in range(8))) == [2] * 8


@pytest.mark.parametrize("partitions", [1, 4])
async def test_another_number_of_partitions_is_refused(bootstrap: str, partitions: int) -> None:
    settings = real_kafka.settings(bootstrap, partitions=2)
    await make_topic(settings, partitions)
    with pytest.raises(LogMismatch) as refused:
        await ensure_topic(settings)
    message = str(refused.value)
    assert f"topic '{settings.topic}' at {bootstrap} has {partitions} partitions, wanted are 2" in message
    assert f"set RUNSTREAM_KAFKA_PARTITIONS={partitions}" in message
    assert await ensure_topic(settings.model_copy(update={"partitions": partitions})) == partitions


@pytest.mark.parametrize(
    ("name", "value", "wanted", "variable"),
    [
        ("cleanup.policy", "compact", "delete", None),
        ("cleanup.policy", "compact,delete", "delete", None),
        ("retention.ms", "3600000", "-1", "RUNSTREAM_KAFKA_RETENTION_S=3600"),
        ("retention.bytes", "1000000", "-1", "RUNSTREAM_KAFKA_RETENTION_BYTES=1000000"),
        ("max.message.bytes", "1000", "1048588", None),
        ("message.timestamp.type", "LogAppendTime", "CreateTime", None),
        ("compression.type", "gzip", "producer", None),
        ("unclean.leader.election.enable", "true", "false", None),
    ],
)
async def test_a_setting_that_differs_is_refused_with_its_remedy(
    bootstrap: str, name: str, value: str, wanted: str, variable: str | None
) -> None:
    settings = real_kafka.settings(bootstrap)
    await make_topic(settings, 1, {name: value})
    with pytest.raises(LogMismatch) as refused:
        await ensure_topic(settings)
    message = str(refused.value)
    assert f"topic '{settings.topic}' at {bootstrap} has {name}={value}, wanted is {name}={wanted}" in message
    assert (
        f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {settings.topic} "
        f"--add-config {name}={wanted}"
    ) in message
    assert message.count("wanted") == 1
    assert (f", or set {variable}" in message) if variable else ("or set" not in message)


async def test_the_remedy_for_retention_works(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap)
    await make_topic(settings, 1, {"retention.ms": "3600000"})
    assert await ensure_topic(settings.model_copy(update={"retention_s": 3600.0})) == 1


async def test_every_difference_is_told_at_once(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap, partitions=2)
    await make_topic(settings, 1, {"cleanup.policy": "compact", "retention.bytes": "1000000"})
    with pytest.raises(LogMismatch) as refused:
        await ensure_topic(settings)
    assert all(part in str(refused.value) for part in ("1 partitions", "cleanup.policy", "retention.bytes"))


async def test_larger_messages_and_more_replicas_in_sync_are_no_mismatch(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap)
    await make_topic(settings, 1, {"max.message.bytes": "2000000", "min.insync.replicas": "2"})
    assert await ensure_topic(settings) == 1


async def test_more_replicas_than_brokers_is_an_error_that_says_so(bootstrap: str) -> None:
    settings = real_kafka.settings(bootstrap, replication=3)
    with pytest.raises(LogUnavailable, match="RUNSTREAM_KAFKA_REPLICATION") as refused:
        await ensure_topic(settings)
    assert settings.topic in str(refused.value)
    await make_topic(settings.model_copy(update={"replication": 1}), 1)
    with pytest.raises(LogMismatch, match="has 1 replicas of a partition, wanted are 3"):
        await ensure_topic(settings)


async def test_nobody_there_is_unavailable_within_bounds(unused_tcp_port: int) -> None:
    settings = real_kafka.settings(f"127.0.0.1:{unused_tcp_port}", request_timeout_s=1.0)
    async with asyncio.timeout(240):
        with pytest.raises(LogUnavailable) as refused:
            await ensure_topic(settings)
    assert settings.bootstrap in str(refused.value)
    assert settings.topic in str(refused.value)
