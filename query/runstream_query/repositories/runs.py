"""Runs: pages of them found with as few looks at the store as it takes, their newest states, what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from runstream.events.names import NO_STEP, SYSTEM_METRICS, project_key
from runstream.events.positions import Positions
from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import check
from runstream_query.filters.tree import Expression
from runstream_query.repositories.arguments import ProjectRuns
from runstream_query.repositories.questions import Clock, Question
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.selection import Selection
from runstream_query.repositories.statements.found import found_runs
from runstream_query.repositories.statements.order import TermValue, term_count
from runstream_query.repositories.statements.pages import count_statement, exact_statement, window_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import beyond
from runstream_query.repositories.statements.projects import ids_of_project, in_project
from runstream_query.repositories.statements.runs import (
    STORED_COLUMNS,
    details_statement,
    newest_runs,
    run_rows,
    shown_state,
    silent_runs,
)
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed, of_runs
from runstream_service.access import Scope
from runstream_service.store import QueryLimitExceeded

#: States of the first window: a page of 100 that one run in four belongs to.
FIRST_WINDOW: Final = 400
#: States a wanted run in the second one, of which nearly all belong to the page: some are old, some twice there.
#: Looking up a run costs about 0.1 ms, so that many more would cost what grouping all states does.
STATES_PER_RUN: Final = 2
#: Fields of QueryLimits that a page of large runs meets, and by what it is cut then: a page of 1,000 is cut four times.
_OF_SIZE: Final = ("result_bytes", "memory_bytes")
_CUT: Final = 4
_BY: Final = {
    "created": "created_at",
    "started": "started_at",
    "ended": "ifNull(ended_at, toDateTime64(0, 6))",
}


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it is shown: a running one whose writers fell silent is `crashed`.

    `columns` are all of RUN_COLUMNS, by name; the other fields are those of them that the code asks for by name.
    """

    run: str
    workspace: str
    project: str
    name: str
    status: str
    user: str
    tags: Sequence[str]
    created_at: datetime
    started_at: datetime
    ended_at: datetime | None
    duration_s: float
    archived: bool
    deleted: bool
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunOutline:
    """What a list of very many runs shows of each; times are milliseconds since 1970 UTC."""

    run: str
    name: str
    workspace: str
    project: str
    status: str
    user: str
    tags: Sequence[str]
    archived: bool
    duration_s: float
    started_ms: int
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it is stored. `state` is the folded state as JSON."""

    workspace: str
    project: str
    name: str
    deleted: bool
    state: str


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How much a run has; `last_step` is the highest of its metrics, those of the system apart."""

    metrics: int
    parameters: int
    assets: int
    last_step: int | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs in order; `ends` are the terms of the last one, None on the last page."""

    runs: Sequence[RunRecord]
    ends: tuple[TermValue, ...] | None


@dataclass(frozen=True, slots=True)
class RunOrder:
    """The order of runs by a time; those of the same time by id, in the same direction."""

    by: Literal["created", "started", "ended"] = "created"
    descending: bool = False

    @property
    def sql(self) -> str:
        """Return what stands behind ORDER BY."""
        direction = "DESC" if self.descending else "ASC"
        return f"{_BY[self.by]} {direction}, run {direction}"


_OUTLINE: Final = {field.name: field.name for field in fields(RunOutline)} | {
    "started_ms": "toUnixTimestamp64Milli(started_at) AS started_ms",
    "ended_ms": "if(isNull(ended_at), NULL, toUnixTimestamp64Milli(assumeNotNull(ended_at))) AS ended_ms",
}
_ORDERED_BY: Final = ("run", "created_at", "started_at", "ended_at")
_READ_FOR_OUTLINE: Final = tuple(name for name in _OUTLINE if not name.endswith("_ms"))
#: The fields of a record that are columns.
_NAMED: Final = tuple(field.name for field in fields(RunRecord) if field.name != "columns")
_STATE: Final = tuple(field.name for field in fields(RunState))


class RunRepository:
    """Reads runs. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def exists(self, scope: Scope, run: str) -> bool:
        """Return whether anything was ever heard of the run."""
        parameters = Parameters()
        sql = (
            f"SELECT 1 FROM run_states WHERE run = {parameters.text(run)}{narrowed(of_runs(scope, parameters))} LIMIT 1"
        )
        return bool((await self._reader.table(sql, parameters)).num_rows)

    async def known(self, scope: Scope, runs: Sequence[str]) -> set[str]:
        """Return those of the ids of which anything was ever heard."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT run FROM run_states WHERE run IN {parameters.texts(runs)}"
            f"{narrowed(of_runs(scope, parameters))}"
        )
        return {row["run"] for row in await self._reader.rows(sql, parameters)}

    async def started_us(self, scope: Scope, runs: Sequence[str]) -> dict[str, int]:
        """Return when each of the runs that are there began, in microseconds since 1970 UTC."""
        parameters = Parameters()
        newest = newest_runs(("run", "workspace", "started_at"), parameters.run_ids(runs))
        where = "".join(f" WHERE {condition}" for condition in in_workspaces(scope, parameters))
        sql = f"SELECT run, toUnixTimestamp64Micro(started_at) AS started_us FROM {newest} AS r{where}"
        return {row["run"]: row["started_us"] for row in await self._reader.rows(sql, parameters)}

    async def states(self, scope: Scope, runs: Sequence[str]) -> dict[str, str]:
        """Return run -> its newest folded state as JSON, of those that are there, deleted or not."""
        parameters = Parameters()
        newest = newest_runs(("state", "workspace"), parameters.run_ids(runs))
        where = "".join(f" WHERE {condition}" for condition in in_workspaces(scope, parameters))
        sql = f"SELECT run, state FROM {newest} AS r{where}"
        return {row["run"]: row["state"] for row in await self._reader.rows(sql, parameters)}

    async def state(self, scope: Scope, run: str) -> RunState | None:
        """Return the newest state of a run, deleted or not; None if nothing was ever heard of it."""
        parameters = Parameters()
        newest = newest_runs(_STATE, parameters.run_ids([run]))
        where = "".join(f" WHERE {condition}" for condition in in_workspaces(scope, parameters))
        rows = await self._reader.rows(f"SELECT * FROM {newest} AS r{where}", parameters)
        return RunState(**{name: rows[0][name] for name in _STATE}) if rows else None

    async def counts(self, scope: Scope, run: str) -> RunCounts:
        """Return how many metrics, parameters and files a run has, and how far it is."""
        parameters = Parameters()
        key = parameters.text(run)
        visible = narrowed(of_runs(scope, parameters))
        sql = (
            f"SELECT (SELECT uniqExact(metric) FROM summary_states WHERE run = {key}{visible}) AS metrics, "
            f"(SELECT count() FROM attributes WHERE run = {key} AND kind = 'parameter' AND NOT deleted{visible}) "
            "AS parameters, "
            f"(SELECT count() FROM assets WHERE run = {key} AND NOT deleted{visible}) AS assets, "
            f"(SELECT maxOrNull(last_step) FROM summaries WHERE run = {key} AND last_step != {NO_STEP} "
            f"AND NOT startsWith(metric, {parameters.text(SYSTEM_METRICS)}){visible}) AS last_step"
        )
        (row,) = await self._reader.rows(sql, parameters)
        return RunCounts(**row)

    async def page(self, scope: Scope, question: Question, limit: int) -> RunPage:
        """Return the first runs of a question: `limit`, or fewer where their texts are larger than a query may return.
        Raises FilterError, InvalidRequest."""
        if question.expression is not None:
            check(question.expression)
        terms = term_count(question.sort)
        if question.after is not None and len(question.after.terms) != terms:
            raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
        rows = await self._found(scope, question, limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        while True:
            try:
                shown = await self.shown(scope, [row["run"] for row in rows], question.clock)
                break
            except QueryLimitExceeded as error:
                # Notes, messages and tags of all of them are too large for one page, which nobody can know before: else
                # one who writes such runs would keep everybody from the list that they stand in.
                if error.limit not in _OF_SIZE or len(rows) <= 1:
                    raise
                rows, more = rows[: max(1, len(rows) // _CUT)], True
        # A run can only go away between two statements if the store is being rebuilt.
        found = [shown[row["run"]] for row in rows if row["run"] in shown]
        return RunPage(found, tuple(rows[-1][f"k{n}"] for n in range(terms)) if more else None)

    async def _found(self, scope: Scope, question: Question, wanted: int) -> list[dict[str, Any]]:
        enough = STATES_PER_RUN * wanted
        for size, named in ((max(FIRST_WINDOW, enough), False), (enough, True)):
            window = window_of(question, size, named, scope)
            if window is None:
                break
            states = await self._reader.rows(window.sql, window.parameters)
            runs = list(dict.fromkeys(state["run"] for state in states))
            end = window.end(states)
            rows: list[dict[str, Any]] = []
            if runs:
                bound = Parameters()
                rows = await self._reader.rows(exact_statement(question, wanted, bound, runs, end, scope), bound)
            if len(rows) == wanted or end is None:
                return rows
        bound = Parameters()
        return await self._reader.rows(exact_statement(question, wanted, bound, scope=scope), bound)

    async def count(self, scope: Scope, expression: Expression | None, clock: Clock) -> int:
        """Return how many runs match. Raises FilterError."""
        parameters = Parameters()
        (row,) = await self._reader.rows(count_statement(expression, clock, parameters, scope), parameters)
        return int(row["total"])

    async def shown(self, scope: Scope, runs: Sequence[str], clock: Clock) -> dict[str, RunRecord]:
        """Return run -> its newest state, in the order of `runs`, by the primary key. A run that is not there is left
        out; only a running run's writers are looked at."""
        if not runs:
            return {}
        stored, held = await self._newest(scope, runs)
        running = [run for run, row in stored.items() if row["status"] == "running" and run not in held]
        silent: dict[str, datetime] = {}
        if running:
            bound = Parameters()
            found = await self._reader.rows(silent_runs(bound, clock, bound.run_ids(running)), bound)
            silent = {row["key"]: row["silent_since"] for row in found}
        return {run: _shown(stored[run], silent.get(run), clock) for run in runs if run in stored}

    async def stored(self, scope: Scope, runs: Sequence[str], clock: Clock) -> dict[str, RunRecord]:
        """Return run -> its newest state as the log has it: the silence of writers is left out. A run that is not there
        is left out."""
        if not runs:
            return {}
        stored, _ = await self._newest(scope, runs)
        return {run: _shown(row, None, clock) for run, row in stored.items()}

    async def _newest(self, scope: Scope, runs: Sequence[str]) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """Return run -> its newest stored columns, and which of them somebody set running by hand."""
        bound = Parameters()
        sql = details_statement(bound.run_ids(runs), narrowed(of_runs(scope, bound, "s.run")))
        rows = await self._reader.rows(sql, bound)
        stored = {row["run"]: dict(zip(STORED_COLUMNS, row["newest"].values(), strict=True)) for row in rows}
        return stored, {row["run"] for row in rows if row["set_running"]}

    async def lost(self, scope: Scope, selection: Selection, clock: Clock) -> frozenset[str]:
        """Return the selected runs whose writers are silent, of which no event tells."""
        parameters = Parameters()
        columns = ("run", "workspace", "project", "lost")
        source = run_rows(parameters, clock, columns, "(SELECT run FROM run_states WHERE status = 'running')")
        sql = (
            f"SELECT run FROM {source} WHERE lost AND {selection.run_condition(parameters)}"
            f"{narrowed(in_workspaces(scope, parameters))}"
        )
        return frozenset(row["run"] for row in await self._reader.rows(sql, parameters))

    async def changed(self, scope: Scope, selection: Selection, seen: Positions) -> list[str]:
        """Return the selected runs with a state from behind a position of the log, by id."""
        parameters = Parameters()
        changed = f"(SELECT run FROM run_states WHERE {beyond(seen, parameters)})"
        source = newest_runs(("workspace", "project"), changed)
        sql = (
            f"SELECT run FROM {source} WHERE {selection.run_condition(parameters)}"
            f"{narrowed(in_workspaces(scope, parameters))} ORDER BY run"
        )
        return [row["run"] for row in await self._reader.rows(sql, parameters)]

    async def matching(
        self, scope: Scope, expression: Expression, clock: Clock, order: RunOrder, limit: int, offset: int = 0
    ) -> list[str]:
        """Return the ids of the runs that match, in order. Raises FilterError."""
        parameters = Parameters()
        found = found_runs(scope, expression, clock, (*_ORDERED_BY, "run"), parameters)
        sql = (
            f"SELECT run FROM {found} ORDER BY {order.sql} "
            f"LIMIT {parameters.integer(limit)} OFFSET {parameters.integer(offset)}"
        )
        return [row["run"] for row in await self._reader.rows(sql, parameters)]

    async def outlines(
        self, scope: Scope, expression: Expression, clock: Clock, order: RunOrder, limit: int
    ) -> list[RunOutline]:
        """Return the runs that match, in order. Times come as integers, and the rest in as few columns as there can be:
        a project may have 100,000 runs, and its rows become Python values one by one. Raises FilterError."""
        parameters = Parameters()
        found = found_runs(scope, expression, clock, (*_ORDERED_BY, *_READ_FOR_OUTLINE), parameters)
        sql = (
            f"SELECT {', '.join(_OUTLINE.values())} FROM {found} ORDER BY {order.sql} LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: RunOutline(**row), sql, parameters)

    async def of_project(self, scope: Scope, workspace: str, project: str) -> list[str]:
        """Return the ids of a project's runs, archived ones too, deleted ones not, in order."""
        parameters = Parameters()
        where = in_project(workspace, project, parameters) + narrowed(in_workspaces(scope, parameters))
        once = f"(SELECT run FROM run_states WHERE {where})"
        newest = newest_runs(("workspace", "project", "deleted"), once)
        sql = f"SELECT run FROM {newest} AS r WHERE {where} AND NOT deleted ORDER BY run"
        return [row["run"] for row in await self._reader.rows(sql, parameters)]

    async def linked_to(self, scope: Scope, workspace: str, project: str, limit: int) -> list[str]:
        """Return the ids of runs of other projects that are shown in this one too, deleted ones not, in order."""
        parameters = Parameters()
        visible = narrowed(in_workspaces(scope, parameters))
        where = f"has(links, {parameters.text(project_key(workspace, project))}){visible}"
        once = f"(SELECT run FROM run_states WHERE {where})"
        newest = newest_runs(("workspace", "links", "deleted"), once)
        sql = (
            f"SELECT run FROM {newest} AS r WHERE {where} AND NOT deleted ORDER BY run "
            f"LIMIT {parameters.integer(limit)}"
        )
        return [row["run"] for row in await self._reader.rows(sql, parameters)]

    async def were_in_project(self, scope: Scope, workspace: str, project: str) -> bool:
        """Return whether a run was ever in a project."""
        parameters = Parameters()
        where = in_project(workspace, project, parameters) + narrowed(in_workspaces(scope, parameters))
        return bool(await self._reader.rows(f"SELECT 1 FROM run_states WHERE {where} LIMIT 1", parameters))

    async def tags_of_project(self, scope: Scope, wanted: ProjectRuns, limit: int) -> list[str]:
        """Return the tags that the runs of a project have, each once, in order."""
        parameters = Parameters()
        newest = newest_runs(("tags",), ids_of_project(scope, wanted, parameters))
        sql = (
            f"SELECT DISTINCT arrayJoin(tags) AS tag FROM {newest} AS newest ORDER BY tag "
            f"LIMIT {parameters.integer(limit)}"
        )
        return [row["tag"] for row in await self._reader.rows(sql, parameters)]


def _shown(row: dict[str, Any], silent_since: datetime | None, clock: Clock) -> RunRecord:
    """The record of a stored row as it is shown. `silent_since` as `silent_runs` says of the run."""
    status, duration_s = shown_state(row["status"], row["started_at"], row["ended_at"], silent_since, clock)
    columns = {**row, "status": status, "duration_s": duration_s}
    return RunRecord(**{name: columns[name] for name in _NAMED}, columns=columns)
