"""Charts over HTTP: many series in buckets, few bytes each, every run as fine as it needs to be.

`/api/v1/series` has one width for all series of a request. A page that shows a run of ten million steps beside runs of
ten thousand would have one bucket of each short one. Here each run has buckets of its own width.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web
from pydantic import Field as ModelField
from pydantic import TypeAdapter

from runstream.events.names import NO_STEP
from runstream.events.positions import Positions
from runstream_query.chart_responses import Charts, ChartSeries
from runstream_query.http.arrow import ARROW, stream_tables
from runstream_query.http.axes import AxisParameters, chart_of, series_of_chart, width_between
from runstream_query.http.context import Context
from runstream_query.http.lanes import written_of
from runstream_query.http.packing import Described, Packed, curves_of, nothing, packed, series_of
from runstream_query.http.requests import PastParameters
from runstream_query.http.series import names_of, refuse_too_many, wants_arrow
from runstream_query.http.tables import CSV
from runstream_query.http.unknown import unknown_header
from runstream_query.repositories.arguments import Chart, Range
from runstream_query.repositories.charts import Extent
from runstream_query.repositories.summaries import SeriesRecord
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

#: The member of the Arrow schema's metadata that describes the series, a JSON list of `ChartSeries`.
SERIES_KEY: Final = b"runstream.series"
_SERIES: Final = TypeAdapter(list[ChartSeries])


class ChartParameters(AxisParameters, PastParameters):
    by: Literal["series", "writer"] = ModelField(
        default="series",
        description="writer: a curve for each writer of a run, with its rank and attempt; reads every point",
    )
    precision: Literal["single", "double"] = ModelField(
        default="single",
        description="Arrow: extremes and means as 32-bit floats, the extremes rounded outward, or as 64-bit floats",
    )


async def charts(context: Context, call: Call[ChartParameters]) -> Charts | web.StreamResponse:
    """Series in buckets. A metric that a run does not have is left out; an unknown run is an error."""
    parameters, arrow = call.parameters, wants_arrow(call.request)
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    found, told = await series_of_chart(context, parameters)
    if prefix is not None and found:
        found = await _found_then(context, found, prefix)
    double = parameters.precision == "double"
    if not found:
        empty = nothing(parameters.chart_axis != "metric", double=double)
        return await _stream(context, call.request, empty, told) if arrow else Charts(series=[], unknown=told)
    chart = await chart_of(context, parameters, found, prefix)
    written = None
    if parameters.by == "writer":
        written = await written_of(context, chart)
        chart = replace(chart, lanes=written.lanes())
    limit = context.settings.max_buckets if arrow else context.settings.max_json_buckets
    table, widths = await _buckets(context, chart, found, parameters.max_points, limit)
    refuse_too_many(table, limit, arrow)
    described = Described.of(chart, found, widths, written)
    if arrow:
        content = await asyncio.to_thread(lambda: packed(table, chart, described, double=double))
        return await _stream(context, call.request, content, told)
    curves = await asyncio.to_thread(lambda: curves_of(table, series_of(table, chart, described)))
    return Charts(series=curves, unknown=told)


async def _found_then(context: Context, found: Sequence[SeriesRecord], prefix: Positions) -> list[SeriesRecord]:
    """Return the series with as many points as they had then."""
    counts = await context.repositories.series.counts(context.scope, names_of(found), Range(as_of=prefix))
    then = {(one.run, one.metric): one.count for one in counts}
    return [replace(one, count=then[one.run, one.metric]) for one in found if (one.run, one.metric) in then]


async def _buckets(
    context: Context, chart: Chart, found: Sequence[SeriesRecord], max_points: int, limit: int
) -> tuple[pa.Table, dict[str, float]]:
    """Return the buckets, at most `limit` + 1, and the width of each run's.

    Points are visible up to a second before the summaries that the first widths are made of. Where that makes a series
    longer than it may be, the widths are made of the points.
    """
    extents = await _extents_of(context, chart, found)
    widths, table = await _buckets_within(context, chart, extents, max_points, limit)
    longest = pc.max(pc.value_counts(table.column("series")).field("counts")).as_py() or 0
    if longest > max_points or table.num_rows > limit:
        extents = await context.repositories.charts.extents(context.scope, chart)
        widths, table = await _buckets_within(context, chart, extents, max_points, limit)
    return table, widths


async def _buckets_within(
    context: Context, chart: Chart, extents: Sequence[Extent], max_points: int, limit: int
) -> tuple[dict[str, float], pa.Table]:
    widths = {one.run: _width(one, chart, max_points) for one in extents}
    runs_by_width: dict[float, list[str]] = {}
    for run, width in widths.items():
        runs_by_width.setdefault(width, []).append(run)
    if not runs_by_width:
        # The same statement without any row.
        runs_by_width = {1: []}
    return widths, await context.repositories.charts.buckets(context.scope, chart, runs_by_width, limit + 1)


async def _extents_of(context: Context, chart: Chart, found: Sequence[SeriesRecord]) -> Sequence[Extent]:
    """Return the extents of the runs, by their summaries where these say all that is needed."""
    whole = chart.axis == "step" and (chart.low, chart.high, chart.as_of, chart.lanes) == (None, None, None, None)
    if not whole or any(one.first_step == NO_STEP for one in found):
        return await context.repositories.charts.extents(context.scope, chart)
    extents: dict[str, Extent] = {}
    for one in found:
        was = extents.get(one.run, Extent(one.run, 0, one.first_step, one.last_step))
        low, high = min(was.low, one.first_step), max(was.high, one.last_step)
        extents[one.run] = Extent(one.run, max(was.count, one.count), low, high)
    return list(extents.values())


def _width(extent: Extent, chart: Chart, max_points: int) -> float:
    """How wide the buckets of a run are. Where it has few enough points, each place is a bucket."""
    if extent.count <= max_points:
        return 1 if chart.whole else 0.0
    return width_between(extent.low, extent.high, chart, max_points)


async def _stream(context: Context, request: web.Request, content: Packed, told: Sequence[str]) -> web.StreamResponse:
    schema = content.table.schema.with_metadata(
        {SERIES_KEY: _SERIES.dump_json(list(content.series), exclude_none=True)}
    )

    async def tables() -> AsyncGenerator[pa.Table, None]:
        async with context.outgoing.holding(2 * content.table.nbytes):
            yield content.table

    return await stream_tables(context, request, schema, tables(), unknown_header(told))


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/charts",
        Action.READ,
        "Curves for charts: buckets as wide as each run needs them, in few bytes",
        charts,
        ChartParameters,
        Charts,
        (ARROW, CSV),
        query_class=QueryClass.HEAVY,
        examples={"two charts of two runs": {"runs": ["r1", "r2"], "metrics": ["loss", "acc"], "max_points": 500}},
        timeless=True,
    ),
)
