"""Numbers, times and fields as they stand in the server's JSON."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeAlias

#: A logged value: whatever JSON holds.
Logged: TypeAlias = Any
#: An object of a response, before it becomes a value with a type.
Row: TypeAlias = Mapping[str, Any]
_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number(value: float | str) -> float:
    """Read a number of a response: NaN and the infinities stand in JSON as strings."""
    return _NON_FINITE[value] if isinstance(value, str) else value


def number_or_none(value: float | str | None) -> float | None:
    """Read a number of a response that may be null."""
    return None if value is None else number(value)


def moment(text: str) -> datetime:
    """Read a time of a response: ISO 8601 in UTC, microseconds."""
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    """Read a time of a response that may be null."""
    return None if text is None else moment(text)


#: How a member of a view is read from JSON, by its type; those of other types are taken as they are.
_READ: Final[Mapping[Any, Callable[[Any], Any]]] = {
    "float": number,
    "float | None": number_or_none,
    "datetime": moment,
    "datetime | None": moment_or_none,
    "tuple[str, ...]": tuple,
}


def members_of(view: type, row: Row) -> dict[str, Any]:
    """Return the members of a view that a row has. What a newer server sends beside them is left out."""
    return {name: row[name] if read is None else read(row[name]) for name, read in _readers(view) if name in row}


@cache
def _readers(view: Any) -> list[tuple[str, Callable[[Any], Any] | None]]:
    return [(field.name, _READ.get(field.type)) for field in fields(view)]
