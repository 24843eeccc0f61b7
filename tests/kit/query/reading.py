"""A query service over a real store for attacks on reads: with limits, probes, and a store that can be made slow."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import open_migrated
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_processors.store.chdb import ChdbStore
from runstream_protocols.comet.reads.routes import add_comet
from runstream_query import QuerySettings, add_query
from runstream_query.http.outgoing import _OUTGOING, Outgoing
from runstream_query.lookup import StoreLookup
from runstream_service.assets import AssetReader
from runstream_service.metrics import add_operations, process_registry
from runstream_service.problems import problem_middleware
from runstream_service.store import QueryClass
from runstream_service.visibility import Progress

__all__ = ["ENDLESS", "LONG_S", "RUNNING", "Reads", "SlowStore", "open_reads", "serve_reads"]

#: No test waits for so long: it is the bound within which what is waited for has to come.
LONG_S = 120.0
#: Takes minutes, and returns one row.
ENDLESS = "SELECT toString(count()) AS run FROM numbers(900000000) WHERE sipHash64(repeat(toString(number), 20)) = 1"
RUNNING = f"SELECT count() AS n FROM system.processes WHERE startsWith(query, '{ENDLESS[:50]}')"


class SlowStore:
    """The store; queries of the classes in `endless` take minutes, whatever they ask. Counts them by class."""

    def __init__(self, store: ChdbStore) -> None:
        self.store = store
        self.endless: set[QueryClass] = set()
        self.requested: list[tuple[QueryClass, str]] = []

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        self.requested.append((of, sql))
        if of in self.endless:
            return await self.store.query(ENDLESS, of=of)
        return await self.store.query(sql, parameters, of=of)


@dataclass
class Reads:
    """What a test works with."""

    store: SlowStore
    client: TestClient[Any, Any]
    app: web.Application
    lookup: StoreLookup
    assets: AssetReader
    progress: Progress = field(default_factory=Progress)

    @property
    def url(self) -> str:
        return str(self.client.make_url(""))

    @property
    def outgoing(self) -> Outgoing:
        return self.app[_OUTGOING]

    async def get(self, path: str, status: int = 200, /, **query: Any) -> Any:
        async with self.client.get(path, params=query) as response:
            text = await response.text()
            assert response.status == status, text[:2000]
            return await response.json(content_type=None)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        async with self.client.post(path, json=body) as response:
            text = await response.text()
            assert response.status == status, text[:2000]
            return await response.json(content_type=None)

    async def running(self, count: int) -> None:
        """Until so many endless queries run."""
        async with asyncio.timeout(LONG_S):
            while (await self.store.store.query(RUNNING, of=QueryClass.PROBE)).to_pylist() != [{"n": count}]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def requested(self, of: QueryClass, count: int) -> None:
        """Until the store has been asked so many queries of a class."""
        async with asyncio.timeout(LONG_S):
            while sum(one is of for one, _ in self.store.requested) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def advance(self, offset: int) -> None:
        self.progress.advance(Positions.after(0, offset))


@asynccontextmanager
async def open_reads(folder: Path, settings: QuerySettings, assets: AssetReader | None = None) -> AsyncIterator[Reads]:
    """Serve reads of a store of their own."""
    opened = await open_migrated(folder / "store", limits=settings.class_limits())
    try:
        async with serve_reads(opened, settings, assets or LocalAssets(folder / "assets")) as reads:
            yield reads
    finally:
        await opened.close()


@asynccontextmanager
async def serve_reads(opened: ChdbStore, settings: QuerySettings, assets: AssetReader) -> AsyncIterator[Reads]:
    """Serve reads of a store that stays open."""
    store, progress = SlowStore(opened), Progress()
    app = web.Application(middlewares=[problem_middleware()])

    async def store_ready() -> str | None:
        await store.query("SELECT 1 AS one", of=QueryClass.PROBE)
        return None

    add_operations(app, process_registry(), {"store": store_ready})
    add_query(app, store=store, visibility=progress, log=None, assets=assets, settings=settings)
    add_comet(app, store=store, visibility=progress, assets=assets, settings=settings)
    async with TestClient(TestServer(app)) as client:
        yield Reads(store, client, app, StoreLookup(lambda: store), assets, progress)
