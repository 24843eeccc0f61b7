"""What belongs to runs: parameters, other values, environment, summaries, output, history; and the tree of names."""

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pydantic import Field as ModelField

from runstream.events.moments import moment_of
from runstream.events.positions import Positions
from runstream_query.errors import LimitExceeded
from runstream_query.http.context import Context
from runstream_query.http.cursors import read_cursor, write_cursor
from runstream_query.http.globs import chosen
from runstream_query.http.past import folded, summaries_of_past
from runstream_query.http.requests import PastParameters, RequestParameters
from runstream_query.http.tables import CSV
from runstream_query.http.unknown import refuse_unknown_runs, unknown_metrics, unknown_place
from runstream_query.repositories.arguments import Place
from runstream_query.repositories.attributes import AttributeRecord
from runstream_query.repositories.events import EventPlace, EventRecord
from runstream_query.repositories.reader import records_of
from runstream_query.responses import (
    Attribute,
    Attributes,
    Experiment,
    Experiments,
    History,
    HistoryEvent,
    Project,
    Projects,
    Summaries,
    Summary,
    Workspace,
    Workspaces,
)
from runstream_service.access import Action
from runstream_service.routing import Call, Handler, Route
from runstream_service.store import QueryClass


class SummariesParameters(PastParameters):
    metrics: list[str] = ModelField(default_factory=list, max_length=1000, description="names or globs; none means all")


class ManySummariesParameters(PastParameters):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(default_factory=list, max_length=1000, description="names or globs; none means all")


class HistoryParameters(RequestParameters):
    limit: int = ModelField(default=200, ge=1, le=1000)
    cursor: str | None = ModelField(default=None, max_length=1000)


class ProjectsParameters(RequestParameters):
    workspace: str | None = None


class ExperimentsParameters(RequestParameters):
    workspace: str | None = None
    project: str | None = None


def attributes_of(kind: str) -> Handler:
    """The handler for one kind of attribute: parameter, other, environment."""

    async def show(context: Context, call: Call[PastParameters]) -> Attributes:
        run = call.path["run"]
        prefix = await context.prefix(call.parameters.as_of, call.parameters.wait_s)
        if prefix is not None:
            past = await folded(context, run, prefix)

            def made() -> list[Attribute]:
                rows = sorted((row for row in past.attributes if row["kind"] == kind), key=lambda row: str(row["name"]))
                return [_attribute(row["name"], row["value"], moment_of(row["at"])) for row in rows]

            return Attributes(run=run, values=await asyncio.to_thread(made))
        await context.require_run(run)
        found = await context.repositories.attributes.of_run(context.scope, run, kind)
        return Attributes(run=run, values=await context.off_loop(_attributes, found))

    return show


def _attributes(records: Iterable[AttributeRecord]) -> list[Attribute]:
    return [_attribute(one.name, one.value, one.at) for one in records]


def _attribute(name: str, value: str, at: datetime) -> Attribute:
    return Attribute(name=name, value=json.loads(value), at=at)


async def run_summaries(context: Context, call: Call[SummariesParameters]) -> Summaries:
    await context.require_run(call.path["run"])
    return await _summaries(context, [call.path["run"]], call.parameters.metrics, call.parameters)


async def many_summaries(context: Context, call: Call[ManySummariesParameters]) -> Summaries:
    """Summaries of several runs. A metric that a run does not have is left out; an unknown run is an error."""
    response = await _summaries(context, call.parameters.runs, call.parameters.metrics, call.parameters)
    await refuse_unknown_runs(context, call.parameters.runs, {one.run for one in response.summaries})
    return response


async def _summaries(context: Context, runs: list[str], metrics: list[str], parameters: PastParameters) -> Summaries:
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    if prefix is not None:
        names = sorted({one.metric for one in await chosen(context, runs, metrics or ["*"])})
        return Summaries(summaries=await summaries_of_past(context, runs, names, prefix) if names else [])
    limit = context.settings.max_summaries
    table = await context.repositories.summaries.of_runs(context.scope, runs, metrics, limit + 1)
    summaries = await records_of(lambda row: Summary(**row), table)
    if len(summaries) > limit:
        raise LimitExceeded(
            f"these runs have more than {limit} summaries of these metrics (RUNSTREAM_QUERY_MAX_SUMMARIES): ask for "
            "fewer runs or metrics at once",
            limit="max_summaries",
            value=limit,
        )
    told = await unknown_metrics(context, runs, metrics, {one.metric for one in summaries})
    return Summaries(summaries=summaries, unknown=told)


async def history(context: Context, call: Call[HistoryParameters]) -> History:
    """The run's control events in the log's order."""
    run, parameters = call.path["run"], call.parameters
    await context.require_run(run)
    after = EventPlace(*read_cursor(parameters.cursor, 3)) if parameters.cursor else None
    found = await context.repositories.events.page(context.scope, run, after, parameters.limit + 1)
    page = found[: parameters.limit]
    cursor = None
    if len(found) > parameters.limit:
        cursor = write_cursor(page[-1].part, page[-1].offset, page[-1].seq)
    return History(events=await context.off_loop(_events, page), next_cursor=cursor)


def _events(records: Iterable[EventRecord]) -> list[HistoryEvent]:
    return [
        HistoryEvent(
            position=str(Positions.after(one.part, one.offset)),
            writer=one.writer,
            seq=one.seq,
            at=one.at,
            type=one.type,
            event=json.loads(one.body),
        )
        for one in records
    ]


async def list_workspaces(context: Context, call: Call[RequestParameters]) -> Workspaces:
    """Workspaces that have runs or projects."""
    projects = await projects_of(context, None)
    counts, runs = Counter[str](), Counter[str]()
    for project in projects:
        counts[project.workspace] += 1
        runs[project.workspace] += project.runs
    return Workspaces(
        workspaces=[Workspace(workspace=name, projects=counts[name], runs=runs[name]) for name in sorted(counts)]
    )


async def list_projects(context: Context, call: Call[ProjectsParameters]) -> Projects:
    """Projects that have runs, or were created; by workspace and name. Deleted ones and deleted runs do not count."""
    workspace = call.parameters.workspace
    found = await projects_of(context, workspace)
    return Projects(projects=found, unknown=[] if found else await unknown_place(context, Place(workspace)))


async def projects_of(context: Context, workspace: str | None) -> list[Project]:
    found = await context.repositories.projects.projects(
        context.scope, workspace, text_bytes=context.settings.max_text_bytes
    )
    return await context.off_loop(lambda: [Project(**dataclasses.asdict(one)) for one in found])


async def list_experiments(context: Context, call: Call[ExperimentsParameters]) -> Experiments:
    """Experiments that have runs, or were created; by workspace, project and name."""
    found = await context.repositories.projects.experiments(
        context.scope, call.parameters.workspace, call.parameters.project, text_bytes=context.settings.max_text_bytes
    )
    place = Place(call.parameters.workspace, call.parameters.project)
    told = [] if found else await unknown_place(context, place)
    return Experiments(experiments=[Experiment(**dataclasses.asdict(one)) for one in found], unknown=told)


_RUN: Final = "/api/v1/runs/{run}"
ROUTES: Final[Iterable[Route]] = (
    Route("GET", "/api/v1/workspaces", Action.READ, "Workspaces", list_workspaces, RequestParameters, Workspaces),
    Route("GET", "/api/v1/projects", Action.READ, "Projects", list_projects, ProjectsParameters, Projects),
    Route(
        "GET", "/api/v1/experiments", Action.READ, "Experiments", list_experiments, ExperimentsParameters, Experiments
    ),
    Route(
        "GET", f"{_RUN}/parameters", Action.READ, "Parameters", attributes_of("parameter"), PastParameters, Attributes
    ),
    Route("GET", f"{_RUN}/others", Action.READ, "Other values", attributes_of("other"), PastParameters, Attributes),
    Route(
        "GET",
        f"{_RUN}/environment",
        Action.READ,
        "Environment",
        attributes_of("environment"),
        PastParameters,
        Attributes,
    ),
    Route(
        "GET",
        f"{_RUN}/summaries",
        Action.READ,
        "Summaries of a run's metrics",
        run_summaries,
        SummariesParameters,
        Summaries,
        (CSV,),
        timeless=True,
    ),
    Route(
        "POST",
        "/api/v1/summaries",
        Action.READ,
        "Summaries of many runs",
        many_summaries,
        ManySummariesParameters,
        Summaries,
        (CSV,),
        query_class=QueryClass.HEAVY,
        examples={"losses": {"runs": ["r1", "r2"], "metrics": ["loss*"]}},
        timeless=True,
    ),
    Route("GET", f"{_RUN}/history", Action.READ, "Control events of a run", history, HistoryParameters, History),
)
