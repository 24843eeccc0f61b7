"""Runs of projects as Comet's experiments: their rows, and which project a name or an id means."""

import asyncio
import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.names import RUN_ID, project_id
from runstream_protocols.comet.conventions import SECTION, link_name
from runstream_protocols.comet.reads.answers import CometExperiment, at_ms
from runstream_protocols.comet.reads.asked import AskedProject
from runstream_query.answers import Project
from runstream_query.errors import InvalidRequest, LimitExceeded, NotFound
from runstream_query.filters.compiler import compile_filter
from runstream_query.filters.tree import And, Compare, Expression, Field, OneOf, Or, fields_of
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.http.pages import shown_rows
from runstream_query.repositories.statements.pages import columns_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs, run_rows

Row = dict[str, Any]

#: The path of the program, in the environment that the SDK captures.
PROGRAM: Final = "command.program"
#: Beyond so many ids, a look at the whole project costs less than to say them.
_MANY: Final = 1000
#: What an experiment shows, of the columns of a run.
_SHOWN: Final = ("run", "name", "workspace", "project", "status", "user", "tags", "archived", "duration_s")
_ORDERED_BY: Final = ("run", "created_at", "started_at", "ended_at")


def names_of_project(asked: AskedProject) -> tuple[str, str] | None:
    """Workspace and project as they were given; None if an id was. Raises InvalidRequest."""
    if asked.workspace_name is not None and asked.project_name is not None:
        return asked.workspace_name, asked.project_name
    if asked.project_id is None:
        raise InvalidRequest("give workspaceName and projectName, or projectId", name="projectName")
    return None


async def find_project(context: Context, asked: AskedProject) -> Project:
    """The project that is meant. Raises NotFound, InvalidRequest."""
    names = names_of_project(asked)
    for project in await projects_of(context, names[0] if names else None):
        if (project.workspace, project.project) == names:
            return project
        if names is None and project_id(project.workspace, project.project) == asked.project_id:
            return project
    what = f"{names[0]}/{names[1]}" if names else f"with the id {asked.project_id}"
    raise NotFound(f"there is no project {what}: look the names up with get_workspaces and get_projects")


@dataclass(frozen=True, slots=True)
class Place:
    """A project. `linked`: runs of other projects that are shown in it too."""

    workspace: str
    project: str
    linked: tuple[str, ...] = ()


async def place_of(context: Context, asked: AskedProject) -> Place:
    """The project that is meant, without a look at all of its runs. Raises NotFound, InvalidRequest."""
    names = names_of_project(asked)
    if names is None or not await _has_runs(context, *names):
        found = await find_project(context, asked)
        names = found.workspace, found.project
    bound = Parameters()
    name = bound.text(f"{SECTION}.{link_name(*names)}")
    sql = (
        f"SELECT run FROM attributes WHERE kind = 'environment' AND name = {name} AND value = 'true' AND NOT deleted "
        f"ORDER BY run LIMIT {_MANY}"
    )
    return Place(*names, tuple(row["run"] for row in await context.rows(sql, bound)))


async def _has_runs(context: Context, workspace: str, project: str) -> bool:
    bound = Parameters()
    where = f"workspace = {bound.text(workspace)} AND project = {bound.text(project)}"
    return bool(await context.rows(f"SELECT 1 FROM run_states WHERE {where} LIMIT 1", bound))


def of_project(place: Place, archived: bool, expression: Expression | None = None) -> Expression:
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


def ids_of_project(place: Place, parameters: Parameters) -> str:
    """What may stand behind IN: the ids of all runs of a project, archived ones too, deleted ones not."""
    where = f"workspace = {parameters.text(place.workspace)} AND project = {parameters.text(place.project)}"
    if place.linked:
        where = f"({where} OR run IN {parameters.run_ids(place.linked)})"
    once = f"(SELECT run FROM run_states WHERE {where})"
    return (
        f"(SELECT run FROM {newest_runs(('workspace', 'project', 'deleted'), once)} AS newest "
        f"WHERE {where} AND NOT deleted)"
    )


async def matching(
    context: Context,
    expression: Expression,
    columns: Collection[str],
    *,
    read: Collection[str] = ("run",),
    order: str = "created_at, run",
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Rows of the runs that match, by one statement. `columns` are expressions over those of `read` (RUN_COLUMNS) and
    of `order`; all are ours, never a client's text. Raises LimitExceeded for more than one answer may have."""
    parameters = Parameters()
    clock = context.clock()
    needed = dict.fromkeys((*_ORDERED_BY, *read, *columns_of(fields_of(expression))))
    condition = compile_filter(expression, parameters, clock.now_us)
    most = context.settings.max_experiments
    wanted = most + 1 if limit is None else min(limit, most + 1)
    sql = (
        f"SELECT {', '.join(columns)} FROM (SELECT * FROM {run_rows(parameters, clock, tuple(needed))} "
        f"WHERE {condition}) AS found ORDER BY {order} "
        f"LIMIT {parameters.integer(wanted)} OFFSET {parameters.integer(offset)}"
    )
    rows = await context.rows(sql, parameters)
    if len(rows) > most:
        raise LimitExceeded(
            f"more than {most} experiments match, which is the limit of one answer (RUNSTREAM_QUERY_MAX_EXPERIMENTS): "
            "ask for a page and its size, or with more conditions",
            limit="max_experiments",
            value=most,
        )
    return rows


async def require_row(context: Context, key: str) -> Row:
    """The row (RUN_COLUMNS) of one run. Raises NotFound, also for what can be no id: the client tries names so."""
    if RUN_ID.match(key):
        rows = await shown_rows(context, [key], context.clock())
        if key in rows and not rows[key]["deleted"]:
            return rows[key]
    raise NotFound(f"no experiment has the key {key[:140]!r}: look it up with get_experiments")


async def experiments_of(context: Context, expression: Expression, order: str) -> list[CometExperiment]:
    """All runs that match. Times come as integers, and the rest in as few columns as there can be: a project may have
    100,000 runs, and its rows become Python values one by one."""
    times = {
        "started_ms": "toUnixTimestamp64Milli(started_at)",
        "ended_ms": "if(isNull(ended_at), NULL, toUnixTimestamp64Milli(assumeNotNull(ended_at)))",
    }
    columns = (*_SHOWN, *(f"{sql} AS {name}" for name, sql in times.items()))
    rows = await matching(context, expression, columns, order=order, read=_SHOWN)
    return await _made(context, rows)


async def experiments_by_key(context: Context, keys: Sequence[str]) -> list[CometExperiment]:
    """The runs with these ids that are there, in this order."""
    return await experiments_by_row(context, list((await shown_rows(context, keys, context.clock())).values()))


async def experiments_by_row(context: Context, rows: Sequence[Row]) -> list[CometExperiment]:
    """The runs of these rows (RUN_COLUMNS)."""
    return await _made(context, [with_times(row) for row in rows])


async def _made(context: Context, rows: Sequence[Row]) -> list[CometExperiment]:
    if not rows:
        return []
    parameters = Parameters()
    if len(rows) > _MANY:
        places = sorted({(row["workspace"], row["project"]) for row in rows})
        bound = [f"({parameters.text(workspace)}, {parameters.text(project)})" for workspace, project in places]
        runs = f"(SELECT run FROM run_states WHERE (workspace, project) IN ({', '.join(bound)}))"
    else:
        runs = parameters.run_ids([row["run"] for row in rows])
    sql = (
        f"SELECT run, text FROM attributes WHERE run IN {runs} AND kind = 'environment' "
        f"AND name = {parameters.text(PROGRAM)} AND NOT deleted AND value != 'null'"
    )
    programs = {row["run"]: row["text"] for row in await context.rows(sql, parameters)}
    return await asyncio.to_thread(lambda: [experiment_of(row, programs.get(row["run"])) for row in rows])


def with_times(row: Row) -> Row:
    """A row with RUN_COLUMNS, and its times as milliseconds."""
    ended = row["ended_at"]
    return {**row, "started_ms": at_ms(row["started_at"]), "ended_ms": None if ended is None else at_ms(ended)}


def experiment_of(row: Row, program: str | None) -> CometExperiment:
    """Comet's metadata of a run. A run that fell silent ended where it was last heard of."""
    duration_ms = round(row["duration_s"] * 1000)
    running = row["status"] == "running"
    ended_ms = row["started_ms"] + duration_ms if row["ended_ms"] is None else row["ended_ms"]
    return CometExperiment(
        experiment_key=row["run"],
        experiment_name=row["name"] or None,
        workspace_name=row["workspace"],
        project_name=row["project"],
        project_id=project_id(row["workspace"], row["project"]),
        archived=row["archived"],
        running=running,
        has_crashed=row["status"] not in ("running", "finished"),
        start_time_millis=row["started_ms"],
        end_time_millis=None if running else ended_ms,
        duration_millis=duration_ms,
        file_name=posixpath.basename(program) or None if program else None,
        file_path=program or None,
        user_name=row["user"],
        tags=row["tags"],
    )
