"""Reads cannot delay anybody else, take the server's memory or its event loop: they meet limits, which are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.query import tables
from kit.query.reading import LONG_S, Reads, open_reads
from runstream_query import QuerySettings
from runstream_service.store import QueryClass

run, summary = tables.run, tables.summary

HEAVY_QUEUE = 4
HEAVY_SLOTS = 2
#: The most values of each kind that one response may have, small so that a test meets them.
LIMITS = {
    "max_summaries": 50,
    "max_buckets": 300,
    "max_json_buckets": 100,
    "max_past_events": 20,
    "max_past_points": 1000,
    "max_experiments": 30,
    "max_names": 60,
}


@pytest.fixture
async def reads(tmp_path: Path) -> AsyncIterator[Reads]:
    settings = QuerySettings(heavy_slots=HEAVY_SLOTS, heavy_queue=HEAVY_QUEUE, heavy_time_s=600, heavy_wait_s=600)
    async with open_reads(tmp_path, settings) as reads:
        yield reads


async def fill(reads: Reads, runs: int = 3, metrics: int = 2, points: int = 200) -> None:
    store = reads.store.store
    names = [f"r{n:03}" for n in range(runs)]
    await tables.insert(store, "run_states", [run(name) for name in names])
    for name in names:
        for metric in range(metrics):
            await tables.insert_points(store, name, f"m{metric}", np.arange(points), np.arange(points) * 1.0)
    reads.advance(1)


# Runs with long texts


async def test_runs_with_long_texts_keep_nobody_from_the_list(tmp_path: Path) -> None:
    settings = QuerySettings(light_result_bytes=100_000, heavy_result_bytes=100_000)
    async with open_reads(tmp_path, settings) as reads:
        names = [f"r{n:02}" for n in range(40)]
        rows = [run(name, notes="n" * 20_000 if name > "r09" else "") for name in names]
        await tables.insert(reads.store.store, "run_states", rows)
        reads.advance(1)
        for requested in ({}, {"sort": "name"}, {"filter": 'name startswith "r"'}):
            found: list[str] = []
            cursor = None
            while cursor is not None or not found:
                page = await reads.get("/api/v1/runs", **requested, **({"cursor": cursor} if cursor else {}))
                assert page["runs"], "no page is empty that others follow"
                found += [row["run"] for row in page["runs"]]
                cursor = page["next_cursor"]
            assert sorted(found) == names


async def test_projects_with_long_texts_keep_nobody_from_the_lists(tmp_path: Path) -> None:
    settings = QuerySettings(light_result_bytes=100_000, heavy_result_bytes=100_000, max_text_bytes=50_000)
    async with open_reads(tmp_path, settings) as reads:
        stored = {"created_at": 1, "updated_at": 1, "deleted": False, "part": 0, "offset": 1}
        rows = [
            stored
            | {"workspace": "w", "project": f"p{n}", "description": "d" * (20_000 if n else 3), "notes": "n" * 900 * n}
            for n in range(20)
        ]
        await tables.insert(reads.store.store, "project_states", rows)
        reads.advance(1)
        projects = {one["project"]: one for one in (await reads.get("/api/v1/projects"))["projects"]}
        assert (await reads.get("/api/v1/workspaces"))["workspaces"] == [{"workspace": "w", "projects": 20, "runs": 0}]
    assert len(projects) == 20
    assert (projects["p0"]["description"], projects["p0"]["notes"]) == ("ddd", "")
    assert projects["p1"]["description"] == "d" * 20_000
    assert projects["p19"]["description"] == "d" * 200 + "... (20000 characters)"


# Nobody waits for the heavy ones


async def test_heavy_reads_delay_nobody_and_end_with_their_clients(reads: Reads) -> None:
    await fill(reads)
    reads.store.endless = {QueryClass.HEAVY}
    clients = [
        asyncio.create_task(reads.get("/api/v1/runs", filter=f"metric.m0 > {n}"))
        for n in range(HEAVY_SLOTS + HEAVY_QUEUE)
    ]
    await reads.requested(QueryClass.HEAVY, HEAVY_SLOTS + HEAVY_QUEUE)
    await reads.running(HEAVY_SLOTS)  # the rest is in the queue
    for _ in range(3):
        problem = await reads.get("/api/v1/runs", 503, filter="metric.m0 > 99")
        assert problem["type"].endswith("query-busy")
        assert problem["setting"] == "RUNSTREAM_QUERY_HEAVY_QUEUE"
    # Each of these would wait for minutes.
    async with asyncio.timeout(LONG_S):
        for _ in range(5):
            assert (await reads.get("/readyz"))["ready"]
            assert (await reads.get("/api/v1/runs/r000"))["run"]["run"] == "r000"
            assert len((await reads.get("/api/v1/runs"))["runs"]) == 3
            assert (await reads.lookup.run("r001")) is not None
            await reads.get(f"/api/v1/commands/{'0' * 32}-1", 404, key="r000")
            assert (await reads.store.query("SELECT count() AS n FROM run_states")).to_pylist() == [{"n": 3}]
    assert not any(client.done() for client in clients)
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    await reads.running(0)
    reads.store.endless = set()
    assert len((await reads.get("/api/v1/runs", filter="metric.m0 > 0"))["runs"]) == 3


async def test_light_reads_do_not_delay_probes_and_look_ups(reads: Reads) -> None:
    await fill(reads)
    reads.store.endless = {QueryClass.LIGHT, QueryClass.HEAVY, QueryClass.LIVE}
    clients = [asyncio.create_task(reads.get("/api/v1/runs/r000")) for _ in range(30)]
    await reads.running(QuerySettings().light_slots)
    async with asyncio.timeout(LONG_S):
        assert (await reads.get("/readyz"))["ready"]
        assert (await reads.lookup.run("r001")) is not None
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    await reads.running(0)


async def test_a_read_that_takes_too_long_is_told_which_limit_it_met(tmp_path: Path) -> None:
    async with open_reads(tmp_path, QuerySettings(heavy_time_s=0.3)) as reads:
        await fill(reads)
        reads.store.endless = {QueryClass.HEAVY}
        problem = await reads.get("/api/v1/runs", 422, filter="metric.m0 > 0")
        assert problem["type"].endswith("query-limit")
        assert (problem["limit"], problem["value"]) == ("time_s", 0.3)
        assert problem["setting"] == "RUNSTREAM_QUERY_HEAVY_TIME_S"
        assert "narrower filter" in problem["detail"]
        await reads.running(0)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"heavy_result_rows": 2}, "result_rows"), ({"heavy_rows_read": 1}, "rows_read")],
)
async def test_what_a_class_may_read_and_return_is_told(tmp_path: Path, settings: dict[str, int], limit: str) -> None:
    async with open_reads(tmp_path, QuerySettings(**settings)) as reads:
        await fill(reads)
        problem = await reads.get("/api/v1/runs", 422, filter="name != ''")
        assert (problem["limit"], problem["setting"]) == (limit, f"RUNSTREAM_QUERY_HEAVY_{limit.upper()}")
        # Neither the store's fault nor a reason not to be ready.
        assert (await reads.get("/readyz"))["ready"]


# Responses have an end


@pytest.mark.parametrize(
    ("path", "body", "setting"),
    [
        ("/api/v1/summaries", {"runs": ["r000", "r001", "r002"]}, "max_summaries"),
        ("/api/v1/series", {"runs": ["r000"], "metrics": ["m*"], "max_points": 20}, "max_json_buckets"),
        ("/api/v1/summaries", {"runs": ["r000"], "as_of": "0:1"}, "max_past_points"),
        (
            "/api/rest/v2/project/query",
            {"workspaceName": "w", "projectName": "p", "predicates": []},
            "max_experiments",
        ),
        (
            "/api/rest/v2/project/query",
            {
                "workspaceName": "w",
                "projectName": "p",
                "predicates": [
                    {"source": "nested", "query": {"rules": [{"field": "a", "operator": "equal", "value": 1}]}}
                ],
            },
            "max_names",
        ),
    ],
)
async def test_a_response_that_is_too_large_is_told(
    tmp_path: Path, path: str, body: dict[str, Any], setting: str
) -> None:
    async with open_reads(tmp_path, QuerySettings(**LIMITS)) as reads:
        await fill(reads, runs=3, metrics=20, points=80)
        more = [run(f"more-{n}") for n in range(40)]
        await tables.insert(reads.store.store, "run_states", more)
        await tables.insert(reads.store.store, "summary_states", [summary("r000", f"other{n}") for n in range(60)])
        problem = await reads.post(path, body, 422)
        assert problem["type"].endswith("query-limit")
        assert (problem["limit"], problem["value"]) == (setting, LIMITS[setting])
        assert "ask for" in problem["detail"] or "give the source" in problem["detail"]


async def test_a_run_with_many_events_has_a_past_that_ends(tmp_path: Path) -> None:
    async with open_reads(tmp_path, QuerySettings(**LIMITS)) as reads:
        await fill(reads)
        events = [
            {
                "key": "r000",
                "part": 0,
                "offset": n,
                "writer": "0" * 32,
                "seq": n,
                "at": tables.NOW_US,
                "type": "tags_changed",
                "body": json.dumps({"type": "tags_changed"}),
            }
            for n in range(LIMITS["max_past_events"] + 1)
        ]
        await tables.insert(reads.store.store, "events", events)
        reads.advance(50)
        problem = await reads.get("/api/v1/runs/r000", 422, as_of="0:50")
        assert problem["limit"] == "max_past_events"


async def test_a_page_without_a_limit_is_no_larger_than_the_server_allows(tmp_path: Path) -> None:
    async with open_reads(tmp_path, QuerySettings(max_page=2)) as reads:
        made = [tables.run(f"r{number}", created_at=tables.NOW_US - number) for number in range(3)]
        await tables.insert(reads.store.store, "run_states", made)
        page = await reads.get("/api/v1/runs")
        assert ([row["run"] for row in page["runs"]], page["next_cursor"] is None) == (["r0", "r1"], False)
        rest = await reads.get("/api/v1/runs", cursor=page["next_cursor"])
        assert [row["run"] for row in rest["runs"]] == ["r2"]
        assert len((await reads.get("/api/v1/runs", limit="1"))["runs"]) == 1
        assert "at most 2" in (await reads.get("/api/v1/runs", 400, limit="100"))["detail"]
