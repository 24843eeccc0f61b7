"""Statements for charts: buckets of many series at once, each as wide as its run has it.

Widths are powers of two, so that the buckets of any two widths nest, and those of 256 steps and more come from the
roll-up. A row says where the first point of its bucket is: a bucket of one point is that point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from runstream.events.names import NO_STEP
from runstream_query.repositories.arguments import Chart, Range
from runstream_query.repositories.buckets import toward_zero
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import (
    BUCKET_STEPS,
    EXACT_AGGREGATES,
    Names,
    points_condition,
    projected_rows,
)
from runstream_service.access import Scope

#: What a chart has of a bucket.
_ROW: Final = "run, metric, begin, n, nans, low, high, total"


def chart_extents_statement(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    """(run, count, low, high) of each run with points in the range: the most points that one of its series has, and its
    lowest and highest place on the axis. From the roll-up, a bucket that the range cuts counts as a whole."""
    if _is_rolled_up(chart):
        steps = _steps(chart)
        place, condition = "step", _names(chart).condition(parameters, scope)
        # Whatever has no step is in this bucket.
        condition += f" AND intDiv(step, 256) > {parameters.integer(toward_zero(NO_STEP, BUCKET_STEPS))}"
        if steps.step_from is not None:
            condition += f" AND intDiv(step, 256) >= {parameters.integer(toward_zero(steps.step_from, BUCKET_STEPS))}"
        if steps.step_to is not None:
            condition += f" AND intDiv(step, 256) <= {parameters.integer(toward_zero(steps.step_to, BUCKET_STEPS))}"
    else:
        place, condition = _place(chart, parameters), _condition(chart, parameters, scope)
    return (
        "SELECT run, max(n) AS count, min(begin) AS low, max(end) AS high FROM (SELECT run, metric, count() AS n, "
        f"min({place}) AS begin, max({place}) AS end FROM points WHERE {condition} GROUP BY run, metric) "
        "GROUP BY run ORDER BY run"
    )


def chart_statement(
    chart: Chart, widths: Mapping[int, Sequence[str]], limit: int, parameters: Parameters, scope: Scope
) -> str:
    """Buckets (series, x, count, nan_count, min, max, mean), by series and x. `series` is the number of the run in the
    chart times the number of metrics, and that of the metric; x is the place of the first point. `widths`: the runs
    whose buckets have this width."""
    rows = " UNION ALL ".join(
        f"SELECT {_ROW} FROM ({_rows(_of_runs(chart, runs), width, parameters, scope)})"
        for width, runs in widths.items()
    )
    run, metric = (
        f"transform(toString({column}), {parameters.texts(names)}, "
        f"{parameters.bind(list(range(len(names))), 'Array(UInt32)')}, toUInt32(0))"
        for column, names in (("run", chart.runs), ("metric", chart.metrics))
    )
    return (
        f"SELECT {run} * {parameters.bind(len(chart.metrics), 'UInt32')} + {metric} AS series, begin AS x, n AS count, "
        "nans AS nan_count, if(n > nans, low, nan) AS min, if(n > nans, high, nan) AS max, "
        f"if(n > nans, total / (n - nans), nan) AS mean FROM ({rows}) "
        f"ORDER BY series, x LIMIT {parameters.integer(limit)}"
    )


def _rows(chart: Chart, width: int, parameters: Parameters, scope: Scope) -> str:
    if _is_rolled_up(chart) and width >= BUCKET_STEPS:
        return projected_rows(_names(chart), _steps(chart), width, parameters, scope)
    place = _place(chart, parameters)
    return (
        f"SELECT run, metric, intDiv({place}, {parameters.integer(width)}) AS bucket, min({place}) AS begin, "
        f"{EXACT_AGGREGATES} FROM points WHERE {_condition(chart, parameters, scope)} GROUP BY run, metric, bucket"
    )


def _is_rolled_up(chart: Chart) -> bool:
    return chart.axis == "step" and chart.as_of is None


def _names(chart: Chart) -> Names:
    return Names(chart.runs, chart.metrics)


def _of_runs(chart: Chart, runs: Sequence[str]) -> Chart:
    """The same chart of some of its runs."""
    starts = dict(zip(chart.runs, chart.starts_us, strict=True)) if chart.starts_us else {}
    return replace(chart, runs=tuple(runs), starts_us=tuple(starts[run] for run in runs) if starts else ())


def _steps(chart: Chart) -> Range:
    """The range of steps, without the points that have none."""
    lowest = NO_STEP + 1
    return Range(lowest if chart.low is None else max(chart.low, lowest), chart.high, as_of=chart.as_of)


def _place(chart: Chart, parameters: Parameters) -> str:
    if chart.axis == "step":
        return "step"
    at_us = "toUnixTimestamp64Micro(at)"
    if chart.axis == "time":
        return at_us
    starts = parameters.bind(list(chart.starts_us), "Array(Int64)")
    return f"({at_us} - transform(toString(run), {parameters.texts(chart.runs)}, {starts}, toInt64(0)))"


def _condition(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    """The points of the chart, as a condition on the table."""
    if chart.axis == "step":
        return points_condition(_names(chart), _steps(chart), parameters, scope)
    if chart.axis == "time":
        wanted = Range(time_from_us=chart.low, time_to_us=chart.high, as_of=chart.as_of)
        return points_condition(_names(chart), wanted, parameters, scope)
    condition = points_condition(_names(chart), Range(as_of=chart.as_of), parameters, scope)
    if chart.low is not None:
        condition += f" AND {_place(chart, parameters)} >= {parameters.integer(chart.low)}"
    if chart.high is not None:
        condition += f" AND {_place(chart, parameters)} <= {parameters.integer(chart.high)}"
    return condition
