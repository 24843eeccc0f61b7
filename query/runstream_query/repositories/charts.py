"""Buckets of series for charts, as wide as each run needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from runstream_query.repositories.arguments import Chart
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.charts import (
    chart_extents_statement,
    chart_statement,
    grouped_statement,
    written_statement,
)
from runstream_query.repositories.statements.parameters import Parameters
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a run has points on an axis, and how many one of its series has at most."""

    run: str
    count: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class WrittenSeries:
    """How many points a writer (by number) logged to a series."""

    run: str
    metric: str
    writer: int
    count: int


class ChartRepository:
    """Reads charts. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def extents(self, scope: Scope, chart: Chart) -> list[Extent]:
        """Return the extents of the runs that have points in the range, by run. On the axis of steps up to 255 steps
        on either side of the range may count as well, and points without a step never do."""
        parameters = Parameters()
        sql = chart_extents_statement(chart, parameters, scope)
        return await self._reader.records(lambda row: Extent(**row), sql, parameters)

    async def written(self, scope: Scope, chart: Chart, limit: int) -> list[WrittenSeries]:
        """Return what each writer logged to the chart's series, wherever that is on its axis, by run, metric and
        writer. Reads all points."""
        parameters = Parameters()
        sql = written_statement(chart, limit, parameters, scope)
        return await self._reader.records(lambda row: WrittenSeries(**row), sql, parameters)

    async def buckets(self, scope: Scope, chart: Chart, widths: Mapping[float, Sequence[str]], limit: int) -> pa.Table:
        """Return the buckets (series, x, count, nan_count, min, max, mean), by series and x.

        widths: the runs whose buckets have this width, a power of two; other runs have none. On the axis of a metric 0
        stands for buckets of one place each. series: the number of the run in the chart, or that of the lane, times the
        number of its metrics, and that of the metric. x: the place of the bucket's first point. min, max and mean leave
        NaN out, and are NaN where a bucket holds nothing else.
        """
        parameters = Parameters()
        sql = chart_statement(chart, widths, limit, parameters, scope)
        return await self._reader.table(sql, parameters)

    async def groups(
        self, scope: Scope, chart: Chart, width: float, members: Sequence[Sequence[int]], limit: int
    ) -> pa.Table:
        """Return the buckets of groups of runs (series, x, runs, mean, sd, median, min, max), by series and x.

        members: of each run of the chart, or of each lane, the numbers of the groups that it is in. series: the number
        of the group times the number of metrics, and that of the metric. x: the place of the first point. mean, sd (of
        a sample: divided by one less than there are runs) and median are those of the runs' means in the bucket; min
        and max are those of all points. NaN is left out; what cannot be told is NaN.
        """
        parameters = Parameters()
        sql = grouped_statement(chart, width, members, limit, parameters, scope)
        return await self._reader.table(sql, parameters)
