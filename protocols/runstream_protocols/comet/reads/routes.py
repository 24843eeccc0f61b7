"""Comet's REST interface as routes of an aiohttp application."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from runstream.clock import SYSTEM_CLOCK
from runstream_protocols.comet.access import VERSION_PATH
from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.paths import ROOTS
from runstream_protocols.comet.reads import artifact_responses as f
from runstream_protocols.comet.reads import (
    artifacts,
    charts,
    experiments,
    files,
    metadata,
    names,
    points,
    queries,
    registry,
)
from runstream_protocols.comet.reads import registry_responses as r
from runstream_protocols.comet.reads import requests as q
from runstream_protocols.comet.reads import responses as a
from runstream_protocols.kit.errors import shaped
from runstream_query.http.context import Context
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.http.serving import POSITION_HEADER, send
from runstream_query.problems import problem_of
from runstream_query.responses import ResponseModel
from runstream_query.settings import QuerySettings
from runstream_service.access import Action
from runstream_service.assets import AssetReader
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import Call, Handler, Route, add_routes, call_of, tagged
from runstream_service.store import QueryClass, StoreReader
from runstream_service.visibility import Visibility

CometHandler = Callable[[Context, web.Request, Any], Awaitable[ResponseModel | web.StreamResponse]]


def _rest(
    method: str,
    path: str,
    summary: str,
    handle: CometHandler,
    request_model: type[q.CometRequest],
    response_model: type[ResponseModel] | None,
    media: tuple[str, ...] = (),
    query_class: QueryClass = QueryClass.LIGHT,
) -> tuple[Route, ...]:
    """Return the routes of a path below each of ROOTS."""
    return tuple(
        Route(
            method,
            f"{root}/{path}",
            Action.READ,
            summary,
            _handling(handle),
            request_model,
            response_model,
            media,
            query_class=query_class,
        )
        for root in ROOTS
    )


def _handling(handle: CometHandler) -> Handler:
    """Return the handler of a route whose handler takes the request and its parameters."""

    async def respond(context: Context, call: Call[Any]) -> ResponseModel | web.StreamResponse:
        return await handle(context, call.request, call.parameters)

    return respond


_OF: Final = q.ExperimentRequest
_HEAVY: Final = QueryClass.HEAVY
_BYTES: Final = ("application/octet-stream",)
#: One route for each root that the client uses, but the version.
ROUTES: Final = tagged(
    "reads",
    (
        Route("GET", VERSION_PATH, Action.READ, "Version", _handling(names.version), q.EmptyRequest, a.CometVersion),
        *_rest("GET", "account-details", "Whose key it is", names.account, q.EmptyRequest, a.CometAccount),
        *_rest("GET", "workspaces", "Workspaces", names.workspaces, q.EmptyRequest, a.CometWorkspaces),
        *_rest("GET", "projects", "Projects of a workspace", names.projects, q.WorkspaceRequest, a.CometProjects),
        *_rest("GET", "project", "A project", names.project, q.ProjectRequest, a.CometProject),
        *_rest("GET", "project/notes", "Notes of a project", names.notes, q.ProjectRequest, a.CometNotes),
        *_rest(
            "GET",
            "project/column-names",
            "What can be queried",
            names.column_names,
            q.ProjectRequest,
            a.CometColumns,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "project/query",
            "Experiments that match",
            queries.query,
            q.QueryRequest,
            a.CometKeys,
            query_class=_HEAVY,
        ),
        *_rest(
            "GET",
            "experiments",
            "Experiments",
            names.experiments,
            q.ExperimentsRequest,
            a.CometExperiments,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "experiments/search",
            "A page of those that match",
            queries.search,
            q.SearchRequest,
            a.CometFound,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "experiments/multi-metric-chart",
            "Curves",
            charts.charts,
            q.ChartsRequest,
            a.CometCharts,
            query_class=_HEAVY,
        ),
        *_rest("GET", "experiment/metadata", "An experiment", experiments.metadata, _OF, a.CometExperiment),
        *_rest("GET", "experiment/tags", "Tags", experiments.tags, _OF, a.CometTags),
        *_rest("GET", "experiment/parameters", "Parameters", experiments.parameter_summaries, _OF, a.CometSummaries),
        *_rest("GET", "experiment/log-other", "Other values", experiments.other_summaries, _OF, a.CometSummaries),
        *_rest("GET", "experiment/metrics/summary", "Metrics", experiments.metric_summaries, _OF, a.CometSummaries),
        *_rest(
            "GET",
            "experiment/metrics/get-metric",
            "A curve",
            points.metric_points,
            q.MetricRequest,
            a.CometPoints,
            query_class=_HEAVY,
        ),
        *_rest(
            "GET", "experiment/metrics/get-all", "All curves", points.all_points, _OF, a.CometPoints, query_class=_HEAVY
        ),
        *_rest("GET", "experiment/asset/list", "Assets", files.assets, q.AssetsRequest, a.CometAssets),
        *_rest(
            "GET", "experiment/asset/get-by-name", "Assets", files.assets_by_name, q.AssetByNameRequest, a.CometAssets
        ),
        *_rest("GET", "experiment/asset/get-asset", "Bytes of an asset", files.asset, q.AssetRequest, None, _BYTES),
        *_rest("GET", "experiment/model", "Models", files.models, _OF, a.CometModels),
        *_rest(
            "GET", "experiment/model/asset/list", "Files of a model", files.model_assets, q.ModelRequest, a.CometAssets
        ),
        *_rest(
            "GET",
            "experiment/model/download",
            "A model",
            files.model_archive,
            q.ModelRequest,
            None,
            ("application/zip",),
        ),
        *_rest("GET", "experiment/system-details", "What it ran on", metadata.system, _OF, a.CometSystem),
        *_rest("GET", "experiment/git/metadata", "Its commit", metadata.git_metadata, _OF, a.CometGit),
        *_rest("GET", "experiment/git/patch", "What was changed", metadata.git_patch, _OF, None, ("application/zip",)),
        *_rest("GET", "experiment/output", "What it printed", metadata.output, _OF, a.CometOutput),
        *_rest("GET", "experiment/html", "Its page", metadata.html, _OF, a.CometHtml),
        *_rest("GET", "experiment/code", "Its code", metadata.code, _OF, a.CometCode),
        *_rest("GET", "experiment/graph", "Its model graph", metadata.graph, _OF, a.CometGraph),
        *_rest("GET", "artifacts/get-all", "Artifacts", artifacts.artifacts, q.ArtifactsRequest, f.CometArtifacts),
        *_rest("GET", "artifacts/get", "An artifact", artifacts.details, q.ArtifactRequest, f.CometArtifactDetails),
        *_rest(
            "GET",
            "artifacts/version/files",
            "Files of a version",
            artifacts.files,
            q.ArtifactFilesRequest,
            f.CometArtifactFiles,
        ),
        *_rest("GET", "get/artifacts", "What it made and used", artifacts.lineage, q.LineageRequest, f.CometLineage),
        *_rest(
            "GET", "registry-model", "Registered models", registry.models, q.WorkspaceRequest, r.CometRegistryModels
        ),
        *_rest(
            "GET",
            "registry-model/count",
            "Number of registered models",
            registry.count,
            q.WorkspaceRequest,
            r.CometModelCount,
        ),
        *_rest(
            "GET",
            "registry-model/details",
            "A registered model",
            registry.details,
            q.RegisteredModelRequest,
            r.CometModelDetails,
        ),
        *_rest(
            "GET",
            "registry-model/compact-details",
            "A registered model",
            registry.compact,
            q.RegisteredModelRequest,
            r.CometCompactModel,
        ),
        *_rest(
            "GET",
            "registry-model/latest_version",
            "Its latest version",
            registry.latest,
            q.LatestRequest,
            r.CometModelDetails,
        ),
        *_rest("GET", "registry-model/notes", "Its notes", registry.notes, q.RegisteredModelRequest, a.CometNotes),
        *_rest(
            "GET",
            "registry-model/allowed_status_values",
            "Statuses",
            registry.allowed_statuses,
            q.WorkspaceRequest,
            r.CometAllowedStatus,
        ),
        *_rest("GET", "registry-model/items", "Its versions", registry.items, q.ItemsRequest, r.CometModelItems),
        *_rest("GET", "registry-model/item/details", "A version", registry.item, q.VersionRequest, r.CometModelVersion),
        *_rest(
            "GET",
            "registry-model/item/download-instructions",
            "Files of a version",
            registry.instructions,
            q.VersionRequest,
            r.CometModelDownload,
        ),
        *_rest(
            "GET",
            "registry-model/item/download",
            "Its bytes",
            registry.download,
            q.VersionRequest,
            None,
            ("application/zip",),
        ),
        *_rest(
            "GET",
            "registry-model/item/{item}/metadata",
            "Its metadata",
            registry.metadata,
            q.EmptyRequest,
            r.CometModelMetadata,
        ),
        *_rest(
            "GET",
            "registry-model/item/{item}/status-configuration",
            "What holds for its status",
            registry.status_configuration,
            q.EmptyRequest,
            r.CometStatusConfiguration,
        ),
        *_rest(
            "POST",
            "registry-model/history/item",
            "What changed in it",
            registry.history,
            q.HistoryRequest,
            r.CometModelHistory,
        ),
    ),
)


def add_comet(
    app: web.Application,
    *,
    store: StoreReader,
    visibility: Visibility,
    assets: AssetReader,
    settings: QuerySettings,
    now_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
) -> None:
    """Add ROUTES to `app`, before it starts: what the unmodified `comet_ml` client reads.

    As `add_query` (and beside it), the application needs `problem_middleware` and, behind it, `auth_middleware`, which
    knows the client's keys and lets everybody see VERSION_PATH. Problems have a member `msg` as well, which the
    client shows. Everything runs in the application's event loop; what takes long in threads.
    """
    context = Context(store, visibility, None, assets, settings, now_us, outgoing=outgoing_of(app, settings))
    add_routes(app, ROUTES, lambda route: _handler(route, context))


def _handler(route: Route, context: Context) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(as_client_reads, (problem_of,)):
            return await _respond(route, context, request)

    return serve


async def _respond(route: Route, context: Context, request: web.Request) -> web.StreamResponse:
    parameters = await q.read_request(_model(route), request, context.settings.max_body_bytes)
    position = str(context.visibility.visible())
    # The client takes this very type: with a charset behind it, it finds no JSON.
    headers = {"Content-Type": "application/json", POSITION_HEADER: position}
    call = call_of(route, request, parameters)
    own = context.for_request(route.class_for(parameters), call.scope)
    with ended_with_connection(request):
        response = await route.handler(own, call)
        if isinstance(response, web.StreamResponse):
            return response
        return await send(own, request, response, headers, by_alias=True)


def _model(route: Route) -> type[q.CometRequest]:
    model = route.request
    assert model is not None
    assert issubclass(model, q.CometRequest)
    return model
