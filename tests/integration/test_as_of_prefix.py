"""A read as of a position equals the same read of a server whose log ends there: the past is the fold of a prefix."""

import asyncio
import json
import re
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.recorded.seeded import Recorded, recorded
from kit.stores import place_tables
from runstream.events.control import RunFinished, RunStarted, encode_event
from runstream.events.encoding import encode_frame, encode_rows, transposed
from runstream.events.positions import Positions
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_service.auth import ApiKeys

#: Of a run: what a prefix decides. Times of the log's own clock and durations up to now differ between two servers.
DETAILS = (
    "status",
    "name",
    "workspace",
    "project",
    "tags",
    "message",
    "archived",
    "deleted",
    "points_dropped",
    "group",
)


async def responses(directory: Path, facts: Recorded, end: int, as_of: list[int | None]) -> list[dict[str, Any]]:
    """What a server says of every run when its log holds the records before `end`, for each moment of the past."""
    settings = ServerSettings(data_dir=directory)
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        written = await parts.log.append(facts.records[:end])
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        assert await parts.progress.wait_for(written, timeout_s=240)
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            results = [await requested(client, facts, moment) for moment in as_of]
        stop.set()
        await worker
    return results


async def requested(client: TestClient[Any, Any], facts: Recorded, as_of: int | None) -> dict[str, Any]:
    query = {} if as_of is None else {"as_of": str(Positions.after(0, as_of))}
    results: dict[str, Any] = {}
    for run in sorted({key.decode() for key, _ in facts.records if b"/" not in key}):
        detail = await client.get(f"/api/v1/runs/{run}", params=query)
        if detail.status == 404:
            results[run] = None
            continue
        assert detail.status == 200, await detail.text()
        shown = await detail.json()
        run_row = shown["run"]
        summaries = await client.get(f"/api/v1/runs/{run}/summaries", params=query)
        parameters = await client.get(f"/api/v1/runs/{run}/parameters", params=query)
        curves = {"runs": [run], "metrics": ["metric-0"], "epochs": True, **query}
        series = await client.post("/api/v1/series", json=curves)
        assets = await client.get(f"/api/v1/runs/{run}/assets", params=query)
        assert (summaries.status, parameters.status, series.status) == (200, 200, 200), await series.text()
        assert assets.status == 200, await assets.text()
        results[run] = {
            "detail": {name: run_row[name] for name in DETAILS},
            "counts": {name: shown[name] for name in ("metrics", "parameters", "assets")},
            "writers": [(writer["writer"], writer["ended"]) for writer in shown["writers"]],
            "summaries": await summaries.json(),
            "parameters": await parameters.json(),
            "series": {**await series.json(), "unknown": None},  # names that are there today
            "assets": await assets.json(),
        }
    return results


@pytest.mark.parametrize("seed", [21])
async def test_as_of_is_the_fold_of_the_prefix(tmp_path: Path, seed: int) -> None:
    facts = recorded(seed, runs=3, frames=80)
    moments = [4, len(facts.records) // 3, len(facts.records) - 10]
    wanted = []
    for moment in moments:
        wanted += await responses(tmp_path / f"prefix-{moment}", facts, moment + 1, [None])
    found = await responses(tmp_path / "whole", facts, len(facts.records), [*moments, None])
    assert found[:-1] == wanted
    assert found[-1] != wanted[-1], "the past equals the present: the test tests nothing"
    results = json.dumps(found[0] | found[-1])
    assert re.search(r'"epochs": \[[^]]*\d', results), "no point had an epoch"
    assert '"context": "train"' in results


async def test_a_writer_of_the_past_was_last_seen_in_the_past(tmp_path: Path) -> None:
    """Two writers one behind the other: as of a moment of the first, only that one is there, not ended, last seen when
    the log took its newest record; as of the end of everything, the past is the present."""
    records = [
        (b"a", frame(0, 0, event(0, RunStarted(at_us=1, workspace="w", project="p", rank=0, group="before")))),
        (b"a", frame(0, 1, rows=3)),
        (b"a", frame(0, 4, event(4, RunFinished(at_us=2)))),
        (b"a", frame(1, 0, event(0, RunStarted(at_us=3, workspace="w", project="p", rank=1, group="after")))),
        (b"a", frame(1, 1, rows=2, metric="other")),
    ]
    settings = ServerSettings(data_dir=tmp_path)
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        for record in records:
            written = await parts.log.append([record])
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        assert await parts.progress.wait_for(written, timeout_s=240)
        arrived_us = [record.at_us for record in await parts.log.read(0, 0, 10**6, 0)]
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:

            async def detail(**query: str) -> dict[str, Any]:
                response = await client.get("/api/v1/runs/a", params=query)
                assert response.status == 200, await response.text()
                found: dict[str, Any] = await response.json()
                return found

            first, ended, whole, now = (
                await detail(as_of="0:1"),
                await detail(as_of="0:2"),
                await detail(as_of="0:4"),
                await detail(),
            )
        stop.set()
        await worker
    seen = [arrived_us[1], arrived_us[2], arrived_us[4]]
    assert first["writers"] == [{**first["writers"][0], "writer": writer_id(0), "ended": False}]
    assert [microseconds(one["writers"][-1]["last_seen_at"]) for one in (first, ended, whole)] == seen
    assert [one["metrics"] for one in (first, ended, whole)] == [1, 1, 2]
    assert [one["run"]["group"] for one in (first, ended, whole, now)] == ["before", "before", "after", "after"]
    assert ended["writers"][0]["ended"] is True
    assert whole["writers"] == now["writers"]


def event(seq: int, told: RunStarted | RunFinished) -> bytes:
    return json.dumps([[seq, json.loads(encode_event(told))]]).encode()


def writer_id(number: int) -> str:
    """Different in its first 64 bits, by which points know their writer."""
    return f"{number:016x}" * 2


def frame(writer: int, first_seq: int, events: bytes = b"", rows: int = 0, metric: str = "loss") -> bytes:
    """One event, or `rows` points."""
    groups = []
    if rows:
        packed = b"".join(struct.pack("<qqd", step, 10**9 * step, step) for step in range(rows))
        groups = [encode_rows(metric.encode(), rows, transposed(packed, 24), 0)]
    return encode_frame(writer_id(writer), "a", first_seq, first_seq + (rows or 1), events, groups)


def microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
