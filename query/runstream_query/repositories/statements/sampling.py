"""Statements for charts: of each curve all points, or a sample that looks the same.

A sample divides a curve into buckets of equal width and keeps of each the first, the last, the lowest and the highest
point: real points, the extremes of the curve among them. Of several that are equally low the first is kept, of those
that are equally high the last, so that the same question has the same response. Points without a step are divided by
their times.

Which point is the first or the lowest is decided by one number of 256 bits: with tuples the statement takes 1.4 times
the CPU.
"""

from collections.abc import Sequence
from typing import Final

from runstream.events.names import NO_EPOCH
from runstream_query.repositories.arguments import Curve
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_query.repositories.statements.series import ORDER
from runstream_service.access import Scope

_SIGN: Final = 2**63


def full_statement(scope: Scope, series: Sequence[Curve], parameters: Parameters) -> str:
    """All points (run, metric, step, at, value, epoch) of the series, in order."""
    return (
        f"SELECT run, metric, step, at, value, epoch FROM points WHERE {_among(scope, series, parameters)} "
        f"ORDER BY run, metric, {ORDER}, epoch"
    )


def sampled_statement(scope: Scope, series: Sequence[Curve], parameters: Parameters) -> str:
    """At most MAX_SAMPLED points of each series, in the same form. A bucket of nothing but NaN keeps its ends."""
    lists = [
        parameters.texts([one.run for one in series]),
        parameters.texts([one.metric for one in series]),
        parameters.bind([one.low for one in series], "Array(Int64)"),
        parameters.bind([one.high for one in series], "Array(Int64)"),
        parameters.bind([one.width for one in series], "Array(Int64)"),
        parameters.bind([int(one.by_time) for one in series], "Array(UInt8)"),
    ]
    names = ("run", "metric", "low", "high", "width", "by_time")
    wanted = ", ".join(f"one.{n + 1} AS {name}" for n, name in enumerate(names))
    buckets = f"(SELECT {wanted} FROM (SELECT arrayJoin(arrayZip({', '.join(lists)})) AS one)) AS w"
    place = "if(w.by_time, toUnixTimestamp64Micro(p.at), p.step)"
    bucket = f"intDiv(least(greatest({place}, w.low), w.high), w.width)"
    point = "tuple(p.step, p.at, p.value, p.epoch, p.writer, p.seq)"
    step, at = _ordered("p.step"), _ordered("toUnixTimestamp64Micro(p.at)")
    moment = _key(step, at, "p.writer", "p.seq")
    height = _key(_ordered_float("p.value"), step, at, "p.seq")
    kept = (
        f"[argMin({point}, {moment}), argMax({point}, {moment})], "
        f"if(countIf(NOT isNaN(p.value)) = 0, [], [argMinIf({point}, {height}, NOT isNaN(p.value)), "
        f"argMaxIf({point}, {height}, NOT isNaN(p.value))])"
    )
    return (
        "SELECT run, metric, kept.1 AS step, kept.2 AS at, kept.3 AS value, "
        f"nullIf(kept.4, {parameters.integer(NO_EPOCH)}) AS epoch FROM ("
        "SELECT run, metric, arrayJoin(points) AS kept FROM ("
        f"SELECT p.run AS run, p.metric AS metric, {bucket} AS bucket, arrayDistinct(arrayConcat({kept})) AS points "
        "FROM (SELECT run, metric, step, at, value, writer, seq, "
        f"ifNull(epoch, {parameters.integer(NO_EPOCH)}) AS epoch "
        f"FROM points WHERE {_among(scope, series, parameters)}) AS p "
        f"INNER JOIN {buckets} ON p.run = w.run AND p.metric = w.metric GROUP BY run, metric, bucket)) "
        "ORDER BY run, metric, step, at, kept.5, kept.6, value, epoch"
    )


def _key(first: str, second: str, third: str, fourth: str) -> str:
    """Four numbers of 64 bits as one that sorts by the first, then by the second, and so on."""
    return f"bitOr(bitShiftLeft(toUInt256({_pair(first, second)}), 128), toUInt256({_pair(third, fourth)}))"


def _pair(high: str, low: str) -> str:
    return f"bitOr(bitShiftLeft(toUInt128({high}), 64), toUInt128({low}))"


def _ordered(number: str) -> str:
    """An Int64 as the UInt64 that sorts as it does."""
    return f"bitXor(reinterpretAsUInt64({number}), {_SIGN})"


def _ordered_float(number: str) -> str:
    """A Float64 that is not NaN as a UInt64 that sorts as it does: the bits of a negative one ascend towards zero."""
    bits = f"reinterpretAsUInt64({number})"
    return f"if({bits} >= {_SIGN}, bitNot({bits}), bitXor({bits}, {_SIGN}))"


def _among(scope: Scope, series: Sequence[Curve], parameters: Parameters) -> str:
    """Points of these series. The two lists reach the primary key; the pairs keep out what nobody asked for."""
    runs = list(dict.fromkeys(one.run for one in series))
    metrics = list(dict.fromkeys(one.metric for one in series))
    condition = f"run IN {parameters.texts(runs)} AND metric IN {parameters.texts(metrics)}"
    condition += narrowed(of_runs(scope, parameters))
    if len(series) == len(runs) * len(metrics):
        return condition
    zipped = f"arrayZip({parameters.texts([s.run for s in series])}, {parameters.texts([s.metric for s in series])})"
    return f"{condition} AND (toString(run), toString(metric)) IN (SELECT arrayJoin({zipped}))"
