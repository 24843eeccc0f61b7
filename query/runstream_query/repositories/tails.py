"""Tails of curves: what a series has behind a position of the log."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from runstream.events.positions import Positions
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.tails import TailPart, new_points_statement, tails_statement
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class NewPoints:
    """A series that got points: how many it has in all, how many are new, and the lowest and highest step of the new
    ones (None: none of them has a step) and time (microseconds since 1970 UTC; None where nobody asked)."""

    run: str
    metric: str
    count: int
    new: int
    low: int | None
    high: int | None
    low_us: int | None
    high_us: int | None


class TailRepository:
    """Reads tails. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def new_points(
        self, scope: Scope, series: Sequence[tuple[str, str]], seen: Positions, times: bool
    ) -> list[NewPoints]:
        """Return those of the series (run, metric) that got points behind a position of the log, in no order. A series
        is found once its summary is visible; points may be a second ahead of theirs. times: of the new points too."""
        parameters = Parameters()
        sql = new_points_statement(series, seen, times, parameters, scope)
        return await self._reader.records(lambda row: NewPoints(**row), sql, parameters)

    async def buckets(self, scope: Scope, parts: Sequence[TailPart], per_series: int, limit: int) -> pa.Table:
        """Return buckets (part, run, metric, x, count, nan_count, min, max, mean) as those of charts, in this order;
        of each series `per_series` at most. part: its number. What a metric has in front of the place that it is
        wanted from may be among them, where another one of its run is wanted from an earlier place."""
        parameters = Parameters()
        sql = tails_statement(parts, per_series, limit, parameters, scope)
        return await self._reader.table(sql, parameters)
