"""ML Aide's interface as routes of an aiohttp application."""

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from runstream.clock import SYSTEM_CLOCK
from runstream_protocols.kit.errors import shaped
from runstream_protocols.kit.payloads import Payload, read_object
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.mlaide import artifacts, projects, runs, shown
from runstream_protocols.mlaide import models as m
from runstream_protocols.mlaide.errors import as_client_reads
from runstream_protocols.mlaide.paths import ADDRESS
from runstream_protocols.mlaide.side import MlaideSide
from runstream_protocols.protocol import WritingSide
from runstream_query.http.context import Context
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.http.serving import POSITION_HEADER, send
from runstream_query.problems import problem_of
from runstream_query.responses import ResponseModel
from runstream_service.access import Action
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import Call, Handler, Route, add_routes, call_of, tagged

Read = Callable[[MlaideSide, Call[Any]], Awaitable[ResponseModel]]
Write = Callable[[MlaideSide, Call[Any], Payload], Awaitable[ResponseModel]]

#: The client gives a request up after 5 s, in which it has to have the response.
VISIBLE_TIMEOUT_S: Final = 4.0
_PROJECTS: Final = f"{ADDRESS}/projects"
_PROJECT: Final = f"{_PROJECTS}/{{project_key}}"
_EXPERIMENTS: Final = f"{_PROJECT}/experiments"
_RUNS: Final = f"{_PROJECT}/runs"
_RUN: Final = f"{_RUNS}/{{run_key}}"
_ARTIFACTS: Final = f"{_PROJECT}/artifacts"


def _reading(handle: Read) -> Handler:
    """Return the handler of a route that reads: it waits for what was appended here, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: MlaideSide, call: Call[Any]) -> ResponseModel:
        await side.recorder.settled()
        return await handle(side, call)

    return respond


def _writing(handle: Write) -> Handler:
    """Return the handler of a route that writes: it reads the request, has it handled, and waits until what was
    appended is visible, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: MlaideSide, call: Call[Any]) -> ResponseModel:
        settings = side.gateway.settings
        with side.gateway.pressure.admitted(call.request, "other") as hold:
            limit = min(settings.max_request_bytes, settings.max_commands_bytes)
            response = await handle(side, call, await read_object(call.request, limit, settings, hold.grow))
        # Nothing of the body is held any more.
        await side.recorder.wait_until_visible()
        return response

    return respond


def _get(
    path: str, summary: str, handle: Read, response: type[ResponseModel], query: type[BaseModel] | None = None
) -> Route:
    return Route("GET", path, Action.READ, summary, _reading(handle), query, response, tags=("reads",))


def _post(path: str, summary: str, handle: Write, request: type[BaseModel], response: type[ResponseModel]) -> Route:
    return Route("POST", path, Action.LOG, summary, _writing(handle), request, response)


def _patch(path: str, summary: str, handle: Write, request: type[BaseModel]) -> Route:
    return Route("PATCH", path, Action.LOG, summary, _writing(handle), request, m.Done)


def _refused(method: str, path: str) -> Route:
    """Return a route that refuses every request, whatever is in it."""
    summary, request = "Refuse artifacts", m.MlaideRequest if method != "GET" else None
    return Route(method, path, Action.READ, summary, artifacts.refuse, request, m.Done, statuses=())


ROUTES: Final = tagged(
    "writes",
    (
        _get(_PROJECTS, "Projects", projects.projects, m.ShownProjects),
        Route(
            "POST",
            _PROJECTS,
            Action.EDIT,
            "Create a project",
            _writing(projects.create_project),
            m.NewProject,
            m.ShownProject,
        ),
        _get(_PROJECT, "A project", projects.project, m.ShownProject),
        _get(_EXPERIMENTS, "Experiments of a project", projects.experiments, m.ShownExperiments),
        _post(_EXPERIMENTS, "Create an experiment", projects.create_experiment, m.NewExperiment, m.ShownExperiment),
        _get(f"{_EXPERIMENTS}/{{experiment_key}}", "An experiment", projects.experiment, m.ShownExperiment),
        _get(_RUNS, "Runs of a project", shown.runs, m.ListedRuns, m.RunsQuery),
        _post(_RUNS, "Start a run", runs.start, m.NewRun, m.ShownRun),
        _get(_RUN, "A run", shown.run, m.ShownRun),
        _patch(_RUN, "End or rename a run", runs.change, m.RunChanges),
        _patch(f"{_RUN}/metrics", "Log values of metrics", runs.log_metrics, m.LoggedValues),
        _patch(f"{_RUN}/parameters", "Log parameters", runs.log_parameters, m.LoggedValues),
        # What the client's methods about artifacts and models send first.
        _refused("POST", _ARTIFACTS),
        _refused("GET", f"{_ARTIFACTS}/{{artifact_name}}/{{artifact_version}}"),
    ),
)


def add_mlaide(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    gateway, reading = side.gateway, side.reading
    recorder = Recorder.of(gateway, side.lookup, side.assets, VISIBLE_TIMEOUT_S)
    context = Context(
        reading.store,
        reading.visibility,
        None,
        reading.assets,
        reading.settings,
        SYSTEM_CLOCK.at_us,
        outgoing=outgoing_of(app, reading.settings),
    )
    whole = MlaideSide(recorder, gateway, context)
    add_routes(app, ROUTES, lambda route: _handler(route, whole))


def _handler(route: Route, side: MlaideSide) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(as_client_reads, (problem_of,)):
            return await _respond(route, side, request)

    return serve


async def _respond(route: Route, side: MlaideSide, request: web.Request) -> web.StreamResponse:
    query = None if route.request is not m.RunsQuery else m.RunsQuery.model_validate(dict(request.query))
    call = call_of(route, request, query)
    context = side.context.for_request(route.class_for(query), call.scope)
    headers = {"Content-Type": "application/json", POSITION_HEADER: str(context.visibility.visible())}
    with ended_with_connection(request), side.recorder.responding(request, route.action):
        response = await route.handler(dataclasses.replace(side, context=context), call)
        assert isinstance(response, ResponseModel)
        return await send(context, request, response, headers, by_alias=True)
