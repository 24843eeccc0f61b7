"""A running query service over a real store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.query import tables
from kit.query.service import CountingStore, Service
from kit.stores import empty
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.store.chdb import ChdbStore
from runstream_protocols.comet.reads.routes import ROUTES, add_comet
from runstream_query import QuerySettings, add_query
from runstream_service.problems import problem_middleware


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbStore]:
    store = tables.open_store(tmp_path_factory.mktemp("store"))
    yield store
    asyncio.run(store.close())


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(live_tick_s=0.01, live_heartbeat_s=0.2, max_json_points=5000, points_per_read=3000)


@pytest.fixture
async def service(module_store: ChdbStore, tmp_path: Path, settings: QuerySettings) -> AsyncIterator[Service]:
    await empty(module_store)
    reads = CountingStore(module_store)
    service = Service(module_store, reads, LocalAssets(tmp_path / "assets"))
    log = MemoryLog(clock_us=lambda: service.now_us)
    app = web.Application(middlewares=[problem_middleware()])
    add_query(
        app,
        store=reads,
        visibility=service.progress,
        log=log,
        assets=service.assets,
        settings=settings,
        now_us=lambda: service.now_us,
        protocols={"comet": ROUTES},
    )
    add_comet(
        app,
        store=reads,
        visibility=service.progress,
        assets=service.assets,
        settings=settings,
        now_us=lambda: service.now_us,
    )
    async with TestClient(TestServer(app)) as client:
        service.client, service.log = client, log
        yield service
