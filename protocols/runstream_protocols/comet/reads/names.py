"""Workspaces, projects, experiments of a project, and what queries can name of them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from aiohttp import web

from runstream.events.moments import millis_of
from runstream.events.names import project_id
from runstream.query.literals import ENVIRONMENT_NAMES
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
from runstream_protocols.comet.reads.requests import EmptyRequest, ExperimentsRequest, ProjectRequest, WorkspaceRequest
from runstream_protocols.comet.reads.responses import (
    CometAccount,
    CometColumn,
    CometColumns,
    CometExperiments,
    CometNotes,
    CometProject,
    CometProjects,
    CometVersion,
    CometWorkspaces,
)
from runstream_protocols.comet.reads.runs import (
    experiments_by_key,
    experiments_of,
    find_project,
    keys_of,
    of_project,
    place_of,
)
from runstream_query.errors import InvalidRequest, LimitExceeded
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.repositories.arguments import ProjectRuns
from runstream_query.repositories.attributes import AttributeCounts
from runstream_query.repositories.runs import RunOrder
from runstream_query.responses import Project
from runstream_service.access import LOCAL, principal_of

#: The version of Comet's server whose reads are answered: each of the client's gates asks for this one or an older.
VERSION: Final = "4.35.0"
#: Where runs go that name no workspace.
DEFAULT_WORKSPACE: Final = "default"
_KINDS: Final = {"parameter": PARAMETERS, "other": OTHERS, "environment": ENVIRONMENT}
_ORDERS: Final[Mapping[str | None, Literal["created", "started", "ended"]]] = {
    None: "started",
    "startTime": "started",
    "endTime": "ended",
}


async def version(context: Context, request: web.Request, parameters: EmptyRequest) -> CometVersion:
    return CometVersion(version=VERSION)


async def account(context: Context, request: web.Request, parameters: EmptyRequest) -> CometAccount:
    """There are no users, only keys: the name is that of the key (the beginning of its hash)."""
    principal = principal_of(request)
    name = principal.name if principal is LOCAL else f"key-{principal.name}"
    return CometAccount(user_name=name, default_workspace_name=DEFAULT_WORKSPACE)


async def workspaces(context: Context, request: web.Request, parameters: EmptyRequest) -> CometWorkspaces:
    found = await projects_of(context, None)
    return CometWorkspaces(workspace_names=sorted({project.workspace for project in found}))


async def projects(context: Context, request: web.Request, parameters: WorkspaceRequest) -> CometProjects:
    """Projects of a workspace by name; none of an unknown one."""
    found = await projects_of(context, parameters.workspace_name)
    return CometProjects(projects=[_project(project) for project in found])


async def project(context: Context, request: web.Request, parameters: ProjectRequest) -> CometProject:
    return _project(await find_project(context, parameters))


async def notes(context: Context, request: web.Request, parameters: ProjectRequest) -> CometNotes:
    return CometNotes(notes=(await find_project(context, parameters)).notes)


def _project(found: Project) -> CometProject:
    return CometProject(
        project_id=project_id(found.workspace, found.project),
        project_name=found.project,
        owner_user_name=found.workspace,
        project_description=found.description,
        workspace_name=found.workspace,
        number_of_experiments=found.runs,
        last_updated=None if found.updated_at is None else millis_of(found.updated_at),
    )


async def experiments(context: Context, request: web.Request, parameters: ExperimentsRequest) -> CometExperiments:
    """Return experiments of a project; the oldest first unless the request says otherwise, so that of several with one
    name the client, which keeps the last, finds the newest."""
    if parameters.page is not None and parameters.size is None:
        raise InvalidRequest("page needs size", name="size")
    expression = of_project(await place_of(context, parameters), parameters.archived)
    order = RunOrder(_ORDERS[parameters.sort_by], descending=parameters.sort_order == "desc")
    if parameters.size is None:
        return CometExperiments(experiments=await experiments_of(context, expression, order))
    offset = ((parameters.page or 1) - 1) * parameters.size
    page = await keys_of(context, expression, order, parameters.size, offset)
    return CometExperiments(experiments=await experiments_by_key(context, page))


async def column_names(context: Context, request: web.Request, parameters: ProjectRequest) -> CometColumns:
    found = await columns_of(context, await place_of(context, parameters))

    def made() -> list[CometColumn]:
        return [CometColumn(name=one.name, source=one.source, type=one.type) for one in found]

    return CometColumns(columns=await asyncio.to_thread(made) if context.usage.is_large else made())


async def columns_of(context: Context, place: ProjectRuns) -> Sequence[Column]:
    """What the runs of a project have, archived ones too, by source and name. Four statements at most."""
    columns = [Column(name, METADATA, kind) for name, (_, kind) in METADATA_FIELDS.items()]
    most = context.settings.max_names
    metrics = await context.repositories.summaries.metrics_of_project(context.scope, place, most + 1)
    types = await _logged_types(context, place)
    columns += await context.off_loop(_named, metrics, types)
    tags = await context.repositories.runs.tags_of_project(context.scope, place, most + 1)
    columns += [Column(tag, TAGS, "string") for tag in tags]
    if len(columns) > most:
        raise LimitExceeded(
            f"the runs of this project have more than {most} names, which is the limit of one response "
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
        kinds = {logged[ENVIRONMENT, one].type for one in ours if (ENVIRONMENT, one) in logged}
        logged[ENVIRONMENT, name] = Column(name, ENVIRONMENT, kinds.pop() if len(kinds) == 1 else "string")
    return columns + list(logged.values())


async def _logged_types(context: Context, place: ProjectRuns) -> dict[tuple[str, str], str]:
    """(source, name) -> type of logged values.

    The first look is at all states, old ones too, which costs a thirtieth of finding the newest of each run. It tells
    the type where all states of a name agree; only names whose states differ are read exactly.
    """
    attributes = context.repositories.attributes
    counted = await attributes.state_counts(context.scope, place, context.settings.max_names + 1)
    counts, mixed = await context.off_loop(_agreeing, counted)
    if mixed:
        names = sorted({one.name for one in mixed})
        of_names = {(one.kind, one.name) for one in mixed}
        exact = await attributes.counts(context.scope, place, names)
        counts |= {key: one for one in exact if (key := (one.kind, one.name)) in of_names}
    return await context.off_loop(_types, counts)


Counts = dict[tuple[str, str], AttributeCounts]


def _agreeing(counted: Sequence[AttributeCounts]) -> tuple[Counts, list[AttributeCounts]]:
    """The names of which all states agree, by kind and name, and the others."""
    mixed = [one for one in counted if one.gone or not _is_of_one_type(one)]
    left = {(one.kind, one.name) for one in mixed}
    return {key: one for one in counted if (key := (one.kind, one.name)) not in left}, mixed


def _types(counts: Counts) -> dict[tuple[str, str], str]:
    return {(_KINDS[kind], name): _type_of(one) for (kind, name), one in sorted(counts.items())}


def _is_of_one_type(one: AttributeCounts) -> bool:
    """Whether every state holds the same: numbers, truth values, texts, or nothing but nulls."""
    numbers = one.numbers - one.booleans
    return one.states in (numbers, one.booleans, one.states - one.filled, one.filled - one.numbers)


def _type_of(one: AttributeCounts) -> str:
    """A name is as free as its freest value: a text in one run makes it a text."""
    if not one.filled or one.numbers < one.filled:
        return "string"
    return "boolean" if one.booleans == one.filled else "double"
