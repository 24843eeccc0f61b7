"""A process behind the one address breaks off within its response: its client is told and waits for no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from runstream_infra.cluster.front import Front

pytestmark = [pytest.mark.timeout(300), pytest.mark.sockets]


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("length", [None, 100_000])
async def test_a_response_that_breaks_off_is_no_whole_response(length: int | None) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = length
        await response.prepare(request)
        await response.write(b"x" * 50_000)
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    behind = web.Application()
    behind.router.add_get("/{path:.*}", break_off)
    async with (
        serving(behind) as server,
        serving(Front([], [server]).application()) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/api/v1/series") as response,
    ):
        assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await response.read()
