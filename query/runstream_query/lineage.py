"""The lineage of a run or a version: which versions of artifacts runs used, and which they made of them, from there on
up and down. Walked level by level, within bounds.

A graph has runs and versions as nodes, in turn. An edge goes the way of the data: from a version to a run that used it,
and from a run to a version that it made.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from runstream_query.repositories.lineage import LinkRecord
from runstream_query.repositories.statements.versions import VersionId
from runstream_service.access import Scope

Kind = Literal["used", "made"]
Direction = Literal["up", "down"]
#: Why a graph is not whole: it goes on behind the last level, has more nodes, or more edges than it may have.
Cut = Literal["depth", "nodes", "edges"]
#: A run by its id, or a version.
Node = str | VersionId
#: Edges for each node that a graph may have.
_EDGES_PER_NODE: Final = 4


class Links(Protocol):
    """Where links are read: `LineageRepository`."""

    async def made_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> Sequence[LinkRecord]: ...
    async def makers_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> Sequence[LinkRecord]: ...
    async def used_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> Sequence[LinkRecord]: ...
    async def users_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> Sequence[LinkRecord]: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a graph may have. `depth`: edges on the way from where it begins to a node."""

    depth: int
    nodes: int

    @property
    def edges(self) -> int:
        """How many edges it may have."""
        return _EDGES_PER_NODE * self.nodes


@dataclass(slots=True)
class Graph:
    """`distances`: the nodes, with the edges on the shortest way to each: above 0 downstream, below 0 upstream."""

    distances: dict[Node, int] = field(default_factory=dict)
    edges: set[tuple[Kind, LinkRecord]] = field(default_factory=set)
    cut: set[Cut] = field(default_factory=set)


async def lineage_of(
    links: Links, scope: Scope, start: Node, directions: Collection[Direction], bounds: Bounds
) -> Graph:
    """Return what is upstream and downstream of a node. Of more than may be there the nearest nodes are, and of equally
    near ones the first by id. Raises what the links raise."""
    graph = Graph({start: 0})
    for direction in directions:
        await _walk(graph, links, scope, start, direction, bounds)
    return graph


async def _walk(graph: Graph, links: Links, scope: Scope, start: Node, direction: Direction, bounds: Bounds) -> None:
    reached: set[Node] = {start}
    frontier: list[Node] = [start]
    sign = 1 if direction == "down" else -1
    for level in range(bounds.depth + 1):
        if not frontier:
            return
        found = await _next(graph, links, scope, frontier, direction, bounds)
        new = sorted({node for _, _, node in found} - reached, key=_order)
        # Behind the last level it is only looked whether there is more.
        frontier = [] if level == bounds.depth else _taken(graph, new, bounds)
        if len(frontier) < len(new):
            graph.cut.add("depth" if level == bounds.depth else "nodes")
        for node in frontier:
            # In a circle a node is on both sides: it stands where it was found first.
            graph.distances.setdefault(node, sign * (level + 1))
        reached.update(frontier)
        for kind, link, node in found:
            if node in reached:
                _add(graph, kind, link, bounds)


def _taken(graph: Graph, nodes: Sequence[Node], bounds: Bounds) -> list[Node]:
    """Return those of the nodes, in their order, for which the graph has room, or that it has."""
    taken: list[Node] = []
    room = bounds.nodes - len(graph.distances)
    for node in nodes:
        room -= node not in graph.distances
        if room < 0:
            break
        taken.append(node)
    return taken


def _add(graph: Graph, kind: Kind, link: LinkRecord, bounds: Bounds) -> None:
    if len(graph.edges) < bounds.edges:
        graph.edges.add((kind, link))
    elif (kind, link) not in graph.edges:
        graph.cut.add("edges")


async def _next(
    graph: Graph, links: Links, scope: Scope, frontier: Sequence[Node], direction: Direction, bounds: Bounds
) -> list[tuple[Kind, LinkRecord, Node]]:
    """Return the edges that lead on from the frontier, each with the node at its other end."""
    runs = [node for node in frontier if isinstance(node, str)]
    versions = [node for node in frontier if not isinstance(node, str)]
    limit = bounds.edges + 1
    found: list[tuple[Kind, LinkRecord, Node]] = []
    if runs:
        kind: Kind = "made" if direction == "down" else "used"
        of_runs = await (links.made_by if direction == "down" else links.used_by)(scope, runs, limit=limit)
        found += [(kind, one, (one.artifact, one.ordinal)) for one in of_runs]
    if versions:
        kind = "used" if direction == "down" else "made"
        of_versions = await (links.users_of if direction == "down" else links.makers_of)(scope, versions, limit=limit)
        found += [(kind, one, one.run) for one in of_versions]
    if len(found) >= limit:
        graph.cut.add("edges")
    return found


def _order(node: Node) -> tuple[int, str, int]:
    return (0, node, 0) if isinstance(node, str) else (1, *node)
