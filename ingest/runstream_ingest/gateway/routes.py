"""Putting the gateway into an application."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from runstream_ingest.gateway.append import Appender, FramesHandler
from runstream_ingest.gateway.assets import AssetsHandler
from runstream_ingest.gateway.commands import Commands, CommandsHandler
from runstream_ingest.gateway.known_runs import KnownRuns
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.responses import Acknowledgement, CommandResponse, StoredAsset
from runstream_ingest.gateway.rights import WriterRights
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.writing import CommandWriter
from runstream_service.access import Action
from runstream_service.assets import AssetStorage
from runstream_service.log import LogWriter
from runstream_service.lookup import Lookup
from runstream_service.problems import Handler, Problem, client_left, problem_of
from runstream_service.routing import Call, Route, add_routes, call_of, tagged
from runstream_service.visibility import Visibility

#: As nginx counts it. No client sees it.
_CLIENT_LEFT: Final = 499

_BYTES: Final = ("application/octet-stream",)
_NOTES: Final = {
    "commands": [
        {"key": "r1", "event": {"type": "run_notes_set.v1", "at_us": 1_767_225_600_000_000, "notes": "diverged"}}
    ]
}
_ASSET: Final = "/ingest/v1/assets/{sha256}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a gateway has, for other interfaces of the same application that write."""

    appender: Appender
    pressure: Pressure
    rights: WriterRights
    metrics: GatewayMetrics
    settings: GatewaySettings


@dataclass(frozen=True, slots=True)
class _Handlers:
    frames: FramesHandler
    commands: CommandsHandler
    assets: AssetsHandler
    metrics: GatewayMetrics


async def take_frames(handlers: _Handlers, call: Call[None]) -> web.Response:
    """Append the frames of a request to the log."""
    return await handlers.frames(call.request, call.principal)


async def append_commands(handlers: _Handlers, call: Call[None]) -> web.Response:
    """Append the commands of a request to the log."""
    return await handlers.commands(call.request, call.principal)


async def find_asset(handlers: _Handlers, call: Call[None]) -> web.Response:
    """Tell whether an asset is stored."""
    return await handlers.assets.head(call.request)


async def store_asset(handlers: _Handlers, call: Call[None]) -> web.Response:
    """Store an asset."""
    return await handlers.assets.put(call.request)


ROUTES: Final = tagged(
    "ingest",
    (
        Route(
            "POST",
            "/ingest/v1/frames",
            Action.LOG,
            "Take in frames of writers",
            take_frames,
            response=Acknowledgement,
            request_media=_BYTES,
        ),
        Route(
            "POST",
            "/ingest/v1/commands",
            Action.EDIT,
            "Append control events",
            append_commands,
            Commands,
            CommandResponse,
            statuses=(200, 202),
            examples={"notes": _NOTES},
        ),
        Route("HEAD", _ASSET, Action.LOG, "Whether a file is stored", find_asset, statuses=(200, 404)),
        Route(
            "PUT",
            _ASSET,
            Action.LOG,
            "Store a file",
            store_asset,
            response=StoredAsset,
            request_media=_BYTES,
            statuses=(200, 201),
        ),
    ),
)


def add_gateway(
    app: web.Application,
    *,
    log: LogWriter,
    assets: AssetStorage,
    visibility: Visibility,
    settings: GatewaySettings,
    lookup: Lookup | None = None,
    registry: CollectorRegistry | None = None,
) -> Gateway:
    """Add ROUTES to an application, which is to have `problem_middleware` and `auth_middleware`.

    The application uses the log, the storage and the visibility, and closes none of them. `lookup` tells where runs
    are, for principals that may not write everywhere, and whether those exist that commands are about. Metrics go into
    `registry` (a new one if it is None).
    """
    metrics = GatewayMetrics(registry if registry is not None else CollectorRegistry())
    pressure = Pressure(settings, visibility, metrics)
    appender = Appender(log, pressure, metrics)
    rights = WriterRights(lookup, settings.remembered_writers)
    known_runs = KnownRuns(lookup, settings.unknown_run_patience_s, settings.remembered_writers)
    handlers = _Handlers(
        FramesHandler(appender, pressure, settings, metrics, rights, known_runs),
        CommandsHandler(CommandWriter(appender), pressure, settings, metrics, rights, known_runs),
        AssetsHandler(assets, pressure, settings, metrics),
        metrics,
    )
    add_routes(app, ROUTES, lambda route: _counted(route, handlers))
    return Gateway(appender, pressure, rights, metrics, settings)


def _counted(route: Route, handlers: _Handlers) -> Handler:
    label = route.path.split("/")[3]  # frames, commands, assets

    @cache  # of few statuses; finding the counter costs more than counting
    def requests(status: int) -> Counter:
        return handlers.metrics.requests.labels(label, str(status))

    async def handle(request: web.Request) -> web.StreamResponse:
        status = 500
        try:
            response = await route.handler(handlers, call_of(route, request, None))
            assert isinstance(response, web.StreamResponse)
            status = response.status
            return response
        except Exception as error:
            problem: Problem | None = problem_of(error)
            if problem is not None:
                status = problem.status
            elif client_left(request, error):
                status = _CLIENT_LEFT
            raise
        finally:
            requests(status).inc()

    return handle
