"""The gateway's side of a client that reads at the paths that it writes to: what its handlers work with, and how its
routes are served."""

import dataclasses
import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from runstream.clock import SYSTEM_CLOCK
from runstream.events.positions import Positions
from runstream_ingest.gateway.routes import Gateway
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.kit.errors import shaped
from runstream_protocols.kit.outcomes import invalid
from runstream_protocols.kit.payloads import Payload, read_object
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.protocol import WritingSide
from runstream_query.http.context import Context
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.http.serving import POSITION_HEADER, send
from runstream_query.problems import problem_of
from runstream_query.responses import encode_json
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import Call, Handler, Route, add_routes, call_of


@dataclass(frozen=True, slots=True)
class GatewaySide:
    """Used from one event loop. `context`: what one request reads by, in its scope."""

    recorder: Recorder
    gateway: Gateway
    context: Context

    def for_request(self, request: web.Request, context: Context) -> Self:
        """Return what the handler of one request works with."""
        return dataclasses.replace(self, context=context)

    async def require_found(self, positions: Positions) -> None:
        """Wait until requests about what was appended there find it, at whichever gateway. Raises Problem (503)."""
        if not await self.recorder.can_be_found(positions):
            detail = "what was begun is written down, but other gateways cannot see it yet: begin again in a moment"
            raise not_visible(detail)

    async def settle(self) -> None:
        """Wait until all that was appended here can be read. Raises Problem (503) where that takes too long: what is
        not found is not gone."""
        if not await self.recorder.settled():
            raise not_readable()


def not_readable() -> Problem:
    """Return the refusal of a request that may need what was written before it."""
    return not_visible("what was written a moment ago cannot be read yet: send the request again")


def not_visible(detail: str) -> Problem:
    """Return the refusal of a request that has to wait until something can be read."""
    return Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=RETRY_AFTER_S)


S = TypeVar("S", bound=GatewaySide)
Read = Callable[[S, Call[Any]], Awaitable[BaseModel | web.StreamResponse]]
Write = Callable[[S, Call[Any], Payload], Awaitable[BaseModel]]
#: Makes the parameters of a route of what stands behind the path of a request.
Query = Callable[[Route, web.Request], BaseModel | None]
Reader = Callable[[web.Request, int, GatewaySettings, Callable[[int], None]], Awaitable[Payload]]


def recorder_and_context(app: web.Application, side: WritingSide, patience_s: float) -> tuple[Recorder, Context]:
    """Return what a `GatewaySide` begins with. `patience_s`: how long the client waits for a response."""
    reading = side.reading
    recorder = Recorder.of(side.gateway, side.lookup, side.assets, patience_s)
    outgoing = outgoing_of(app, reading.settings)
    clock = SYSTEM_CLOCK.at_us
    context = Context(
        reading.store, reading.visibility, None, reading.assets, reading.settings, clock, outgoing=outgoing
    )
    return recorder, context


def reading(handle: Read[S]) -> Handler:
    """Return the handler of a route that reads: it waits for what was appended here, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: S, call: Call[Any]) -> BaseModel | web.StreamResponse:
        await side.recorder.settled()
        return await handle(side, call)

    return respond


def writing(handle: Write[S], read: Reader = read_object) -> Handler:
    """Return the handler of a route that writes: it has the body read and handled, and waits until what was appended is
    visible, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: S, call: Call[Any]) -> BaseModel:
        settings = side.gateway.settings
        with side.gateway.pressure.admitted(call.request, "other") as hold:
            limit = min(settings.max_request_bytes, settings.max_commands_bytes)
            response = await handle(side, call, await read(call.request, limit, settings, hold.grow))
        # Nothing of the body is held any more.
        await side.recorder.wait_until_visible()
        return response

    return respond


def query_of(route: Route, request: web.Request) -> BaseModel | None:
    """Return the parameters in the query string of a GET; None where the route has none. Raises Problem (400)."""
    if route.method != "GET" or route.request is None:
        return None
    try:
        return route.request.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error) from None


def unshaped(problem: Problem) -> Problem:
    """Return an error as it is: the client reads what all routes of Runstream respond."""
    return problem


def add_side(
    app: web.Application,
    routes: Iterable[Route],
    side: GatewaySide,
    shape: Callable[[Problem], Problem] = unshaped,
    query: Query = query_of,
) -> None:
    """Add the routes of a client to the application of a gateway, before it starts. `shape` makes of errors what the
    client reads."""
    add_routes(app, routes, lambda route: _handler(route, side, shape, query))


def _handler(route: Route, side: GatewaySide, shape: Callable[[Problem], Problem], query: Query) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(shape, (problem_of,)):
            return await _respond(route, side, request, query(route, request))

    return serve


async def _respond(
    route: Route, side: GatewaySide, request: web.Request, query: BaseModel | None
) -> web.StreamResponse:
    call = call_of(route, request, query)
    context = side.context.for_request(route.class_for(query), call.scope)
    headers = {"Content-Type": "application/json", POSITION_HEADER: str(context.visibility.visible())}
    with ended_with_connection(request), side.recorder.responding(request, route.action_for(request)):
        response = await route.handler(side.for_request(request, context), call)
        if isinstance(response, web.StreamResponse):
            return response
        match route.statuses:
            case (HTTPStatus.NO_CONTENT,):
                return web.Response(status=HTTPStatus.NO_CONTENT)
            case (HTTPStatus.CREATED,):
                body = encode_json(response, by_alias=True)
                return web.Response(status=HTTPStatus.CREATED, body=body, headers=headers)
            case _:
                return await send(context, request, response, headers, by_alias=True)
