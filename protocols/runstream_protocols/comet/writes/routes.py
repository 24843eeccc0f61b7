"""What Comet's client writes, as routes of an aiohttp application."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from runstream_ingest.gateway.routes import Gateway
from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.paths import LIVE_ROOTS, ROOTS
from runstream_protocols.comet.writes import live, projects, registry, uploads, writes
from runstream_protocols.kit.errors import shaped
from runstream_protocols.kit.payloads import Payload, query_payload, read_payload
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.uploads import Uploads
from runstream_query.answers import Answer
from runstream_query.http.described import Described
from runstream_service.access import Action
from runstream_service.assets import AssetStorage
from runstream_service.lookup import Lookup
from runstream_service.problems import Handler as RequestHandler
from runstream_service.problems import Problem
from runstream_service.routing import add_route
from runstream_service.store import StoreError

Handler = Callable[[Recorder, web.Request, Payload], Awaitable[dict[str, object]]]

#: The client gives a request up after 10 s and makes it again: a later response would be read by nobody.
VISIBLE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Route:
    """`path` below each of `roots`. `multipart`: the handler reads the body itself, and is told the query string.
    `small`: a body of it names and describes things; its handler may hold it while it waits for what it wrote."""

    method: str
    roots: tuple[str, ...]
    path: str
    summary: str
    handle: Handler
    multipart: bool = False
    small: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(f"{root}/{self.path}" for root in self.roots)


def _live(path: str, summary: str, handle: Handler, method: str = "POST", *, multipart: bool = False) -> Route:
    return Route(method, LIVE_ROOTS, path, summary, handle, multipart, small=handle in (live.add_run, live.get_run))


def _rest(path: str, summary: str, handle: Handler, method: str = "POST", *, multipart: bool = False) -> Route:
    small = path.startswith(("project/", "registry-model")) or handle is writes.move
    return Route(method, ROOTS, f"write/{path}", summary, handle, multipart, small=small)


ROUTES: Final[tuple[Route, ...]] = (
    _live("logger/add/run", "Begin an experiment", live.add_run),
    _live("logger/get/run", "Go on with an experiment", live.get_run),
    _live("status-report/update", "A sign of life, or the end", live.status),
    _live("status-report/offline-metadata", "Times of an uploaded experiment", live.offline_times),
    _live("batch/logger/experiment/metric", "Values of metrics", live.metrics),
    _live("batch/logger/experiment/parameter", "Parameters", live.parameters),
    _live("tags/add-tags-to-experiment", "Add tags", live.tags),
    _live("asset/3d-limits", "Limits of points in space", live.space_limits),
    _live("notification/experiment", "A summary", live.accepted),
    _live("notify/event", "What the client notices about itself", live.accepted),
    _live("health/ping", "Whether it is worth sending", live.accepted, "GET"),
    _live("asset/upload", "A file", uploads.asset, multipart=True),
    _live("visualizations/upload", "A figure", uploads.asset, multipart=True),
    _live("git-patch/upload", "What was changed", uploads.patch, multipart=True),
    _live("asset/asset-item", "A piece of an asset", uploads.item, multipart=True),
    _live("asset/{asset}/thumbnail", "A small picture of an asset", uploads.item, "PUT", multipart=True),
    _live("asset", "An asset whose pieces follow", uploads.empty),
    _live("asset/log-remote-model", "A model that is elsewhere", uploads.remote_model),
    _rest("experiment/create", "Create an experiment", writes.create),
    _rest("experiment/set-status", "A sign of life", writes.keep_alive, "GET"),
    _rest("experiment/metric", "A value of a metric", writes.metric),
    _rest("experiment/cpu-metrics", "Use of processors", writes.system_metrics(writes.of_cpu)),
    _rest("experiment/gpu-metrics", "Use of GPUs", writes.system_metrics(writes.of_gpu)),
    _rest("experiment/ram-metrics", "Use of memory", writes.system_metrics(writes.of_ram)),
    _rest("experiment/load-metrics", "Load", writes.system_metrics(writes.of_load)),
    _rest("experiment/parameter", "A parameter", writes.parameter),
    _rest("experiment/parameter/delete", "Delete a parameter", writes.delete_parameter),
    _rest("experiments/parameters/delete", "Delete parameters", writes.delete_parameters),
    _rest("experiment/log-other", "Another value", writes.other),
    _rest("experiment/tags", "Add tags", live.tags),
    _rest("experiment/tags/delete", "Delete tags", writes.delete_tags),
    _rest("experiment/output", "Lines that were printed", live.output),
    _rest("experiment/file-path", "The program", writes.file_path),
    _rest("experiment/system-details", "What it runs on", writes.system_details),
    _rest("experiment/cloud-details", "Where it runs", writes.cloud_details),
    _rest("experiment/dependencies", "Packages", writes.dependencies, "PUT"),
    _rest("experiment/git/metadata", "Its commit", writes.git_metadata),
    _rest("experiment/set-start-end-time", "Set its times", writes.times),
    _rest("experiment/update-status", "Set its state", writes.update_status),
    _rest("experiment/archive", "Archive", writes.archive, "GET"),
    _rest("experiment/restore", "Restore", writes.restore, "GET"),
    _rest("experiment/delete", "Delete", writes.delete, "GET"),
    _rest("experiment/stop", "Stop", writes.stop, "GET"),
    _rest("experiment/asset/delete", "Delete an asset", writes.delete_asset, "GET"),
    _rest("experiment/move", "Move to a project", writes.move),
    _rest("project/symlink", "Link to an experiment", writes.symlink, "GET"),
    _live("symlink/new", "Link to the experiment", writes.symlink, "GET"),
    _rest("experiment/upload-asset", "A file", uploads.asset, multipart=True),
    _rest("experiment/git/patch", "What was changed", uploads.patch, multipart=True),
    _rest("experiment/html", "A piece of its page", uploads.page),
    _rest("experiment/code", "Its code", uploads.code),
    _rest("experiment/graph", "Its model graph", uploads.graph),
    _rest("project/create", "Create a project", projects.create),
    _rest("project/update", "Rename or describe a project", projects.update),
    _rest("project/delete", "Delete a project", projects.delete),
    _rest("project/notes", "Write a project's notes", projects.notes),
    _rest("registry-model/item/create", "Register a version of a model", registry.create),
    _rest("registry-model", "Register a version of a model", registry.create_of_model),
    _rest("registry-model/item", "Register a version of a model", registry.create_of_model),
    _rest("registry-model/update", "Describe a registered model", registry.update),
    _rest("registry-model/notes", "Write a registered model's notes", registry.notes),
    _rest("registry-model/delete", "Delete a registered model", registry.delete, "GET"),
    _rest("registry-model/item/update", "Describe a version", registry.update_item),
    _rest("registry-model/item/status", "Set a version's status", registry.status),
    _rest("registry-model/item/stage", "Add a tag to a version", registry.add_tag, "GET"),
    _rest("registry-model/item/stage/delete", "Delete a version's tag", registry.delete_tag, "GET"),
    _rest("registry-model/item/delete", "Delete a version", registry.delete_item, "GET"),
    _rest("registry-model/item/{item}/metadata", "Add metadata to a version", registry.metadata),
    _rest(
        "registry-model/item/{item}/status-configuration",
        "Configure a version's status",
        registry.status_configuration,
    ),
)


class CometPayload(BaseModel):
    """A request of Comet's client, as that client documents it: members are read one by one, unknown ones are passed
    over."""

    model_config = ConfigDict(extra="allow")


class CometWritten(Answer):
    """What Comet's client reads of a response, by the method; often nothing."""

    model_config = ConfigDict(extra="allow")


#: The routes as the OpenAPI document shows them, each below every root.
DESCRIBED: Final = tuple(
    Described(
        route.method,
        path,
        f"Comet: {route.summary}",
        {200: CometWritten},
        body=None if route.method == "GET" or route.multipart else CometPayload,
        body_media=("multipart/form-data",) if route.multipart else (),
    )
    for route in ROUTES
    for path in route.paths
)


def add_comet_writes(
    app: web.Application,
    *,
    gateway: Gateway,
    assets: AssetStorage,
    lookup: Lookup,
) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    settings = gateway.settings
    timeout_s = min(VISIBLE_TIMEOUT_S, settings.visible_timeout_s)
    recorder = Recorder(
        gateway.appender,
        gateway.pressure,
        lookup,
        Uploads(assets, gateway.pressure, settings),
        timeout_s,
        settings.is_only_gateway,
    )
    for route in ROUTES:
        for path in route.paths:
            add_route(app, route.method, path, _handler(route, recorder, gateway), Action.LOG)


def _handler(route: Route, recorder: Recorder, gateway: Gateway) -> RequestHandler:
    retry_after_s = gateway.settings.retry_after_s

    def store_error(error: Exception) -> Problem | None:
        if not isinstance(error, StoreError):
            return None
        title = "The store does not answer"
        return Problem(503, "store-unavailable", title, str(error), retry_after_s=retry_after_s)

    def shape(problem: Problem) -> Problem:
        if problem.status == 429:
            # What makes the client keep a batch and send it later.
            problem.headers["Retry-After-Custom"] = str(retry_after_s)
        return as_client_reads(problem)

    async def serve(request: web.Request) -> web.Response:
        with shaped(shape, (store_error,)):
            response = await _respond(route, recorder, gateway, request)
        # The client takes this very type: with a charset behind it, it finds no JSON.
        return web.Response(body=json.dumps(response).encode(), headers={"Content-Type": "application/json"})

    return serve


async def _respond(route: Route, recorder: Recorder, gateway: Gateway, request: web.Request) -> dict[str, object]:
    with recorder.responding(request):
        response = await _handle(route, recorder, gateway, request)
        # Nothing of the body is held any more.
        await recorder.wait_until_visible()
    return response


async def _handle(route: Route, recorder: Recorder, gateway: Gateway, request: web.Request) -> dict[str, object]:
    settings = gateway.settings
    if route.multipart:
        # A file of any size goes through the disk, not through memory.
        return await route.handle(recorder, request, query_payload(request))
    limit = settings.max_request_bytes
    if route.small:
        limit = min(limit, settings.max_description_bytes)
    with gateway.pressure.admitted(request, "other") as hold:
        return await route.handle(recorder, request, await read_payload(request, limit, settings, hold.grow))
