"""Runs of projects as Comet's experiments: their rows, and which project a name or an id means."""

import asyncio
import posixpath
from collections.abc import Sequence
from typing import Final

from runstream.events.moments import millis_of
from runstream.events.names import RUN_ID, project_id
from runstream_protocols.comet.reads.requests import ProjectRequest
from runstream_protocols.comet.reads.responses import CometExperiment
from runstream_query.errors import InvalidRequest, LimitExceeded, NotFound
from runstream_query.filters.tree import And, Compare, Expression, Field, OneOf, Or
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.repositories.arguments import ProjectRuns
from runstream_query.repositories.runs import RunOrder, RunOutline, RunRecord
from runstream_query.responses import Project

#: The path of the program, in the environment that the SDK captures.
PROGRAM: Final = "command.program"
#: Beyond so many ids, a look at the whole project costs less than to say them.
_MANY: Final = 1000
OLDEST_FIRST: Final = RunOrder("started")


def names_of_project(parameters: ProjectRequest) -> tuple[str, str] | None:
    """Workspace and project as they were given; None if an id was. Raises InvalidRequest."""
    if parameters.workspace_name is not None and parameters.project_name is not None:
        return parameters.workspace_name, parameters.project_name
    if parameters.project_id is None:
        raise InvalidRequest("give workspaceName and projectName, or projectId", name="projectName")
    return None


async def find_project(context: Context, parameters: ProjectRequest) -> Project:
    """The project that is meant. Raises NotFound, InvalidRequest."""
    names = names_of_project(parameters)
    for project in await projects_of(context, names[0] if names else None):
        if (project.workspace, project.project) == names:
            return project
        if names is None and project_id(project.workspace, project.project) == parameters.project_id:
            return project
    what = f"{names[0]}/{names[1]}" if names else f"with the id {parameters.project_id}"
    raise NotFound(f"there is no project {what}: look the names up with get_workspaces and get_projects")


async def place_of(context: Context, parameters: ProjectRequest) -> ProjectRuns:
    """The project that is meant, without a look at all of its runs. Raises NotFound, InvalidRequest."""
    names = names_of_project(parameters)
    if names is None or not await context.repositories.runs.were_in_project(context.scope, *names):
        found = await find_project(context, parameters)
        names = found.workspace, found.project
    linked = await context.repositories.runs.linked_to(context.scope, *names, _MANY)
    return ProjectRuns(*names, tuple(linked))


def of_project(place: ProjectRuns, archived: bool, expression: Expression | None = None) -> Expression:
    """The runs of a project that `expression` holds for, archived or not; never deleted ones."""
    named: tuple[Expression, ...] = (
        Compare(Field("workspace"), "=", place.workspace),
        Compare(Field("project"), "=", place.project),
    )
    if place.linked:
        named = (Or((And(named), OneOf(Field("id"), place.linked))),)
    scope: list[Expression] = [
        *named,
        Compare(Field("archived"), "=", archived),
        Compare(Field("deleted"), "=", False),
    ]
    if expression is not None:
        scope += expression.items if isinstance(expression, And) else (expression,)
    return And(tuple(scope))


async def keys_of(
    context: Context,
    expression: Expression,
    order: RunOrder = OLDEST_FIRST,
    limit: int | None = None,
    offset: int = 0,
) -> list[str]:
    """The ids of the runs that match. Raises LimitExceeded for more than one response may have."""
    most = context.settings.max_experiments
    wanted = most + 1 if limit is None else min(limit, most + 1)
    found = await context.repositories.runs.matching(context.scope, expression, context.clock(), order, wanted, offset)
    _require_few(found, most)
    return found


def _require_few(found: Sequence[object], most: int) -> None:
    """Raises LimitExceeded."""
    if len(found) > most:
        raise LimitExceeded(
            f"more than {most} experiments match, which is the limit of one response "
            "(RUNSTREAM_QUERY_MAX_EXPERIMENTS): ask for a page and its size, or with more conditions",
            limit="max_experiments",
            value=most,
        )


async def require_row(context: Context, key: str) -> RunRecord:
    """The row of one run. Raises NotFound, also for what can be no id: the client tries names so."""
    if RUN_ID.match(key):
        found = await context.repositories.runs.shown(context.scope, [key], context.clock())
        if key in found and not found[key].deleted:
            return found[key]
    raise NotFound(f"no experiment has the key {key[:140]!r}: look it up with get_experiments")


async def experiments_of(context: Context, expression: Expression, order: RunOrder) -> list[CometExperiment]:
    """All runs that match. Raises LimitExceeded."""
    most = context.settings.max_experiments
    found = await context.repositories.runs.outlines(context.scope, expression, context.clock(), order, most + 1)
    _require_few(found, most)
    return await _made(context, found)


async def experiments_by_key(context: Context, keys: Sequence[str]) -> list[CometExperiment]:
    """The runs with these ids that are there, in this order."""
    found = await context.repositories.runs.shown(context.scope, keys, context.clock())
    return await experiments_by_row(context, list(found.values()))


async def experiments_by_row(context: Context, rows: Sequence[RunRecord]) -> list[CometExperiment]:
    """The runs of these rows."""
    return await _made(context, [outline_of(row) for row in rows])


async def _made(context: Context, rows: Sequence[RunOutline]) -> list[CometExperiment]:
    if not rows:
        return []
    attributes = context.repositories.attributes
    if len(rows) > _MANY:
        projects = sorted({(row.workspace, row.project) for row in rows})
        programs = await attributes.text_by_run_of_projects(context.scope, projects, "environment", PROGRAM)
    else:
        programs = await attributes.text_by_run(context.scope, [row.run for row in rows], "environment", PROGRAM)
    return await asyncio.to_thread(lambda: [experiment_of(row, programs.get(row.run)) for row in rows])


def outline_of(row: RunRecord) -> RunOutline:
    """What Comet shows of a run."""
    return RunOutline(
        run=row.run,
        name=row.name,
        workspace=row.workspace,
        project=row.project,
        status=row.status,
        user=row.user,
        tags=row.tags,
        archived=row.archived,
        duration_s=row.duration_s,
        started_ms=millis_of(row.started_at),
        ended_ms=None if row.ended_at is None else millis_of(row.ended_at),
    )


def given_name(run: str, name: str) -> str | None:
    """Return the name of a run; None of one that nobody named, which is shown under its id here."""
    return name if name not in ("", run) else None


def experiment_of(row: RunOutline, program: str | None) -> CometExperiment:
    """Comet's metadata of a run. A run that fell silent ended where it was last heard of."""
    duration_ms = round(row.duration_s * 1000)
    running = row.status == "running"
    ended_ms = row.started_ms + duration_ms if row.ended_ms is None else row.ended_ms
    return CometExperiment(
        experiment_key=row.run,
        experiment_name=given_name(row.run, row.name),
        workspace_name=row.workspace,
        project_name=row.project,
        project_id=project_id(row.workspace, row.project),
        archived=row.archived,
        running=running,
        has_crashed=row.status not in ("running", "finished"),
        start_time_millis=row.started_ms,
        end_time_millis=None if running else ended_ms,
        duration_millis=duration_ms,
        file_name=posixpath.basename(program) or None if program else None,
        file_path=program or None,
        user_name=row.user,
        tags=list(row.tags),
    )
