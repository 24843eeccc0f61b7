"""Points of series: all of them, pieces, samples, or buckets of them. Results are Arrow tables.

Columns of points are run, metric, step, at, value and writer, and `epoch` where it is asked for; of buckets those of
`ENVELOPE`, and first_at and last_at where buckets divide time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa

from runstream_query.repositories.arguments import Curve, Range
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.nearest import nearest_statement
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.progress import first_points, progress_until
from runstream_query.repositories.statements.sampling import full_statement, sampled_statement
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_query.repositories.statements.series import (
    BUCKET_STEPS,
    Behind,
    Names,
    count_statement,
    extent_statement,
    piece_statement,
    points_statement,
    projected_envelope,
    scanned_envelope,
    scanned_extent_statement,
    unnamed_points_statement,
)
from runstream_service.access import Scope

Axis = Literal["step", "time"]


@dataclass(frozen=True, slots=True)
class FirstPoint:
    """The first point of a run at `rung`, a step, or beyond it. `at_us`: microseconds since 1970 UTC."""

    run: str
    rung: int
    value: float
    at_us: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a run logged up to a step: the mean, and the lowest and highest finite value, NaN without one. `last_step`:
    the highest that it has at all."""

    run: str
    mean: float
    low: float
    high: float
    last_step: int


@dataclass(frozen=True, slots=True)
class SeriesCount:
    """How many points a series has in a range."""

    run: str
    metric: str
    count: int


class SeriesRepository:
    """Reads points. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def counts(self, scope: Scope, names: Names, wanted: Range) -> list[SeriesCount]:
        """Return how many points each series has in the range, by run and metric."""
        parameters = Parameters()
        sql = count_statement(names, wanted, parameters, scope)
        return await self._reader.records(lambda row: SeriesCount(**row), sql, parameters)

    async def points(
        self, scope: Scope, names: Names, wanted: Range, *, epochs: bool = False, seqs: bool = False
    ) -> pa.Table:
        """Return all points, in order (docs/design/summaries.md). Of a single series the names are added here, as
        dictionaries of one. seqs: also the numbers that their writers gave them."""
        parameters = Parameters()
        if not names.alone:
            sql = points_statement(names, wanted, parameters, epochs=epochs, seqs=seqs, scope=scope)
            return await self._reader.table(sql, parameters)
        sql = unnamed_points_statement(names, wanted, parameters, epochs=epochs, seqs=seqs, scope=scope)
        return _named(names, await self._reader.table(sql, parameters))

    async def piece(
        self, scope: Scope, names: Names, wanted: Range, behind: Behind | None, limit: int, *, epochs: bool = False
    ) -> pa.Table:
        """Return the next points of a single series, in the same form."""
        parameters = Parameters()
        sql = piece_statement(names, wanted, behind, limit, parameters, epochs=epochs, scope=scope)
        return _named(names, await self._reader.table(sql, parameters))

    async def first_points(
        self, scope: Scope, runs: Sequence[str], metric: str, steps: Sequence[int]
    ) -> list[FirstPoint]:
        """Return the first point of each run from each of the steps on, by run and step; none where it has not come so
        far. steps: at least one."""
        parameters, ascending = Parameters(), sorted(set(steps))
        sql = first_points(Names(tuple(runs), (metric,)), ascending, parameters, scope)
        return _from_steps(await self._reader.rows(sql, parameters), ascending)

    async def progress(self, scope: Scope, runs: Sequence[str], metric: str, until: int) -> list[RunProgress]:
        """Return what each run logged up to a step, by run; those without a point of such a step are left out."""
        parameters = Parameters()
        sql = progress_until(Names(tuple(runs), (metric,)), until, parameters, scope)
        return await self._reader.records(lambda row: RunProgress(**row), sql, parameters)

    async def nearest(self, scope: Scope, names: Names, wanted: Range, axis: Axis, to: int, most: int) -> pa.Table:
        """Return of each series the `most` points that are nearest to a place on an axis, with their epochs, in
        order."""
        parameters = Parameters()
        sql = nearest_statement(names, wanted, axis, to, most, parameters, scope)
        return await self._reader.table(sql, parameters)

    async def last_points(self, scope: Scope, writers: Mapping[str, Sequence[int]]) -> dict[str, dict[int, int]]:
        """Return when these writers (of each run, by number) logged their last points to it, in microseconds since 1970
        UTC, by run and writer; those that logged none are left out. Reads all points of the runs."""
        parameters = Parameters()
        numbers = parameters.bind(sorted({one for some in writers.values() for one in some}), "Array(UInt64)")
        sql = (
            "SELECT run, writer, toUnixTimestamp64Micro(max(at)) AS at_us FROM points WHERE "
            f"run IN {parameters.texts(sorted(writers))} AND writer IN {numbers}"
            f"{narrowed(of_runs(scope, parameters))} GROUP BY run, writer"
        )
        found: dict[str, dict[int, int]] = {}
        for row in await self._reader.rows(sql, parameters):
            found.setdefault(row["run"], {})[row["writer"]] = row["at_us"]
        return found

    async def step_extent(self, scope: Scope, names: Names) -> tuple[int, int] | None:
        """Return the lowest and highest step over all series, points without a step left out; None without any."""
        parameters = Parameters()
        return _extent(await self._reader.rows(extent_statement(names, parameters, scope), parameters))

    async def extent(self, scope: Scope, names: Names, wanted: Range, axis: Axis) -> tuple[int, int] | None:
        """Return the lowest and highest step (or time in microseconds) in the range, by looking at its points."""
        parameters = Parameters()
        sql = scanned_extent_statement(names, wanted, axis, parameters, scope)
        return _extent(await self._reader.rows(sql, parameters))

    async def buckets(self, scope: Scope, names: Names, wanted: Range, axis: Axis, width: int, limit: int) -> pa.Table:
        """Return the buckets of this width, by run, metric and bucket."""
        parameters = Parameters()
        if axis == "step" and width >= BUCKET_STEPS and wanted.by_steps_alone:
            sql = projected_envelope(names, wanted, width, parameters, scope)
        else:
            sql = scanned_envelope(names, wanted, axis, width, parameters, scope)
        return await self._reader.table(f"{sql} LIMIT {parameters.integer(limit)}", parameters)

    async def curves(self, scope: Scope, curves: Sequence[Curve]) -> pa.Table:
        """Return all points (run, metric, step, at, value, epoch) of these series, in order."""
        parameters = Parameters()
        return await self._reader.table(full_statement(scope, curves, parameters), parameters)

    async def samples(self, scope: Scope, curves: Sequence[Curve]) -> pa.Table:
        """Return a sample of each of these series that looks the same, in the same form."""
        parameters = Parameters()
        return await self._reader.table(sampled_statement(scope, curves, parameters), parameters)


def _from_steps(rows: Sequence[dict[str, Any]], steps: Sequence[int]) -> list[FirstPoint]:
    """The first points from each of the steps on, of those of the stretches between them."""
    found: list[FirstPoint] = []
    for run, of_run in groupby(rows, key=lambda row: row["run"]):
        by_stretch = {row["stretch"]: row for row in of_run}
        first: dict[str, Any] | None = None
        points = []
        for number in reversed(range(len(steps))):
            first = by_stretch.get(number, first)
            if first is not None:
                points.append(FirstPoint(run, steps[number], first["value"], first["at_us"]))
        found += reversed(points)
    return found


def _extent(rows: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    return (rows[0]["low"], rows[0]["high"]) if rows[0]["series"] else None


def _named(names: Names, table: pa.Table) -> pa.Table:
    codes = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
    run, metric = (
        pa.DictionaryArray.from_arrays(codes, pa.array([name])) for name in (names.runs[0], names.metrics[0])
    )
    return table.add_column(0, "run", run).add_column(1, "metric", metric)
