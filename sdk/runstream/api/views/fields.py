"""Fields that runs have: what there is to filter, to sort and to group by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from runstream.api.values import Row, number


@dataclass(frozen=True, slots=True)
class RunField:
    """A field, and what the runs that match have of it."""

    #: As filters, sort keys and columns name it.
    field: str
    #: run, metric, param, other or env.
    kind: str
    name: str
    #: How many runs have it; of tags how many (run, tag) there are.
    runs: int
    #: How many different values there are; None for metrics.
    distinct: int | None
    #: How many runs have what filters compare as a number (texts that say one and truth values, too); None for metrics
    #: and columns of runs.
    numbers: int | None
    #: Of metrics: how many points there are.
    points: int | None
    #: The range of the numbers, of metrics of all values; None without any.
    minimum: float | None
    maximum: float | None
    #: Values that most runs have, each with how many have it. Very long ones are left out.
    values: Sequence[tuple[Any, int]]

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a field of a response."""
        low, high = (None if row[name] is None else number(row[name]) for name in ("min", "max"))
        return cls(
            field=row["field"],
            kind=row["kind"],
            name=row["name"],
            runs=row["runs"],
            distinct=row["distinct"],
            numbers=row["numbers"],
            points=row["points"],
            minimum=low,
            maximum=high,
            values=[(one["value"], one["runs"]) for one in row["values"]],
        )
