"""Where charts have their points: the place of each on the axis, as a table, an expression and a condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runstream.events.names import NO_STEP
from runstream_query.repositories.arguments import MAX_PLACE, Chart, Lane, Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names, points_condition
from runstream_service.access import Scope

_AT_US: Final = "toUnixTimestamp64Micro(at)"


@dataclass(frozen=True, slots=True)
class Placed:
    """A table with run, metric, value and writer of points, their place on the axis as an expression on it, and which
    of its rows are in the chart."""

    source: str
    place: str
    condition: str


def placed_points(chart: Chart, parameters: Parameters, scope: Scope) -> Placed:
    """Return the points of the chart; in a chart with lanes they have a column `lane`."""
    points = _placed(chart, parameters, scope)
    return points if chart.lanes is None else _in_lanes(points, chart.lanes, parameters)


def _placed(chart: Chart, parameters: Parameters, scope: Scope) -> Placed:
    match chart.axis:
        case "step":
            return Placed("points", "step", points_condition(_names(chart), steps_of(chart), parameters, scope))
        case "time":
            low, high = (None if end is None else int(end) for end in (chart.low, chart.high))
            wanted = Range(time_from_us=low, time_to_us=high, as_of=chart.as_of)
            return Placed("points", _AT_US, points_condition(_names(chart), wanted, parameters, scope))
        case "relative":
            starts = parameters.bind(list(chart.starts_us), "Array(Int64)")
            began = f"transform(toString(run), {parameters.texts(chart.runs)}, {starts}, toInt64(0))"
            return _between(chart, "points", f"({_AT_US} - {began})", _every(chart, parameters, scope), parameters)
        case "epoch":
            condition = f"{_every(chart, parameters, scope)} AND isNotNull(epoch)"
            return _between(chart, "points", "assumeNotNull(epoch)", condition, parameters)
        case "active":
            return _between(chart, _active(chart, parameters, scope), "place", "1", parameters)
        case "metric":
            return _between(chart, _joined(chart, parameters, scope), "place", "1", parameters)


def bucket_of(chart: Chart, place: str, width: float, parameters: Parameters) -> str:
    """Return the bucket of a place, as an expression. Of the axis of a metric it is a float: the quotient by a power of
    two is exact, and with a width of 0 every place is a bucket."""
    if chart.axis != "metric":
        return f"intDiv({place}, {parameters.integer(int(width))})"
    return f"floor({place} / {parameters.number(width)}) + 0." if width else place


def steps_of(chart: Chart) -> Range:
    """Return the range of steps, without the points that have none."""
    lowest = NO_STEP + 1
    low = lowest if chart.low is None else max(int(chart.low), lowest)
    return Range(low, None if chart.high is None else int(chart.high), as_of=chart.as_of)


def _names(chart: Chart) -> Names:
    return Names(chart.runs, chart.metrics)


def _every(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    return points_condition(_names(chart), Range(as_of=chart.as_of), parameters, scope)


def _between(chart: Chart, source: str, place: str, condition: str, parameters: Parameters) -> Placed:
    for operator, end in ((">=", chart.low), ("<=", chart.high)):
        if end is not None:
            bound = parameters.integer(int(end)) if chart.whole else parameters.number(end)
            condition += f" AND {place} {operator} {bound}"
    return Placed(source, place, condition)


def _active(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    """The points with the active time of each, by the piece that its time is in."""
    rows = [(run, piece) for run, made in zip(chart.runs, chart.pieces, strict=True) for piece in made]
    pieces = _table(
        {
            "run": parameters.texts([run for run, _ in rows]),
            "begin_us": parameters.bind([piece.begin_us for _, piece in rows], "Array(Int64)"),
            "floor_us": parameters.bind([piece.floor_us for _, piece in rows], "Array(Int64)"),
            "shift_us": parameters.bind([piece.shift_us for _, piece in rows], "Array(Int64)"),
        }
    )
    return (
        "(SELECT p.run AS run, p.metric AS metric, p.value AS value, p.writer AS writer, "
        "greatest(w.floor_us, p.at_us - w.shift_us) AS place "
        f"FROM (SELECT run, metric, value, writer, {_AT_US} AS at_us FROM points "
        f"WHERE {_every(chart, parameters, scope)}) AS p "
        f"ASOF INNER JOIN ({pieces}) AS w ON p.run = w.run AND p.at_us >= w.begin_us)"
    )


def _joined(chart: Chart, parameters: Parameters, scope: Scope) -> str:
    """The points with the last value of the other metric at the same step of their run, where that is a place."""
    has_step = f"step != {parameters.integer(NO_STEP)}"
    other = points_condition(Names(chart.runs, (chart.x_metric,)), Range(as_of=chart.as_of), parameters, scope)
    return (
        "(SELECT p.run AS run, p.metric AS metric, p.value AS value, p.writer AS writer, o.place AS place "
        "FROM (SELECT run, metric, step, value, writer FROM points "
        f"WHERE {_every(chart, parameters, scope)} AND {has_step}) AS p "
        "INNER JOIN (SELECT run, step, argMax(value, (at, writer, seq, value)) + 0. AS place FROM points "
        f"WHERE {other} AND {has_step} GROUP BY run, step HAVING abs(place) <= {parameters.number(MAX_PLACE)}) AS o "
        "ON p.run = o.run AND p.step = o.step)"
    )


def _in_lanes(points: Placed, lanes: Sequence[Lane], parameters: Parameters) -> Placed:
    table = _table(
        {
            "run": parameters.texts([lane.run for lane in lanes]),
            "writer": parameters.bind([lane.writer for lane in lanes], "Array(UInt64)"),
            "lane": parameters.bind([lane.number for lane in lanes], "Array(UInt32)"),
        }
    )
    source = (
        "(SELECT p.run AS run, p.metric AS metric, p.value AS value, p.place AS place, l.lane AS lane "
        f"FROM (SELECT run, metric, value, writer, {points.place} AS place FROM {points.source} "
        f"WHERE {points.condition}) AS p INNER JOIN ({table}) AS l ON p.run = l.run AND p.writer = l.writer)"
    )
    return Placed(source, "place", "1")


def _table(columns: Mapping[str, str]) -> str:
    """A table of these columns, which are arrays of the same length."""
    selected = ", ".join(f"row.{number} AS {name}" for number, name in enumerate(columns, 1))
    return f"SELECT {selected} FROM (SELECT arrayJoin(arrayZip({', '.join(columns.values())})) AS row)"
