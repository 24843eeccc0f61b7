"""Times in filters: ISO dates to microseconds, and back."""

import re
from datetime import UTC, datetime
from typing import Final

from runstream.events.moments import micros_of, moment_of

_ISO: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?\Z"
)


def instant_us(text: str) -> int:
    """Microseconds since 1970 UTC of an ISO 8601 date or date and time; without a zone it is UTC, a date is its
    first instant, digits below a microsecond are dropped. Raises ValueError saying what is wrong."""
    match = _ISO.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00:00Z or 2026-01-31T12:00+02:00")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None
    micros = micros_of(moment) + int((fraction or "").ljust(6, "0")[:6])
    if zone and zone != "Z":
        digits = zone[1:].replace(":", "")
        shift_us = (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * 1_000_000
        micros -= shift_us if zone[0] == "+" else -shift_us
    return micros


def iso_text(at_us: int) -> str:
    """The instant as ISO 8601 in UTC, with microseconds only where there are any."""
    moment = moment_of(at_us)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{text}.{moment.microsecond:06d}Z" if moment.microsecond else f"{text}Z"
