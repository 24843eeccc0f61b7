"""What belongs to runs: parameters, other values, environment, summaries, output, history; and the tree of names."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from pydantic import Field as ModelField

from runstream_query.answers import (
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
from runstream_query.errors import LimitExceeded
from runstream_query.http.context import Context
from runstream_query.http.cursors import read_cursor, write_cursor
from runstream_query.http.globs import chosen, chosen_condition
from runstream_query.http.past import folded, summaries_of_past, time_of
from runstream_query.http.requests import Asked, AskedOfPast
from runstream_query.repositories.statements.parameters import Parameters
from runstream_service.access import Action
from runstream_service.routing import Call, Handler, Route
from runstream_service.store import QueryClass

#: What a list shows of a text that has no room in it.
_CUT_CHARS: Final = 200
SUMMARY_COLUMNS: Final = ", ".join(Summary.model_fields)


class AskedSummaries(AskedOfPast):
    metrics: list[str] = ModelField(default_factory=list, max_length=1000, description="names or globs; none means all")


class AskedManySummaries(AskedOfPast):
    runs: list[str] = ModelField(min_length=1, max_length=1000)
    metrics: list[str] = ModelField(default_factory=list, max_length=1000, description="names or globs; none means all")


class AskedHistory(Asked):
    limit: int = ModelField(default=200, ge=1, le=1000)
    cursor: str | None = ModelField(default=None, max_length=1000)


class AskedProjects(Asked):
    workspace: str | None = None


class AskedExperiments(Asked):
    workspace: str | None = None
    project: str | None = None


def attributes_of(kind: str) -> Handler:
    """The handler for one kind of attribute: parameter, other, environment."""

    async def show(context: Context, call: Call[AskedOfPast]) -> Attributes:
        run = call.path["run"]
        prefix = await context.prefix(call.asked.as_of, call.asked.wait_s)
        if prefix is not None:
            past = await folded(context, run, prefix)

            def made() -> list[Attribute]:
                rows = sorted((row for row in past.attributes if row["kind"] == kind), key=lambda row: str(row["name"]))
                return [_attribute(row["name"], row["value"], time_of(row["at"])) for row in rows]

            return Attributes(run=run, values=await asyncio.to_thread(made))
        await context.require_run(run)
        parameters = Parameters()
        sql = (
            f"SELECT name, value, at FROM attributes WHERE run = {parameters.text(run)} AND "
            f"kind = {parameters.text(kind)} AND NOT deleted ORDER BY name"
        )
        return Attributes(
            run=run,
            values=await context.models(lambda row: _attribute(row["name"], row["value"], row["at"]), sql, parameters),
        )

    return show


def _attribute(name: str, value: str, at: Any) -> Attribute:
    return Attribute(name=name, value=json.loads(value), at=at)


async def run_summaries(context: Context, call: Call[AskedSummaries]) -> Summaries:
    await context.require_run(call.path["run"])
    return await _summaries(context, [call.path["run"]], call.asked.metrics, call.asked)


async def many_summaries(context: Context, call: Call[AskedManySummaries]) -> Summaries:
    return await _summaries(context, call.asked.runs, call.asked.metrics, call.asked)


async def _summaries(context: Context, runs: list[str], metrics: list[str], asked: AskedOfPast) -> Summaries:
    prefix = await context.prefix(asked.as_of, asked.wait_s)
    if prefix is not None:
        names = sorted({row["metric"] for row in await chosen(context, runs, metrics or ["*"])})
        return Summaries(summaries=await summaries_of_past(context, runs, names, prefix) if names else [])
    parameters = Parameters()
    only = f" AND {chosen_condition(metrics, parameters)}" if metrics else ""
    limit = context.settings.max_summaries
    sql = (
        f"SELECT {SUMMARY_COLUMNS} FROM summaries WHERE run IN {parameters.texts(runs)}{only} ORDER BY run, metric "
        f"LIMIT {parameters.integer(limit + 1)}"
    )
    summaries = await context.models(lambda row: Summary(**row), sql, parameters)
    if len(summaries) > limit:
        raise LimitExceeded(
            f"these runs have more than {limit} summaries of these metrics (RUNSTREAM_QUERY_MAX_SUMMARIES): ask for "
            "fewer runs or metrics at once",
            limit="max_summaries",
            value=limit,
        )
    return Summaries(summaries=summaries)


async def history(context: Context, call: Call[AskedHistory]) -> History:
    """The run's control events in the log's order."""
    run, asked = call.path["run"], call.asked
    await context.require_run(run)
    parameters = Parameters()
    beyond = ""
    if asked.cursor:
        part, offset, seq = read_cursor(asked.cursor, 3)
        beyond = (
            f" AND (part, offset, seq) > ({parameters.bind(part, 'UInt16')}, {parameters.bind(offset, 'UInt64')}, "
            f"{parameters.bind(seq, 'UInt64')})"
        )
    sql = (
        f"SELECT part, offset, seq, writer, at, type, body FROM events WHERE key = {parameters.text(run)}{beyond} "
        f"ORDER BY part, offset, seq LIMIT {parameters.integer(asked.limit + 1)}"
    )
    found = await context.models(_event_and_place, sql, parameters)
    page = found[: asked.limit]
    cursor = write_cursor(*page[-1][1]) if len(found) > asked.limit else None
    return History(events=[event for event, _ in page], next_cursor=cursor)


def _event_and_place(row: dict[str, Any]) -> tuple[HistoryEvent, tuple[int, int, int]]:
    event = HistoryEvent(
        position=f"{row['part']}:{row['offset']}",
        writer=row["writer"],
        seq=row["seq"],
        at=row["at"],
        type=row["type"],
        event=json.loads(row["body"]),
    )
    return event, (row["part"], row["offset"], row["seq"])


async def list_workspaces(context: Context, call: Call[Asked]) -> Workspaces:
    """Workspaces that have runs or projects."""
    projects = await projects_of(context, None)
    counts, runs = Counter[str](), Counter[str]()
    for project in projects:
        counts[project.workspace] += 1
        runs[project.workspace] += project.runs
    return Workspaces(
        workspaces=[Workspace(workspace=name, projects=counts[name], runs=runs[name]) for name in sorted(counts)]
    )


async def list_projects(context: Context, call: Call[AskedProjects]) -> Projects:
    """Projects that have runs, or were created; by workspace and name. Deleted ones and deleted runs do not count."""
    return Projects(projects=await projects_of(context, call.asked.workspace))


async def projects_of(context: Context, workspace: str | None) -> list[Project]:
    stated, counted = Parameters(), Parameters()
    where = "1" if workspace is None else "workspace = {}"
    states, runs = await asyncio.gather(
        context.rows(
            _with_texts(
                ("description", "notes"),
                "workspace, project, created_at, updated_at, deleted",
                "projects WHERE " + where.format(stated.text(workspace) if workspace is not None else ""),
                context.settings.max_text_bytes,
            ),
            stated,
        ),
        context.rows(
            "SELECT workspace, project, count() AS runs, min(created_at) AS created_at, max(updated_at) AS updated_at "
            f"FROM runs WHERE NOT deleted AND {where.format(counted.text(workspace) if workspace is not None else '')} "
            "GROUP BY workspace, project",
            counted,
        ),
    )
    if context.usage.is_large:
        return await asyncio.to_thread(_projects, states, runs)
    return _projects(states, runs)


def _with_texts(texts: tuple[str, ...], others: str, source: str, most_bytes: int) -> str:
    """A SELECT of a whole list with its texts: the shortest ones as they are, as long as all together have no more than
    `most_bytes`; of the others the beginning and their length, so that nobody's long texts make the list unreadable."""
    size = " + ".join(f"length({name})" for name in texts)
    so_far = f"sum({size}) OVER (ORDER BY {size} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far"
    shown = ", ".join(
        f"if(so_far <= {most_bytes} OR lengthUTF8(whole_{name}) <= {_CUT_CHARS}, whole_{name}, "
        f"concat(substringUTF8(whole_{name}, 1, {_CUT_CHARS}), '... (', toString(lengthUTF8(whole_{name})), "
        f"' characters)')) AS {name}"
        for name in texts
    )
    whole = ", ".join(f"{name} AS whole_{name}" for name in texts)
    return f"SELECT {others}, {shown} FROM (SELECT {others}, {whole}, {so_far} FROM {source})"


def _projects(states: list[dict[str, Any]], runs: list[dict[str, Any]]) -> list[Project]:
    found: dict[tuple[str, str], dict[str, Any]] = {
        (row["workspace"], row["project"]): {"description": "", "notes": "", **row} for row in runs
    }
    for row in states:
        key = (row["workspace"], row["project"])
        if not row.pop("deleted"):  # runs that are still in a deleted project keep it in the list
            found[key] = {**row, "runs": found.get(key, {}).get("runs", 0)}
    return [Project(**found[key]) for key in sorted(found)]


async def list_experiments(context: Context, call: Call[AskedExperiments]) -> Experiments:
    """Experiments that have runs, or were created; by workspace, project and name."""
    stated, counted = Parameters(), Parameters()

    def where(parameters: Parameters) -> str:
        scope = {"workspace": call.asked.workspace, "project": call.asked.project}
        wanted = [f"{name} = {parameters.text(value)}" for name, value in scope.items() if value is not None]
        return " AND ".join(["1", *wanted])

    states, runs = await asyncio.gather(
        context.rows(
            _with_texts(
                ("description",),
                "workspace, project, experiment, created_at, updated_at",
                f"experiments WHERE NOT deleted AND {where(stated)}",
                context.settings.max_text_bytes,
            ),
            stated,
        ),
        context.rows(
            "SELECT workspace, project, experiment, count() AS runs, min(created_at) AS created_at, "
            "max(updated_at) AS updated_at FROM runs WHERE NOT deleted AND experiment != '' AND "
            f"{where(counted)} GROUP BY workspace, project, experiment",
            counted,
        ),
    )
    found: dict[tuple[str, str, str], dict[str, Any]] = {
        (row["workspace"], row["project"], row["experiment"]): {"description": "", **row} for row in runs
    }
    for row in states:
        key = (row["workspace"], row["project"], row["experiment"])
        found[key] = {**row, "runs": found.get(key, {}).get("runs", 0)}
    return Experiments(experiments=[Experiment(**found[key]) for key in sorted(found)])


_RUN: Final = "/api/v1/runs/{run}"
ROUTES: Final[Iterable[Route]] = (
    Route("GET", "/api/v1/workspaces", Action.READ, "Workspaces", list_workspaces, Asked, Workspaces),
    Route("GET", "/api/v1/projects", Action.READ, "Projects", list_projects, AskedProjects, Projects),
    Route("GET", "/api/v1/experiments", Action.READ, "Experiments", list_experiments, AskedExperiments, Experiments),
    Route("GET", f"{_RUN}/parameters", Action.READ, "Parameters", attributes_of("parameter"), AskedOfPast, Attributes),
    Route("GET", f"{_RUN}/others", Action.READ, "Other values", attributes_of("other"), AskedOfPast, Attributes),
    Route(
        "GET", f"{_RUN}/environment", Action.READ, "Environment", attributes_of("environment"), AskedOfPast, Attributes
    ),
    Route(
        "GET",
        f"{_RUN}/summaries",
        Action.READ,
        "Summaries of a run's metrics",
        run_summaries,
        AskedSummaries,
        Summaries,
    ),
    Route(
        "POST",
        "/api/v1/summaries",
        Action.READ,
        "Summaries of many runs",
        many_summaries,
        AskedManySummaries,
        Summaries,
        query_class=QueryClass.HEAVY,
        examples={"losses": {"runs": ["r1", "r2"], "metrics": ["loss*"]}},
    ),
    Route("GET", f"{_RUN}/history", Action.READ, "Control events of a run", history, AskedHistory, History),
)
