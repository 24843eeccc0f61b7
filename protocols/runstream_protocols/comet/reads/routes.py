"""Comet's REST interface as routes of an aiohttp application."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from runstream_protocols.comet.access import VERSION_PATH
from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.paths import ROOTS
from runstream_protocols.comet.reads import answers as a
from runstream_protocols.comet.reads import asked as q
from runstream_protocols.comet.reads import captured, charts, experiments, files, names, points, queries, registry
from runstream_protocols.comet.reads import registry_answers as r
from runstream_protocols.kit.errors import shaped
from runstream_query.answers import Answer
from runstream_query.http.context import Context
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.http.serving import POSITION_HEADER, send_large
from runstream_query.problems import problem_of
from runstream_query.settings import QuerySettings
from runstream_service.access import Action
from runstream_service.assets import AssetReader
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import Call, Handler, Route, add_routes, call_of, tagged
from runstream_service.store import QueryClass, StoreReader
from runstream_service.visibility import Visibility

CometHandler = Callable[[Context, web.Request, Any], Awaitable[Answer | web.StreamResponse]]


def _rest(
    method: str,
    path: str,
    summary: str,
    handle: CometHandler,
    asked: type[q.CometAsked],
    answer: type[Answer] | None,
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
            asked,
            answer,
            media,
            query_class=query_class,
        )
        for root in ROOTS
    )


def _handling(handle: CometHandler) -> Handler:
    """Return the handler of a route whose handler takes the request and its parameters."""

    async def answer(context: Context, call: Call[Any]) -> Answer | web.StreamResponse:
        return await handle(context, call.request, call.asked)

    return answer


_OF: Final = q.AskedOfExperiment
_HEAVY: Final = QueryClass.HEAVY
_BYTES: Final = ("application/octet-stream",)
#: One route for each root that the client uses, but the version.
ROUTES: Final = tagged(
    "reads",
    (
        Route("GET", VERSION_PATH, Action.READ, "Version", _handling(names.version), q.AskedNothing, a.CometVersion),
        *_rest("GET", "account-details", "Whose key it is", names.account, q.AskedNothing, a.CometAccount),
        *_rest("GET", "workspaces", "Workspaces", names.workspaces, q.AskedNothing, a.CometWorkspaces),
        *_rest("GET", "projects", "Projects of a workspace", names.projects, q.AskedWorkspace, a.CometProjects),
        *_rest("GET", "project", "A project", names.project, q.AskedProject, a.CometProject),
        *_rest("GET", "project/notes", "Notes of a project", names.notes, q.AskedProject, a.CometNotes),
        *_rest(
            "GET",
            "project/column-names",
            "What can be queried",
            names.column_names,
            q.AskedProject,
            a.CometColumns,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "project/query",
            "Experiments that match",
            queries.query,
            q.AskedQuery,
            a.CometKeys,
            query_class=_HEAVY,
        ),
        *_rest(
            "GET",
            "experiments",
            "Experiments",
            names.experiments,
            q.AskedExperiments,
            a.CometExperiments,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "experiments/search",
            "A page of those that match",
            queries.search,
            q.AskedSearch,
            a.CometFound,
            query_class=_HEAVY,
        ),
        *_rest(
            "POST",
            "experiments/multi-metric-chart",
            "Curves",
            charts.charts,
            q.AskedCharts,
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
            q.AskedMetric,
            a.CometPoints,
            query_class=_HEAVY,
        ),
        *_rest(
            "GET", "experiment/metrics/get-all", "All curves", points.all_points, _OF, a.CometPoints, query_class=_HEAVY
        ),
        *_rest("GET", "experiment/asset/list", "Assets", files.assets, q.AskedAssets, a.CometAssets),
        *_rest(
            "GET", "experiment/asset/get-by-name", "Assets", files.assets_by_name, q.AskedAssetByName, a.CometAssets
        ),
        *_rest("GET", "experiment/asset/get-asset", "Bytes of an asset", files.asset, q.AskedAsset, None, _BYTES),
        *_rest("GET", "experiment/model", "Models", files.models, _OF, a.CometModels),
        *_rest(
            "GET", "experiment/model/asset/list", "Files of a model", files.model_assets, q.AskedModel, a.CometAssets
        ),
        *_rest(
            "GET", "experiment/model/download", "A model", files.model_archive, q.AskedModel, None, ("application/zip",)
        ),
        *_rest("GET", "experiment/system-details", "What it ran on", captured.system, _OF, a.CometSystem),
        *_rest("GET", "experiment/git/metadata", "Its commit", captured.git_metadata, _OF, a.CometGit),
        *_rest("GET", "experiment/git/patch", "What was changed", captured.git_patch, _OF, None, ("application/zip",)),
        *_rest("GET", "experiment/output", "What it printed", captured.output, _OF, a.CometOutput),
        *_rest("GET", "experiment/html", "Its page", captured.html, _OF, a.CometHtml),
        *_rest("GET", "experiment/code", "Its code", captured.code, _OF, a.CometCode),
        *_rest("GET", "experiment/graph", "Its model graph", captured.graph, _OF, a.CometGraph),
        *_rest("GET", "registry-model", "Registered models", registry.models, q.AskedWorkspace, r.CometRegistryModels),
        *_rest(
            "GET",
            "registry-model/count",
            "Number of registered models",
            registry.count,
            q.AskedWorkspace,
            r.CometModelCount,
        ),
        *_rest(
            "GET",
            "registry-model/details",
            "A registered model",
            registry.details,
            q.AskedRegistered,
            r.CometModelDetails,
        ),
        *_rest(
            "GET",
            "registry-model/compact-details",
            "A registered model",
            registry.compact,
            q.AskedRegistered,
            r.CometCompactModel,
        ),
        *_rest(
            "GET",
            "registry-model/latest_version",
            "Its latest version",
            registry.latest,
            q.AskedLatest,
            r.CometModelDetails,
        ),
        *_rest("GET", "registry-model/notes", "Its notes", registry.notes, q.AskedRegistered, a.CometNotes),
        *_rest(
            "GET",
            "registry-model/allowed_status_values",
            "Statuses",
            registry.allowed_statuses,
            q.AskedWorkspace,
            r.CometAllowedStatus,
        ),
        *_rest("GET", "registry-model/items", "Its versions", registry.items, q.AskedItems, r.CometModelItems),
        *_rest("GET", "registry-model/item/details", "A version", registry.item, q.AskedVersion, r.CometModelVersion),
        *_rest(
            "GET",
            "registry-model/item/download-instructions",
            "Files of a version",
            registry.instructions,
            q.AskedVersion,
            r.CometModelDownload,
        ),
        *_rest(
            "GET",
            "registry-model/item/download",
            "Its bytes",
            registry.download,
            q.AskedVersion,
            None,
            ("application/zip",),
        ),
        *_rest(
            "GET",
            "registry-model/item/{item}/metadata",
            "Its metadata",
            registry.metadata,
            q.AskedNothing,
            r.CometModelMetadata,
        ),
        *_rest(
            "GET",
            "registry-model/item/{item}/status-configuration",
            "What holds for its status",
            registry.status_configuration,
            q.AskedNothing,
            r.CometStatusConfiguration,
        ),
        *_rest(
            "POST",
            "registry-model/history/item",
            "What changed in it",
            registry.history,
            q.AskedHistory,
            r.CometModelHistory,
        ),
    ),
)


def _system_now_us() -> int:
    return time.time_ns() // 1000


def add_comet(
    app: web.Application,
    *,
    store: StoreReader,
    visibility: Visibility,
    assets: AssetReader,
    settings: QuerySettings,
    now_us: Callable[[], int] = _system_now_us,
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
    asked = await q.read_asked(_model(route), request, context.settings.max_body_bytes)
    position = str(context.visibility.visible())
    # The client takes this very type: with a charset behind it, it finds no JSON.
    headers = {"Content-Type": "application/json", POSITION_HEADER: position}
    call = call_of(route, request, asked)
    own = context.for_request(route.class_for(asked), call.scope)
    with ended_with_connection(request):
        answer = await route.handler(own, call)
        if isinstance(answer, web.StreamResponse):
            return answer
        if own.usage.is_large:
            return await send_large(own, request, answer, headers, by_alias=True)
    return web.Response(body=a.encode(answer), headers=headers)


def _model(route: Route) -> type[q.CometAsked]:
    model = route.request
    assert model is not None
    assert issubclass(model, q.CometAsked)
    return model
