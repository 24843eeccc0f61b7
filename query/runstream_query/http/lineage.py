"""The lineage of runs and of versions of artifacts."""

from collections.abc import Iterable
from typing import Final, get_args

from pydantic import Field as ModelField

from runstream_query.http.artifacts import ordinal_of, require_version
from runstream_query.http.context import Context
from runstream_query.http.requests import RequestParameters
from runstream_query.lineage import Bounds, Direction, Graph, Node, lineage_of
from runstream_query.lineage_responses import Lineage, LineageEdge, LineageRun, LineageVersion, Side
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass


class LineageParameters(RequestParameters):
    direction: Side = ModelField(default="both", description="up: what it was made of; down: what was made of it")
    depth: int = ModelField(default=10, ge=1, le=100, description="edges on the way to a node")
    limit: int = ModelField(default=200, ge=1, le=1000, description="runs and versions together")


async def of_run(context: Context, call: Call[LineageParameters]) -> Lineage:
    """What a run used and made, and what that was made of and used for."""
    await context.require_run(call.path["run"])
    return await _lineage(context, call.path["run"], call.parameters)


async def of_version(context: Context, call: Call[LineageParameters]) -> Lineage:
    """Where a version comes from, and which runs used it for what."""
    artifact, ordinal = call.path["artifact"], ordinal_of(call.path["ordinal"])
    await require_version(context, artifact, ordinal)
    return await _lineage(context, (artifact, ordinal), call.parameters)


async def _lineage(context: Context, start: Node, parameters: LineageParameters) -> Lineage:
    directions = get_args(Direction) if parameters.direction == "both" else (parameters.direction,)
    bounds = Bounds(parameters.depth, parameters.limit)
    graph = await lineage_of(context.repositories.lineage, context.scope, start, directions, bounds)
    return Lineage(
        runs=await _runs(context, graph),
        versions=await _versions(context, graph),
        edges=[
            LineageEdge(kind=kind, run=link.run, artifact=link.artifact, ordinal=link.ordinal)
            for kind, link in sorted(graph.edges, key=lambda edge: (edge[1], edge[0]))
        ],
        cut=sorted(graph.cut),
    )


async def _runs(context: Context, graph: Graph) -> list[LineageRun]:
    distances = {node: distance for node, distance in graph.distances.items() if isinstance(node, str)}
    known = await context.repositories.runs.shown(context.scope, list(distances), context.clock())
    found = []
    for run, distance in distances.items():
        one = known.get(run)
        found.append(
            LineageRun(
                run=run,
                workspace=one.workspace if one else None,
                project=one.project if one else None,
                name=one.name if one else None,
                status=one.status if one else None,
                deleted=one.deleted if one else False,
                distance=distance,
            )
        )
    return sorted(found, key=lambda row: (abs(row.distance), row.run))


async def _versions(context: Context, graph: Graph) -> list[LineageVersion]:
    distances = {node: distance for node, distance in graph.distances.items() if not isinstance(node, str)}
    if not distances:
        return []
    found = [
        LineageVersion(
            artifact=one.artifact,
            ordinal=one.ordinal,
            version=one.version,
            workspace=one.workspace,
            project=one.project or None,
            artifact_type=one.artifact_type,
            name=one.name,
            distance=distances[one.artifact, one.ordinal],
        )
        for one in await context.repositories.lineage.versions(context.scope, list(distances))
    ]
    return sorted(found, key=lambda row: (abs(row.distance), row.artifact, row.ordinal))


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        "/api/v1/runs/{run}/lineage",
        Action.READ,
        "The lineage of a run",
        of_run,
        LineageParameters,
        Lineage,
        query_class=QueryClass.HEAVY,
    ),
    Route(
        "GET",
        "/api/v1/artifacts/{artifact}/versions/{ordinal}/lineage",
        Action.READ,
        "The lineage of a version",
        of_version,
        LineageParameters,
        Lineage,
        query_class=QueryClass.HEAVY,
    ),
)
