"""The log's topic, declared in one place. It is created where it is missing and checked where it is there."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn

from runstream.events import limits
from runstream.events.kafka import MAX_BATCH_BYTES
from runstream_ingest.log.errors import LogMismatch
from runstream_ingest.log.kafka.failures import CLIENT_ERRORS, ended, unavailable
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogUnavailable

#: Of a new topic when none are asked for: enough for a dozen workers of one core each, few enough that every one is
#: busy.
DEFAULT_PARTITIONS: Final = 12
#: Kafka compares it with a whole batch, of which our own client's count leaves out 12 bytes (offset and length).
_MAX_MESSAGE_BYTES: Final = MAX_BATCH_BYTES + 12
_SKEW_MS: Final = limits.CLOCK_SKEW_S * 1000

#: A setting of which more than what is wanted serves as well.
_AT_LEAST: Final = frozenset({"max.message.bytes", "min.insync.replicas"})


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What the topic of the frames is. There is no second topic: docs/design/kafka.md says why."""

    name: str
    partitions: int | None
    replication: int
    min_insync: int
    retention_ms: int = -1
    retention_bytes: int = -1
    max_message_bytes: int = _MAX_MESSAGE_BYTES

    @classmethod
    def of(cls, settings: KafkaSettings) -> "TopicSpec":
        """The topic that the settings ask for."""
        return cls(
            name=settings.topic,
            partitions=settings.partitions,
            replication=settings.replication,
            min_insync=settings.wanted_min_insync,
            retention_ms=-1 if settings.retention_s is None else max(1, int(settings.retention_s * 1000)),
            retention_bytes=-1 if settings.retention_bytes is None else settings.retention_bytes,
        )

    def configs(self) -> dict[str, str]:
        """The topic's settings under Kafka's names."""
        return {
            # Compaction would keep the last frame of a run and drop the others.
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "retention.bytes": str(self.retention_bytes),
            "min.insync.replicas": str(self.min_insync),
            "max.message.bytes": str(self.max_message_bytes),
            # The gateways' clocks, so that a replay from another log keeps its times.
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": str(_SKEW_MS),
            # Frames are compressed on the training node, once.
            "compression.type": "producer",
            # A replica that is behind must not become the leader: that would take acknowledged frames away.
            "unclean.leader.election.enable": "false",
        }


@dataclass(frozen=True, slots=True)
class TopicFound:
    """What a topic is at the moment: `replication` is that of the partition with the fewest replicas, `leaderless` how
    many partitions have no leader."""

    partitions: int
    replication: int
    configs: Mapping[str, str]
    leaderless: int = 0


async def ensure_topic(settings: KafkaSettings) -> int:
    """Create the topic if it is missing, else compare it with the settings. Returns the number of its partitions; those
    of a new topic have leaders by then. Any number of processes may do this at once.

    Raises LogMismatch (names each setting, what was found, what is wanted and the command that mends it),
    LogUnavailable (no broker answers, or too few for the replication), InvalidSetting (certificates).
    """
    admin = AIOKafkaAdminClient(**settings.client_arguments())
    try:
        async with asyncio.timeout(3 * settings.request_timeout_s):
            await admin.start()
            return await _ensured(admin, TopicSpec.of(settings), settings.bootstrap)
    except CLIENT_ERRORS as error:
        cause = await _connection_error(settings) or error
        raise unavailable("the topic cannot be checked", settings.bootstrap, settings.topic, cause) from error
    finally:
        await ended(admin.close(), settings.request_timeout_s)


async def _connection_error(settings: KafkaSettings) -> BaseException | None:
    """Why the first broker that is given cannot be talked to; None if it can. The library's clients only log it."""
    arguments = settings.client_arguments()
    host, _, port = arguments.pop("bootstrap_servers")[0].rpartition(":")
    del arguments["metadata_max_age_ms"]
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            connection = await create_conn(host.strip("[]"), int(port), **arguments)
    except CLIENT_ERRORS as error:
        return error
    connection.close()
    return None


async def _ensured(admin: AIOKafkaAdminClient, spec: TopicSpec, bootstrap: str) -> int:
    found = await _find(admin, spec.name)
    if found is None:
        await _create(admin, spec, bootstrap)
        while found is None or found.leaderless:  # bounded by the caller
            await asyncio.sleep(0.02)
            found = await _find(admin, spec.name)
    problems = mismatches(spec, found, bootstrap)
    if problems:
        raise LogMismatch("; ".join(problems))
    return found.partitions


async def _find(admin: AIOKafkaAdminClient, name: str) -> TopicFound | None:
    """The topic; None if there is none, or the broker that was asked does not know it yet."""
    (topic,) = await admin.describe_topics([name])
    error = errors.for_code(topic["error_code"])
    if error in (errors.UnknownTopicOrPartitionError, errors.LeaderNotAvailableError):
        return None
    if error is not errors.NoError:
        raise error(name)
    partitions = topic["partitions"]
    if not partitions:
        return None
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    code, message, _, _, entries = response.resources[0]
    error = errors.for_code(code)
    if error is errors.UnknownTopicOrPartitionError:
        return None
    if error is not errors.NoError:
        raise error(message)
    return TopicFound(
        partitions=len(partitions),
        replication=min(len(partition["replicas"]) for partition in partitions),
        configs={entry[0]: entry[1] for entry in entries},
        leaderless=sum(partition["leader"] < 0 for partition in partitions),
    )


async def _create(admin: AIOKafkaAdminClient, spec: TopicSpec, bootstrap: str) -> None:
    """Ask for the topic; another process may have been first."""
    wanted = NewTopic(spec.name, spec.partitions or DEFAULT_PARTITIONS, spec.replication, topic_configs=spec.configs())
    response = await admin.create_topics([wanted])
    for name, code, message in _outcomes(response.topic_errors):
        error = errors.for_code(code)
        if error is errors.InvalidReplicationFactorError:
            raise LogUnavailable(
                f"topic {name!r} cannot be created at {bootstrap} with {spec.replication} replicas: {message} Start "
                "more brokers, or set RUNSTREAM_KAFKA_REPLICATION to how many there are"
            )
        if error not in (errors.NoError, errors.TopicAlreadyExistsError):
            raise error(message)


def _outcomes(topic_errors: Sequence[Sequence[Any]]) -> list[tuple[str, int, str]]:
    return [(entry[0], entry[1], (entry[2] if len(entry) > 2 else "") or "") for entry in topic_errors]


def mismatches(spec: TopicSpec, found: TopicFound, bootstrap: str) -> list[str]:
    """Each difference that matters as one sentence with its remedy; empty if the topic is as it shall be."""
    where = f"topic {spec.name!r} at {bootstrap}"
    problems = []
    if spec.partitions not in (None, found.partitions):
        problems.append(
            f"{where} has {found.partitions} partitions, wanted are {spec.partitions}: set RUNSTREAM_KAFKA_PARTITIONS="
            f"{found.partitions}, or replay the log into a new topic (adding partitions to this one would tear runs "
            "apart)"
        )
    if found.replication < spec.replication:
        problems.append(
            f"{where} has {found.replication} replicas of a partition, wanted are {spec.replication}: add replicas "
            f"with kafka-reassign-partitions.sh, or set RUNSTREAM_KAFKA_REPLICATION={found.replication}"
        )
    for name, wanted in spec.configs().items():
        value = found.configs.get(name)
        if value is None or value == wanted or (name in _AT_LEAST and int(value) >= int(wanted)):
            continue
        problems.append(
            f"{where} has {name}={value}, wanted is {name}={wanted}: run kafka-configs.sh --bootstrap-server "
            f"{bootstrap} --alter --entity-type topics --entity-name {spec.name} --add-config {name}={wanted}"
            f"{_variable_for(name, value)}"
        )
    return problems


def _variable_for(name: str, value: str) -> str:
    """How a setting of ours would accept what was found, where there is one."""
    match name:
        case "retention.ms" if int(value) > 0:
            return f", or set RUNSTREAM_KAFKA_RETENTION_S={int(value) / 1000:g}"
        case "retention.bytes" if int(value) > 0:
            return f", or set RUNSTREAM_KAFKA_RETENTION_BYTES={value}"
        case "min.insync.replicas":
            return f", or set RUNSTREAM_KAFKA_MIN_INSYNC={value}"
        case _:
            return ""
