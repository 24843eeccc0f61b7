"""Charts over HTTP: many series in buckets, few bytes each, every run as fine as it needs to be.

`/api/v1/series` has one width for all series of a request. A page that shows a run of ten million steps beside runs of
ten thousand would have one bucket of each short one. Here each run has buckets of its own width.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web
from pydantic import Field as ModelField
from pydantic import TypeAdapter, model_validator

from runstream.events.names import NO_STEP
from runstream.events.positions import Positions
from runstream_query.chart_responses import Charts, ChartSeries
from runstream_query.errors import InvalidRequest
from runstream_query.http.arrow import ARROW, stream_tables
from runstream_query.http.context import Context
from runstream_query.http.globs import chosen
from runstream_query.http.packing import Packed, curves_of, packed, series_of
from runstream_query.http.requests import PastParameters, RequestParameters
from runstream_query.http.series import names_of, refuse_too_many, wants_arrow
from runstream_query.http.unknown import refuse_unknown_runs, unknown_header, unknown_metrics
from runstream_query.repositories.arguments import Chart, ChartAxis, Range
from runstream_query.repositories.buckets import power_of_two_width
from runstream_query.repositories.charts import Extent
from runstream_query.repositories.summaries import SeriesRecord
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

#: The member of the Arrow schema's metadata that describes the series, a JSON list of `ChartSeries`.
SERIES_KEY: Final = b"runstream.series"
_SERIES: Final = TypeAdapter(list[ChartSeries])


class AxisParameters(RequestParameters):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(min_length=1, max_length=1000, description="names or globs (val/*)")
    max_points: int = ModelField(default=1000, ge=2, description="buckets a series at most")
    x: ChartAxis = ModelField(
        default="step",
        description="what the axis is: steps, times (microseconds since 1970 UTC), or times since the run began "
        "(microseconds). Points without a step are on the axes of times alone",
    )
    x_from: int | None = ModelField(default=None, ge=-(2**63), lt=2**63, description="the first place, inclusive")
    x_to: int | None = ModelField(default=None, ge=-(2**63), lt=2**63, description="the last place, inclusive")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.x_from is not None and self.x_to is not None and self.x_from > self.x_to:
            raise ValueError(f"x_from {self.x_from} is behind x_to {self.x_to}: swap them")
        return self


class ChartParameters(AxisParameters, PastParameters):
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
        return (
            await _stream(context, call.request, _nothing(double), told) if arrow else Charts(series=[], unknown=told)
        )
    chart = await chart_of(context, parameters, found, prefix)
    limit = context.settings.max_buckets if arrow else context.settings.max_json_buckets
    table, widths = await _buckets(context, chart, found, parameters.max_points, limit)
    refuse_too_many(table, limit, arrow)
    if arrow:
        content = await asyncio.to_thread(lambda: packed(table, chart, found, widths, double=double))
        return await _stream(context, call.request, content, told)
    curves = await asyncio.to_thread(lambda: curves_of(table, series_of(table, chart, found, widths)))
    return Charts(series=curves, unknown=told)


async def _found_then(context: Context, found: Sequence[SeriesRecord], prefix: Positions) -> list[SeriesRecord]:
    """Return the series with as many points as they had then."""
    counts = await context.repositories.series.counts(context.scope, names_of(found), Range(as_of=prefix))
    then = {(one.run, one.metric): one.count for one in counts}
    return [replace(one, count=then[one.run, one.metric]) for one in found if (one.run, one.metric) in then]


async def _buckets(
    context: Context, chart: Chart, found: Sequence[SeriesRecord], max_points: int, limit: int
) -> tuple[pa.Table, dict[str, int]]:
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
) -> tuple[dict[str, int], pa.Table]:
    widths = {one.run: _width(one, chart, max_points) for one in extents}
    runs_by_width: dict[int, list[str]] = {}
    for run, width in widths.items():
        runs_by_width.setdefault(width, []).append(run)
    if not runs_by_width:
        # The same statement without any row.
        runs_by_width = {1: []}
    return widths, await context.repositories.charts.buckets(context.scope, chart, runs_by_width, limit + 1)


async def series_of_chart(context: Context, parameters: AxisParameters) -> tuple[list[SeriesRecord], list[str]]:
    """Return the series that a request means, and what it names that nothing has. Raises InvalidRequest, NotFound."""
    if parameters.max_points > context.settings.max_points_limit:
        raise InvalidRequest(
            f"max_points is {parameters.max_points}: at most {context.settings.max_points_limit} are allowed",
            name="max_points",
        )
    found = await chosen(context, parameters.runs, parameters.metrics)
    await refuse_unknown_runs(context, parameters.runs, {one.run for one in found})
    return found, await unknown_metrics(context, parameters.runs, parameters.metrics, {one.metric for one in found})


async def chart_of(
    context: Context, parameters: AxisParameters, found: Sequence[SeriesRecord], as_of: Positions | None = None
) -> Chart:
    """Return the chart of the series, `found` being some."""
    runs = tuple(dict.fromkeys(one.run for one in found))
    starts: tuple[int, ...] = ()
    if parameters.x == "relative":
        started_us = await context.repositories.runs.started_us(context.scope, runs)
        starts = tuple(started_us.get(run, 0) for run in runs)
    metrics = tuple(sorted({one.metric for one in found}))
    return Chart(runs, metrics, parameters.x, parameters.x_from, parameters.x_to, as_of, starts)


async def _extents_of(context: Context, chart: Chart, found: Sequence[SeriesRecord]) -> Sequence[Extent]:
    """Return the extents of the runs, by their summaries where these say all that is needed."""
    whole = chart.axis == "step" and (chart.low, chart.high, chart.as_of) == (None, None, None)
    if not whole or any(one.first_step == NO_STEP for one in found):
        return await context.repositories.charts.extents(context.scope, chart)
    extents: dict[str, Extent] = {}
    for one in found:
        was = extents.get(one.run, Extent(one.run, 0, one.first_step, one.last_step))
        low, high = min(was.low, one.first_step), max(was.high, one.last_step)
        extents[one.run] = Extent(one.run, max(was.count, one.count), low, high)
    return list(extents.values())


def _width(extent: Extent, chart: Chart, max_points: int) -> int:
    """How wide the buckets of a run are. Where it has few enough points, each place is a bucket."""
    if extent.count <= max_points:
        return 1
    return width_between(extent.low, extent.high, chart, max_points)


def width_between(low: int, high: int, chart: Chart, max_points: int) -> int:
    """Return the width of buckets from `low` to `high`, as far as the chart shows these."""
    low = low if chart.low is None else max(low, chart.low)
    high = high if chart.high is None else min(high, chart.high)
    return power_of_two_width(low, max(low, high), max_points)


async def _stream(context: Context, request: web.Request, content: Packed, told: Sequence[str]) -> web.StreamResponse:
    schema = content.table.schema.with_metadata({SERIES_KEY: _SERIES.dump_json(list(content.series))})

    async def tables() -> AsyncGenerator[pa.Table, None]:
        async with context.outgoing.holding(2 * content.table.nbytes):
            yield content.table

    return await stream_tables(context, request, schema, tables(), unknown_header(told))


def _nothing(double: bool) -> Packed:
    number = pa.float64() if double else pa.float32()
    types = {"x": pa.uint32(), "min": number, "max": number, "mean": number, "flags": pa.uint8()}
    return Packed(pa.table({name: pa.array([], kind) for name, kind in types.items()}), ())


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/charts",
        Action.READ,
        "Curves for charts: buckets as wide as each run needs them, in few bytes",
        charts,
        ChartParameters,
        Charts,
        (ARROW,),
        query_class=QueryClass.HEAVY,
        examples={"two charts of two runs": {"runs": ["r1", "r2"], "metrics": ["loss", "acc"], "max_points": 500}},
    ),
)
