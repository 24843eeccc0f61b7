"""What Comet's client writes, as routes of an aiohttp application."""

import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from runstream_ingest.gateway.routes import Gateway
from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.paths import LIVE_ROOTS, ROOTS, VERSION_PATH
from runstream_protocols.comet.writes import (
    artifact_reads,
    artifacts,
    live,
    projects,
    registry,
    uploads,
    writes,
)
from runstream_protocols.kit.errors import shaped
from runstream_protocols.kit.payloads import Payload, query_payload, read_payload
from runstream_protocols.kit.recorder import Recorder
from runstream_query.responses import ResponseModel
from runstream_service.access import Action
from runstream_service.assets import AssetStorage
from runstream_service.lookup import Lookup
from runstream_service.problems import Handler as RequestHandler
from runstream_service.problems import Problem
from runstream_service.routing import Call, Handler, Route, add_routes, call_of, tagged
from runstream_service.store import StoreError

CometHandler = Callable[[Recorder, web.Request, Payload], Awaitable[dict[str, object]]]

#: The client gives a request up after 10 s and makes it again: a later response would be read by nobody.
VISIBLE_TIMEOUT_S: Final = 5.0
#: The client takes this very type: with a charset behind it, it says that the response is no JSON.
_JSON: Final = {"Content-Type": "application/json"}
_MULTIPART: Final = ("multipart/form-data",)


class CometPayload(BaseModel):
    """A request of Comet's client, as that client documents it: members are read one by one, unknown ones are passed
    over."""

    model_config = ConfigDict(extra="allow")


class CometWritten(ResponseModel):
    """What Comet's client reads of a response, by the method; often nothing."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class _Side:
    """What the handlers write by."""

    recorder: Recorder
    gateway: Gateway


def _below(
    roots: Iterable[str],
    path: str,
    summary: str,
    handle: CometHandler,
    method: str,
    *,
    action: Action = Action.LOG,
    multipart: bool = False,
    small: bool = False,
) -> tuple[Route, ...]:
    """Return the routes of a path below each of the roots.

    multipart: the handler reads the body itself, and gets the query string. small: a body of it names and describes
    things; its handler may hold it while it waits for what it wrote.
    """
    request = None if method == "GET" or multipart else CometPayload
    media = _MULTIPART if multipart else ()
    handler = _responding(handle, action, multipart, small)
    return tuple(
        Route(method, f"{root}/{path}", action, summary, handler, request, CometWritten, request_media=media)
        for root in roots
    )


def _live(
    path: str,
    summary: str,
    handle: CometHandler,
    method: str = "POST",
    *,
    action: Action = Action.LOG,
    multipart: bool = False,
) -> tuple[Route, ...]:
    small = handle in (live.add_run, live.get_run)
    return _below(LIVE_ROOTS, path, summary, handle, method, action=action, multipart=multipart, small=small)


def _rest(
    path: str, summary: str, handle: CometHandler, method: str = "POST", *, multipart: bool = False
) -> tuple[Route, ...]:
    return _below(ROOTS, f"write/{path}", summary, handle, method, multipart=multipart)


def _edit(path: str, summary: str, handle: CometHandler, method: str = "POST") -> tuple[Route, ...]:
    small = path.startswith(("project/", "registry-model")) or handle is writes.move
    return _below(ROOTS, f"write/{path}", summary, handle, method, action=Action.EDIT, small=small)


def _responding(handle: CometHandler, action: Action, multipart: bool, small: bool) -> Handler:
    """Return the handler of a route: it reads the request, has it handled, and waits until what was appended is
    visible, as long as the recorder waits."""

    @functools.wraps(handle)
    async def respond(side: _Side, call: Call[None]) -> web.Response:
        with side.recorder.responding(call.request, action):
            payload = await _handled(handle, side, call.request, multipart, small)
            # Nothing of the body is held any more.
            await side.recorder.wait_until_visible()
        return web.Response(body=json.dumps(payload).encode(), headers=_JSON)

    return respond


async def _handled(
    handle: CometHandler, side: _Side, request: web.Request, multipart: bool, small: bool
) -> dict[str, object]:
    settings = side.gateway.settings
    if multipart:
        # A file of any size goes through the disk, not through memory.
        return await handle(side.recorder, request, query_payload(request))
    limit = settings.max_request_bytes
    if small:
        limit = min(limit, settings.max_description_bytes)
    with side.gateway.pressure.admitted(request, "other") as hold:
        return await handle(side.recorder, request, await read_payload(request, limit, settings, hold.grow))


#: One route for each root that the client uses.
ROUTES: Final = tagged(
    "writes",
    (
        *_live("logger/add/run", "Begin an experiment", live.add_run),
        *_live("logger/get/run", "Go on with an experiment", live.get_run),
        *_live("status-report/update", "A sign of life, or the end", live.status),
        *_live("status-report/offline-metadata", "Times of an uploaded experiment", live.offline_times),
        *_live("batch/logger/experiment/metric", "Values of metrics", live.metrics),
        *_live("batch/logger/experiment/parameter", "Parameters", live.parameters),
        *_live("tags/add-tags-to-experiment", "Add tags", live.tags),
        *_live("asset/3d-limits", "Limits of points in space", live.space_limits),
        *_live("notification/experiment", "A summary", live.accepted),
        *_live("notify/event", "What the client notices about itself", live.accepted),
        *_live("health/ping", "Whether it is worth sending", live.accepted, "GET", action=Action.OPERATE),
        *_live("asset/upload", "A file", uploads.asset, multipart=True),
        *_live("visualizations/upload", "A figure", uploads.asset, multipart=True),
        *_live("git-patch/upload", "What was changed", uploads.patch, multipart=True),
        *_live("asset/asset-item", "A piece of an asset", uploads.item, multipart=True),
        *_live("asset/{asset}/thumbnail", "A small picture of an asset", uploads.item, "PUT", multipart=True),
        *_live("asset", "An asset whose pieces follow", uploads.empty),
        *_live("asset/log-remote-model", "A model that is elsewhere", uploads.remote_model),
        *_rest("experiment/create", "Create an experiment", writes.create),
        *_rest("experiment/set-status", "A sign of life", writes.keep_alive, "GET"),
        *_rest("experiment/metric", "A value of a metric", writes.metric),
        *_rest("experiment/cpu-metrics", "Use of processors", writes.system_metrics(writes.of_cpu)),
        *_rest("experiment/gpu-metrics", "Use of GPUs", writes.system_metrics(writes.of_gpu)),
        *_rest("experiment/ram-metrics", "Use of memory", writes.system_metrics(writes.of_ram)),
        *_rest("experiment/load-metrics", "Load", writes.system_metrics(writes.of_load)),
        *_rest("experiment/parameter", "A parameter", writes.parameter),
        *_edit("experiment/parameter/delete", "Delete a parameter", writes.delete_parameter),
        *_edit("experiments/parameters/delete", "Delete parameters", writes.delete_parameters),
        *_rest("experiment/log-other", "Another value", writes.other),
        *_rest("experiment/tags", "Add tags", live.tags),
        *_edit("experiment/tags/delete", "Delete tags", writes.delete_tags),
        *_rest("experiment/output", "Lines that were printed", live.output),
        *_rest("experiment/file-path", "The program", writes.file_path),
        *_rest("experiment/system-details", "What it runs on", writes.system_details),
        *_rest("experiment/cloud-details", "Where it runs", writes.cloud_details),
        *_rest("experiment/dependencies", "Packages", writes.dependencies, "PUT"),
        *_rest("experiment/git/metadata", "Its commit", writes.git_metadata),
        *_rest("experiment/set-start-end-time", "Set its times", writes.times),
        *_rest("experiment/update-status", "Set its state", writes.update_status),
        *_edit("experiment/archive", "Archive", writes.archive, "GET"),
        *_edit("experiment/restore", "Restore", writes.restore, "GET"),
        *_edit("experiment/delete", "Delete", writes.delete, "GET"),
        *_edit("experiment/stop", "Stop", writes.stop, "GET"),
        *_edit("experiment/asset/delete", "Delete an asset", writes.delete_asset, "GET"),
        *_edit("experiment/move", "Move to a project", writes.move),
        *_edit("project/symlink", "Link to an experiment", writes.symlink, "GET"),
        *_live("symlink/new", "Link to the experiment", writes.symlink, "GET"),
        *_rest("experiment/upload-asset", "A file", uploads.asset, multipart=True),
        *_rest("experiment/git/patch", "What was changed", uploads.patch, multipart=True),
        *_rest("experiment/html", "A piece of its page", uploads.page),
        *_rest("experiment/code", "Its code", uploads.code),
        *_rest("experiment/graph", "Its model graph", uploads.graph),
        *_rest("artifacts/upsert", "Announce a version of an artifact", artifacts.upsert),
        *_rest("artifacts/state", "All files of a version are there", artifacts.set_state),
        *_rest("artifact/assets/remote/batch", "Files of a version that are elsewhere", uploads.remote_files),
        *_edit("artifacts/version/labels", "Label a version", artifacts.labels),
        *_edit("artifacts/details", "Label an artifact", artifacts.details),
        *_below(
            ROOTS,
            VERSION_PATH,
            "A version of an artifact, and who uses it",
            artifact_reads.version,
            "GET",
            action=Action.READ,
        ),
        *_edit("project/create", "Create a project", projects.create),
        *_edit("project/update", "Rename or describe a project", projects.update),
        *_edit("project/delete", "Delete a project", projects.delete),
        *_edit("project/notes", "Write a project's notes", projects.notes),
        *_edit("registry-model/item/create", "Register a version of a model", registry.create),
        *_edit("registry-model", "Register a version of a model", registry.create_of_model),
        *_edit("registry-model/item", "Register a version of a model", registry.create_of_model),
        *_edit("registry-model/update", "Describe a registered model", registry.update),
        *_edit("registry-model/notes", "Write a registered model's notes", registry.notes),
        *_edit("registry-model/delete", "Delete a registered model", registry.delete, "GET"),
        *_edit("registry-model/item/update", "Describe a version", registry.update_item),
        *_edit("registry-model/item/status", "Set a version's status", registry.status),
        *_edit("registry-model/item/stage", "Add a tag to a version", registry.add_tag, "GET"),
        *_edit("registry-model/item/stage/delete", "Delete a version's tag", registry.delete_tag, "GET"),
        *_edit("registry-model/item/delete", "Delete a version", registry.delete_item, "GET"),
        *_edit("registry-model/item/{item}/metadata", "Add metadata to a version", registry.metadata),
        *_edit(
            "registry-model/item/{item}/status-configuration",
            "Configure a version's status",
            registry.status_configuration,
        ),
    ),
)


def add_comet_writes(
    app: web.Application,
    *,
    gateway: Gateway,
    assets: AssetStorage,
    lookup: Lookup,
) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    side = _Side(Recorder.of(gateway, lookup, assets, VISIBLE_TIMEOUT_S), gateway)
    add_routes(app, ROUTES, lambda route: _handler(route, side))


def _handler(route: Route, side: _Side) -> RequestHandler:
    retry_after_s = side.gateway.settings.retry_after_s

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

    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(shape, (store_error,)):
            response = await route.handler(side, call_of(route, request, None))
        assert isinstance(response, web.StreamResponse)
        return response

    return serve
