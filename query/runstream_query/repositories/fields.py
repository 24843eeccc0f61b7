"""Fields that runs have: names, how many runs have each, which numbers there are, and which values most runs have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runstream_query.filters.compiler import AS_NUMBER
from runstream_query.filters.tree import Expression
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.found import found_runs
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import Scope

#: A longer value is counted, and not among those that most runs have.
_MAX_VALUE_BYTES: Final = 500


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value as JSON (of columns of runs as text), and how many runs have it."""

    value: str
    runs: int


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """A field and what the runs that match have of it. `numbers` of them are what filters compare as numbers (truth
    values and texts that say one, too); `least` and `most` of these are None without any. `values` are those of most
    runs."""

    kind: str
    name: str
    runs: int
    distinct: int
    numbers: int
    least: float | None
    most: float | None
    values: Sequence[ValueCount]


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """A metric and what the runs that match have of it: `points` in all, the `least` and `most` of their values, None
    where all are NaN."""

    name: str
    runs: int
    points: int
    least: float | None
    most: float | None


class FieldRepository:
    """Reads fields of the runs that match. All methods raise what the store raises, and FilterError."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def attributes(
        self,
        scope: Scope,
        expression: Expression,
        clock: Clock,
        kinds: Sequence[str],
        prefix: str,
        limit: int,
        values: int,
    ) -> list[FieldRecord]:
        """Return what was logged of these kinds under names that begin with `prefix`, by kind and name, with `values`
        values each."""
        parameters = Parameters()
        runs = found_runs(scope, expression, clock, (), parameters)
        by_value = (
            f"SELECT kind, name, value, any({AS_NUMBER}) AS one, count() AS n FROM attributes WHERE NOT deleted "
            f"AND kind IN {parameters.texts(kinds)} AND startsWith(name, {parameters.text(prefix)}) "
            f"AND run IN (SELECT run FROM {runs}){narrowed(of_runs(scope, parameters))} GROUP BY kind, name, value"
        )
        return await self._counted(by_value, "kind, name", limit, values, parameters)

    async def columns(
        self, scope: Scope, expression: Expression, clock: Clock, columns: Sequence[str], values: int
    ) -> list[FieldRecord]:
        """Return these columns of runs, which are texts, or lists of them: what runs have of each, nothing left out."""
        parameters = Parameters()
        runs = found_runs(scope, expression, clock, columns, parameters)
        pairs = ", ".join(
            f"arrayMap(one -> ({parameters.text(column)}, one), arrayDistinct(tags))"
            if column == "tags"
            else f"[({parameters.text(column)}, toString({column}))]"
            for column in columns
        )
        by_value = (
            "SELECT 'run' AS kind, pair.1 AS name, pair.2 AS value, CAST(NULL, 'Nullable(Float64)') AS one, "
            f"count() AS n FROM (SELECT arrayJoin(arrayConcat({pairs})) AS pair FROM {runs}) "
            "WHERE value != '' GROUP BY name, value"
        )
        return await self._counted(by_value, "kind, name", len(columns), values, parameters)

    async def metrics(
        self, scope: Scope, expression: Expression, clock: Clock, prefix: str, limit: int
    ) -> list[MetricRecord]:
        """Return the metrics whose names begin with `prefix`, by name."""
        parameters = Parameters()
        runs = found_runs(scope, expression, clock, (), parameters)
        sql = (
            "SELECT metric AS name, count() AS runs, sum(count) AS points, "
            "minOrNullIf(minimum, NOT isNaN(minimum)) AS least, maxOrNullIf(maximum, NOT isNaN(maximum)) AS most "
            f"FROM summaries WHERE startsWith(metric, {parameters.text(prefix)}) "
            f"AND run IN (SELECT run FROM {runs}){narrowed(of_runs(scope, parameters))} "
            f"GROUP BY metric ORDER BY metric LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: MetricRecord(**row), sql, parameters)

    async def _counted(
        self, by_value: str, key: str, limit: int, values: int, parameters: Parameters
    ) -> list[FieldRecord]:
        """`by_value`: rows of the key, value, the number that it is (`one`), and how many runs have it (`n`)."""
        short = f"length(value) <= {parameters.integer(_MAX_VALUE_BYTES)}"
        most_first = "arraySort(pair -> (-toInt64(pair.2), pair.1), "
        sql = (
            f"SELECT {key}, sum(n) AS runs, count() AS distinct, sumIf(n, isNotNull(one)) AS numbers, "
            "minOrNullIf(one, isNotNull(one) AND NOT isNaN(one)) AS least, "
            "maxOrNullIf(one, isNotNull(one) AND NOT isNaN(one)) AS most, "
            f"arraySlice({most_first}groupArrayIf((value, n), {short})), 1, {parameters.integer(values)}) AS common "
            f"FROM ({by_value}) GROUP BY {key} ORDER BY {key} LIMIT {parameters.integer(limit)}"
        )
        rows = await self._reader.rows(sql, parameters)
        return [
            FieldRecord(
                **{name: row[name] for name in ("kind", "name", "runs", "distinct", "numbers", "least", "most")},
                values=[ValueCount(*pair.values()) for pair in row["common"]],
            )
            for row in rows
        ]
