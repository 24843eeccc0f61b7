"""Workspaces, projects, experiments of a project, and what can be asked about them."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from runstream.service.auth import KEY_NAME
from runstream_query.answers import Project
from runstream_query.comet.answers import (
    CometAccount,
    CometColumn,
    CometColumns,
    CometExperiments,
    CometNotes,
    CometProject,
    CometProjects,
    CometVersion,
    CometWorkspaces,
    at_ms,
    project_id,
)
from runstream_query.comet.asked import AskedExperiments, AskedNothing, AskedProject, AskedWorkspace
from runstream_query.comet.predicates import (
    ENVIRONMENT,
    ENVIRONMENT_NAMES,
    METADATA,
    METADATA_FIELDS,
    METRICS,
    NAME,
    OTHERS,
    PARAMETERS,
    TAGS,
    Column,
)
from runstream_query.comet.runs import experiment_of, find_project, ids_of_project, matching, of_project, programs_of
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.sql.parameters import Parameters
from runstream_query.sql.runs import RUN_COLUMNS, newest_runs

#: The version of Comet's server whose reads are answered: each of the client's gates asks for this one or an older.
VERSION: Final = "4.35.0"
#: Where runs go that name no workspace.
DEFAULT_WORKSPACE: Final = "default"
_KINDS: Final = {"parameter": PARAMETERS, "other": OTHERS, "environment": ENVIRONMENT}
_ORDERS: Final = {None: "created_at", "startTime": "started_at", "endTime": "ifNull(ended_at, toDateTime64(0, 6))"}


async def version(context: Context, request: web.Request, asked: AskedNothing) -> CometVersion:
    return CometVersion(version=VERSION)


async def account(context: Context, request: web.Request, asked: AskedNothing) -> CometAccount:
    """There are no users, only keys: the name is that of the key (the beginning of its hash)."""
    name = f"key-{request[KEY_NAME]}" if KEY_NAME in request else "local"
    return CometAccount(user_name=name, default_workspace_name=DEFAULT_WORKSPACE)


async def workspaces(context: Context, request: web.Request, asked: AskedNothing) -> CometWorkspaces:
    found = await projects_of(context, None)
    return CometWorkspaces(workspace_names=sorted({project.workspace for project in found}))


async def projects(context: Context, request: web.Request, asked: AskedWorkspace) -> CometProjects:
    """Projects of a workspace by name; none of an unknown one."""
    found = await projects_of(context, asked.workspace_name)
    return CometProjects(projects=[_project(project) for project in found])


async def project(context: Context, request: web.Request, asked: AskedProject) -> CometProject:
    return _project(await find_project(context, asked))


async def notes(context: Context, request: web.Request, asked: AskedProject) -> CometNotes:
    return CometNotes(notes=(await find_project(context, asked)).notes)


def _project(found: Project) -> CometProject:
    return CometProject(
        project_id=project_id(found.workspace, found.project),
        project_name=found.project,
        project_description=found.description,
        workspace_name=found.workspace,
        number_of_experiments=found.runs,
        last_updated=None if found.updated_at is None else at_ms(found.updated_at),
    )


async def experiments(context: Context, request: web.Request, asked: AskedExperiments) -> CometExperiments:
    """Experiments of a project; the oldest first if nothing else is asked for, so that of several with one name the
    client, which keeps the last, finds the newest."""
    if asked.page is not None and asked.size is None:
        raise InvalidRequest("page needs size", name="size")
    found = await find_project(context, asked)
    direction = "DESC" if asked.sort_order == "desc" else "ASC"
    rows = await matching(
        context,
        of_project(found, asked.archived),
        RUN_COLUMNS,
        order=f"{_ORDERS[asked.sort_by]} {direction}, run {direction}",
        limit=asked.size,
        offset=((asked.page or 1) - 1) * (asked.size or 0),
    )
    programs = await programs_of(context, [row["run"] for row in rows])
    return CometExperiments(experiments=[experiment_of(row, programs.get(row["run"])) for row in rows])


async def column_names(context: Context, request: web.Request, asked: AskedProject) -> CometColumns:
    found = await columns_of(context, await find_project(context, asked))
    return CometColumns(columns=[CometColumn(name=one.name, source=one.source, type=one.type) for one in found])


async def columns_of(context: Context, found: Project) -> Sequence[Column]:
    """What the runs of a project have, archived ones too, by source and name. Three statements."""
    columns = [Column(name, METADATA, kind) for name, (_, kind) in METADATA_FIELDS.items()]
    bound = Parameters()
    sql = f"SELECT DISTINCT metric FROM summary_states WHERE run IN {ids_of_project(found, bound)} ORDER BY metric"
    columns += [Column(row["metric"], METRICS, "double") for row in await context.rows(sql, bound)]
    bound = Parameters()
    sql = (
        "SELECT kind, name, countIf(value != 'null') AS filled, countIf(value IN ('true', 'false')) AS booleans, "
        f"countIf(isNotNull(number)) AS numbers FROM attributes WHERE run IN {ids_of_project(found, bound)} "
        "AND NOT deleted GROUP BY kind, name ORDER BY kind, name"
    )
    logged: dict[tuple[str, str], Column] = {}
    for row in await context.rows(sql, bound):
        source = _KINDS[row["kind"]]
        kind = _type_of(row["filled"], row["booleans"], row["numbers"])
        logged[source, row["name"]] = Column(row["name"], source, kind)
    logged[OTHERS, NAME] = Column(NAME, OTHERS, "string")
    for name, ours in ENVIRONMENT_NAMES.items():
        kind = logged[ENVIRONMENT, ours].type if (ENVIRONMENT, ours) in logged else "string"
        logged[ENVIRONMENT, name] = Column(name, ENVIRONMENT, kind)
    columns += logged.values()
    bound = Parameters()
    sql = (
        f"SELECT DISTINCT arrayJoin(tags) AS tag FROM {newest_runs(('tags',), ids_of_project(found, bound))} AS newest "
        "ORDER BY tag"
    )
    return columns + [Column(row["tag"], TAGS, "string") for row in await context.rows(sql, bound)]


def _type_of(filled: int, booleans: int, numbers: int) -> str:
    """A name is as free as its freest value: a text in one run makes it a text."""
    if not filled or numbers < filled:
        return "string"
    return "boolean" if booleans == filled else "double"
