"""The running service as tests use it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import query_rows
from aiohttp import ClientResponse
from query_rows import NOW_US, Row

from runstream.events.control import RunEvent, decode_event
from runstream.events.positions import Positions
from runstream_infra.as_of import ProcessorFolds
from runstream_ingest.assets.local import LocalAssets
from runstream_model import run_state
from runstream_model.attributes import rows_from_events
from runstream_processors.store.chdb import ChdbStore
from runstream_query import FoldedArtifact, FoldedRun, LoggedEvent
from runstream_service.visibility import Progress


class PlainFolds:
    """`AsOf` with the processors' fold of events, and summaries in plain Python."""

    def fold_run(self, run: str, events: Sequence[LoggedEvent]) -> FoldedRun:
        state: run_state.RunState | None = None
        attributes: dict[tuple[str, str], Any] = {}
        assets: dict[str, Any] = {}
        for logged in events:
            event = decode_event(logged.body)
            assert isinstance(event, RunEvent)
            state = run_state.fold(state, event, logged.writer)
            rows = rows_from_events(run, logged.writer, [(logged.seq, event)], logged.part, logged.offset)
            attributes |= {(row["kind"], row["name"]): row for row in rows.attributes}
            assets |= {row["asset"]: row for row in rows.assets}
        assert state is not None
        row = run_state.row_from_state(run, state, events[-1].part, events[-1].offset)
        return FoldedRun(row, list(attributes.values()), list(assets.values()))

    def changed(self, events: Sequence[LoggedEvent]) -> bool:
        return ProcessorFolds().changed(events)

    def fold_artifact(self, artifact: str, events: Sequence[LoggedEvent]) -> FoldedArtifact | None:
        return ProcessorFolds().fold_artifact(artifact, events)

    def summarise(self, points: pa.Table) -> list[dict[str, Any]]:
        series: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
        for row in points.to_pylist():
            at_us = round(row["at"].timestamp() * 1_000_000)
            series.setdefault((row["run"], row["metric"]), []).append((row["step"], at_us, row["value"]))
        return [self._summary(run, metric, found) for (run, metric), found in series.items()]

    def _summary(self, run: str, metric: str, points: list[tuple[int, int, float]]) -> dict[str, Any]:
        numbers = [point for point in points if not math.isnan(point[2])]
        kept = {
            "minimum": min(numbers, key=lambda point: (point[2], point[:2])),
            "maximum": min(numbers, key=lambda point: (-point[2], point[:2])),
            "first": min(points, key=lambda point: point[:2]),
            "last": max(points, key=lambda point: point[:2]),
        }
        row = {"run": run, "metric": metric, "count": len(points), "nan_count": len(points) - len(numbers)}
        for name, (step, at_us, value) in kept.items():
            row |= {name: value, f"{name}_step": step, f"{name}_at": at_us}
        return row | {"total": math.fsum(point[2] for point in points)}


class CountingStore:
    """The store, with every statement that was asked."""

    def __init__(self, store: ChdbStore) -> None:
        self._store = store
        self.asked: list[str] = []

    async def query(self, sql: str, parameters: Any = None, **of: Any) -> Any:
        self.asked.append(sql)
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
        await query_rows.insert(self.store, table, rows)

    def advance(self, offset: int) -> None:
        self.progress.advance(Positions({0: offset}))

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The JSON of an answer that must have this status."""
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
