"""The query service as routes of an aiohttp application."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp import web

from runstream_query.answers import encode_json
from runstream_query.http import artifacts, commands, details, files, keys, live, runs, series, writers
from runstream_query.http.context import Context
from runstream_query.http.described import Described
from runstream_query.http.endpoint import Asked, Call, Endpoint
from runstream_query.http.openapi import Document, document
from runstream_query.http.outgoing import outgoing_of
from runstream_query.problems import problem_of
from runstream_query.settings import QuerySettings
from runstream_service.access import Action
from runstream_service.assets import AssetReader
from runstream_service.log import LogReader
from runstream_service.problems import Handler
from runstream_service.routing import add_route
from runstream_service.store import StoreReader
from runstream_service.visibility import Visibility

API_VERSION: Final = "1"
OPENAPI_PATH: Final = "/api/v1/openapi.json"


async def _show_document(context: Context, call: Call[Asked]) -> web.StreamResponse:
    # It takes a tenth of a second to make and never changes.
    if "body" not in context.document:
        context.document["body"] = await asyncio.to_thread(
            lambda: encode_json(Document(document(ENDPOINTS, API_VERSION, context.described)))
        )
    return web.Response(body=context.document["body"], headers={"Content-Type": "application/json"})


#: Every route of the service, in the order in which they are tried.
ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *details.ENDPOINTS,
    *runs.ENDPOINTS,
    *writers.ENDPOINTS,
    *series.ENDPOINTS,
    *files.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *live.ENDPOINTS,
    *commands.ENDPOINTS,
    *keys.ENDPOINTS,
    Endpoint("GET", OPENAPI_PATH, "This document", _show_document, Asked, None, ("application/json",)),
)


def _system_now_us() -> int:
    return time.time_ns() // 1000


def add_query(
    app: web.Application,
    *,
    store: StoreReader,
    visibility: Visibility,
    log: LogReader | None,
    assets: AssetReader,
    settings: QuerySettings,
    now_us: Callable[[], int] = _system_now_us,
    described: Sequence[Described] = (),
) -> None:
    """Add the routes of `ENDPOINTS` to `app`, before it starts. All of them only read.

    The application needs `runstream_service.problems.problem_middleware` (errors are raised as `Problem`) and,
    behind it, whatever decides who may come in. Without `log` reads as of a time are refused (as of a position they
    work). Everything runs in the application's event
    loop; what takes long (folds, encoding of large answers) in threads. Live streams end when the application shuts
    down. `now_us` is the clock (microseconds since 1970 UTC) that decides how long a writer has been silent.
    `described` are the application's other routes: the OpenAPI document is about the whole server.
    """
    context = Context(store, visibility, log, assets, settings, now_us, described, outgoing=outgoing_of(app, settings))
    for endpoint in ENDPOINTS:
        add_route(app, endpoint.method, endpoint.path, _handler(endpoint, context), Action.READ)

    async def stop(_: web.Application) -> None:
        context.stopping.set()

    app.on_shutdown.append(stop)


def _handler(endpoint: Endpoint, context: Context) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await endpoint.serve(context, request)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            raise problem from error

    return serve


def routes() -> Iterable[tuple[str, str]]:
    """(method, path) of every route, for whoever documents or guards them."""
    return [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS]
