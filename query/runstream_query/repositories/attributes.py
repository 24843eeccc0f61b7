"""Attributes of runs: parameters, other values and the environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runstream_query.repositories.arguments import Place, ProjectRuns
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.projects import ids_of_project, runs_within
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class AttributeRecord:
    """A value of a run; `value` is JSON."""

    name: str
    value: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A value of a run as a person would read it."""

    name: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AttributeCell:
    """A value of one of many runs; `value` is JSON."""

    run: str
    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class AttributeCounts:
    """How many states of a name there are, of which type; `filled` of them are not null, `gone` were deleted."""

    kind: str
    name: str
    filled: int
    booleans: int
    numbers: int
    states: int
    gone: int


@dataclass(frozen=True, slots=True)
class Kind:
    """Attributes of one kind: those with these names, or all."""

    kind: str
    names: Sequence[str] | None = None


_COUNTS: Final = (
    "countIf(value != 'null') AS filled, countIf(value IN ('true', 'false')) AS booleans, "
    "countIf(isNotNull(number)) AS numbers, count() AS states, countIf(deleted) AS gone"
)


class AttributeRepository:
    """Reads attributes that are not deleted. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def of_run(self, scope: Scope, run: str, kind: str) -> list[AttributeRecord]:
        """Return the values of one kind, by name."""
        parameters = Parameters()
        sql = (
            f"SELECT name, value, at FROM attributes WHERE run = {parameters.text(run)} AND "
            f"kind = {parameters.text(kind)} AND NOT deleted{narrowed(of_runs(scope, parameters))} ORDER BY name"
        )
        return await self._reader.records(lambda row: AttributeRecord(**row), sql, parameters)

    async def texts_of_run(self, scope: Scope, run: str, kind: str) -> list[TextRecord]:
        """Return the values of one kind as texts, by name."""
        parameters = Parameters()
        sql = (
            f"SELECT name, text, at FROM attributes WHERE run = {parameters.text(run)} AND "
            f"kind = {parameters.text(kind)} AND NOT deleted{narrowed(of_runs(scope, parameters))} ORDER BY name"
        )
        return await self._reader.records(lambda row: TextRecord(**row), sql, parameters)

    async def cells(
        self, scope: Scope, runs: Sequence[str], kinds: Sequence[Kind], limit: int | None = None
    ) -> list[AttributeCell]:
        """Return the values of these kinds and runs, in no order."""
        parameters = Parameters()
        end = "" if limit is None else f" LIMIT {parameters.integer(limit)}"
        sql = (
            f"SELECT run, kind, name, value FROM attributes WHERE run IN {parameters.texts(runs)} AND NOT deleted AND "
            f"{of_kinds(kinds, parameters)}{narrowed(of_runs(scope, parameters))}{end}"
        )
        return await self._reader.records(lambda row: AttributeCell(**row), sql, parameters)

    async def known_names(self, scope: Scope, within: Place, kinds: Sequence[Kind]) -> list[tuple[str, str]]:
        """Return the (kind, name) of what runs at a place have or had of these kinds and names, in no order. Of given
        names it ends as soon as all are found."""
        parameters = Parameters()
        every = any(one.names is None for one in kinds)
        end = "" if every else f" LIMIT {parameters.integer(sum(len(one.names or ()) for one in kinds))}"
        sql = (
            f"SELECT DISTINCT kind, name FROM attribute_states WHERE {of_kinds(kinds, parameters)}"
            f"{runs_within(scope, within, parameters)}{narrowed(of_runs(scope, parameters))}{end}"
        )
        return [(row["kind"], row["name"]) for row in await self._reader.rows(sql, parameters)]

    async def names_within(self, scope: Scope, within: Place, kind: str, limit: int) -> list[str]:
        """Return names of values of one kind of the runs at a place, each once, in no order."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT name FROM attribute_states WHERE kind = {parameters.text(kind)}"
            f"{runs_within(scope, within, parameters)}{narrowed(of_runs(scope, parameters))} "
            f"LIMIT {parameters.integer(limit)}"
        )
        return [row["name"] for row in await self._reader.rows(sql, parameters)]

    async def text_by_run(self, scope: Scope, runs: Sequence[str], kind: str, name: str) -> dict[str, str]:
        """Return run -> text of a value, where it is there and not null."""
        parameters = Parameters()
        return await self._text_by_run(scope, parameters.run_ids(runs), kind, name, parameters)

    async def text_by_run_of_projects(
        self, scope: Scope, projects: Sequence[tuple[str, str]], kind: str, name: str
    ) -> dict[str, str]:
        """Return the same of all runs that were ever in one of these (workspace, project)."""
        parameters = Parameters()
        pairs = [f"({parameters.text(workspace)}, {parameters.text(project)})" for workspace, project in projects]
        runs = (
            f"(SELECT run FROM run_states WHERE (workspace, project) IN ({', '.join(pairs)})"
            f"{narrowed(in_workspaces(scope, parameters))})"
        )
        return await self._text_by_run(scope, runs, kind, name, parameters)

    async def _text_by_run(
        self, scope: Scope, runs: str, kind: str, name: str, parameters: Parameters
    ) -> dict[str, str]:
        sql = (
            f"SELECT run, text FROM attributes WHERE run IN {runs} AND kind = {parameters.text(kind)} "
            f"AND name = {parameters.text(name)} AND NOT deleted AND value != 'null'"
            f"{narrowed(of_runs(scope, parameters))}"
        )
        return {row["run"]: row["text"] for row in await self._reader.rows(sql, parameters)}

    async def state_counts(self, scope: Scope, wanted: ProjectRuns, limit: int) -> list[AttributeCounts]:
        """Return what the states of each name of a project's runs are, old states too, by kind and name. That costs a
        thirtieth of finding the newest of each run."""
        parameters = Parameters()
        sql = (
            f"SELECT kind, name, {_COUNTS} FROM attribute_states "
            f"WHERE run IN {ids_of_project(scope, wanted, parameters)} GROUP BY kind, name ORDER BY kind, name "
            f"LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: AttributeCounts(**row), sql, parameters)

    async def counts(self, scope: Scope, wanted: ProjectRuns, names: Sequence[str]) -> list[AttributeCounts]:
        """Return what the newest values of these names are."""
        parameters = Parameters()
        sql = (
            f"SELECT kind, name, {_COUNTS} FROM attributes WHERE NOT deleted AND "
            f"run IN {ids_of_project(scope, wanted, parameters)} AND name IN {parameters.texts(names)} "
            "GROUP BY kind, name"
        )
        return await self._reader.records(lambda row: AttributeCounts(**row), sql, parameters)


def of_kinds(kinds: Sequence[Kind], parameters: Parameters) -> str:
    """Return the condition on attributes of these kinds."""
    wanted = []
    for one in kinds:
        condition = f"kind = {parameters.text(one.kind)}"
        wanted.append(condition if one.names is None else f"({condition} AND name IN {parameters.texts(one.names)})")
    return f"({' OR '.join(wanted)})"
