"""What `runstream doctor` asks a server."""

from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from runstream.events.positions import Positions
from runstream_infra.settings import ServerSettings
from runstream_infra.status import STATUS_PATH, add_status
from runstream_service.problems import problem_middleware
from runstream_service.store import StoreUnavailable

pytestmark = pytest.mark.sockets


async def test_a_store_that_is_away_is_reported_and_no_fault_of_the_server() -> None:
    async def next_offsets() -> dict[int, int]:
        return {0: 3}

    async def away(sql: str, *_: object, **__: object) -> None:
        raise StoreUnavailable("no answer from ClickHouse at http://10.9.8.7:8123: timed out")

    app = web.Application(middlewares=[problem_middleware()])
    add_status(
        app,
        log=SimpleNamespace(next_offsets=next_offsets),
        store=SimpleNamespace(query=away),
        visibility=SimpleNamespace(visible=Positions),
        data_dir=None,
        settings=ServerSettings(data_dir=Path("unused")),
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{STATUS_PATH}"
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        assert response.status == 503
        assert (await response.json())["type"] == "urn:runstream:problem:store-unavailable"
    await runner.cleanup()
