"""The lineage against a naive oracle, over random graphs: what is reached, at which distance, and what is cut."""

import asyncio
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_query.lineage import Bounds, Direction, Graph, Kind, Node, lineage_of
from runstream_query.repositories.lineage import LinkRecord
from runstream_query.repositories.statements.versions import VersionId
from runstream_service.access import EVERYTHING, Scope

Edge = tuple[Kind, LinkRecord]
RUNS, VERSIONS = ("r1", "r2", "r3", "r4"), (("a", 1), ("a", 2), ("b", 1), ("c", 9))
#: A version is made by one run at most; any run may use any version: circles too.
GRAPHS = st.tuples(
    st.dictionaries(st.sampled_from(VERSIONS), st.sampled_from(RUNS)),
    st.sets(st.tuples(st.sampled_from(RUNS), st.sampled_from(VERSIONS)), max_size=8),
)
ANY: Sequence[Sequence[Direction]] = (("up",), ("down",), ("up", "down"))


class Recorded:
    """Links in memory."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges = sorted(edges, key=lambda edge: edge[1])

    def _found(self, kind: Kind, of: Sequence[Node], limit: int) -> list[LinkRecord]:
        wanted = {*of}
        found = [one for has, one in self.edges if has == kind and {one.run, (one.artifact, one.ordinal)} & wanted]
        return found[:limit]

    async def made_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> list[LinkRecord]:
        return self._found("made", runs, limit)

    async def makers_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> list[LinkRecord]:
        return self._found("made", versions, limit)

    async def used_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> list[LinkRecord]:
        return self._found("used", runs, limit)

    async def users_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> list[LinkRecord]:
        return self._found("used", versions, limit)


def edges_of(made: dict[VersionId, str], used: set[tuple[str, VersionId]]) -> set[Edge]:
    return {("made", LinkRecord(run, *version)) for version, run in made.items()} | {
        ("used", LinkRecord(run, *version)) for run, version in used
    }


def arrow(edge: Edge) -> tuple[Node, Node]:
    """From where the data go, and where to."""
    kind, link = edge
    version = (link.artifact, link.ordinal)
    return (link.run, version) if kind == "made" else (version, link.run)


def walked(edges: Iterable[Edge], start: Node, directions: Sequence[Direction], bounds: Bounds) -> Graph:
    return asyncio.run(lineage_of(Recorded(edges), EVERYTHING, start, directions, bounds))


def distances(edges: set[Edge], start: Node, direction: Direction) -> dict[Node, int]:
    """The shortest way to each node, by going along all edges again and again."""
    ways: dict[Node, int] = {start: 0}
    arrows = [arrow(edge) if direction == "down" else arrow(edge)[::-1] for edge in edges]
    for _ in range(len(RUNS) + len(VERSIONS)):
        for begin, end in arrows:
            if begin in ways:
                ways[end] = min(ways.get(end, 99), ways[begin] + 1)
    return ways


@settings(max_examples=examples(300), deadline=None)
@given(GRAPHS, st.sampled_from([*RUNS, *VERSIONS]), st.sampled_from(ANY), st.integers(1, 9))
def test_it_is_what_a_naive_search_finds(
    graph: tuple[dict[VersionId, str], set[tuple[str, VersionId]]],
    start: Node,
    directions: Sequence[Direction],
    depth: int,
) -> None:
    edges = edges_of(*graph)
    found = walked(edges, start, directions, Bounds(depth, 100))
    expected: dict[Node, int] = {}
    kept: set[Edge] = set()
    deeper = False
    for direction in directions:
        ways = distances(edges, start, direction)
        near = {node: way for node, way in ways.items() if way <= depth}
        deeper |= len(near) < len(ways)
        for node, way in near.items():
            expected.setdefault(node, way if direction == "down" else -way)
        kept |= {edge for edge in edges if {*arrow(edge)} <= near.keys()}
    assert found.distances == expected
    assert found.edges == kept
    assert found.cut == ({"depth"} if deeper else set())


@settings(max_examples=examples(300), deadline=None)
@given(GRAPHS, st.sampled_from([*RUNS, *VERSIONS]), st.sampled_from(ANY), st.integers(1, 8))
def test_a_graph_with_too_many_nodes_has_the_nearest_and_says_so(
    graph: tuple[dict[VersionId, str], set[tuple[str, VersionId]]],
    start: Node,
    directions: Sequence[Direction],
    nodes: int,
) -> None:
    edges = edges_of(*graph)
    whole, found = (walked(edges, start, directions, Bounds(20, bound)) for bound in (100, nodes))
    assert len(found.distances) == min(nodes, len(whole.distances))
    assert ("nodes" in found.cut) == (len(whole.distances) > nodes)
    assert found.edges <= whole.edges
    assert all({*arrow(edge)} <= found.distances.keys() for edge in found.edges)
    if len(directions) == 1:
        farthest = max(map(abs, found.distances.values()))
        left = {abs(way) for node, way in whole.distances.items() if node not in found.distances}
        assert all(way >= farthest for way in left)


def test_more_edges_than_may_be_there_are_cut() -> None:
    edges: set[Edge] = {("used", LinkRecord(f"r{number:03}", "a", 1)) for number in range(50)}
    found = walked(edges, ("a", 1), ["down"], Bounds(3, 10))
    assert (len(found.distances), found.cut) == (10, {"nodes", "edges"})
    assert {node for node in found.distances if isinstance(node, str)} == {f"r{number:03}" for number in range(9)}


def test_a_circle_ends() -> None:
    edges = edges_of({("a", 1): "r1"}, {("r1", ("a", 1))})
    found = walked(edges, "r1", ["up", "down"], Bounds(20, 100))
    assert found.distances == {"r1": 0, ("a", 1): -1}
    assert (found.edges, found.cut) == (edges, set())
