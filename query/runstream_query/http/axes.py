"""The axis of a chart: what a request says of it, and what has to be known of the runs to place their points on it."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field as ModelField
from pydantic import StrictFloat, StrictInt, StringConstraints, model_validator

from runstream.events.limits import MAX_METRIC_NAME_BYTES
from runstream.events.positions import Positions
from runstream.globs import exact
from runstream_model.activity import Piece, pauses, pieces, vanished_writers, writer_number
from runstream_model.run_state import RunState, started_at_us
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.globs import chosen
from runstream_query.http.lanes import states_of
from runstream_query.http.requests import RequestParameters
from runstream_query.http.unknown import refuse_unknown_runs, unknown_metrics
from runstream_query.repositories.arguments import Chart, ChartAxis
from runstream_query.repositories.buckets import power_of_two_float_width, power_of_two_width
from runstream_query.repositories.summaries import SeriesRecord

_METRIC: Final = "metric:"
_LEAST: Final = -(2**63)
#: JSON numbers with a point or an exponent are floats.
Place: TypeAlias = StrictInt | StrictFloat


class AxisParameters(RequestParameters):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(min_length=1, max_length=1000, description="names or globs (val/*)")
    max_points: int = ModelField(default=1000, ge=2, description="buckets a series at most")
    x: (
        Literal["step", "time", "relative", "active", "epoch"]
        | Annotated[str, StringConstraints(pattern="^metric:", max_length=len(_METRIC) + MAX_METRIC_NAME_BYTES)]
    ) = ModelField(
        default="step",
        description="what the axis is: steps; times (microseconds since 1970 UTC); times since the run began, with the "
        "pauses between its attempts (relative) or without them (active) (microseconds); epochs; or metric:NAME, the "
        "value that another metric of the run has at the same step, the last one in the order of points. Points "
        "without a place are left out",
    )
    x_from: Place | None = ModelField(
        default=None,
        description="the first place, inclusive: a whole number of 64 bits, or, on the axis of a metric, any number",
    )
    x_to: Place | None = ModelField(default=None, description="the last place, inclusive")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, place in (("x_from", self.x_from), ("x_to", self.x_to)):
            if self.chart_axis == "metric":
                if place is not None and not abs(place) <= sys.float_info.max:
                    raise ValueError(f"{name} is beyond the largest float: leave it out")
            elif isinstance(place, float):
                raise ValueError(f"{name} is {place}: places on the axis {self.x} are whole numbers")
            elif place is not None and not _LEAST <= place < -_LEAST:
                raise ValueError(f"{name} is {place}: give a number of 64 bits, or leave it out")
        if self.x_from is not None and self.x_to is not None and self.x_from > self.x_to:
            raise ValueError(f"x_from {self.x_from} is behind x_to {self.x_to}: swap them")
        return self

    @property
    def chart_axis(self) -> ChartAxis:
        """Return the kind of axis."""
        match self.x:
            case "step" | "time" | "relative" | "active" | "epoch":
                return self.x
            case _:
                return "metric"

    @property
    def x_metric(self) -> str:
        """Return the name of the metric that is the axis; empty on other axes."""
        return self.x.removeprefix(_METRIC) if self.chart_axis == "metric" else ""


async def series_of_chart(context: Context, parameters: AxisParameters) -> tuple[list[SeriesRecord], list[str]]:
    """Return the series that a request means, and what it names that nothing has. Raises InvalidRequest, NotFound."""
    if parameters.max_points > context.settings.max_points_limit:
        raise InvalidRequest(
            f"max_points is {parameters.max_points}: at most {context.settings.max_points_limit} are allowed",
            name="max_points",
        )
    found = await chosen(context, parameters.runs, parameters.metrics)
    await refuse_unknown_runs(context, parameters.runs, {one.run for one in found})
    have = {one.metric for one in found}
    told = await unknown_metrics(context, parameters.runs, parameters.metrics, have)
    x_metric = parameters.x_metric
    if x_metric and x_metric not in have:
        named = await context.repositories.summaries.series(context.scope, parameters.runs, [exact(x_metric)], 1)
        told = told if named else [*told, *await unknown_metrics(context, parameters.runs, [x_metric], set())]
    return found, told


async def chart_of(
    context: Context, parameters: AxisParameters, found: Sequence[SeriesRecord], as_of: Positions | None = None
) -> Chart:
    """Return the chart of the series, `found` being some."""
    runs = tuple(dict.fromkeys(one.run for one in found))
    starts: tuple[int, ...] = ()
    active: tuple[tuple[Piece, ...], ...] = ()
    axis = parameters.chart_axis
    if axis == "relative":
        started_us = await context.repositories.runs.started_us(context.scope, runs)
        starts = tuple(started_us.get(run, 0) for run in runs)
    if axis == "active":
        active = await _pieces_of(context, runs)
    metrics = tuple(sorted({one.metric for one in found}))
    ends = (parameters.x_from, parameters.x_to)
    return Chart(runs, metrics, axis, *ends, as_of, starts, active, parameters.x_metric)


def width_between(low: float, high: float, chart: Chart, max_points: int) -> float:
    """Return the width of buckets from `low` to `high`, as far as the chart shows these."""
    low = low if chart.low is None else max(low, chart.low)
    high = max(low, high if chart.high is None else min(high, chart.high))
    if chart.whole:
        return power_of_two_width(int(low), int(high), max_points)
    return power_of_two_float_width(low, high, max_points)


async def _pieces_of(context: Context, runs: Sequence[str]) -> tuple[tuple[Piece, ...], ...]:
    """Return the active time of each of the runs."""
    states = await states_of(context, runs)
    vanished = {run: [writer_number(writer) for writer in vanished_writers(state)] for run, state in states.items()}
    wanted = {run: numbers for run, numbers in vanished.items() if numbers}
    last_points = await context.repositories.series.last_points(context.scope, wanted) if wanted else {}
    return tuple(tuple(_pieces(states.get(run), last_points.get(run, {}))) for run in runs)


def _pieces(state: RunState | None, last_points: Mapping[int, int]) -> list[Piece]:
    if state is None:
        return pieces(0, ())
    return pieces(started_at_us(state), pauses(state, last_points))
