"""Values as people and machines read them. Pure."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

_BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def plain_number(value: float) -> str:
    """At most five significant digits; whole numbers below a billion in full; what is not finite as the API has it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if float(value).is_integer() and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.5g}"


def plain(value: Any) -> str:
    """One cell of a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)  # a seed, a number of parameters: somebody will copy it
        case float():
            return plain_number(value)
        case list() | tuple() | set() | frozenset():
            return ", ".join(plain(item) for item in value)
        case dict():
            return ", ".join(f"{key}={plain(item)}" for key, item in value.items())
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case _:
            return str(value)


def plain_time(text: str) -> str:
    """An ISO time of the API (UTC) without its fractions: 2026-01-31 12:00:00."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def shorter_times(texts: Sequence[str]) -> list[str]:
    """Times as `plain_time` writes them, without the century and the seconds: 26-01-31 12:00."""
    return [text[2:16] for text in texts]


def plain_bytes(size: float) -> str:
    """Decimal units, as disks are sold: 1500 is 1.5 kB."""
    for unit in _BYTE_UNITS[:-1]:
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_BYTE_UNITS[-1]}"


def plain_duration(seconds: float) -> str:
    """12 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def plain_clock(ahead_s: float) -> str:
    """How a clock differs from the server's: `3 h 00 min ahead`, `2 d 0 h behind`."""
    return f"{plain_duration(abs(ahead_s))} {'ahead' if ahead_s > 0 else 'behind'}"


def json_ready(value: Any) -> Any:
    """`value` made of what JSON has. NaN and the infinities become the strings "NaN", "Infinity", "-Infinity", which
    is what the API answers too; times become ISO 8601 in UTC."""
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case dict():
            return {str(key): json_ready(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [json_ready(item) for item in value]
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def number_of(value: Any) -> float:
    """The number that the API wrote, which spells NaN and the infinities as strings. NaN for what is absent."""
    if value is None:
        return math.nan
    return float(value)
