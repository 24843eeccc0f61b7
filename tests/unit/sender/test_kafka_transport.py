"""Frames straight into Kafka, with a producer in memory: what is sent where, and what failures mean to a channel."""

import asyncio
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import errors

from runstream.clock import Clock
from runstream.events import limits
from runstream.events.encoding import encode_frame, heartbeat
from runstream.events.kafka import MAX_BATCH_BYTES, RECORD_OVERHEAD_BYTES, InvalidAddress, KafkaAddress
from runstream.sender.kafka import KafkaTransport
from runstream.sender.process import connected_to_kafka
from runstream.sender.responses import Accepted, Refused, Stuck, meaning_of
from runstream.sender.transport import InvalidTarget, Response, Unreachable

ADDRESS = KafkaAddress(("broker:9092",), "frames")
NOW_US = 1_700_000_000_123_456
PARTITIONS = 3


class Builder:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> None:
        self.records.append(record)


class Broker:
    """What the producers of a transport write into. `fail`: what becomes of a batch, by partition and batch number."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[list[dict[str, Any]]]] = {number: [] for number in range(PARTITIONS)}
        self.under_way: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        self.producers: list[Producer] = []
        self.fail: Callable[[int, int], BaseException | None] = lambda partition, number: None
        self.start_error: BaseException | None = None

    def __call__(self, **arguments: Any) -> "Producer":
        self.producers.append(Producer(self, arguments))
        return self.producers[-1]

    def values(self) -> dict[int, list[bytes]]:
        return {
            part: [record["value"] for batch in batches for record in batch]
            for part, batches in self.partitions.items()
        }


class Producer:
    """aiokafka's, as far as the transport uses it."""

    def __init__(self, broker: Broker, arguments: dict[str, Any]) -> None:
        self.broker = broker
        self.arguments = arguments
        self.client = self
        self.stopped = False

    async def start(self) -> None:
        if self.broker.start_error:
            raise self.broker.start_error

    async def partitions_for(self, topic: str) -> set[int]:
        assert topic == ADDRESS.topic
        if not self.broker.partitions:
            raise errors.UnknownTopicOrPartitionError
        return set(self.broker.partitions)

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        broker = self.broker
        assert not self.stopped
        broker.under_way[partition] += 1
        assert broker.under_way[partition] == 1, "a batch could overtake the one before it"
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def deliver() -> None:
            broker.under_way[partition] -= 1
            error = broker.fail(partition, len(broker.partitions[partition]))
            if isinstance(error, TimeoutError):
                return  # never answered
            if error is not None:
                delivery.set_exception(error)
                return
            broker.partitions[partition].append(builder.records)
            delivery.set_result(None)

        asyncio.get_running_loop().call_later(0.001, deliver)
        return delivery

    async def stop(self) -> None:
        self.stopped = True
        self.broker.under_way = dict.fromkeys(range(PARTITIONS), 0)

    async def close(self) -> None:
        assert self.stopped


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def transport(broker: Broker) -> Iterator[KafkaTransport]:
    made = transport_to(broker)
    yield made
    made.close()


def transport_to(broker: Broker, **environ: str) -> KafkaTransport:
    clock = Clock(lambda: NOW_US * 1000, lambda: 0.0)
    return KafkaTransport(ADDRESS, clock=clock, environ=environ, send_s=0.2, new_producer=broker)


def writer(number: int) -> str:
    return f"{number:032x}"


def frame(number: int, first: int, end: int, padding: int = 0) -> bytes:
    """A frame of writer `number`, which writes run `run-NUMBER`."""
    events = json.dumps([[seq, {"type": "x"}] for seq in range(first, end)]).encode()
    # Incompressible, so that the frame is as large as it is asked to be.
    filler = "".join(f"{zlib.crc32(struct.pack('<I', i)):08x}" for i in range(padding // 8))
    if filler:
        events = json.dumps([[first, {"type": "x", "filler": filler}]]).encode()
    return encode_frame(writer(number), f"run-{number}", first, end, events)


def partition(number: int) -> int:
    return zlib.crc32(f"run-{number}".encode()) % PARTITIONS


def numbers_by_partition(count: int = 1) -> list[list[int]]:
    """For each partition `count` writers whose runs fall into it."""
    found: list[list[int]] = [[] for _ in range(PARTITIONS)]
    number = 0
    while any(len(one) < count for one in found):
        number += 1
        if len(found[partition(number)]) < count:
            found[partition(number)].append(number)
    return found


def send(transport: KafkaTransport, *frames: bytes) -> Response:
    return transport.request("POST", "/ingest/v1/frames", b"".join(frames), {})


def test_frames_come_to_their_partitions_in_order_with_key_and_stamp(transport: KafkaTransport, broker: Broker) -> None:
    frames = [frame(number, seq, seq + 2) for seq in (0, 2, 4) for number in range(1, 9)]
    response = send(transport, *frames)
    assert meaning_of(response, 0) == Accepted({writer(number): 6 for number in range(1, 9)})
    wanted: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    for i, data in enumerate(frames):
        wanted[partition(i % 8 + 1)].append(data)
    assert broker.values() == wanted
    (record, *_) = broker.partitions[partition(1)][0]
    assert record["timestamp"] == NOW_US // 1000
    assert record["headers"] == [("at_us", struct.pack(">q", NOW_US))]
    keys = {record["key"] for batches in broker.partitions.values() for batch in batches for record in batch}
    assert keys == {f"run-{number}".encode() for number in range(1, 9)}
    (producer,) = broker.producers
    assert (producer.arguments["acks"], producer.arguments["enable_idempotence"]) == ("all", True)


def test_a_heartbeat_is_a_record_too(transport: KafkaTransport, broker: Broker) -> None:
    beat = heartbeat(writer(1), "run-1", 7)
    assert meaning_of(send(transport, beat), 0) == Accepted({writer(1): 7})
    assert broker.values()[partition(1)] == [beat]


def test_what_is_more_than_a_batch_goes_as_several_one_after_the_other(
    transport: KafkaTransport, broker: Broker
) -> None:
    frames = [frame(1, seq, seq + 1, padding=200_000) for seq in range(20)]
    assert meaning_of(send(transport, *frames), 0) == Accepted({writer(1): 20})
    sent = broker.partitions[partition(1)]
    assert len(sent) > 1
    for batch in sent:
        assert sum(len(one["key"] + one["value"]) + RECORD_OVERHEAD_BYTES for one in batch) <= MAX_BATCH_BYTES
    assert broker.values()[partition(1)] == frames


def test_the_largest_frame_fits_into_a_batch() -> None:
    assert limits.MAX_FRAME_BYTES + limits.MAX_KEY_BYTES + RECORD_OVERHEAD_BYTES <= MAX_BATCH_BYTES


def test_one_partition_that_fails_leaves_only_its_writers_out(transport: KafkaTransport, broker: Broker) -> None:
    (one,), (two,), (three,) = numbers_by_partition()
    broker.fail = lambda part, number: errors.NotEnoughReplicasError() if part == partition(two) else None
    response = send(transport, *(frame(number, 0, 3) for number in (one, two, three)))
    meaning = meaning_of(response, 0)
    assert isinstance(meaning, Accepted)
    assert meaning.next_seqs == {writer(one): 3, writer(three): 3}
    assert "NotEnoughReplicasError" in meaning.left_out
    assert broker.producers[0].stopped, "its next batch would be refused as one that follows a gap"
    broker.fail = lambda part, number: None
    assert meaning_of(send(transport, frame(two, 0, 3)), 0) == Accepted({writer(two): 3})
    assert len(broker.producers) == 2


def test_a_writer_is_acknowledged_up_to_its_first_frame_that_failed(transport: KafkaTransport, broker: Broker) -> None:
    frames = [frame(1, seq, seq + 1, padding=400_000) for seq in range(6)]
    broker.fail = lambda part, number: errors.RequestTimedOutError() if number == 1 else None
    meaning = meaning_of(send(transport, *frames), 0)
    assert isinstance(meaning, Accepted)
    assert meaning.next_seqs == {writer(1): len(broker.values()[partition(1)])}
    assert 0 < meaning.next_seqs[writer(1)] < 6


@pytest.mark.parametrize(
    ("error", "too_slow"), [(errors.NotLeaderForPartitionError(), False), (TimeoutError(), True)], ids=["error", "time"]
)
def test_what_passes_is_tried_again_with_a_new_producer(
    transport: KafkaTransport, broker: Broker, error: BaseException, too_slow: bool
) -> None:
    broker.fail = lambda part, number: error
    with pytest.raises(Unreachable, match="kafka://broker:9092/frames") as raised:
        send(transport, frame(1, 0, 3))
    assert raised.value.too_slow is too_slow
    assert broker.producers[0].stopped
    broker.fail = lambda part, number: None
    assert meaning_of(send(transport, frame(1, 0, 3)), 0) == Accepted({writer(1): 3})


def test_no_broker_at_the_start_is_tried_again(transport: KafkaTransport, broker: Broker) -> None:
    broker.start_error = errors.KafkaConnectionError("refused")
    with pytest.raises(Unreachable, match="refused"):
        send(transport, frame(1, 0, 3))
    broker.start_error = None
    assert send(transport, frame(1, 0, 3)).status == 200


def test_a_topic_that_is_missing_is_named_with_who_makes_it(transport: KafkaTransport, broker: Broker) -> None:
    broker.partitions, there = {}, broker.partitions
    with pytest.raises(Unreachable, match=r"frames: there is no such topic; a gateway makes it"):
        send(transport, frame(1, 0, 3))
    broker.partitions = there
    assert send(transport, frame(1, 0, 3)).status == 200


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (errors.TopicAuthorizationFailedError("frames"), "allow this user"),
        (errors.SaslAuthenticationFailed("no"), "RUNSTREAM_KAFKA_SASL_PASSWORD"),
        (errors.InvalidTimestampError(), "set this machine's clock"),
    ],
)
def test_what_only_a_person_can_change_is_told_with_the_step(
    transport: KafkaTransport, broker: Broker, error: BaseException, step: str
) -> None:
    broker.fail = lambda part, number: error
    meaning = meaning_of(send(transport, frame(1, 0, 3)), 0)
    assert isinstance(meaning, Stuck)
    assert meaning.reason.startswith("Kafka: kafka://broker:9092/frames")
    assert step in meaning.reason


def test_a_batch_that_is_too_large_is_narrowed_down_to_its_writer(transport: KafkaTransport, broker: Broker) -> None:
    broker.fail = lambda part, number: errors.MessageSizeTooLargeError()
    several = meaning_of(send(transport, frame(1, 0, 3), frame(1, 3, 4)), 0)
    assert isinstance(several, Refused)
    assert several.writer_id is None
    alone = meaning_of(send(transport, frame(1, 0, 3)), 0)
    assert isinstance(alone, Refused)
    assert alone.writer_id == writer(1)


def test_a_damaged_frame_is_refused_before_anything_is_sent(transport: KafkaTransport, broker: Broker) -> None:
    meaning = meaning_of(send(transport, frame(1, 0, 3), b"no frame"), 0)
    assert isinstance(meaning, Refused)
    assert broker.producers == []


# Addresses and who we are


@pytest.mark.parametrize(
    "text",
    ["kafka://a:9092/t", "kafka://a:9092,b:9093/runstream-frames", "kafka://[::1]:9092/t", "kafka://1.2.3.4:1/a.b"],
)
def test_an_address_reads_as_it_is_written(text: str) -> None:
    assert str(KafkaAddress.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://a:9092/t",
        "kafka://a/t",
        "kafka://a:0/t",
        "kafka://a:99999/t",
        "kafka://a:9092",
        "kafka://a:9092/",
        "kafka:///t",
        "kafka://u:p@a:9092/t",
        "kafka://a:9092/t/u",
        "kafka://a:9092/t?x=1",
        "kafka://a:9092/..",
    ],
)
def test_no_address_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InvalidAddress, match="give kafka://HOST:PORT"):
        KafkaAddress.parse(text)
    with pytest.raises(InvalidTarget, match="RUNSTREAM_INGEST"):
        connected_to_kafka(text, Clock(lambda: 0, lambda: 0.0))


def test_credentials_come_from_the_environment(broker: Broker) -> None:
    environ = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512"}
    environ |= {"SASL_USERNAME": "me", "SASL_PASSWORD": "secret-word"}
    transport = transport_to(broker, **{f"RUNSTREAM_KAFKA_{name}": value for name, value in environ.items()})
    assert send(transport, frame(1, 0, 1)).status == 200
    transport.close()
    arguments = broker.producers[0].arguments
    assert (arguments["security_protocol"], arguments["sasl_plain_username"]) == ("SASL_SSL", "me")
    assert arguments["sasl_plain_password"] == "secret-word"
    assert arguments["ssl_context"].check_hostname


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "give one of PLAINTEXT"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "SASL_USERNAME"),
        (
            {
                "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "SASL_MECHANISM": "PLAIN",
                "SASL_USERNAME": "me",
                "SASL_PASSWORD": "p",
            },
            "in clear",
        ),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_CAFILE": "/nowhere.pem"}, "certificates"),
    ],
)
def test_credentials_that_cannot_work_are_refused(broker: Broker, environ: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidTarget, match=told):
        transport_to(broker, **{f"RUNSTREAM_KAFKA_{name}": value for name, value in environ.items()})
