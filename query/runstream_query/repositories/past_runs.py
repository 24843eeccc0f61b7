"""Lists of runs as of a past moment: which runs have changed since, and what is known of the others.

What has not changed since a moment was then what it is now: its newest state lies before that moment. So only the
events of runs that have changed since have to be folded, and only the points of series that have grown.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.control import AssetDeleted, AssetLogged, OutputAppended, RunMoved, RunStarted
from runstream.events.positions import Positions
from runstream_model.past import LoggedEvent
from runstream_model.projection import TIME
from runstream_model.run_state import PLACEHOLDER_PROJECT, PLACEHOLDER_WORKSPACE, RUN_STATES
from runstream_query.filters.compiler import compile_filter
from runstream_query.filters.tree import Expression, fields_of
from runstream_query.repositories.attributes import Kind, of_kinds
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.globs import chosen_condition
from runstream_query.repositories.statements.pages import columns_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import beyond, within
from runstream_query.repositories.statements.runs import newest_runs
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed, of_keys, of_runs
from runstream_query.responses import Summary
from runstream_service.access import Scope

#: Events that say nothing of a run's row, its parameters, other values and environment. Most of a long run's are such.
_ASIDE: Final = tuple(event.model_fields["type"].default for event in (OutputAppended, AssetLogged, AssetDeleted))
#: Events that say where a run is.
_PLACING: Final = tuple(event.model_fields["type"].default for event in (RunStarted, RunMoved))
_PLACEHOLDERS: Final = {"workspace": PLACEHOLDER_WORKSPACE, "project": PLACEHOLDER_PROJECT}
#: Ids of one statement.
_AT_ONCE: Final = 1_000
_TIMES: Final = frozenset(column.name for column in RUN_STATES.stored if column.kind == TIME)
_SUMMARY: Final = ", ".join(Summary.model_fields)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What runs must have to be in a list: one of these ids, workspaces and projects; None: any."""

    ids: frozenset[str] | None = None
    workspaces: frozenset[str] | None = None
    projects: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KeyedEvent:
    """An event and the run that it is about."""

    run: str
    logged: LoggedEvent


@dataclass(frozen=True, slots=True)
class LoggedCell:
    """A logged value of a run as `attribute_states` has it."""

    run: str
    kind: str
    name: str
    value: str
    text: str
    number: float | None


class PastRunRepository:
    """Reads what lists of the past are made of. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def unchanged(
        self,
        scope: Scope,
        prefix: Positions,
        expression: Expression | None,
        columns: Collection[str],
        clock: Clock,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Return these stored columns of runs of which nothing came since, and that pass a filter of stored columns, in
        no order. Times are microseconds since 1970 UTC. Raises FilterError."""
        parameters = Parameters()
        compiled = "1" if expression is None else compile_filter(expression, parameters, clock.now_us)
        tested = [] if expression is None else columns_of(fields_of(expression))
        read = dict.fromkeys((*columns, *tested, "workspace", "part", "offset"))
        shown = ", ".join(
            f"toUnixTimestamp64Micro({column}) AS {column}_us" if column in _TIMES else column
            for column in dict.fromkeys(("run", *columns))
        )
        sql = (
            f"SELECT {shown} FROM {newest_runs(tuple(read), None)} AS r WHERE {within(prefix, parameters)} "
            f"AND {compiled} AND run NOT IN ({_changed(prefix, parameters)})"
            f"{narrowed(in_workspaces(scope, parameters))} LIMIT {parameters.integer(limit)}"
        )
        rows = await self._reader.rows(sql, parameters)
        return [{name.removesuffix("_us"): value for name, value in row.items()} for row in rows]

    async def changed(
        self, scope: Scope, prefix: Positions, candidates: Candidates, limit: int
    ) -> Sequence[KeyedEvent]:
        """Return the events before a position of the log of runs of which something came since, by run and in the log's
        order; those about output and files are left out."""
        parameters = Parameters()
        conditions = [
            within(prefix, parameters),
            f"type NOT IN {parameters.texts(_ASIDE)}",
            f"key IN ({_changed(prefix, parameters)})",
            *_among(prefix, candidates, parameters),
            *of_keys(scope, parameters),
        ]
        sql = (
            f"SELECT key AS run, part, offset, seq, writer, body FROM events WHERE {' AND '.join(conditions)} "
            f"ORDER BY run, part, offset, seq LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(_keyed, sql, parameters)

    async def created_us(self, scope: Scope, runs: Sequence[str]) -> dict[str, int]:
        """Return when the first record of each of the runs came, in microseconds since 1970 UTC."""
        found: dict[str, int] = {}
        for some in _batches(runs):
            parameters = Parameters()
            newest = newest_runs(("created_at", "workspace"), parameters.run_ids(some))
            where = "".join(f" WHERE {condition}" for condition in in_workspaces(scope, parameters))
            sql = f"SELECT run, toUnixTimestamp64Micro(created_at) AS created_us FROM {newest} AS r{where}"
            found.update({row["run"]: row["created_us"] for row in await self._reader.rows(sql, parameters)})
        return found

    async def logged(self, scope: Scope, runs: Sequence[str], kinds: Sequence[Kind]) -> list[LoggedCell]:
        """Return the values of these kinds of runs, in no order."""
        found: list[LoggedCell] = []
        for some in _batches(runs):
            parameters = Parameters()
            sql = (
                "SELECT run, kind, name, value, text, number FROM attributes WHERE "
                f"run IN {parameters.run_ids(some)} AND NOT deleted AND {of_kinds(kinds, parameters)}"
                f"{narrowed(of_runs(scope, parameters))}"
            )
            found += await self._reader.records(lambda row: LoggedCell(**row), sql, parameters)
        return found

    async def summaries(
        self, scope: Scope, runs: Sequence[str], metrics: Sequence[str], prefix: Positions, limit: int
    ) -> list[dict[str, Any]]:
        """Return the columns of `Summary` of these metrics (names or globs) of runs, and `kept`: whether no point came
        since. In no order; at most `limit` of 1,000 runs."""
        found: list[dict[str, Any]] = []
        for some in _batches(runs):
            parameters = Parameters()
            sql = (
                f"SELECT {_SUMMARY}, {within(prefix, parameters)} AS kept FROM summaries WHERE "
                f"run IN {parameters.run_ids(some)} AND {chosen_condition(metrics, parameters)}"
                f"{narrowed(of_runs(scope, parameters))} LIMIT {parameters.integer(limit)}"
            )
            found += await self._reader.rows(sql, parameters)
        return found


def _batches(runs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (runs[begin : begin + _AT_ONCE] for begin in range(0, len(runs), _AT_ONCE))


def _changed(prefix: Positions, parameters: Parameters) -> str:
    return (
        f"SELECT key FROM events WHERE {beyond(prefix, parameters)} AND type NOT IN {parameters.texts(_ASIDE)} "
        "AND position(key, '/') = 0"
    )


def _among(prefix: Positions, candidates: Candidates, parameters: Parameters) -> list[str]:
    """Conditions on keys that all candidates meet, and others may."""
    conditions = []
    if candidates.ids is not None:
        conditions.append(f"key IN {parameters.texts(sorted(candidates.ids))}")
    for place, wanted in (("workspace", candidates.workspaces), ("project", candidates.projects)):
        # A run that nobody placed yet is at the placeholder's.
        if wanted is not None and _PLACEHOLDERS[place] not in wanted:
            conditions.append(
                f"key IN (SELECT key FROM events WHERE {within(prefix, parameters)} "
                f"AND type IN {parameters.texts(_PLACING)} "
                f"AND JSONExtractString(body, {parameters.text(place)}) IN {parameters.texts(sorted(wanted))})"
            )
    return conditions


def _keyed(row: Any) -> KeyedEvent:
    return KeyedEvent(row["run"], LoggedEvent(**{name: value for name, value in row.items() if name != "run"}))
