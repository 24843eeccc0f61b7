"""Numbers and times as they stand in the server's JSON."""

import math
from datetime import datetime
from typing import Any


def number(value: Any) -> float:
    """A number of an answer: NaN and the infinities stand in JSON as strings."""
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value] if isinstance(value, str) else value


def moment(text: str) -> datetime:
    """A time of an answer: ISO 8601 in UTC, microseconds."""
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
