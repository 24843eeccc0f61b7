"""Questions that are too large are refused before anything is made of them, and a large response does not stop the
loop: over one store, which nobody changes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.query import tables
from kit.query.reading import Reads, serve_reads
from kit.servers.loop_clock import longest_units
from kit.stores import open_migrated
from runstream_ingest.assets.local import LocalAssets
from runstream_processors.store.chdb import ChdbStore
from runstream_query import QuerySettings
from runstream_query.repositories.cursors import Cursor

attribute, run, summary = tables.attribute, tables.run, tables.summary

#: A loop that does more at once keeps everybody waiting; in units of `unit_s` (5 ms). What the requests below once took
#: were seconds.
LOOP_UNITS = 30
SETTINGS = QuerySettings(heavy_slots=2, heavy_queue=4, heavy_time_s=600, heavy_wait_s=600)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbStore]:
    """A store whose responses are large."""
    store = asyncio.run(open_migrated(tmp_path_factory.mktemp("store"), limits=SETTINGS.class_limits()))
    asyncio.run(fill(store))
    yield store
    asyncio.run(store.close())


async def fill(store: ChdbStore) -> None:
    names = [f"r{n:03}" for n in range(100)] + ["wide", "long"]
    await tables.insert(store, "run_states", [run(name) for name in names])
    rows = [summary(name, f"metric-{n}") for name in names[:100] for n in range(100)]
    rows += [summary("wide", f"wide-{n}") for n in range(10_000)]
    await tables.insert(store, "summary_states", rows)
    values = [attribute("wide", f"p{n}", "x" * 200) for n in range(10_000)]
    values += [attribute(name, f"p{n}", n) for name in names[:100] for n in range(50)]
    await tables.insert(store, "attribute_states", values)
    await tables.insert_points(store, "long", "m", np.arange(100_000), np.arange(100_000) * 0.1)


@pytest.fixture
async def reads(filled: ChdbStore, tmp_path: Path) -> AsyncIterator[Reads]:
    async with serve_reads(filled, SETTINGS, LocalAssets(tmp_path)) as reads:
        reads.advance(1)
        yield reads


# Questions have a size


def deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = {"field": "x", "operator": "equal", "value": 1}
    for _ in range(levels):
        node = {"condition": "AND", "rules": [node]}
    return node


QUERY = "/api/rest/v2/project/query"
LEAF = {"field": "m0", "operator": "greater", "value": 1, "type": "double"}
PLACE = {"workspaceName": "w", "projectName": "p"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (QUERY, {**PLACE, "predicates": [{"source": "nested", "query": {"rules": [LEAF] * 8_000}}]}),
        (QUERY, {**PLACE, "predicates": [{"source": "metrics", "query": {"rules": [LEAF]}}] * 900}),
        (QUERY, {**PLACE, "predicates": [{"source": "nested", "query": deep(90)}]}),
        (QUERY, {**PLACE, "predicates": [1] * 40_000}),
        (QUERY, {**PLACE, "predicates": [{}] * 20_000}),
        (QUERY, {**PLACE, "predicates": [], "x": list(range(250_000))}),
        ("/api/v1/series", {"runs": ["r"] * 1001, "metrics": ["m"]}),
        ("/api/v1/series", {"runs": [1] * 45_000, "metrics": ["m"]}),
        ("/api/v1/series", {"runs": ["r"], "metrics": [[]] * 300_000}),
        ("/api/v1/summaries", {"x" * 1_900_000: 1, "runs": ["r"]}),
        ("/api/v1/runs/query", {"filter": "not " * 15_000 + "archived = true"}),
        ("/api/v1/runs/query", {"filter": " and ".join(["metric.a < 1"] * 3_700)}),
        ("/api/v1/runs/query", {"filter": "(" * 60_000}),
        ("/api/v1/runs/query", {"columns": "metric.a," * 11_000}),
        ("/api/v1/runs/query", {"sort": "name," * 900}),
        ("/api/v1/runs/query", {"limit": "9" * 1_000_000}),
        ("/api/v1/runs/query", {"workspace": "w" * 1_900_000}),
        ("/api/v1/runs/query", {"cursor": "A" * 59_000}),
    ],
)
async def test_a_question_that_is_too_large_is_refused_before_anything_is_made_of_it(
    reads: Reads, path: str, body: dict[str, Any]
) -> None:
    text = json.dumps(body)

    async def refused() -> None:
        async with reads.client.post(path, data=text, headers={"Content-Type": "application/json"}) as response:
            payload = await response.text()
            assert 400 <= response.status < 500, payload[:500]
            assert len(payload) < 20_000

    assert await longest_units(refused, LOOP_UNITS) < LOOP_UNITS


@pytest.mark.parametrize("now_us", [2**63 - 1, -(2**63), 10**30, -1])
async def test_a_cursor_from_elsewhere_is_refused(reads: Reads, now_us: int) -> None:
    first = await reads.get("/api/v1/runs", limit=1)
    cursor = first["next_cursor"]
    question = Cursor.parse(cursor, json.loads(_unpacked(cursor))[2])
    forged = Cursor(question.terms, now_us, question.question).text()
    await reads.get("/api/v1/runs", 400, limit=1, cursor=forged)


def _unpacked(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


# The loop goes on while a large response is made


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/runs/query", {"columns": "metric.*,param.*", "limit": 1000}),
        ("POST", "/api/v1/summaries", {"runs": [f"r{n:03}" for n in range(100)]}),
        ("POST", "/api/v1/series", {"runs": ["long"], "metrics": ["m"]}),
        ("POST", "/api/v1/series", {"runs": ["long"], "metrics": ["m"], "max_points": 20_000}),
        ("GET", "/api/v1/runs/wide/parameters", None),
        ("GET", "/api/rest/v2/experiment/metrics/summary?experimentKey=wide", None),
        ("GET", "/api/rest/v2/experiments?workspaceName=w&projectName=p", None),
        ("GET", "/api/rest/v2/project/column-names?workspaceName=w&projectName=p", None),
    ],
)
async def test_a_large_response_does_not_stop_the_loop(
    reads: Reads, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async def answered() -> None:
        async with reads.client.request(method, path, json=body) as response:
            assert response.status == 200, await response.text()
            size = 0
            async for chunk in response.content.iter_chunked(65_536):
                size += len(chunk)
        assert size > 500_000 or "column-names" in path or "experiments" in path

    assert await longest_units(answered, LOOP_UNITS) < LOOP_UNITS
