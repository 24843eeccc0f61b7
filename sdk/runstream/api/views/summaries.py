"""Summaries of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from runstream.api.values import Row, members_of
from runstream.api.views.table import Table


@dataclass(frozen=True, slots=True)
class Summary:
    """Over all points of one metric of one run. `minimum` and `maximum` leave NaN out and are NaN if nothing is left;
    `first` and `last` are the values at the ends of the series, in the order of its points; `total` is the sum; `std`
    is the population standard deviation, None where the server folded the summary before it knew `std`."""

    run: str
    metric: str
    count: int
    nan_count: int
    minimum: float
    minimum_step: int
    minimum_at: datetime
    maximum: float
    maximum_step: int
    maximum_at: datetime
    first: float
    first_step: int
    first_at: datetime
    last: float
    last_step: int
    last_at: datetime
    total: float
    std: float | None = None

    @property
    def mean(self) -> float:
        """total / count: NaN if any value is."""
        return self.total / self.count

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


class Summaries(Table[Summary]):
    """Ordered by run and metric."""

    _kind = Summary
