"""Keys that only read: every route of the server that can change something refuses them, and no other."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream.events.control import RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_protocols.comet.access import ACCESS
from runstream_service.access import READING
from runstream_service.auth import TICKET_PATH, ApiKeys, InvalidKey
from runstream_service.routing import routes_of

WRITER, READER = "a-key-that-may-write-0", "a-key-that-only-reads"
KEYS = [WRITER, f"{READER}:read"]
READ, WRITE = ({"Authorization": f"Bearer {key}"} for key in (READER, WRITER))
BYTES = {"Content-Type": "application/octet-stream"}
STARTED = RunStarted(at_us=1, workspace="w", project="p", name="n", user="u", host="h")
FRAME = encode_frame("0" * 32, "r1", 0, 1, encode_events([(0, encode_event(STARTED))]))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(data_dir=tmp_path)
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys.from_plain(KEYS), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            yield client
        stop.set()
        await worker


async def test_what_can_be_written_refuses_them_and_what_is_read_does_not(client: TestClient[Any, Any]) -> None:
    """Each route is asked with nonsense: what comes behind the keys may find that wrong, but only that."""
    allowed: set[tuple[str, str]] = set()
    refused: set[tuple[str, str]] = set()
    assert client.app is not None
    for route, ours in routes_of(client.app).items():
        path = route.resource.canonical.replace("{", "").replace("}", "")  # type: ignore[union-attr]
        if path == "/api/v1/live" or path.startswith(TICKET_PATH):
            continue  # it does not end; and a ticket authorises itself
        async with client.request(route.method, path, headers=READ) as response:
            if response.status == 403 and route.method != "HEAD":
                if response.content_type == "application/xml":
                    assert "<Code>AccessDenied</Code>" in await response.text(), path
                else:
                    assert (await response.json(content_type=None))["type"] == "urn:runstream:problem:read-only", path
        assert (response.status == 403) == (ours.action not in READING and path not in ACCESS.open_paths), path
        (refused if response.status == 403 else allowed).add((route.method, path))
    assert {
        ("POST", "/ingest/v1/frames"),
        ("POST", "/ingest/v1/commands"),
        ("PUT", "/ingest/v1/assets/sha256"),
    } <= refused
    assert ("POST", "/api/v1/runs/query") in allowed


async def test_they_read_what_others_wrote(client: TestClient[Any, Any]) -> None:
    async with client.post("/ingest/v1/frames", data=FRAME, headers=READ | BYTES) as response:
        assert response.status == 403
    async with client.post("/ingest/v1/frames", data=FRAME, headers=WRITE | BYTES) as response:
        assert response.status in (200, 202), await response.text()
        positions = (await response.json())["positions"]
    question = {"wait_for": positions}
    async with client.post("/api/v1/runs/query", json=question, headers=READ) as response:
        assert [run["run"] for run in (await response.json())["runs"]] == ["r1"]
    async with client.get("/nowhere", headers=READ) as response:
        assert response.status == 404


async def test_a_key_can_ask_what_it_opens(client: TestClient[Any, Any]) -> None:
    for headers, may_write in ((READ, False), (WRITE, True)):
        async with client.get("/api/v1/key", headers=headers) as response:
            rights = await response.json()
            assert (len(rights["name"]), rights["may_write"]) == (8, may_write)
    async with client.get("/api/v1/key", headers={"Authorization": f"Bearer {READER}:read"}) as response:
        assert response.status == 401, "the word behind the key is no part of it"


def test_a_key_has_one_kind_of_rights() -> None:
    assert bool(ApiKeys.from_plain([f"{READER}:read"]))
    with pytest.raises(InvalidKey, match="with and without :read"):
        ApiKeys.from_plain([READER, f"{READER}:read"])
    with pytest.raises(InvalidKey, match="of 5 characters"):
        ApiKeys.from_plain(["short:read"])
