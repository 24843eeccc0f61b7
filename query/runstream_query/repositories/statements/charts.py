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
from runstream_query.repositories.statements.chart_axes import bucket_of, placed_points, steps_of
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
_ROW: Final = "metric, begin, n, nans, low, high, total"


def chart_extents_statement(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    """(run, count, low, high) of each run with points in the range: the most points that one of its series has, and its
    lowest and highest place on the axis. In lanes: that one lane of a series has. From the roll-up, a bucket that the
    range cuts counts as a whole."""
    if _is_rolled_up(chart):
        steps = steps_of(chart)
        source, place, condition = "points", "step", _names(chart).condition(parameters, scope)
        # Whatever has no step is in this bucket.
        condition += f" AND intDiv(step, 256) > {parameters.integer(toward_zero(NO_STEP, BUCKET_STEPS))}"
        if steps.step_from is not None:
            condition += f" AND intDiv(step, 256) >= {parameters.integer(toward_zero(steps.step_from, BUCKET_STEPS))}"
        if steps.step_to is not None:
            condition += f" AND intDiv(step, 256) <= {parameters.integer(toward_zero(steps.step_to, BUCKET_STEPS))}"
    else:
        points = placed_points(chart, parameters, scope)
        source, place, condition = points.source, points.place, points.condition
    return (
        "SELECT run, max(n) AS count, min(begin) AS low, max(end) AS high FROM (SELECT run, metric, count() AS n, "
        f"min({place}) AS begin, max({place}) AS end FROM {source} WHERE {condition} GROUP BY {_divided(chart)}metric) "
        "GROUP BY run ORDER BY run"
    )


def written_statement(chart: Chart, limit: int, parameters: Parameters, scope: Scope) -> str:
    """(run, metric, writer, count) of all points of the chart's series, wherever they are on its axis."""
    condition = points_condition(_names(chart), Range(as_of=chart.as_of), parameters, scope)
    return (
        f"SELECT run, metric, writer, count() AS count FROM points WHERE {condition} GROUP BY run, metric, writer "
        f"ORDER BY run, metric, writer LIMIT {parameters.integer(limit)}"
    )


def chart_statement(
    chart: Chart, widths: Mapping[float, Sequence[str]], limit: int, parameters: Parameters, scope: Scope
) -> str:
    """Buckets (series, x, count, nan_count, min, max, mean), by series and x. `series` is the number of the run in the
    chart (or that of the lane) times the number of metrics, and that of the metric; x is the place of the first point.
    `widths`: the runs whose buckets have this width."""
    divided = "run" if chart.lanes is None else "lane"
    rows = " UNION ALL ".join(
        f"SELECT {divided}, {_ROW} FROM ({rows_of_chart(_of_runs(chart, runs), width, parameters, scope)})"
        for width, runs in widths.items()
    )
    number = (
        f"{_member(chart, parameters)} * {parameters.bind(len(chart.metrics), 'UInt32')} + "
        f"{_number('metric', chart.metrics, parameters)}"
    )
    return (
        f"SELECT {number} AS series, begin AS x, n AS count, "
        "nans AS nan_count, if(n > nans, low, nan) AS min, if(n > nans, high, nan) AS max, "
        f"if(n > nans, total / (n - nans), nan) AS mean FROM ({rows}) "
        f"ORDER BY series, x LIMIT {parameters.integer(limit)}"
    )


def grouped_statement(
    chart: Chart, width: float, members: Sequence[Sequence[int]], limit: int, parameters: Parameters, scope: Scope
) -> str:
    """Buckets of groups of runs (series, x, runs, mean, sd, median, min, max), by series and x. `members`: of each run
    of the chart (or each lane) the numbers of its groups; two lanes of a run are not in the same. `series` is the
    number of the group times the number of metrics, and that of the metric.

    What is averaged is the mean of each run in the bucket, in the order of their sizes, so that the result does not
    depend on the order in which the engine finds them. `runs`: of how many runs the bucket has such a mean; one
    whose values are infinite in both directions has none.
    """
    groups = parameters.bind([list(one) for one in members], "Array(Array(UInt32))")
    rows = (
        f"SELECT arrayJoin({groups}[{_member(chart, parameters)} + 1]) AS found, metric, bucket, "
        "min(begin) AS x, arraySort(groupArrayIf(total / (n - nans), n > nans AND NOT isNaN(total))) AS means, "
        "length(means) AS runs, "
        "minIf(low, n > nans) AS lowest, maxIf(high, n > nans) AS highest, countIf(n > nans) > 0 AS some "
        f"FROM ({rows_of_chart(chart, width, parameters, scope)}) GROUP BY found, metric, bucket"
    )
    number = f"found * {parameters.bind(len(chart.metrics), 'UInt32')} + {_number('metric', chart.metrics, parameters)}"
    middle = "intDiv(runs, 2)"
    return (
        f"SELECT {number} AS series, x, toUInt32(runs) AS runs, if(runs > 0, arrayAvg(means), nan) AS mean, "
        "if(runs > 1, sqrt(arraySum(arrayMap(one -> pow(one - mean, 2), means)) / (runs - 1)), nan) AS sd, "
        f"if(runs = 0, nan, if(runs % 2 = 1, means[{middle} + 1], (means[{middle}] + means[{middle} + 1]) / 2)) "
        "AS median, if(some, lowest, nan) AS min, if(some, highest, nan) AS max "
        f"FROM ({rows}) ORDER BY series, x LIMIT {parameters.integer(limit)}"
    )


def _member(chart: Chart, parameters: Parameters) -> str:
    """The number of the run, or that of the lane."""
    return _number("run", chart.runs, parameters) if chart.lanes is None else "lane"


def _divided(chart: Chart) -> str:
    """The columns that divide points into what is drawn by itself, but for the metric."""
    return "run, " if chart.lanes is None else "run, lane, "


def _number(column: str, names: Sequence[str], parameters: Parameters) -> str:
    """The place of a name in `names`."""
    numbers = parameters.bind(list(range(len(names))), "Array(UInt32)")
    return f"transform(toString({column}), {parameters.texts(names)}, {numbers}, toUInt32(0))"


def rows_of_chart(chart: Chart, width: float, parameters: Parameters, scope: Scope) -> str:
    """Buckets of one width (run, metric, bucket, begin, n, nans, low, high, total), in no order; begin is the place of
    the first point."""
    if _is_rolled_up(chart) and width >= BUCKET_STEPS:
        return projected_rows(_names(chart), steps_of(chart), int(width), parameters, scope)
    points = placed_points(chart, parameters, scope)
    return (
        f"SELECT {_divided(chart)}metric, {bucket_of(chart, points.place, width, parameters)} AS bucket, "
        f"min({points.place}) AS begin, {EXACT_AGGREGATES} "
        f"FROM {points.source} WHERE {points.condition} GROUP BY {_divided(chart)}metric, bucket"
    )


def _is_rolled_up(chart: Chart) -> bool:
    return chart.axis == "step" and chart.as_of is None and chart.lanes is None


def _names(chart: Chart) -> Names:
    return Names(chart.runs, chart.metrics)


def _of_runs(chart: Chart, runs: Sequence[str]) -> Chart:
    """The same chart of some of its runs."""
    at = {run: number for number, run in enumerate(chart.runs)}
    starts = tuple(chart.starts_us[at[run]] for run in runs) if chart.starts_us else ()
    pieces = tuple(chart.pieces[at[run]] for run in runs) if chart.pieces else ()
    wanted = frozenset(runs)
    lanes = None if chart.lanes is None else tuple(lane for lane in chart.lanes if lane.run in wanted)
    return replace(chart, runs=tuple(runs), starts_us=starts, pieces=pieces, lanes=lanes)
