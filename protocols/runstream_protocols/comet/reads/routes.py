"""Comet's REST interface as routes of an aiohttp application."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_protocols.comet.access import VERSION_PATH
from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.reads import answers as a
from runstream_protocols.comet.reads import asked as q
from runstream_protocols.comet.reads import captured, charts, experiments, files, names, points, queries, registry
from runstream_protocols.comet.reads import registry_answers as r
from runstream_protocols.kit.errors import shaped
from runstream_query.answers import Answer
from runstream_query.http.context import Context
from runstream_query.http.described import Described
from runstream_query.http.endpoint import POSITION_HEADER, send_large
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.problems import problem_of
from runstream_query.settings import QuerySettings
from runstream_service.access import Action
from runstream_service.assets import AssetReader
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import add_route
from runstream_service.store import QueryClass, StoreReader
from runstream_service.visibility import Visibility

Handler = Callable[[Context, web.Request, Any], Awaitable[Answer | web.StreamResponse]]

#: The client uses the second for system details and output, and the first for the rest: both have everything.
ROOTS: Final = ("/api/rest/v2", "/clientlib/rest/v2")


@dataclass(frozen=True, slots=True)
class Route:
    """`path` below each of ROOTS, unless it is `absolute`. `answer` is None where the answer is no JSON. `reads` is the
    class of its queries."""

    method: str
    path: str
    summary: str
    handle: Handler
    asked: type[q.CometAsked]
    answer: type[Answer] | None
    media: tuple[str, ...] = ()
    absolute: bool = False
    reads: QueryClass = QueryClass.LIGHT

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if self.absolute else tuple(f"{root}/{self.path}" for root in ROOTS)


_OF: Final = q.AskedOfExperiment
_HEAVY: Final = QueryClass.HEAVY
_BYTES: Final = ("application/octet-stream",)
ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", VERSION_PATH, "Version", names.version, q.AskedNothing, a.CometVersion, absolute=True),
    Route("GET", "account-details", "Whose key it is", names.account, q.AskedNothing, a.CometAccount),
    Route("GET", "workspaces", "Workspaces", names.workspaces, q.AskedNothing, a.CometWorkspaces),
    Route("GET", "projects", "Projects of a workspace", names.projects, q.AskedWorkspace, a.CometProjects),
    Route("GET", "project", "A project", names.project, q.AskedProject, a.CometProject),
    Route("GET", "project/notes", "Notes of a project", names.notes, q.AskedProject, a.CometNotes),
    Route(
        "GET",
        "project/column-names",
        "What can be queried",
        names.column_names,
        q.AskedProject,
        a.CometColumns,
        reads=_HEAVY,
    ),
    Route("POST", "project/query", "Experiments that match", queries.query, q.AskedQuery, a.CometKeys, reads=_HEAVY),
    Route("GET", "experiments", "Experiments", names.experiments, q.AskedExperiments, a.CometExperiments, reads=_HEAVY),
    Route(
        "POST",
        "experiments/search",
        "A page of those that match",
        queries.search,
        q.AskedSearch,
        a.CometFound,
        reads=_HEAVY,
    ),
    Route(
        "POST", "experiments/multi-metric-chart", "Curves", charts.charts, q.AskedCharts, a.CometCharts, reads=_HEAVY
    ),
    Route("GET", "experiment/metadata", "An experiment", experiments.metadata, _OF, a.CometExperiment),
    Route("GET", "experiment/tags", "Tags", experiments.tags, _OF, a.CometTags),
    Route("GET", "experiment/parameters", "Parameters", experiments.parameter_summaries, _OF, a.CometSummaries),
    Route("GET", "experiment/log-other", "Other values", experiments.other_summaries, _OF, a.CometSummaries),
    Route("GET", "experiment/metrics/summary", "Metrics", experiments.metric_summaries, _OF, a.CometSummaries),
    Route(
        "GET",
        "experiment/metrics/get-metric",
        "A curve",
        points.metric_points,
        q.AskedMetric,
        a.CometPoints,
        reads=_HEAVY,
    ),
    Route("GET", "experiment/metrics/get-all", "All curves", points.all_points, _OF, a.CometPoints, reads=_HEAVY),
    Route("GET", "experiment/asset/list", "Assets", files.assets, q.AskedAssets, a.CometAssets),
    Route("GET", "experiment/asset/get-by-name", "Assets", files.assets_by_name, q.AskedAssetByName, a.CometAssets),
    Route("GET", "experiment/asset/get-asset", "Bytes of an asset", files.asset, q.AskedAsset, None, _BYTES),
    Route("GET", "experiment/model", "Models", files.models, _OF, a.CometModels),
    Route("GET", "experiment/model/asset/list", "Files of a model", files.model_assets, q.AskedModel, a.CometAssets),
    Route("GET", "experiment/model/download", "A model", files.model_archive, q.AskedModel, None, ("application/zip",)),
    Route("GET", "experiment/system-details", "What it ran on", captured.system, _OF, a.CometSystem),
    Route("GET", "experiment/git/metadata", "Its commit", captured.git_metadata, _OF, a.CometGit),
    Route("GET", "experiment/git/patch", "What was changed", captured.git_patch, _OF, None, ("application/zip",)),
    Route("GET", "experiment/output", "What it printed", captured.output, _OF, a.CometOutput),
    Route("GET", "experiment/html", "Its page", captured.html, _OF, a.CometHtml),
    Route("GET", "experiment/code", "Its code", captured.code, _OF, a.CometCode),
    Route("GET", "experiment/graph", "Its model graph", captured.graph, _OF, a.CometGraph),
    Route("GET", "registry-model", "Registered models", registry.models, q.AskedWorkspace, r.CometRegistryModels),
    Route(
        "GET",
        "registry-model/count",
        "Number of registered models",
        registry.count,
        q.AskedWorkspace,
        r.CometModelCount,
    ),
    Route(
        "GET", "registry-model/details", "A registered model", registry.details, q.AskedRegistered, r.CometModelDetails
    ),
    Route(
        "GET",
        "registry-model/compact-details",
        "A registered model",
        registry.compact,
        q.AskedRegistered,
        r.CometCompactModel,
    ),
    Route(
        "GET",
        "registry-model/latest_version",
        "Its latest version",
        registry.latest,
        q.AskedLatest,
        r.CometModelDetails,
    ),
    Route("GET", "registry-model/notes", "Its notes", registry.notes, q.AskedRegistered, a.CometNotes),
    Route(
        "GET",
        "registry-model/allowed_status_values",
        "Statuses",
        registry.allowed_statuses,
        q.AskedWorkspace,
        r.CometAllowedStatus,
    ),
    Route("GET", "registry-model/items", "Its versions", registry.items, q.AskedItems, r.CometModelItems),
    Route("GET", "registry-model/item/details", "A version", registry.item, q.AskedVersion, r.CometModelVersion),
    Route(
        "GET",
        "registry-model/item/download-instructions",
        "Files of a version",
        registry.instructions,
        q.AskedVersion,
        r.CometModelDownload,
    ),
    Route(
        "GET",
        "registry-model/item/download",
        "Its bytes",
        registry.download,
        q.AskedVersion,
        None,
        ("application/zip",),
    ),
    Route(
        "GET",
        "registry-model/item/{item}/metadata",
        "Its metadata",
        registry.metadata,
        q.AskedNothing,
        r.CometModelMetadata,
    ),
    Route(
        "GET",
        "registry-model/item/{item}/status-configuration",
        "What holds for its status",
        registry.status_configuration,
        q.AskedNothing,
        r.CometStatusConfiguration,
    ),
    Route(
        "POST",
        "registry-model/history/item",
        "What changed in it",
        registry.history,
        q.AskedHistory,
        r.CometModelHistory,
    ),
)

#: The same for the document about the whole server.
DESCRIBED: Final = tuple(
    Described(
        route.method,
        path,
        f"Comet: {route.summary}",
        {200: route.answer},
        media=route.media,
        body=route.asked if route.method == "POST" else None,
    )
    for route in ROUTES
    for path in route.paths
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
    for route in ROUTES:
        for path in route.paths:
            add_route(app, route.method, path, _handler(route, context), Action.READ)


def _handler(route: Route, context: Context) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(as_client_reads, (problem_of,)):
            return await _respond(route, context, request)

    return serve


async def _respond(route: Route, context: Context, request: web.Request) -> web.StreamResponse:
    asked = await q.read_asked(route.asked, request, context.settings.max_body_bytes)
    position = str(context.visibility.visible())
    # The client takes this very type: with a charset behind it, it finds no JSON.
    headers = {"Content-Type": "application/json", POSITION_HEADER: position}
    own = context.for_request(route.reads)
    with ended_with_connection(request):
        answer = await route.handle(own, request, asked)
        if isinstance(answer, web.StreamResponse):
            return answer
        if own.usage.is_large:
            return await send_large(own, request, answer, headers, by_alias=True)
    return web.Response(body=a.encode(answer), headers=headers)
