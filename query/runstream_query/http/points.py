"""Logged points near a place, of many series at once: what a chart shows under the cursor."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Final

import pyarrow as pa
from aiohttp import web
from pydantic import Field as ModelField

from runstream_query.errors import LimitExceeded
from runstream_query.http.arrow import ARROW, POINTS_SCHEMA, stream_tables
from runstream_query.http.context import Context
from runstream_query.http.curves import curves_of
from runstream_query.http.globs import chosen
from runstream_query.http.requests import PastParameters
from runstream_query.http.series import names_of, wants_arrow
from runstream_query.http.unknown import refuse_unknown_runs, unknown_header, unknown_metrics
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.series import Axis
from runstream_query.responses import Series
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

_LEAST: Final = -(2**63)
_SCHEMA: Final = POINTS_SCHEMA.append(pa.field("epoch", pa.int64()))


class PointsParameters(PastParameters):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(min_length=1, max_length=1000, description="names or globs (val/*)")
    x: Axis = ModelField(
        default="step",
        description="the axis: steps, or times (microseconds since 1970 UTC), on which points without a step are, too",
    )
    near: int = ModelField(ge=_LEAST, lt=-_LEAST, description="the place on the axis that points are near to")
    points: int = ModelField(default=1, ge=1, le=100, description="how many points of each series")
    x_from: int | None = ModelField(
        default=None,
        ge=_LEAST,
        lt=-_LEAST,
        description="only points from this place on; of a long series far fewer are looked at",
    )
    x_to: int | None = ModelField(default=None, ge=_LEAST, lt=-_LEAST, description="only points up to this place")


async def nearest_points(context: Context, call: Call[PointsParameters]) -> Series | web.StreamResponse:
    """The logged points of each series that are nearest to a place. A metric that a run does not have is left out; an
    unknown run is an error."""
    parameters = call.parameters
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    found = await chosen(context, parameters.runs, parameters.metrics)
    await refuse_unknown_runs(context, parameters.runs, {one.run for one in found})
    told = await unknown_metrics(context, parameters.runs, parameters.metrics, {one.metric for one in found})
    limit = context.settings.max_json_points
    if len(found) * parameters.points > limit:
        raise LimitExceeded(
            f"{parameters.points} points of each of {len(found)} series are more than {limit}, which is the limit of "
            "one response (RUNSTREAM_QUERY_MAX_JSON_POINTS): ask for fewer points, runs or metrics",
            limit="max_json_points",
            value=limit,
        )
    low, high = parameters.x_from, parameters.x_to
    if parameters.x == "step":
        wanted = Range(step_from=low, step_to=high, as_of=prefix)
    else:
        wanted = Range(time_from_us=low, time_to_us=high, as_of=prefix)
    table: pa.Table = _SCHEMA.empty_table()
    if found:
        asked = (names_of(found), wanted, parameters.x, parameters.near, parameters.points)
        table = await context.repositories.series.nearest(context.scope, *asked)
    if wants_arrow(call.request):
        return await stream_tables(context, call.request, _SCHEMA, _alone(table), unknown_header(told))
    return Series(curves=await asyncio.to_thread(curves_of, table), unknown=told)


async def _alone(table: pa.Table) -> AsyncGenerator[pa.Table, None]:
    yield table


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/points",
        Action.READ,
        "Logged points near a place, of many series at once",
        nearest_points,
        PointsParameters,
        Series,
        (ARROW,),
        query_class=QueryClass.HEAVY,
        examples={"under the cursor": {"runs": ["r1", "r2"], "metrics": ["loss"], "near": 1000, "points": 3}},
    ),
)
