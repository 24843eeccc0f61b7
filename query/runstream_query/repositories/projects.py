"""Projects and experiments: those that were created, and those that have runs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.projects import in_project, with_texts
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project. `runs` are those in it that are not deleted."""

    workspace: str
    project: str
    description: str
    notes: str
    created_at: datetime
    updated_at: datetime
    runs: int


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """An experiment. `runs` are those in it that are not deleted."""

    workspace: str
    project: str
    experiment: str
    description: str
    created_at: datetime
    updated_at: datetime
    runs: int


@dataclass(frozen=True, slots=True)
class ProjectTextsRecord:
    """What people wrote about a project."""

    description: str
    notes: str


class ProjectRepository:
    """Reads projects and experiments. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def projects(self, scope: Scope, workspace: str | None, *, text_bytes: int) -> list[ProjectRecord]:
        """Return projects that have runs, or were created, by workspace and name; of long texts the beginning, where
        all together have more than `text_bytes`. Deleted ones and deleted runs do not count."""
        stated, counted = Parameters(), Parameters()
        wanted = {"workspace": workspace}
        states, runs = await asyncio.gather(
            self._reader.rows(
                with_texts(
                    ("description", "notes"),
                    "workspace, project, created_at, updated_at, deleted",
                    f"projects WHERE {_where(scope, wanted, stated)}",
                    text_bytes,
                ),
                stated,
            ),
            self._reader.rows(
                "SELECT workspace, project, count() AS runs, min(created_at) AS created_at, "
                f"max(updated_at) AS updated_at FROM runs WHERE NOT deleted AND {_where(scope, wanted, counted)} "
                "GROUP BY workspace, project",
                counted,
            ),
        )
        return await self._reader.off_loop(_projects, states, runs)

    async def experiments(
        self,
        scope: Scope,
        workspace: str | None,
        project: str | None,
        experiment: str | None = None,
        *,
        text_bytes: int,
    ) -> list[ExperimentRecord]:
        """Return experiments that have runs, or were created, by workspace, project and name; of one name, if given."""
        stated, counted = Parameters(), Parameters()
        wanted = {"workspace": workspace, "project": project, "experiment": experiment}
        states, runs = await asyncio.gather(
            self._reader.rows(
                with_texts(
                    ("description",),
                    "workspace, project, experiment, created_at, updated_at",
                    f"experiments WHERE NOT deleted AND {_where(scope, wanted, stated)}",
                    text_bytes,
                ),
                stated,
            ),
            self._reader.rows(
                "SELECT workspace, project, experiment, count() AS runs, min(created_at) AS created_at, "
                "max(updated_at) AS updated_at FROM runs WHERE NOT deleted AND experiment != '' AND "
                f"{_where(scope, wanted, counted)} GROUP BY workspace, project, experiment",
                counted,
            ),
        )
        return await self._reader.off_loop(_experiments, states, runs)

    async def texts(self, scope: Scope, workspace: str, project: str) -> ProjectTextsRecord | None:
        """Return what was written about a project that was created and not deleted; None if it was not."""
        parameters = Parameters()
        sql = (
            f"SELECT description, notes FROM projects WHERE {in_project(workspace, project, parameters)} AND "
            f"NOT deleted{narrowed(in_workspaces(scope, parameters))}"
        )
        rows = await self._reader.rows(sql, parameters)
        return ProjectTextsRecord(**rows[0]) if rows else None

    async def names(self, scope: Scope) -> list[tuple[str, str]]:
        """Return (workspace, project) of all that were ever created or had runs, each once."""
        parameters = Parameters()
        where = "".join(f" WHERE {condition}" for condition in in_workspaces(scope, parameters))
        sql = (
            f"SELECT DISTINCT workspace, project FROM (SELECT workspace, project FROM project_states{where} "
            f"UNION ALL SELECT workspace, project FROM run_states{where})"
        )
        return [(row["workspace"], row["project"]) for row in await self._reader.rows(sql, parameters)]


def _where(scope: Scope, wanted: Mapping[str, str | None], parameters: Parameters) -> str:
    named = [f"{column} = {parameters.text(value)}" for column, value in wanted.items() if value is not None]
    return " AND ".join(["1", *named, *in_workspaces(scope, parameters)])


def _projects(states: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> list[ProjectRecord]:
    found: dict[tuple[str, str], dict[str, Any]] = {
        (row["workspace"], row["project"]): {"description": "", "notes": "", **row} for row in runs
    }
    for row in states:
        key = (row["workspace"], row["project"])
        if not row.pop("deleted"):  # runs that are still in a deleted project keep it in the list
            found[key] = {**row, "runs": found.get(key, {}).get("runs", 0)}
    return [ProjectRecord(**found[key]) for key in sorted(found)]


def _experiments(states: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> list[ExperimentRecord]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {
        (row["workspace"], row["project"], row["experiment"]): {"description": "", **row} for row in runs
    }
    for row in states:
        key = (row["workspace"], row["project"], row["experiment"])
        found[key] = {**row, "runs": found.get(key, {}).get("runs", 0)}
    return [ExperimentRecord(**found[key]) for key in sorted(found)]
