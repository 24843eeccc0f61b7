"""Bender's interface as routes of an aiohttp application."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from runstream_protocols.bender import algos, experiments, login, suggesting, trials
from runstream_protocols.bender import models as m
from runstream_protocols.bender.paths import ADDRESS, LOGIN
from runstream_protocols.bender.side import BenderSide
from runstream_protocols.kit.payloads import Payload, read_object
from runstream_protocols.kit.side import add_side, recorder_and_context
from runstream_protocols.protocol import WritingSide
from runstream_service.access import Action
from runstream_service.auth import ANYBODY
from runstream_service.routing import Call, Handler, Route, tagged

Read = Callable[[BenderSide, Call[Any]], Awaitable[BaseModel]]
Write = Callable[[BenderSide, Call[Any], Payload], Awaitable[BaseModel]]

#: The client waits for ever, people do not.
VISIBLE_TIMEOUT_S: Final = 10.0
_CREATED: Final = 201
_NO_CONTENT: Final = 204
_EXPERIMENTS: Final = f"{ADDRESS}/api/experiments/"
_ALGOS: Final = f"{ADDRESS}/api/algos/"
_TRIALS: Final = f"{ADDRESS}/api/trials/"


def _settled(handle: Read) -> Handler:
    """Return the handler of a route without a body: it waits for what was appended here, as long as the recorder
    waits, and then until what it appended is visible."""

    @functools.wraps(handle)
    async def respond(side: BenderSide, call: Call[Any]) -> BaseModel:
        await side.recorder.settled()
        response = await handle(side, call)
        await side.recorder.wait_until_visible()
        return response

    return respond


def _with_body(handle: Write) -> Handler:
    """Return the handler of a route with a body, which reads and writes: it waits for what was appended here, and then
    until what it appended is visible, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: BenderSide, call: Call[Any]) -> BaseModel:
        settings = side.gateway.settings
        with side.gateway.pressure.admitted(call.request, "other") as hold:
            limit = min(settings.max_request_bytes, settings.max_commands_bytes)
            payload = await read_object(call.request, limit, settings, hold.grow)
            if call.principal is not ANYBODY:
                await side.recorder.settled()
            response = await handle(side, call, payload)
        # Nothing of the body is held any more.
        await side.recorder.wait_until_visible()
        return response

    return respond


def _get(
    path: str, summary: str, handle: Read, response: type[BaseModel], query: type[BaseModel] | None = None
) -> Route:
    return Route("GET", path, Action.READ, summary, _settled(handle), query, response, tags=("reads",))


def _create(path: str, summary: str, handle: Write, request: type[BaseModel], response: type[BaseModel]) -> Route:
    return Route("POST", path, Action.LOG, summary, _with_body(handle), request, response, statuses=(_CREATED,))


def _delete(path: str, summary: str, handle: Read) -> Route:
    return Route("DELETE", path, Action.EDIT, summary, _settled(handle), None, None, statuses=(_NO_CONTENT,))


ROUTES: Final = tagged(
    "writes",
    (
        Route("POST", LOGIN, Action.READ, "Log in", _with_body(login.login), m.Credentials, m.LoggedIn),
        _get(f"{ADDRESS}/user/", "Who logged in", login.who, m.ShownUser),
        _get(_EXPERIMENTS, "Experiments", experiments.experiments, m.ShownExperiments, m.ExperimentsQuery),
        _create(
            _EXPERIMENTS, "Create an experiment", experiments.create_experiment, m.NewExperiment, m.ShownExperiment
        ),
        _get(f"{_EXPERIMENTS}{{experiment}}/", "An experiment", experiments.experiment, m.ShownExperiment),
        _delete(f"{_EXPERIMENTS}{{experiment}}/", "Delete an experiment", experiments.delete_experiment),
        _get(_ALGOS, "Algorithms of an experiment", algos.algos, m.ShownAlgos, m.AlgosQuery),
        _create(_ALGOS, "Create an algorithm", algos.create_algo, m.NewAlgo, m.ShownAlgo),
        _get(f"{_ALGOS}{{algo}}/", "An algorithm", algos.algo, m.ShownAlgo),
        _delete(f"{_ALGOS}{{algo}}/", "Delete an algorithm", algos.delete_algo),
        Route(
            "POST",
            f"{_ALGOS}{{algo}}/suggest/",
            Action.LOG,
            "What to try next",
            _with_body(suggesting.suggestion),
            m.Wish,
            m.Suggestion,
        ),
        _get(_TRIALS, "Trials of an algorithm", trials.trials, m.ShownTrials, m.TrialsQuery),
        _create(_TRIALS, "Take in a trial", trials.create_trial, m.NewTrial, m.ShownTrial),
        _delete(f"{_TRIALS}{{trial}}/", "Delete a trial", trials.delete_trial),
    ),
)


def add_bender(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    whole = BenderSide(recorder, side.gateway, context)
    add_side(app, ROUTES, whole)
