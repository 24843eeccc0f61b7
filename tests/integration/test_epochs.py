"""Epochs, contexts and points without a step, from frames to what Comet's client and ours are told."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream.events.control import AnyEvent, AssetLogged, RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_ragged
from runstream.events.names import NO_STEP
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_service.auth import ApiKeys

CONTENT = b"a plot"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
METRICS = ("train_loss", "validate_loss", "plain")
BINARY = {"Content-Type": "application/octet-stream"}
#: Step, time in ns, metric, value, epoch: one row a point, as Comet's client logs.
Logged = tuple[int, int, str, float, int | None]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(data_dir=tmp_path)
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            yield client
        stop.set()
        await worker


def logged(source: random.Random, count: int) -> list[Logged]:
    """Points with and without steps and epochs; times grow, so that there is one order."""
    return [
        (
            NO_STEP if source.random() < 0.3 else number - 20,
            1_700_000_000_000_000_000 + number * 1_000_000_000,
            source.choice(METRICS),
            source.gauss(0, 1),
            None if source.random() < 0.4 else source.choice((0, number // 10, -1, 2**62)),
        )
        for number in range(count)
    ]


def frame_of(points: list[Logged], first: int) -> bytes:
    rows = [
        (number, step, at_ns, [METRICS.index(metric)], [value])
        for number, (step, at_ns, metric, value, _) in enumerate(points)
    ]
    group = encode_ragged(METRICS, rows, [epoch for *_, epoch in points])
    return encode_frame("0" * 32, "a", first, first + len(points), groups=[group])


async def send(client: TestClient[Any, Any], frame: bytes) -> None:
    async with client.post("/ingest/v1/frames", data=frame, headers=BINARY) as response:
        assert response.status == 200, await response.text()


async def get(client: TestClient[Any, Any], path: str, **query: Any) -> Any:
    async with client.get(path, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def ask_comet(client: TestClient[Any, Any], path: str, **query: Any) -> Any:
    return await get(client, f"/api/rest/v2/experiment/{path}", experimentKey="a", **query)


async def visible(client: TestClient[Any, Any], points: int) -> None:
    async with asyncio.timeout(240):
        while True:
            response = await get(client, "/api/v1/runs", limit=1)
            if response["runs"]:
                rows = (await get(client, "/api/v1/runs/a/summaries"))["summaries"]
                if sum(row["count"] for row in rows) == points:
                    return
            await asyncio.sleep(0.05)


def as_comet_shows(points: list[Logged], metric: str) -> list[tuple[int | None, int, str, int | None]]:
    its = sorted((step, at_ns, value, epoch) for step, at_ns, name, value, epoch in points if name == metric)
    return [
        (None if step == NO_STEP else step, at_ns // 1_000_000, repr(value), epoch) for step, at_ns, value, epoch in its
    ]


async def test_what_was_logged_is_what_is_read(client: TestClient[Any, Any]) -> None:
    source = random.Random(8)
    points = logged(source, 120)
    async with client.put(f"/ingest/v1/assets/{SHA256}", data=CONTENT, headers=BINARY) as response:
        assert response.status == 201
    asset: dict[str, Any] = {"sha256": SHA256, "size_bytes": len(CONTENT), "name": "plot.png", "at_us": 2}
    events: tuple[AnyEvent, ...] = (
        RunStarted(at_us=1, workspace="w", project="p"),
        AssetLogged(asset_id="x", context="validate", **asset),
        AssetLogged(asset_id="y", **asset),
    )
    started = encode_events((seq, encode_event(event)) for seq, event in enumerate(events))
    await send(client, encode_frame("0" * 32, "a", 0, 3, started))
    first = frame_of(points[:70], 3)
    await send(client, first)
    await send(client, frame_of(points[50:], 53))  # twenty rows again, as after a lost response
    await visible(client, len(points))

    everything = (await ask_comet(client, "metrics/get-all"))["metrics"]
    summaries = {one["name"]: one for one in (await ask_comet(client, "metrics/summary"))["values"]}
    for metric, context in zip(METRICS, ("train", "validate", None), strict=True):
        wanted = as_comet_shows(points, metric)
        found = (await ask_comet(client, "metrics/get-metric", metricName=metric))["metrics"]
        assert [(p["step"], p["timestamp"], p["metricValue"], p["epoch"]) for p in found] == wanted
        assert {point["runContext"] for point in found} == {context}
        assert found == [point for point in everything if point["metricName"] == metric]
        lowest = min(wanted, key=lambda point: float(point[2]))
        assert (summaries[metric]["valueMin"], summaries[metric]["stepMin"]) == (lowest[2], lowest[0])
        native = await get(client, "/api/v1/runs/a/series", metrics=metric, epochs="true")
        assert native["curves"][0]["epochs"] == [epoch for *_, epoch in wanted]
    assert any(one["stepMin"] is None or one["stepMax"] is None for one in summaries.values())

    listed = (await ask_comet(client, "asset/list", type="all"))["assets"]
    assert {one["assetId"]: one["runContext"] for one in listed} == {"x": "validate", "y": None}
    native = (await get(client, "/api/v1/runs/a/assets"))["assets"]
    assert {one["asset"]: one["context"] for one in native} == {"x": "validate", "y": None}


async def test_a_chart_has_the_epochs_of_its_points(client: TestClient[Any, Any]) -> None:
    points = logged(random.Random(9), 3000)
    started = encode_events([(0, encode_event(RunStarted(at_us=1, workspace="w", project="p")))])
    await send(client, encode_frame("0" * 32, "a", 0, 1, started) + frame_of(points, 1))
    await visible(client, len(points))
    for full in (False, True):
        requested = {
            "targetedExperiments": ["a"],
            "metrics": list(METRICS),
            "independentMetrics": True,
            "fetchFull": full,
        }
        async with client.post("/api/rest/v2/experiments/multi-metric-chart", json=requested) as response:
            assert response.status == 200, await response.text()
            curves = (await response.json())["experiments"]["a"]["metrics"]
        assert [curve["metricName"] for curve in curves] == list(METRICS)
        for curve in curves:
            columns = (curve["steps"], curve["timestamps"], map(repr, curve["values"]), curve["epochs"])
            shown = list(zip(*columns, strict=True))
            wanted = as_comet_shows(points, curve["metricName"])
            assert (shown == wanted) if full else (set(shown) < set(wanted) and 100 < len(shown) <= 500)
