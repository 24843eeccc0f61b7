"""The query service as routes of an aiohttp application."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from runstream.clock import SYSTEM_CLOCK
from runstream_query.http import (
    artifacts,
    chart_groups,
    charts,
    commands,
    details,
    documents,
    fields,
    files,
    keys,
    lineage,
    lines,
    live,
    points,
    runs,
    series,
    tickets,
    writers,
)
from runstream_query.http.context import Context
from runstream_query.http.outgoing import outgoing_of
from runstream_query.http.serving import POSITION_HEADER, handler_of
from runstream_query.page.routes import add_page
from runstream_query.settings import QuerySettings
from runstream_service.assets import AssetReader
from runstream_service.log import LogReader
from runstream_service.routing import Route, add_routes, tagged
from runstream_service.store import StoreReader
from runstream_service.visibility import Visibility

NO_PROTOCOLS: Final[Mapping[str, Sequence[Route]]] = {}
_POSITION: Final = {POSITION_HEADER: "what is visible: wait_for takes it"}
#: Every route of the service, in the order in which they are tried.
ROUTES: Final[tuple[Route, ...]] = (
    *tagged("runs", details.ROUTES, _POSITION),
    *tagged("runs", runs.ROUTES, _POSITION),
    *tagged("runs", fields.ROUTES, _POSITION),
    *tagged("runs", writers.ROUTES, _POSITION),
    *tagged("series", series.ROUTES, _POSITION),
    *tagged("series", points.ROUTES, _POSITION),
    *tagged("series", charts.ROUTES, _POSITION),
    *tagged("series", chart_groups.ROUTES, _POSITION),
    *tagged("files", files.ROUTES, _POSITION),
    *tagged("files", lines.ROUTES, _POSITION),
    *tagged("files", tickets.ROUTES, _POSITION),
    *tagged("artifacts", artifacts.ROUTES, _POSITION),
    *tagged("artifacts", lineage.ROUTES, _POSITION),
    *tagged("live", live.ROUTES, _POSITION),
    *tagged("commands", commands.ROUTES, _POSITION),
    *tagged("server", keys.ROUTES, _POSITION),
    *tagged("server", documents.ROUTES, _POSITION),
)


def add_query(
    app: web.Application,
    *,
    store: StoreReader,
    visibility: Visibility,
    log: LogReader | None,
    assets: AssetReader,
    settings: QuerySettings,
    now_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
    others: Sequence[Route] = (),
    protocols: Mapping[str, Sequence[Route]] = NO_PROTOCOLS,
) -> None:
    """Add ROUTES and those of the page to `app`, before it starts. All of them only read.

    The application needs `runstream_service.problems.problem_middleware` (errors are raised as `Problem`) and,
    behind it, whatever decides who may come in. Without `log` reads as of a time are refused (as of a position they
    work). Everything runs in the application's event loop; what takes long (folds, encoding of large responses) in
    threads. Live streams end when the application shuts down. `now_us` is the clock (microseconds since 1970 UTC) that
    decides how long a writer has been silent.
    `others` are the server's own other routes, for its OpenAPI document; `protocols` those of foreign clients, by the
    name of their protocol, each of which has a document of its own.
    """
    context = Context(
        store,
        visibility,
        log,
        assets,
        settings,
        now_us,
        {documents.OWN: (*ROUTES, *others), **protocols},
        outgoing=outgoing_of(app, settings),
    )
    add_routes(app, ROUTES, lambda route: handler_of(route, context))
    add_page(app, itertools.chain(*context.documents.values()))

    async def stop(_: web.Application) -> None:
        context.stopping.set()

    app.on_shutdown.append(stop)
