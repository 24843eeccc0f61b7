"""Putting the gateway into an application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from runstream_ingest.gateway.append import Appender, FramesHandler
from runstream_ingest.gateway.assets import AssetsHandler
from runstream_ingest.gateway.commands import CommandsHandler
from runstream_ingest.gateway.figures import GatewayFigures
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.writing import CommandWriter
from runstream_service.access import Action
from runstream_service.assets import AssetStorage
from runstream_service.log import LogWriter
from runstream_service.problems import Problem, client_left, problem_of
from runstream_service.routing import add_route
from runstream_service.visibility import Visibility

#: As nginx counts it. No client sees it.
_CLIENT_LEFT: Final = 499

_Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a gateway has, for other interfaces of the same application that write."""

    appender: Appender
    pressure: Pressure
    figures: GatewayFigures
    settings: GatewaySettings


def add_gateway(
    app: web.Application,
    *,
    log: LogWriter,
    assets: AssetStorage,
    visibility: Visibility,
    settings: GatewaySettings,
    registry: CollectorRegistry | None = None,
) -> Gateway:
    """Add the gateway's routes to an application, which is to have `problem_middleware` and `auth_middleware`.

    The application uses the log, the storage and the visibility, and closes none of them. Figures go into `registry`
    (a new one if it is None).
    """
    figures = GatewayFigures(registry if registry is not None else CollectorRegistry())
    pressure = Pressure(settings, visibility, figures)
    appender = Appender(log, pressure, figures)
    asset_handler = AssetsHandler(assets, pressure, settings, figures)
    frames = FramesHandler(appender, pressure, settings, figures)
    commands = CommandsHandler(CommandWriter(appender), pressure, settings, figures)
    add_route(app, "POST", "/ingest/v1/frames", _counted(figures, "frames", frames), Action.LOG)
    add_route(app, "POST", "/ingest/v1/commands", _counted(figures, "commands", commands), Action.EDIT)
    add_route(app, "HEAD", "/ingest/v1/assets/{sha256}", _counted(figures, "assets", asset_handler.head), Action.LOG)
    add_route(app, "PUT", "/ingest/v1/assets/{sha256}", _counted(figures, "assets", asset_handler.put), Action.LOG)
    return Gateway(appender, pressure, figures, settings)


def _counted(figures: GatewayFigures, route: str, handler: _Handler) -> _Handler:
    @cache  # of few statuses; finding the counter costs more than counting
    def requests(status: int) -> Counter:
        return figures.requests.labels(route, str(status))

    async def counted(request: web.Request) -> web.Response:
        status = 500
        try:
            response = await handler(request)
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

    return counted
