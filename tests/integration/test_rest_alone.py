"""Runs that programs write by REST alone send no heartbeats: their silence says nothing, and they run until somebody
ends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from kit.waiting import WAIT_S
from runstream_infra.embedded import application, open_parts
from runstream_infra.limits import Limits
from runstream_infra.settings import ServerSettings
from runstream_query.settings import QuerySettings
from runstream_service.auth import ApiKeys

REST = "/api/rest/v2"
#: So soon a silent run has crashed here.
SILENCE_S = 0.2
LIVE = "f" * 32
BY_COMMAND = "by-command"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(data_dir=tmp_path, limits=Limits(query=QuerySettings(silence_s=SILENCE_S)))
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server, headers={"Runstream-Client": "test"}) as client:
            yield client
        stop.set()
        await worker


async def sent(client: TestClient[Any, Any], method: str, path: str, **fields: Any) -> Any:
    content: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
    async with client.request(method, path, **content) as response:
        told = json.loads(await response.text())
        assert response.status == 200, told
        return told


async def state_of(client: TestClient[Any, Any], key: str) -> str:
    return str((await sent(client, "GET", f"/api/v1/runs/{key}"))["run"]["status"])


async def writers_ended(client: TestClient[Any, Any], key: str) -> list[bool]:
    """Whether the writers that started the run have ended, now and as of the same moment."""
    position = (await sent(client, "GET", "/api/v1/server"))["visible"]
    states = []
    for moment in ({}, {"as_of": position}):
        writers = (await sent(client, "GET", f"/api/v1/runs/{key}", **moment))["writers"]
        states.append([one["ended"] for one in writers])
    now, past = states
    assert now == past
    return now


async def is_silent(client: TestClient[Any, Any]) -> None:
    """Wait until a run with heartbeats, which began last, has crashed."""
    begun = {"experimentKey": LIVE, "teamName": "w", "projectName": "p", "local_timestamp": 1_000}
    await sent(client, "POST", "/clientlib/logger/add/run", **begun)
    for _ in range(round(WAIT_S / SILENCE_S)):
        if await state_of(client, LIVE) == "crashed":
            return
        await asyncio.sleep(SILENCE_S)
    pytest.fail("a silent run with heartbeats did not crash")


async def test_a_silent_run_that_is_set_running_runs_until_it_is_ended(client: TestClient[Any, Any]) -> None:
    """By lists, by its page, by filters, and to Comet's clients; its own end counts, too, if it comes after all."""
    await is_silent(client)
    held = "e" * 32
    begun = {"experimentKey": held, "teamName": "w", "projectName": "p", "local_timestamp": 1_000}
    writer = (await sent(client, "POST", "/clientlib/logger/add/run", **begun))["runId"]
    for key in (LIVE, held):
        await sent(client, "POST", f"{REST}/write/experiment/update-status", experimentKey=key, isAlive=True)
    await asyncio.sleep(3 * SILENCE_S)
    assert [await state_of(client, key) for key in (LIVE, held)] == ["running", "running"]
    listed = (await sent(client, "GET", "/api/v1/runs", filter='status = "running"'))["runs"]
    assert {one["run"] for one in listed} == {LIVE, held}
    metadata = await sent(client, "GET", f"{REST}/experiment/metadata", experimentKey=LIVE)
    assert (metadata["running"], metadata["hasCrashed"]) == (True, False)
    await sent(client, "POST", f"{REST}/write/experiment/update-status", experimentKey=LIVE, isAlive=False)
    ended = {"experimentKey": held, "runId": writer, "local_timestamp": 2_000, "is_alive": False}
    await sent(client, "POST", "/clientlib/status-report/update", **ended)
    assert [await state_of(client, key) for key in (LIVE, held)] == ["finished", "finished"]


async def command(client: TestClient[Any, Any], **event: Any) -> None:
    await sent(client, "POST", "/ingest/v1/commands", key=BY_COMMAND, event=event)


async def test_they_run_until_they_are_ended(client: TestClient[Any, Any]) -> None:
    made = {}
    for name in ("plain", "beaten", "held", "ended", "over", "failed"):
        created = await sent(client, "POST", f"{REST}/write/experiment/create", workspaceName="w", projectName="p")
        made[name] = str(created["experimentKey"])
    for name in ("beaten", "held"):
        await sent(client, "GET", f"{REST}/write/experiment/set-status", experimentKey=made[name])
    await sent(client, "POST", f"{REST}/write/experiment/update-status", experimentKey=made["held"], isAlive=True)
    await command(client, type="run_started.v1", workspace="w", project="p")
    await is_silent(client)
    states = {name: await state_of(client, key) for name, key in made.items() if name in ("plain", "beaten", "held")}
    assert states == {"plain": "running", "beaten": "crashed", "held": "running"}
    assert await state_of(client, BY_COMMAND) == "running"
    for key in (made["plain"], BY_COMMAND):
        assert await writers_ended(client, key) == [False], "it looks like one that writes"

    times = {"startTimeMillis": 1_000, "endTimeMillis": 3_000}
    await sent(client, "POST", f"{REST}/write/experiment/set-start-end-time", experimentKey=made["ended"], **times)
    await sent(client, "POST", f"{REST}/write/experiment/update-status", experimentKey=made["over"], isAlive=False)
    crash = {"isAlive": False, "hasCrashed": True, "error": "no data"}
    await sent(client, "POST", f"{REST}/write/experiment/update-status", experimentKey=made["failed"], **crash)
    await command(client, type="run_finished.v1")
    assert [await state_of(client, made[name]) for name in ("ended", "over", "failed")] == [
        "finished",
        "finished",
        "failed",
    ]
    metadata = await sent(client, "GET", f"{REST}/experiment/metadata", experimentKey=made["ended"])
    assert (metadata["running"], metadata["durationMillis"], metadata["endTimeMillis"]) == (False, 2_000, 3_000)
    assert await state_of(client, BY_COMMAND) == "finished"
    for key in (made["ended"], made["failed"], BY_COMMAND):
        assert set(await writers_ended(client, key)) == {True}
