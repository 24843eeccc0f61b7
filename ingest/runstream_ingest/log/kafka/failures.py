"""What the client library raises, told as the log's own errors. Nothing of the library's gets out of this package."""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any

from aiokafka import errors

from runstream_service.log import LogCorrupt, LogError, LogUnavailable

#: Everything that a broker, a connection or the client itself can raise. The library asserts and looks up where
#: metadata came back without the topic, as it does for a moment while a broker starts.
CLIENT_ERRORS = (errors.KafkaError, OSError, TimeoutError, AssertionError, LookupError, TypeError)


def describe(error: BaseException) -> str:
    """One line of what went wrong; the library's errors are often empty but for their class."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if name in text else f"{name}: {text}" if text else name


def unavailable(doing: str, bootstrap: str, topic: str, error: BaseException) -> LogUnavailable:
    """`doing` has a subject and a verb: `Kafka did not take 3 records`."""
    refused = (errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError)
    if isinstance(error, refused):
        step = "allow this user to describe, read and write the topic"
    elif isinstance(error, errors.AuthenticationFailedError | errors.SaslAuthenticationFailed):
        step = "check RUNSTREAM_KAFKA_SASL_USERNAME and RUNSTREAM_KAFKA_SASL_PASSWORD"
    elif isinstance(error, ssl.SSLError):
        step = "check RUNSTREAM_KAFKA_SSL_CAFILE, and the names in the brokers' certificates"
    elif isinstance(error, errors.InvalidTimestampError):
        step = "set this machine's clock: it is further ahead of the brokers' than the topic allows"
    elif isinstance(error, errors.NotEnoughReplicasError | errors.NotEnoughReplicasAfterAppendError):
        step = "too few brokers hold the partition: start those that are down"
    else:
        step = "see whether the brokers run and can be reached from here, then try again"
    return LogUnavailable(f"{doing} (topic {topic!r} at {bootstrap}): {describe(error)}; {step}")


def reading_failed(partition: int, next_offset: int, bootstrap: str, topic: str, error: BaseException) -> LogError:
    """The error of a read of `partition` from `next_offset` on."""
    if isinstance(error, errors.CorruptRecordException):
        return LogCorrupt(
            f"a batch of topic {topic!r} at {bootstrap}, partition {partition}, at or after offset {next_offset}, "
            "does not have the checksum it was written with: move the partition's leader to another replica "
            "(kafka-leader-election.sh), or restore the broker's disk"
        )
    return unavailable(f"partition {partition} cannot be read from offset {next_offset} on", bootstrap, topic, error)


async def ended(stopping: Coroutine[Any, Any, None], timeout_s: float) -> bool:
    """Run what stops a client of the library; False if that took too long and was cancelled. Never raises what it
    raised: a client whose broker is gone ends with all kinds of errors, also with a CancelledError that nobody asked
    for."""
    task = asyncio.create_task(stopping)
    done, _ = await asyncio.wait((task,), timeout=timeout_s)
    if not done:
        task.cancel()
        await asyncio.wait((task,), timeout=timeout_s)
    if task.done() and not task.cancelled():
        task.exception()  # looked at, so that asyncio does not log it as forgotten
    return bool(done)
