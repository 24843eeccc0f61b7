"""Frames straight into Kafka, for training nodes inside a cluster's network. The only module that loads its client."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from aiokafka import AIOKafkaProducer, errors

from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.events.frame import FrameHeader, InvalidFrame, split_frames
from runstream.events.kafka import (
    MAX_BATCH_BYTES,
    RECORD_OVERHEAD_BYTES,
    KafkaAddress,
    partition_of,
    stamp_headers,
)
from runstream.sender.transport import REQUEST_TIMEOUT_S, InvalidTarget, Response, Unreachable

#: What a person is told in place of "HTTP 403".
_NAME: Final = "Kafka:"
#: A start, and one request of the client's: a broker that is silent for so long is asked again, or another one is.
_START_S: Final = 10.0
#: How long a request of a channel may take: a broker that dies is replaced, or its successor is found, within that.
_SEND_S: Final = 20.0
#: How long the client may take to let go of its connections.
_END_S: Final = 2.0
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

#: Everything that a broker, a connection or the client itself can raise. The library asserts and looks up where
#: metadata came back without the topic, as it does for a moment while a broker starts.
_CLIENT_ERRORS: Final = (errors.KafkaError, OSError, TimeoutError, AssertionError, LookupError, TypeError)
_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
#: What only a person can change, and how.
_STUCK: Final = (
    (
        (errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError),
        "allow this user to describe and write the topic",
    ),
    (
        (errors.AuthenticationFailedError, errors.SaslAuthenticationFailed),
        "check RUNSTREAM_KAFKA_SASL_USERNAME and RUNSTREAM_KAFKA_SASL_PASSWORD",
    ),
    ((ssl.SSLError,), "check RUNSTREAM_KAFKA_SSL_CAFILE, and the names in the brokers' certificates"),
    (
        (errors.InvalidTimestampError,),
        "set this machine's clock: it is further ahead of the brokers' than the topic allows",
    ),
)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What became of the frames of one partition: the first `acked` are durable, and why it ended there."""

    acked: int
    error: BaseException | None = None


_Frames = Sequence[tuple[FrameHeader, memoryview]]


class KafkaTransport:
    """A channel's `Transport` whose requests are batches for the log's topic: an idempotent producer, and a response
    once every in-sync replica holds the frames (acks=all). Frames get the key, the partition and the stamp that a
    gateway gives them.

    One request at a time and used by one thread, as the protocol says; `close` by any, afterwards. The client's event
    loop belongs to this object and runs only while a request does. What a request could not deliver is given up with
    its producer, so nothing of it arrives behind what is sent next, but for what a broker has received already.
    """

    def __init__(
        self,
        address: KafkaAddress,
        *,
        clock: Clock = SYSTEM_CLOCK,
        environ: Mapping[str, str] = os.environ,
        send_s: float = _SEND_S,
        new_producer: Callable[..., Any] = AIOKafkaProducer,
    ) -> None:
        """Connects with the first request. `environ` says who we are to the brokers. Raises InvalidTarget."""
        self._address = address
        self._clock = clock
        self._send_s = send_s
        self._new_producer = new_producer
        self._arguments = _security(environ)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._producer: Any = None
        self._task: asyncio.Task[Response] | None = None
        self._aborted = False

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Response:
        """Append the frames in `body`. Answers as a gateway does: 200 with the next number of each writer, of whose
        frames some may be left out with a reason; 413 and 422 for what no broker takes; 403 for what a person has to
        change. Raises Unreachable, after `timeout_s` at the latest and then with `too_slow`."""
        assert isinstance(body, bytes), "assets go to a gateway"
        try:
            frames = list(split_frames(body))
        except InvalidFrame as error:
            return self._response(422, title="a frame cannot be used", detail=str(error))
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._append(frames, min(timeout_s, self._send_s)))
        if self._aborted:
            self._task.cancel()
        try:
            return self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            raise Unreachable(f"{self._address}: the request was given up") from None

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._abandon())
            self._loop.close()
            self._loop = None

    def abort(self) -> None:
        self._aborted = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it is closed in this moment
                loop.call_soon_threadsafe(task.cancel)

    async def _append(self, frames: _Frames, within_s: float) -> Response:
        deadline_s = asyncio.get_running_loop().time() + within_s
        try:
            producer, partitions = await self._started(deadline_s)
        except _CLIENT_ERRORS as error:
            await self._abandon()
            return self._failed(frames, error)
        placed: dict[int, list[int]] = {}
        for number, (header, _) in enumerate(frames):
            placed.setdefault(partition_of(header.key.encode(), partitions), []).append(number)
        sent = await asyncio.gather(
            *(
                self._send(producer, partition, [frames[number] for number in numbers], deadline_s)
                for partition, numbers in placed.items()
            )
        )
        acked = {number for numbers, one in zip(placed.values(), sent, strict=True) for number in numbers[: one.acked]}
        failed = [(numbers, one.error) for numbers, one in zip(placed.values(), sent, strict=True) if one.error]
        if failed:
            # The client counted the failed batch's sequence numbers already, and brokers would refuse the next one as
            # one that follows a gap. A new producer begins anew.
            await self._abandon()
        writers = next_seqs([header for header, _ in frames], acked)
        if not failed:
            return self._response(200, writers=writers)
        first_failed, cause = failed[0]
        if not writers:
            return self._failed([frames[number] for number in first_failed], cause)
        return self._response(200, writers=writers, left_out=self._told(cause))

    async def _started(self, deadline_s: float) -> tuple[Any, int]:
        """The producer, and how many partitions the topic has. Raises what the client raises."""
        if self._producer is None:
            self._producer = self._new_producer(
                bootstrap_servers=list(self._address.brokers),
                client_id="runstream-sender",
                acks="all",
                enable_idempotence=True,
                max_batch_size=MAX_BATCH_BYTES,
                request_timeout_ms=int(_START_S * 1000),
                metadata_max_age_ms=60_000,
                **self._arguments,
            )
            async with asyncio.timeout_at(min(deadline_s, asyncio.get_running_loop().time() + _START_S)):
                await self._producer.start()
        async with asyncio.timeout_at(deadline_s):
            return self._producer, len(await self._producer.partitions_for(self._address.topic))

    async def _send(self, producer: Any, partition: int, frames: _Frames, deadline_s: float) -> _Sent:
        """Batch after batch: a second one under way could overtake the first when that is sent again."""
        acked = 0
        stamp_us = self._clock.at_us()
        try:
            async with asyncio.timeout_at(deadline_s):
                for batch in batches(frames):
                    builder = producer.create_batch()
                    for header, data in batch:
                        builder.append(
                            timestamp=stamp_us // 1000,
                            key=header.key.encode(),
                            value=bytes(data),
                            headers=stamp_headers(stamp_us),
                        )
                    delivery = await producer.send_batch(builder, self._address.topic, partition=partition)
                    delivery.add_done_callback(_look_at)
                    await asyncio.shield(delivery)
                    acked += len(batch)
        except _CLIENT_ERRORS as error:
            return _Sent(acked, error)
        return _Sent(acked)

    async def _abandon(self) -> None:
        """Let go of the producer and of all that it has under way. All other tasks of this loop are its own."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        await _cancel_others()
        # A client whose broker is gone ends with all kinds of errors, also with a cancellation that nobody asked for.
        for stop in (producer.stop, producer.client.close):
            stopping = asyncio.create_task(stop())
            await asyncio.wait((stopping,), timeout=_END_S)
            if stopping.done():
                _look_at(stopping)
        await _cancel_others()

    def _failed(self, frames: _Frames, error: BaseException | None) -> Response:
        """The response where nothing was taken. Raises Unreachable if it is worth trying again."""
        told = self._told(error)
        if isinstance(error, _TOO_LARGE):
            # One frame: that writer's. Of several nobody knows which, and the channel tries fewer at once.
            whose = {"writer_id": frames[0][0].writer_id} if len(frames) == 1 else {}
            return self._response(413, title="too large", detail=told, **whose)
        for kinds, step in _STUCK:
            if isinstance(error, kinds):
                return self._response(403, detail=f"{told}; {step}")
        raise Unreachable(told, too_slow=isinstance(error, TimeoutError)) from error

    def _told(self, error: BaseException | None) -> str:
        if isinstance(error, TimeoutError):
            return f"{self._address} did not acknowledge in time: see whether enough brokers run and can be reached"
        if isinstance(error, errors.UnknownTopicOrPartitionError):
            return f"{self._address}: there is no such topic; a gateway makes it when it starts (RUNSTREAM_INGEST)"
        text = " ".join(str(error).split())
        name = type(error).__name__
        return f"{self._address}: {text if name in text else f'{name}: {text}' if text else name}"

    def _response(self, status: int, **fields: object) -> Response:
        return Response(status, {}, json.dumps(fields).encode(), _NAME)


def batches(frames: _Frames) -> list[list[tuple[FrameHeader, memoryview]]]:
    """The frames of one partition in their order, cut into what a broker takes at once."""
    found: list[list[tuple[FrameHeader, memoryview]]] = []
    size = MAX_BATCH_BYTES
    for header, data in frames:
        size += len(header.key.encode()) + len(data) + RECORD_OVERHEAD_BYTES
        if size > MAX_BATCH_BYTES:
            found.append([])
            size = len(header.key.encode()) + len(data) + RECORD_OVERHEAD_BYTES
        found[-1].append((header, data))
    return found


def next_seqs(headers: Sequence[FrameHeader], acked: set[int]) -> dict[str, int]:
    """Up to where each writer is durable, of the frames whose places are in `acked`; a writer whose first frame is not
    is left out."""
    found: dict[str, int] = {}
    ended: set[str] = set()
    for number, header in enumerate(headers):
        if number not in acked:
            ended.add(header.writer_id)
        elif header.writer_id not in ended:
            found[header.writer_id] = header.end_seq
    return found


def _security(environ: Mapping[str, str]) -> dict[str, Any]:
    """Who we are to the brokers, from the variables that gateways have, too. Raises InvalidTarget."""

    def given(name: str) -> str:
        return environ.get(f"RUNSTREAM_KAFKA_{name}", "")

    protocol = given("SECURITY_PROTOCOL") or "PLAINTEXT"
    if protocol not in _PROTOCOLS:
        raise InvalidTarget(f"RUNSTREAM_KAFKA_SECURITY_PROTOCOL={protocol!r}: give one of {', '.join(_PROTOCOLS)}")
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        missing = [name for name in ("SASL_MECHANISM", "SASL_USERNAME", "SASL_PASSWORD") if not given(name)]
        if missing or given("SASL_MECHANISM") not in _MECHANISMS:
            raise InvalidTarget(
                f"RUNSTREAM_KAFKA_SECURITY_PROTOCOL={protocol} needs RUNSTREAM_KAFKA_SASL_USERNAME, _SASL_PASSWORD and "
                f"_SASL_MECHANISM ({', '.join(_MECHANISMS)})"
            )
        if (protocol, given("SASL_MECHANISM")) == ("SASL_PLAINTEXT", "PLAIN"):
            raise InvalidTarget(
                "the password would travel in clear: set RUNSTREAM_KAFKA_SECURITY_PROTOCOL=SASL_SSL, or "
                "RUNSTREAM_KAFKA_SASL_MECHANISM=SCRAM-SHA-512"
            )
        arguments["sasl_mechanism"] = given("SASL_MECHANISM")
        arguments["sasl_plain_username"] = given("SASL_USERNAME")
        arguments["sasl_plain_password"] = given("SASL_PASSWORD")
    if protocol.endswith("SSL"):
        try:
            context = ssl.create_default_context(cafile=given("SSL_CAFILE") or None)
            if given("SSL_CERTFILE"):
                context.load_cert_chain(given("SSL_CERTFILE"), given("SSL_KEYFILE") or None)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidTarget(f"the certificates of RUNSTREAM_KAFKA_SSL_* cannot be used: {error}") from error
        arguments["ssl_context"] = context
    return arguments


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        done, _ = await asyncio.wait(others, timeout=_END_S)
        for task in done:
            _look_at(task)


def _look_at(delivery: "asyncio.Future[Any]") -> None:
    """So that asyncio does not log the error of something that nobody waits for any more."""
    if not delivery.cancelled():
        delivery.exception()
