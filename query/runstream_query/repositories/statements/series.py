"""Curves: all points of runs and metrics, or buckets of them.

Buckets come from the projection `buckets` of the table `points`, which keeps one row for 256 steps of a run and metric:
bucket number intDiv(step, 256), which rounds towards zero, so that bucket 0 holds the steps -255 to 255. A coarser
view groups those by intDiv(bucket, k), which equals intDiv(step, 256 k). Where a range cuts through a bucket, the
cut pieces are read point by point, so that every response is exact. The statements have the projection's own
expressions word for word: that is how the engine knows that it may be used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from runstream.events.names import NO_STEP
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.buckets import bucket_width, toward_zero
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import within
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import EVERYTHING, Scope

BUCKET_STEPS: Final = 256
_MIN_STEP: Final = -(2**63)
_MAX_STEP: Final = 2**63 - 1

#: The parts of exact sums, and the rest: as many columns `sum0`, `sum1`, ... of a bucket.
#: Each value is split, without an error, into multiples of four powers of two, and a rest: 2^30, 2^-3, 2^-36 and 2^-69.
#: Adding and subtracting 1.5 times 2^52 of them rounds to such a multiple. Sums of multiples are exact up to 2^53 of
#: them: for values below 2^62 in buckets of up to two million points. So only the rests (below 2^-70) are rounded.
#: What holds an infinity has that, or NaN, as its first sum.
_SUMS: Final = (
    "sumIf(value + 7.253554917687775e24 - 7.253554917687775e24 AS part0, NOT isNaN(value)) AS sum0, "
    "sumIf((value - part0 AS rest0) + 844424930131968. - 844424930131968. AS part1, NOT isNaN(value)) AS sum1, "
    "sumIf((rest0 - part1 AS rest1) + 98304. - 98304. AS part2, NOT isNaN(value)) AS sum2, "
    "sumIf((rest1 - part2 AS rest2) + 1.1444091796875e-05 - 1.1444091796875e-05 AS part3, NOT isNaN(value)) AS sum3, "
    "sumIf(rest2 - part3, NOT isNaN(value)) AS sum4"
)
_TOTAL: Final = "if(isFinite(sum0), sum4 + sum3 + sum2 + sum1 + sum0, sum0) AS total"
#: The projection's aggregates without the ends, and the total: the same whatever threads, parts and merges do with the
#: order of the points.
EXACT_AGGREGATES: Final = (
    "count() AS n, countIf(isNaN(value)) AS nans, minIf(value, NOT isNaN(value)) AS low, "
    f"maxIf(value, NOT isNaN(value)) AS high, {_SUMS}, {_TOTAL}"
)
_AGGREGATES: Final = f"{EXACT_AGGREGATES}, min(step) AS begin, max(step) AS end"
#: The same of rows that are such aggregates themselves.
_MERGED: Final = (
    "sum(p.n) AS n, sum(p.nans) AS nans, minIf(p.low, p.n > p.nans) AS low, maxIf(p.high, p.n > p.nans) AS high, "
    "sum(p.sum0) AS sum0, sum(p.sum1) AS sum1, sum(p.sum2) AS sum2, sum(p.sum3) AS sum3, sum(p.sum4) AS sum4, "
    f"{_TOTAL}, min(p.begin) AS begin, max(p.end) AS end"
)
#: The order of the points of a series: step, time, writer, and the writer's own number. Points that were stored before
#: they had numbers follow by their values, so that responses are the same each time.
ORDER: Final = "step, at, writer, seq, value"
ENVELOPE: Final = (
    "run, metric, begin AS first_step, end AS last_step, n AS count, "
    "nans AS nan_count, if(n > nans, low, nan) AS min, if(n > nans, high, nan) AS max, "
    "if(n > nans, total / (n - nans), nan) AS mean"
)


@dataclass(frozen=True, slots=True)
class Names:
    """Series by run and metric: every metric of every run."""

    runs: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether it is one series."""
        return len(self.runs) == len(self.metrics) == 1

    def condition(self, parameters: Parameters, scope: Scope = EVERYTHING) -> str:
        """Return the condition on the table of points."""
        visible = narrowed(of_runs(scope, parameters))
        return f"run IN {parameters.texts(self.runs)} AND metric IN {parameters.texts(self.metrics)}{visible}"


class Counted(Protocol):
    """A series with how many points it has."""

    @property
    def run(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def count(self) -> int: ...


def reads_of(counts: Sequence[Counted], points_per_read: int) -> list[Names]:
    """The series (run, metric, count; ordered by run) in reads of about `points_per_read` points: many whole runs, or
    some metrics of one large run. Each series is in exactly one read, and the reads keep the order of runs."""
    reads: list[Names] = []
    runs: list[str] = []
    metrics: set[str] = set()
    held = 0
    for run, rows in groupby(counts, key=lambda one: one.run):
        series = list(rows)
        size = sum(one.count for one in series)
        if runs and held + size > points_per_read:
            reads.append(Names(tuple(runs), tuple(sorted(metrics))))
            runs, metrics, held = [], set(), 0
        if size > points_per_read:
            reads.extend(_reads_of_run(run, series, points_per_read))
            continue
        runs.append(run)
        metrics.update(one.metric for one in series)
        held += size
    if runs:
        reads.append(Names(tuple(runs), tuple(sorted(metrics))))
    return reads


def _reads_of_run(run: str, series: Sequence[Counted], points_per_read: int) -> Iterator[Names]:
    metrics: list[str] = []
    held = 0
    for one in series:
        if metrics and held + one.count > points_per_read:
            yield Names((run,), tuple(metrics))
            metrics, held = [], 0
        metrics.append(one.metric)
        held += one.count
    yield Names((run,), tuple(metrics))


def points_condition(names: Names, wanted: Range, parameters: Parameters, scope: Scope = EVERYTHING) -> str:
    """The points of the range, as a condition on the table."""
    conditions = [names.condition(parameters, scope)]
    if wanted.step_from is not None:
        conditions.append(f"step >= {parameters.integer(wanted.step_from)}")
    if wanted.step_to is not None:
        conditions.append(f"step <= {parameters.integer(wanted.step_to)}")
    if wanted.time_from_us is not None:
        conditions.append(f"at >= fromUnixTimestamp64Micro({parameters.integer(wanted.time_from_us)}, 'UTC')")
    if wanted.time_to_us is not None:
        conditions.append(f"at <= fromUnixTimestamp64Micro({parameters.integer(wanted.time_to_us)}, 'UTC')")
    if wanted.as_of is not None:
        conditions.append(within(wanted.as_of, parameters))
    return " AND ".join(conditions)


def points_statement(
    names: Names,
    wanted: Range,
    parameters: Parameters,
    limit: int | None = None,
    *,
    epochs: bool = False,
    seqs: bool = False,
    scope: Scope = EVERYTHING,
) -> str:
    """All points, in order (`ORDER`). epochs: a last column `epoch`, NULL for points without one; seqs: a last column
    `seq`."""
    end = f" LIMIT {parameters.integer(limit)}" if limit is not None else ""
    return (
        f"SELECT run, metric, {_selected(epochs, seqs)} FROM points WHERE "
        f"{points_condition(names, wanted, parameters, scope)} ORDER BY {_order(epochs)}{end}"
    )


def unnamed_points_statement(
    names: Names,
    wanted: Range,
    parameters: Parameters,
    *,
    epochs: bool = False,
    seqs: bool = False,
    scope: Scope = EVERYTHING,
) -> str:
    """As `points_statement`, without run and metric: of one series their text a million times is half of the work."""
    return (
        f"SELECT {_selected(epochs, seqs)} FROM points WHERE {points_condition(names, wanted, parameters, scope)} "
        f"ORDER BY {_order(epochs)}"
    )


def _selected(epochs: bool, seqs: bool) -> str:
    return "step, at, value, writer" + (", epoch" if epochs else "") + (", seq" if seqs else "")


def _order(epochs: bool) -> str:
    return f"run, metric, {ORDER}" + (", epoch" if epochs else "")


@dataclass(frozen=True, slots=True)
class Behind:
    """Where a piece of one series begins: at the points of this step and time (microseconds), of which `skip` belong to
    the pieces before."""

    step: int
    at_us: int
    skip: int


def piece_statement(
    names: Names,
    wanted: Range,
    behind: Behind | None,
    limit: int,
    parameters: Parameters,
    *,
    epochs: bool = False,
    scope: Scope = EVERYTHING,
) -> str:
    """As `unnamed_points_statement`, at most `limit` points from `behind` on. The order tells any two points apart that
    differ in what is selected, so that the pieces of a series that does not change hold each point once."""
    condition = points_condition(names, wanted, parameters, scope)
    offset = ""
    if behind is not None:
        step = parameters.integer(behind.step)
        at = f"fromUnixTimestamp64Micro({parameters.integer(behind.at_us)}, 'UTC')"
        condition += f" AND step >= {step} AND (step > {step} OR at >= {at})"
        offset = f" OFFSET {parameters.integer(behind.skip)}"
    return (
        f"SELECT {_selected(epochs, seqs=False)} FROM points WHERE {condition} "
        f"ORDER BY {_order(epochs)} LIMIT {parameters.integer(limit)}{offset}"
    )


def count_statement(names: Names, wanted: Range, parameters: Parameters, scope: Scope = EVERYTHING) -> str:
    """How many points each series has in the range: (run, metric, n)."""
    return (
        "SELECT run, metric, count() AS count FROM points WHERE "
        f"{points_condition(names, wanted, parameters, scope)} GROUP BY run, metric ORDER BY run, metric"
    )


def extent_statement(names: Names, parameters: Parameters, scope: Scope = EVERYTHING) -> str:
    """The lowest and highest step over all series, points without a step left out; from the projection."""
    outside = parameters.integer(toward_zero(NO_STEP, BUCKET_STEPS))
    return (
        "SELECT min(begin) AS low, max(end) AS high, count() AS series FROM (SELECT run, metric, min(step) AS begin, "
        f"max(step) AS end FROM points WHERE {names.condition(parameters, scope)} AND intDiv(step, 256) > {outside} "
        "GROUP BY run, metric)"
    )


def scanned_extent_statement(
    names: Names, wanted: Range, axis: str, parameters: Parameters, scope: Scope = EVERYTHING
) -> str:
    """The lowest and highest step (or time in microseconds) of the points in the range, by looking at them."""
    condition = points_condition(names, wanted, parameters, scope)
    if axis == "step":
        condition += f" AND step != {parameters.integer(NO_STEP)}"
    return (
        f"SELECT min({_axis(axis)}) AS low, max({_axis(axis)}) AS high, count() AS series FROM points WHERE {condition}"
    )


def step_width(low: int, high: int, max_buckets: int) -> int:
    """Below 256 steps a bucket any width (points are read one by one), else a multiple of 256."""
    width = bucket_width(low, high, max_buckets, 1)
    return width if width < BUCKET_STEPS else bucket_width(low, high, max_buckets, BUCKET_STEPS)


def _axis(axis: str) -> str:
    return "step" if axis == "step" else "toUnixTimestamp64Micro(at)"


def scanned_envelope(
    names: Names, wanted: Range, axis: str, width: int, parameters: Parameters, scope: Scope = EVERYTHING
) -> str:
    """Buckets by reading every point of the range. With axis `time` also first_at and last_at."""
    ends = ", min(step) AS begin, max(step) AS end"
    times = ", min(at) AS first_at, max(at) AS last_at" if axis == "time" else ""
    shown = ", first_at, last_at" if axis == "time" else ""
    bucket = f"intDiv({_axis(axis)}, {parameters.integer(width)})"
    return (
        f"SELECT {ENVELOPE}{shown} FROM (SELECT run, metric, {bucket} AS bucket, {EXACT_AGGREGATES}{ends}{times} "
        f"FROM points WHERE {points_condition(names, wanted, parameters, scope)} GROUP BY run, metric, bucket) "
        "ORDER BY run, metric, bucket"
    )


def projected_envelope(
    names: Names, wanted: Range, width: int, parameters: Parameters, scope: Scope = EVERYTHING
) -> str:
    """Buckets of a multiple of 256 steps from the projection."""
    rows = projected_rows(names, wanted, width, parameters, scope)
    return f"SELECT {ENVELOPE} FROM ({rows}) ORDER BY run, metric, bucket"


def projected_rows(names: Names, wanted: Range, width: int, parameters: Parameters, scope: Scope = EVERYTHING) -> str:
    """Buckets of a multiple of 256 steps as rows of run, metric, bucket and `_AGGREGATES`; the pieces of buckets that
    the range cuts are read point by point."""
    condition = names.condition(parameters, scope)
    inner, edges = _split(wanted)
    coarse = parameters.integer(width // BUCKET_STEPS)
    parts = []
    if inner is not None:
        limits = ""
        if inner[0] is not None:
            limits += f" AND intDiv(step, 256) >= {parameters.integer(inner[0])}"
        if inner[1] is not None:
            limits += f" AND intDiv(step, 256) <= {parameters.integer(inner[1])}"
        parts.append(
            f"SELECT run, metric, intDiv(intDiv(step, 256), {coarse}) AS bucket, {_AGGREGATES} FROM points "
            f"WHERE {condition}{limits} GROUP BY run, metric, bucket"
        )
    parts.extend(
        f"SELECT run, metric, intDiv(intDiv(step, 256), {coarse}) AS bucket, {_AGGREGATES} FROM points "
        f"WHERE {condition} AND step >= {parameters.integer(low)} AND step <= {parameters.integer(high)} "
        "GROUP BY run, metric, bucket"
        for low, high in edges
    )
    rows = parts[0]
    if len(parts) > 1:
        pieces = " UNION ALL ".join(parts)
        rows = f"SELECT run, metric, bucket, {_MERGED} FROM ({pieces}) AS p GROUP BY run, metric, bucket"
    return rows


def _split(wanted: Range) -> tuple[tuple[int | None, int | None] | None, list[tuple[int, int]]]:
    """The whole 256-step buckets inside the range (first, last; None is open), and the cut pieces as step ranges."""
    low, high = wanted.step_from, wanted.step_to
    first = last = None
    edges: list[tuple[int, int]] = []
    if low is not None:
        first = toward_zero(low, BUCKET_STEPS)
        if bucket_steps(first)[0] < low:
            edges.append((low, bucket_steps(first)[1]))
            first += 1
    if high is not None:
        last = toward_zero(high, BUCKET_STEPS)
        if bucket_steps(last)[1] > high:
            edges.append((bucket_steps(last)[0], high))
            last -= 1
    if first is not None and last is not None and first > last:
        # No whole bucket: one piece, or two that touch or lie in one bucket.
        return None, [(low if low is not None else _MIN_STEP, high if high is not None else _MAX_STEP)]
    return (first, last), edges


def bucket_steps(bucket: int) -> tuple[int, int]:
    """The first and last step of a 256-step bucket."""
    if bucket == 0:
        return 1 - BUCKET_STEPS, BUCKET_STEPS - 1
    if bucket > 0:
        return bucket * BUCKET_STEPS, min(bucket * BUCKET_STEPS + BUCKET_STEPS - 1, _MAX_STEP)
    return max(bucket * BUCKET_STEPS - BUCKET_STEPS + 1, _MIN_STEP), bucket * BUCKET_STEPS
