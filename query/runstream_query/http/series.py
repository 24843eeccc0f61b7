"""Curves over HTTP: all points or buckets, of many runs and metrics, as an Arrow stream or JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web
from pydantic import Field as ModelField

from runstream.events.moments import micros_of
from runstream.events.names import NO_STEP
from runstream.events.positions import Positions
from runstream.globs import is_glob
from runstream_query.errors import InvalidRequest, LimitExceeded, NotFound
from runstream_query.http.arrow import ARROW, ENVELOPE_FIELDS, POINTS_SCHEMA, stream_tables
from runstream_query.http.context import Context
from runstream_query.http.curves import curves_of, envelopes_of
from runstream_query.http.globs import chosen, near_metric
from runstream_query.http.requests import PastParameters
from runstream_query.http.serving import POSITION_HEADER
from runstream_query.http.tables import CSV, stream_csv, wants_csv
from runstream_query.http.unknown import refuse_unknown_runs, unknown_header, unknown_metrics
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.buckets import bucket_width
from runstream_query.repositories.series import Axis
from runstream_query.repositories.statements.series import Behind, Counted, Names, reads_of, step_width
from runstream_query.repositories.summaries import SeriesRecord
from runstream_query.responses import Curve, Series
from runstream_query.table_rows import rows_of
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

WIDTH_HEADER: Final = "Runstream-Bucket-Width"
#: What a point of a piece takes while it is sent: as the store gave it, and as it is encoded.
_POINT_BYTES: Final = 100
#: Of a table of points, made into rows at once.
_CSV_ROWS: Final = 20_000


class RangeParameters(PastParameters):
    max_points: int | None = ModelField(
        default=None, ge=2, description="buckets a series at most; none means all points"
    )
    step_from: int | None = ModelField(default=None, ge=-(2**63), lt=2**63)
    step_to: int | None = ModelField(default=None, ge=-(2**63), lt=2**63)
    time_from: datetime | None = None
    time_to: datetime | None = None
    by: Axis = ModelField(default="step", description="what buckets divide: steps or time")
    epochs: bool = ModelField(
        default=False,
        description="also the epoch that each point was logged in, null where it has none: a last column `epoch` of "
        "the Arrow stream, a list `epochs` in JSON. Only of all points, not with max_points",
    )


class SeriesParameters(RangeParameters):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(min_length=1, max_length=1000, description="names or globs (val/*)")


class OneSeriesParameters(RangeParameters):
    metrics: list[str] = ModelField(min_length=1, max_length=1000, description="names or globs (val/*)")


async def many_series(context: Context, call: Call[SeriesParameters]) -> Series | web.StreamResponse:
    """Series of several runs and metrics. A metric that a run does not have is left out; an unknown run is an error."""
    parameters = call.parameters
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    found = await chosen(context, parameters.runs, parameters.metrics)
    await refuse_unknown_runs(context, parameters.runs, {one.run for one in found})
    told = await unknown_metrics(context, parameters.runs, parameters.metrics, {one.metric for one in found})
    return await _respond(context, call.request, parameters, prefix, found, told)


async def one_series(context: Context, call: Call[OneSeriesParameters]) -> Series | web.StreamResponse:
    """Series of one run. A metric (not a glob) that it does not have is an error."""
    run, parameters = call.path["run"], call.parameters
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    found = await chosen(context, [run], parameters.metrics)
    have = {one.metric for one in found}
    for name in parameters.metrics:
        if name not in have and not is_glob(name):
            await context.require_run(run)
            near = await near_metric(context, [run], name)
            raise NotFound(f"run {run!r} has no metric {name!r}{near}: its summaries list what it has")
    if not found:
        await context.require_run(run)
    return await _respond(context, call.request, parameters, prefix, found)


async def _respond(
    context: Context,
    request: web.Request,
    parameters: RangeParameters,
    prefix: Positions | None,
    found: Sequence[SeriesRecord],
    told: Sequence[str] = (),
) -> Series | web.StreamResponse:
    """`told`: what is told beside the response."""
    wanted = _range(parameters, prefix)
    arrow = wants_arrow(request)
    if parameters.max_points is None:
        if arrow:
            return await _stream_points(context, request, found, wanted, parameters.epochs, unknown_header(told))
        if wants_csv(request):
            return await _csv_points(context, request, found, wanted, parameters.epochs, unknown_header(told))
        curves = await _json_points(context, found, wanted, parameters.epochs)
        return Series(curves=curves, unknown=list(told))
    if parameters.epochs:
        raise InvalidRequest("buckets have no epochs: leave max_points out, or epochs", name="epochs")
    if parameters.max_points > context.settings.max_points_limit:
        raise InvalidRequest(
            f"max_points is {parameters.max_points}: at most {context.settings.max_points_limit} are allowed, or "
            "leave it out for all points",
            name="max_points",
        )
    if not found:
        table, width = None, 1
    else:
        limit = context.settings.max_buckets if arrow else context.settings.max_json_buckets
        table, width = await _buckets(context, found, wanted, parameters.by, parameters.max_points, limit)
        refuse_too_many(table, limit, arrow)
    if arrow:
        return await _stream_table(context, request, table, {WIDTH_HEADER: str(width), **unknown_header(told)})
    envelopes = [] if table is None else await asyncio.to_thread(envelopes_of, table)
    return Series(envelopes=envelopes, width=width, unknown=list(told))


def refuse_too_many(table: pa.Table, limit: int, arrow: bool) -> None:
    """Raise LimitExceeded if the table has more buckets than a response may have."""
    if table.num_rows <= limit:
        return
    way = "ask for fewer runs or metrics, or a smaller max_points"
    if not arrow:
        way += f", or for an Arrow stream (Accept: {ARROW})"
    raise LimitExceeded(
        f"these series have more than {limit} buckets, which is the limit of one response: {way}",
        limit="max_buckets" if arrow else "max_json_buckets",
        value=limit,
    )


def wants_arrow(request: web.Request) -> bool:
    """Whether the request accepts an Arrow stream rather than JSON. Raises InvalidRequest if it accepts neither."""
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "*/*").split(",")]
    if ARROW in accepted:
        return True
    if not {"*/*", "application/json", "application/*", CSV, ""} & set(accepted):
        raise InvalidRequest(
            f"Accept is {', '.join(accepted)}: series come as {ARROW}, {CSV} or application/json", name="Accept"
        )
    return False


def _range(parameters: RangeParameters, prefix: Positions | None) -> Range:
    if (
        parameters.step_from is not None
        and parameters.step_to is not None
        and parameters.step_from > parameters.step_to
    ):
        raise InvalidRequest(
            f"step_from {parameters.step_from} is behind step_to {parameters.step_to}: swap them", name="step_from"
        )
    if (
        parameters.time_from is not None
        and parameters.time_to is not None
        and _micros(parameters.time_from) > _micros(parameters.time_to)
    ):
        raise InvalidRequest("time_from is behind time_to: swap them", name="time_from")
    return Range(
        parameters.step_from,
        parameters.step_to,
        None if parameters.time_from is None else _micros(parameters.time_from),
        None if parameters.time_to is None else _micros(parameters.time_to),
        prefix,
    )


def _micros(moment: datetime) -> int:
    return micros_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


async def _buckets(
    context: Context, found: Sequence[SeriesRecord], wanted: Range, axis: Axis, max_points: int, limit: int
) -> tuple[pa.Table, int]:
    """The buckets of all series in one table, `limit` + 1 at most, and their width (steps or microseconds)."""
    names, series = names_of(found), context.repositories.series
    if axis == "step" and wanted.by_steps_alone:
        extent = await _step_extent(context, found, names, wanted)
    else:
        extent = await series.extent(context.scope, names, wanted, axis) or (0, 0)
    width = bucket_width(*extent, max_points, 1) if axis == "time" else step_width(*extent, max_points)
    return await series.buckets(context.scope, names, wanted, axis, width, limit + 1), width


async def _step_extent(context: Context, found: Sequence[SeriesRecord], names: Names, wanted: Range) -> tuple[int, int]:
    low = min(one.first_step for one in found)
    high = max(one.last_step for one in found)
    if low == NO_STEP:
        # Points without a step are one bucket at the very left and must not stretch all others.
        low, high = await context.repositories.series.step_extent(context.scope, names) or (0, 0)
    low = low if wanted.step_from is None else max(low, wanted.step_from)
    high = high if wanted.step_to is None else min(high, wanted.step_to)
    return (low, high) if low <= high else (low, low)


def names_of(found: Sequence[SeriesRecord]) -> Names:
    return Names(tuple(dict.fromkeys(one.run for one in found)), tuple(sorted({one.metric for one in found})))


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads that give all points of a range: which series each has; how many points there are in all, and how many
    have the series that are too large for one read."""

    names: Sequence[Names]
    total: int
    large: Mapping[Names, int]


async def reads_for(context: Context, found: Sequence[SeriesRecord], wanted: Range) -> Reads:
    """`found`: the series with how many points they have in all, ordered by run."""
    counts: Sequence[Counted] = found
    if found and wanted != Range():
        counts = await context.repositories.series.counts(context.scope, names_of(found), wanted)
    limit = context.settings.points_per_read
    large = {Names((one.run,), (one.metric,)): one.count for one in counts if one.count > limit}
    return Reads(reads_of(counts, limit), sum(one.count for one in counts), large)


async def _json_points(context: Context, found: Sequence[SeriesRecord], wanted: Range, epochs: bool) -> list[Curve]:
    reads = await reads_for(context, found, wanted)
    limit = context.settings.max_json_points
    if reads.total > limit:
        raise InvalidRequest(
            f"these series have {reads.total} points, JSON has room for {limit}: ask for a view with max_points, or "
            f"for all of them with Accept: {ARROW}",
            name="max_points",
        )
    curves: list[Curve] = []
    for names in reads.names:
        table = await context.repositories.series.points(context.scope, names, wanted, epochs=epochs)
        curves.extend(await asyncio.to_thread(curves_of, table))
    return curves


async def tables_of(context: Context, reads: Reads, wanted: Range, epochs: bool) -> AsyncGenerator[pa.Table, None]:
    """All points in tables of `points_per_read` at most, one at a time. What is yielded counts as held until the next
    one is asked for."""
    limit = context.settings.points_per_read
    held_bytes = min(reads.total, limit) * _POINT_BYTES
    for names in reads.names:
        if names not in reads.large:
            async with context.outgoing.holding(held_bytes):
                yield await context.repositories.series.points(context.scope, names, wanted, epochs=epochs)
            continue
        behind: Behind | None = None
        rows = limit
        while rows == limit:
            async with context.outgoing.holding(held_bytes):
                table = await context.repositories.series.piece(
                    context.scope, names, wanted, behind, limit, epochs=epochs
                )
                rows = table.num_rows
                if rows:
                    behind = _behind(table, behind)
                    yield table


def _behind(table: pa.Table, before: Behind | None) -> Behind:
    """Where the piece behind this one begins."""
    steps, at_us = table.column("step"), table.column("at").cast(pa.int64())
    step, moment_us = steps[-1].as_py(), at_us[-1].as_py()
    same = pc.sum(pc.and_(pc.equal(steps, step), pc.equal(at_us, moment_us))).as_py()
    if before is not None and (before.step, before.at_us) == (step, moment_us):
        same += before.skip
    return Behind(step, moment_us, same)


async def _stream_points(
    context: Context,
    request: web.Request,
    found: Sequence[SeriesRecord],
    wanted: Range,
    epochs: bool,
    headers: dict[str, str],
) -> web.StreamResponse:
    reads = await reads_for(context, found, wanted)
    schema = POINTS_SCHEMA.append(pa.field("epoch", pa.int64())) if epochs else POINTS_SCHEMA
    return await stream_tables(context, request, schema, tables_of(context, reads, wanted, epochs), headers)


async def _csv_points(
    context: Context,
    request: web.Request,
    found: Sequence[SeriesRecord],
    wanted: Range,
    epochs: bool,
    headers: dict[str, str],
) -> web.StreamResponse:
    """All points as CSV, however many there are."""
    reads = await reads_for(context, found, wanted)

    async def pages() -> AsyncIterator[Iterable[Sequence[Any]]]:
        async with aclosing(tables_of(context, reads, wanted, epochs)) as tables:
            async for table in tables:
                for begin in range(0, table.num_rows, _CSV_ROWS):
                    curves = await asyncio.to_thread(curves_of, table.slice(begin, _CSV_ROWS))
                    yield rows_of(Series(curves=curves)).rows

    header = ["run", "metric", "step", "at", "value", "writer", *(["epoch"] if epochs else [])]
    position = {POSITION_HEADER: str(context.visibility.visible())}
    return await stream_csv(context, request, header, pages(), {**position, **headers})


async def _stream_table(
    context: Context, request: web.Request, table: pa.Table | None, headers: dict[str, str]
) -> web.StreamResponse:
    fields = list(ENVELOPE_FIELDS)
    if table is not None and "first_at" in table.column_names:
        fields += [("first_at", pa.timestamp("us", tz="UTC")), ("last_at", pa.timestamp("us", tz="UTC"))]

    async def tables() -> AsyncGenerator[pa.Table, None]:
        if table is not None:
            async with context.outgoing.holding(2 * table.nbytes):
                yield table

    return await stream_tables(context, request, pa.schema(fields), tables(), headers)


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/series",
        Action.READ,
        "Curves of many runs and metrics",
        many_series,
        SeriesParameters,
        Series,
        (ARROW, CSV),
        query_class=QueryClass.HEAVY,
        examples={"two curves": {"runs": ["r1", "r2"], "metrics": ["loss"], "max_points": 500}},
        timeless=True,
    ),
    Route(
        "GET",
        "/api/v1/runs/{run}/series",
        Action.READ,
        "Curves of one run",
        one_series,
        OneSeriesParameters,
        Series,
        (ARROW, CSV),
        query_class=QueryClass.HEAVY,
        timeless=True,
    ),
)
