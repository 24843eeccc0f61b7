"""Moments as the contract counts them (whole units since 1970 UTC), and as Python's aware datetimes."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(at_us: int) -> datetime:
    """Return microseconds since 1970 UTC as a datetime in UTC. Raises OverflowError beyond the years that it has."""
    return _EPOCH + timedelta(microseconds=at_us)


def micros_of(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 UTC. Exact."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def millis_of(moment: datetime) -> int:
    """Return an aware datetime as milliseconds since 1970 UTC, rounded down."""
    return micros_of(moment) // 1000
