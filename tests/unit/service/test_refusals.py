"""What a server's log says of requests that it refuses: each cause once, with the next step."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from runstream_protocols.comet.access import ACCESS
from runstream_service.access import Action
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.problems import problem_middleware
from runstream_service.refusals import refusal_notices
from runstream_service.routing import Call, Route, add_routes, plain_handler

pytestmark = pytest.mark.sockets

KEY = "0123456789abcdef-key"


@asynccontextmanager
async def server(*keys: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    guard = auth_middleware(ApiKeys.from_plain(keys), protocols=(ACCESS,))
    app = web.Application(middlewares=[problem_middleware(), refusal_notices(), guard])

    async def done(_: None, call: Call[None]) -> web.Response:
        return web.Response(text="done")

    routes = [Route("GET", "/read", Action.READ, "Read", done), Route("POST", "/write", Action.LOG, "Write", done)]
    add_routes(app, routes, lambda route: plain_handler(route, None))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as client:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", client
    await runner.cleanup()


async def test_each_cause_is_told_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "runstream_service.refusals")
    unknown, reading = {"Authorization": "Bearer not-a-key-of-it"}, {"Authorization": f"Bearer {KEY}"}
    async with server(f"{KEY}:read", f"{KEY}-full") as (url, client):
        for _ in range(3):
            assert (await client.get(f"{url}/read")).status == 401
            assert (await client.get(f"{url}/read", headers=unknown)).status == 401
            assert (await client.post(f"{url}/write", headers=reading)).status == 403
            assert (await client.get(f"{url}/read", headers=reading)).status == 200
            assert (await client.get(f"{url}/nowhere", headers=reading)).status == 404
    without, wrong, only_reads = caplog.messages
    assert without.startswith("refused GET /read of 127.0.0.1 (401 unauthorized): Send `Authorization: Bearer KEY`.")
    assert wrong.startswith("refused GET /read of 127.0.0.1 (401 unauthorized): This key is not known here.")
    assert only_reads.startswith("refused POST /write of 127.0.0.1 (403 read-only): This key only reads: use one")
    for line in (without, wrong):
        assert "Set RUNSTREAM_API_KEY where the client runs" in line
    assert "not-a-key" not in "".join(caplog.messages), "a key is never shown"


async def test_a_page_of_another_site_and_a_foreign_host_are_causes_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "runstream_service.refusals")
    async with server() as (url, client):
        for number in range(3):
            page = {"Origin": f"http://evil-{number}.example"}
            assert (await client.get(f"{url}/read", headers=page)).status == 403
            assert (await client.get(f"{url}/read", headers={"Host": f"name-{number}.example"})).status == 403
    page_line, host_line = caplog.messages
    assert "(403 wrong-origin)" in page_line
    assert "(403 wrong-host)" in host_line
    assert "start it with a key (RUNSTREAM_API_KEYS)" in host_line
