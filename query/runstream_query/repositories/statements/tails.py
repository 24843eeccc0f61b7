"""Statements for the tails of curves: which series got points behind a position, and their buckets from there on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from runstream.events.names import NO_STEP
from runstream.events.positions import Positions
from runstream_query.repositories.arguments import Chart, SeriesFrom, TailAxis
from runstream_query.repositories.statements.charts import rows_of_chart
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import beyond
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import Scope

#: Series of one part begin at most so many buckets, and so many places, apart: a granule of the table has 8,192 rows.
_BUCKETS_APART: Final = 64
_PLACES_APART: Final = 8_192
#: Points lie in the order of series and steps. Grouped in it, they take a third of the time and no memory.
_IN_ORDER: Final = "SETTINGS optimize_aggregation_in_order = 1"


def new_points_statement(
    series: Sequence[tuple[str, str]], seen: Positions, times: bool, parameters: Parameters, scope: Scope
) -> str:
    """(run, metric, count, new, low, high, low_us, high_us) of those of the series that got points behind `seen`: how
    many points a series has in all, and how many new ones; the lowest and highest step (null without any) and time
    among the new ones. Without `times` these are null."""
    new = beyond(seen, parameters)
    visible = narrowed(of_runs(scope, parameters))
    changed = f"FROM summary_states WHERE {_is_one_of(series, parameters)} AND {new}{visible}"
    placed = f"step != {parameters.integer(NO_STEP)}"
    at_us = "toUnixTimestamp64Micro(at)" if times else "CAST(NULL, 'Nullable(Int64)')"
    return (
        "SELECT run, metric, count, new, low, high, low_us, high_us FROM (SELECT run, metric, count() AS new, "
        f"minOrNullIf(step, {placed}) AS low, maxOrNullIf(step, {placed}) AS high, "
        f"min({at_us}) AS low_us, max({at_us}) AS high_us "
        f"FROM points WHERE {_among(series, parameters)} AND {new} GROUP BY run, metric) AS p "
        f"INNER JOIN (SELECT run, metric, argMax(summary_states.count, offset) AS count {changed} "
        f"GROUP BY run, metric) AS s USING (run, metric) {_IN_ORDER}"
    )


@dataclass(frozen=True)
class TailPart:
    """Series on one axis, in buckets of one width, that begin at about the same place: each run and metric once."""

    series: tuple[SeriesFrom, ...]

    @property
    def axis(self) -> TailAxis:
        return self.series[0].axis

    @property
    def width(self) -> int:
        return self.series[0].width

    @cached_property
    def starts_us(self) -> dict[str, int]:
        """When its runs began, by run."""
        return {one.run: one.start_us for one in self.series}

    @cached_property
    def lows(self) -> dict[str, int]:
        """The lowest place that is wanted of any series, by run."""
        lows: dict[str, int] = {}
        for one in self.series:
            lows[one.run] = min(one.low, lows.get(one.run, one.low))
        return lows

    @property
    def chart(self) -> Chart:
        runs = tuple(self.lows)
        metrics = tuple(dict.fromkeys(one.metric for one in self.series))
        starts = tuple(self.starts_us[run] for run in runs) if self.axis == "relative" else ()
        return Chart(runs, metrics, self.axis, low=min(self.lows.values()), starts_us=starts)


def tail_parts(series: Sequence[SeriesFrom], most: int) -> list[TailPart]:
    """Divide series into parts that can be read together: about `most`, or more where there are more pairs of axis and
    width. What begins far apart is apart, as far as that goes, because a part is read from its lowest place on."""
    by_kind: dict[tuple[TailAxis, int], list[SeriesFrom]] = {}
    for one in sorted(series, key=lambda one: one.low):
        by_kind.setdefault((one.axis, one.width), []).append(one)
    factor = 1
    while True:
        parts = [
            TailPart(tuple(part))
            for (_, width), some in by_kind.items()
            for part in _near(some, factor * max(_BUCKETS_APART * width, _PLACES_APART))
        ]
        if len(parts) <= max(most, len(by_kind)):
            return parts
        factor *= 8


def _near(series: Sequence[SeriesFrom], apart: int) -> list[list[SeriesFrom]]:
    """Divide series, ordered by their first places, where these are farther apart than so."""
    parts: list[list[SeriesFrom]] = []
    for one in series:
        if not parts or one.low - parts[-1][0].low > apart:
            parts.append([])
        parts[-1].append(one)
    return parts


def tails_statement(
    parts: Sequence[TailPart], per_series: int, limit: int, parameters: Parameters, scope: Scope
) -> str:
    """Buckets (part, run, metric, x, count, nan_count, min, max, mean), in this order; `per_series` of each series at
    most. x is the place of the first point. What a run has in front of the lowest place that is wanted of it is left
    out; what one of its metrics has in front of its own is not."""
    rows = " UNION ALL ".join(_part_rows(number, part, parameters, scope) for number, part in enumerate(parts))
    return (
        "SELECT part, toString(run) AS run, toString(metric) AS metric, begin AS x, n AS count, nans AS nan_count, "
        "if(n > nans, low, nan) AS min, if(n > nans, high, nan) AS max, if(n > nans, total / (n - nans), nan) AS mean "
        f"FROM ({rows}) ORDER BY part, run, metric, x LIMIT {parameters.integer(per_series)} BY part, run, metric "
        f"LIMIT {parameters.integer(limit)} {_IN_ORDER}"
    )


def _part_rows(number: int, part: TailPart, parameters: Parameters, scope: Scope) -> str:
    chart = part.chart
    pairs = [(one.run, one.metric) for one in part.series]
    wanted = "1"
    if len(pairs) < len(chart.runs) * len(chart.metrics):
        wanted = _is_one_of(pairs, parameters)
    if len(set(part.lows.values())) > 1:
        lows = parameters.bind([part.lows[run] for run in chart.runs], "Array(Int64)")
        runs = parameters.texts(chart.runs)
        wanted += f" AND begin >= transform(toString(run), {runs}, {lows}, toInt64(0))"
    return (
        f"SELECT toUInt32({parameters.integer(number)}) AS part, run, metric, begin, n, nans, low, high, total "
        f"FROM ({rows_of_chart(chart, part.width, parameters, scope)}) WHERE {wanted}"
    )


def _among(series: Sequence[tuple[str, str]], parameters: Parameters) -> str:
    """The series, and others of their runs and metrics: the engine looks at each name once, not at each row."""
    runs = parameters.texts(sorted({run for run, _ in series}))
    metrics = parameters.texts(sorted({metric for _, metric in series}))
    return f"run IN {runs} AND metric IN {metrics}"


def _is_one_of(series: Sequence[tuple[str, str]], parameters: Parameters) -> str:
    runs = parameters.texts([run for run, _ in series])
    metrics = parameters.texts([metric for _, metric in series])
    return f"(run, metric) IN arrayZip({runs}, {metrics})"
