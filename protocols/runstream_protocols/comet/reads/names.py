"""Workspaces, projects, experiments of a project, and what can be asked about them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from runstream.events.names import project_id
from runstream.query.literals import ENVIRONMENT_NAMES
from runstream_protocols.comet.reads.answers import (
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
)
from runstream_protocols.comet.reads.asked import AskedExperiments, AskedNothing, AskedProject, AskedWorkspace
from runstream_protocols.comet.reads.predicates import (
    ENVIRONMENT,
    METADATA,
    METADATA_FIELDS,
    METRICS,
    NAME,
    OTHERS,
    PARAMETERS,
    TAGS,
    Column,
)
from runstream_protocols.comet.reads.runs import (
    Place,
    experiments_by_key,
    experiments_of,
    find_project,
    ids_of_project,
    matching,
    of_project,
    place_of,
)
from runstream_query.answers import Project
from runstream_query.errors import InvalidRequest, LimitExceeded
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs
from runstream_service.access import LOCAL, principal_of

#: The version of Comet's server whose reads are answered: each of the client's gates asks for this one or an older.
VERSION: Final = "4.35.0"
#: Where runs go that name no workspace.
DEFAULT_WORKSPACE: Final = "default"
_COUNTS: Final = (
    "countIf(value != 'null') AS filled, countIf(value IN ('true', 'false')) AS booleans, "
    "countIf(isNotNull(number)) AS numbers"
)
_KINDS: Final = {"parameter": PARAMETERS, "other": OTHERS, "environment": ENVIRONMENT}
_ORDERS: Final = {None: "created_at", "startTime": "started_at", "endTime": "ifNull(ended_at, toDateTime64(0, 6))"}


async def version(context: Context, request: web.Request, asked: AskedNothing) -> CometVersion:
    return CometVersion(version=VERSION)


async def account(context: Context, request: web.Request, asked: AskedNothing) -> CometAccount:
    """There are no users, only keys: the name is that of the key (the beginning of its hash)."""
    principal = principal_of(request)
    name = principal.name if principal is LOCAL else f"key-{principal.name}"
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
    expression = of_project(await place_of(context, asked), asked.archived)
    direction = "DESC" if asked.sort_order == "desc" else "ASC"
    order = f"{_ORDERS[asked.sort_by]} {direction}, run {direction}"
    if asked.size is None:
        return CometExperiments(experiments=await experiments_of(context, expression, order))
    offset = ((asked.page or 1) - 1) * asked.size
    page = await matching(context, expression, ("run",), order=order, limit=asked.size, offset=offset)
    return CometExperiments(experiments=await experiments_by_key(context, [row["run"] for row in page]))


async def column_names(context: Context, request: web.Request, asked: AskedProject) -> CometColumns:
    found = await columns_of(context, await place_of(context, asked))

    def made() -> list[CometColumn]:
        return [CometColumn(name=one.name, source=one.source, type=one.type) for one in found]

    return CometColumns(columns=await asyncio.to_thread(made) if context.usage.is_large else made())


async def columns_of(context: Context, place: Place) -> Sequence[Column]:
    """What the runs of a project have, archived ones too, by source and name. Four statements at most."""
    columns = [Column(name, METADATA, kind) for name, (_, kind) in METADATA_FIELDS.items()]
    bound = Parameters()
    ids = ids_of_project(place, bound)
    most = context.settings.max_names
    end = f"LIMIT {bound.integer(most + 1)}"
    sql = f"SELECT DISTINCT metric FROM summary_states WHERE run IN {ids} ORDER BY metric {end}"
    rows = await context.rows(sql, bound)
    types = await _logged_types(context, place)
    columns += await context.off_loop(_named, [row["metric"] for row in rows], types)
    bound = Parameters()
    newest = newest_runs(("tags",), ids_of_project(place, bound))
    end = f"LIMIT {bound.integer(most + 1)}"
    sql = f"SELECT DISTINCT arrayJoin(tags) AS tag FROM {newest} AS newest ORDER BY tag {end}"
    columns += [Column(row["tag"], TAGS, "string") for row in await context.rows(sql, bound)]
    if len(columns) > most:
        raise LimitExceeded(
            f"the runs of this project have more than {most} names, which is the limit of one answer "
            "(RUNSTREAM_QUERY_MAX_NAMES): give the source with each name (Metric, Parameter, Other, Tag)",
            limit="max_names",
            value=most,
        )
    return columns


def _named(metrics: Sequence[str], types: Mapping[tuple[str, str], str]) -> list[Column]:
    columns = [Column(metric, METRICS, "double") for metric in metrics]
    logged = {(source, name): Column(name, source, kind) for (source, name), kind in types.items()}
    logged[OTHERS, NAME] = Column(NAME, OTHERS, "string")
    for name, ours in ENVIRONMENT_NAMES.items():
        kind = logged[ENVIRONMENT, ours].type if (ENVIRONMENT, ours) in logged else "string"
        logged[ENVIRONMENT, name] = Column(name, ENVIRONMENT, kind)
    return columns + list(logged.values())


async def _logged_types(context: Context, place: Place) -> dict[tuple[str, str], str]:
    """(source, name) -> type of logged values.

    The first look is at all states, old ones too, which costs a thirtieth of finding the newest of each run. It tells
    the type where all states of a name agree; only names whose states differ are asked for exactly.
    """
    bound = Parameters()
    counted = await context.rows(
        f"SELECT kind, name, {_COUNTS}, count() AS states, countIf(deleted) AS gone FROM attribute_states "
        f"WHERE run IN {ids_of_project(place, bound)} GROUP BY kind, name ORDER BY kind, name "
        f"LIMIT {bound.integer(context.settings.max_names + 1)}",
        bound,
    )
    rows, mixed = await context.off_loop(_agreeing, counted)
    if mixed:
        bound = Parameters()
        exact = await context.rows(
            f"SELECT kind, name, {_COUNTS} FROM attributes WHERE NOT deleted AND "
            f"run IN {ids_of_project(place, bound)} AND name IN "
            f"{bound.texts(sorted({row['name'] for row in mixed}))} GROUP BY kind, name",
            bound,
        )
        asked = {(row["kind"], row["name"]) for row in mixed}
        rows |= {key: row for row in exact if (key := (row["kind"], row["name"])) in asked}
    return await context.off_loop(_types, rows)


def _agreeing(
    counted: Sequence[dict[str, Any]],
) -> tuple[dict[tuple[str, str], dict[str, Any]], list[dict[str, Any]]]:
    """The names of which all states agree, by kind and name, and the others."""
    mixed = [row for row in counted if row["gone"] or not _is_of_one_type(row)]
    left = {(row["kind"], row["name"]) for row in mixed}
    rows = {(row["kind"], row["name"]): row for row in counted}
    return {key: row for key, row in rows.items() if key not in left}, mixed


def _types(rows: Mapping[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {(_KINDS[kind], name): _type_of(row) for (kind, name), row in sorted(rows.items())}


def _is_of_one_type(row: Mapping[str, int]) -> bool:
    """Whether every state holds the same: numbers, truth values, texts, or nothing but nulls."""
    numbers = row["numbers"] - row["booleans"]
    return row["states"] in (numbers, row["booleans"], row["states"] - row["filled"], row["filled"] - row["numbers"])


def _type_of(row: Mapping[str, int]) -> str:
    """A name is as free as its freest value: a text in one run makes it a text."""
    if not row["filled"] or row["numbers"] < row["filled"]:
        return "string"
    return "boolean" if row["booleans"] == row["filled"] else "double"
