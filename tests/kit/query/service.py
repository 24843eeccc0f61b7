"""The running service as tests use it."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse

from kit.query import tables
from kit.query.tables import NOW_US, Row
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_processors.store.chdb import ChdbStore
from runstream_service.visibility import Progress


class CountingStore:
    """The store, with every statement that was asked."""

    def __init__(self, store: ChdbStore) -> None:
        self._store = store
        self.requested: list[str] = []

    async def query(self, sql: str, parameters: Any = None, **of: Any) -> Any:
        self.requested.append(sql)
        return await self._store.query(sql, parameters, **of)


@dataclass
class Service:
    """What a test works with. `now_us` is the service's clock."""

    store: ChdbStore
    reads: CountingStore
    assets: LocalAssets
    progress: Progress = field(default_factory=Progress)
    now_us: int = NOW_US
    client: Any = None
    log: Any = None

    async def insert(self, table: str, *rows: Row) -> None:
        await tables.insert(self.store, table, rows)

    def advance(self, offset: int) -> None:
        self.progress.advance(Positions.after(0, offset))

    async def get(self, path: str, status: int = 200, /, **query: Any) -> Any:
        """The JSON of a response that must have this status."""
        async with self.client.get(f"/api/v1/{path}", params=query) as response:
            return await self._json(response, status)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        async with self.client.post(f"/api/v1/{path}", json=body) as response:
            return await self._json(response, status)

    async def _json(self, response: ClientResponse, status: int) -> Any:
        text = await response.text()
        assert response.status == status, text
        expected = "application/json" if status == 200 else "application/problem+json"
        assert response.headers["Content-Type"].partition(";")[0] == expected
        return await response.json(content_type=None)
