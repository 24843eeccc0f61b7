"""Live updates: everything that changes is told, a stream resumes where it broke off, and ends when the server does."""

import asyncio
import json
from typing import Any

from aiohttp import ClientResponse

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, run, summary, watermark


async def message(response: ClientResponse) -> tuple[str, Any, str | None]:
    """The next message that has data: (event, data, id)."""
    name, data, identity = "", None, None
    while True:
        line = (await asyncio.wait_for(response.content.readline(), 120)).decode()
        if not line:
            raise EOFError
        line = line.rstrip("\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
        elif line.startswith("id: "):
            identity = line[4:]
        elif not line:
            if data is not None:
                return name, data, identity
            name, identity = "", None


async def test_changes_are_told_as_they_become_visible(service: Service) -> None:
    await service.insert("run_states", run("a", offset=1), run("other", project="q", offset=1))
    service.advance(1)
    async with service.client.get("/api/v1/live", params={"project": "p", "metrics": "lo*"}) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        await service.insert("run_states", run("a", name="new", offset=2), run("other", project="q", offset=2))
        await service.insert(
            "summary_states",
            summary("a", "loss", float("nan"), offset=2),
            summary("a", "acc", offset=2),
            summary("other", "loss", offset=2),
        )
        service.advance(2)
        name, data, identity = await message(response)
        assert (name, identity) == ("run", None)
        assert [(row["run"], row["name"]) for row in data["runs"]] == [("a", "new")]
        name, data, identity = await message(response)
        assert (name, identity) == ("summary", "next:0:3")
        assert [(row["metric"], row["last"]) for row in data["summaries"]] == [("loss", "NaN")]


async def test_a_stream_resumes_exactly(service: Service) -> None:
    await service.insert("run_states", *(run(f"r{n}", offset=n) for n in range(1, 6)))
    service.advance(5)
    for token in ("next:0:4", "0:3"):
        async with service.client.get("/api/v1/live", headers={"Last-Event-ID": token}) as response:
            _, data, identity = await message(response)
            assert [row["run"] for row in data["runs"]] == ["r4", "r5"]
            assert identity == "next:0:6"
    for token in ("next:0:5", "0:4"):
        async with service.client.get("/api/v1/live", params={"since": token}) as response:
            assert [row["run"] for row in (await message(response))[1]["runs"]] == ["r5"]


async def test_a_stream_that_began_before_the_first_record_resumes_there(service: Service) -> None:
    """The beginning has a token of its own: an empty id would mean that there is none, and what came meanwhile would
    be left out."""
    async with service.client.get("/api/v1/live") as response:
        assert await response.content.readline() == b"id: next:\n"
    await service.insert("run_states", run("a", offset=0))
    service.advance(0)
    async with service.client.get("/api/v1/live", headers={"Last-Event-ID": "next:"}) as response:
        assert [row["run"] for row in (await message(response))[1]["runs"]] == ["a"]


async def test_silence_is_told_without_an_event(service: Service) -> None:
    await service.insert("run_states", run("a", status="running", ended_at=None, offset=1))
    await service.insert("watermark_states", watermark("a", "w", 1.0))
    service.advance(1)
    async with service.client.get("/api/v1/live", params={"runs": "a"}) as response:
        service.now_us = NOW_US + 60 * SECOND_US
        assert (await message(response))[1]["runs"][0]["status"] == "crashed"
        service.now_us = NOW_US
        assert (await message(response))[1]["runs"][0]["status"] == "running"


async def test_streams_end_when_the_server_stops(service: Service) -> None:
    async with service.client.get("/api/v1/live") as response:
        await service.client.server.app.shutdown()
        rest = await asyncio.wait_for(response.content.read(), 120)
        assert rest.endswith(b": the server stops\n\n")


async def test_wrong_questions_are_problems_and_no_streams(service: Service) -> None:
    assert "Last-Event-ID" in (await service.get("live", 400, since="newest"))["detail"]
    assert "did you mean project?" in (await service.get("live", 400, projct="p"))["detail"]
