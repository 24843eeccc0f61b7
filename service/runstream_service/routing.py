"""Routes: what an application serves, each in one value, from which its OpenAPI documents are made too.

A part of a server has a table of routes and a function that serves one of them; `add_routes` adds both to an
application. Nothing is added to an application in any other way.
"""

import dataclasses
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler as RequestHandler
from aiohttp.web_urldispatcher import AbstractRoute
from pydantic import BaseModel

from runstream_service.access import Action, Principal, Scope, principal_of
from runstream_service.store import QueryClass

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q]):
    """One request, checked. `scope` is where its principal may do what the route does."""

    request: web.Request
    path: Mapping[str, str]
    parameters: Q
    principal: Principal
    scope: Scope

    @classmethod
    def of(cls, request: web.Request, path: Mapping[str, str], parameters: Q, action: Action) -> Self:
        """Return the call of a request that does `action`, with the parameters of its path and its others."""
        principal = principal_of(request)
        return cls(request, path, parameters, principal, principal.scope(action))


#: Makes the response of a route: of the part that it belongs to, and of a call.
Handler = Callable[[Any, Call[Any]], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """What a server does at one path.

    request: the parameters, in the query string (GET) or the JSON body (all else). response: the JSON of a success;
    None if it has none. request_media, media: types of bodies and of responses that are no JSON; media_models: what
    these consist of, for the document. statuses: of successes. query_class: of its queries, or tells it from the
    parameters. tags, headers (of responses) and examples (of requests, by name) are for the document. tells_action:
    where requests of one path do different things, says what one of them does; `action` is that of all it says nothing
    of. is_page: it is part of the page for people's browsers: it shows nothing that is kept, is open without a key, and
    stands in no document.
    """

    method: str
    path: str
    action: Action
    summary: str
    handler: Handler
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    request_media: tuple[str, ...] = ()
    media_models: tuple[type[BaseModel], ...] = ()
    statuses: tuple[int, ...] = (200,)
    query_class: QueryClass | Callable[[Any], QueryClass] = QueryClass.LIGHT
    tags: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    #: Whether a GET answers HEAD too.
    head: bool = False
    #: Whether its responses depend on nothing but the request, its scope and what is visible; not on the time.
    timeless: bool = False
    tells_action: Callable[[web.Request], Action | None] | None = None
    is_page: bool = False

    @property
    def name(self) -> str:
        """Its name in the document, which generated clients use: `get_runs_run_series`."""
        words = re.findall(r"\w+", self.path.removeprefix("/api/v1/"))
        # `/a` and `/a/` are two routes.
        end = ("root",) if self.path.endswith("/") else ()
        return "_".join((self.method.lower(), *words, *end))

    @property
    def template(self) -> str:
        """Its path without the patterns of its parts: `/files/{name:.*}` is `/files/{name}`."""
        return re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", self.path)

    def action_for(self, request: web.Request) -> Action:
        """Return what a request does."""
        told = None if self.tells_action is None else self.tells_action(request)
        return self.action if told is None else told

    def class_for(self, parameters: Any) -> QueryClass:
        """Return the class of the queries that a request makes with these parameters."""
        return self.query_class if isinstance(self.query_class, QueryClass) else self.query_class(parameters)


def call_of(route: Route, request: web.Request, parameters: Q) -> Call[Q]:
    """Return the call of a request for the route, with its parameters."""
    return Call.of(request, request.match_info, parameters, route.action_for(request))


_ROUTES: Final = web.AppKey("runstream_routes", dict[AbstractRoute, Route])


def tagged(tag: str, routes: Iterable[Route], headers: Mapping[str, str] | None = None) -> tuple[Route, ...]:
    """Return the routes with a tag, where they have none, and with headers of their responses."""
    return tuple(
        dataclasses.replace(route, tags=route.tags or (tag,), headers={**(headers or {}), **route.headers})
        for route in routes
    )


def add_routes(app: web.Application, routes: Iterable[Route], serve: Callable[[Route], RequestHandler]) -> None:
    """Add routes to an application, before it starts. `serve` makes the handler of each."""
    known = app.setdefault(_ROUTES, {})
    for route in routes:
        handler = serve(route)
        for method in (route.method, "HEAD") if route.head else (route.method,):
            known[app.router.add_route(method, route.path, handler)] = route


def plain_handler(route: Route, part: object) -> RequestHandler:
    """Return the handler of a route that has no parameters, and a response of its own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = await route.handler(part, call_of(route, request, None))
        assert isinstance(response, web.StreamResponse)
        return response

    return handle


def routes_of(app: web.Application) -> Mapping[AbstractRoute, Route]:
    """Return the routes of an application, by what aiohttp makes of each."""
    return app.get(_ROUTES, {})


def is_page(request: web.Request) -> bool:
    """Return whether the request is for a part of the page, which needs no key."""
    route = routes_of(request.app).get(request.match_info.route)
    return route is not None and route.is_page


def action_of(request: web.Request) -> Action | None:
    """Return what the request is about to do; None if there is no such route.

    A path that was added in another way than by `add_routes` is for those who may do everything.
    """
    info = request.match_info
    if info.http_exception is not None:
        return None
    route = routes_of(request.app).get(info.route)
    return Action.ADMINISTER if route is None else route.action_for(request)
