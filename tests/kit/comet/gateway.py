"""A gateway that takes in what Comet's client writes, over a real socket and a log in memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from runstream.events.columns import Ragged, read_group
from runstream.events.control import AssetDeleted, AssetLogged, RunStarted
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream_infra.listening import MAX_LINE_BYTES
from runstream_ingest.assets import LocalAssets
from runstream_ingest.gateway import GatewaySettings, add_gateway
from runstream_ingest.log.memory import MemoryLog
from runstream_model.decoding import decode_events
from runstream_model.seen import Seen
from runstream_protocols.comet.writes.routes import add_comet_writes
from runstream_service.log import LogUnavailable
from runstream_service.lookup import KnownRun, ProjectTexts
from runstream_service.problems import problem_middleware
from runstream_service.store import StoreUnavailable

KEY = "k" * 32
AT_MS = 1_795_276_541_365


class Log(MemoryLog):
    """A log that refuses the next appends, before or after they are durable."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_before = 0
        self.refused_behind = 0
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        self.called.set()
        await self.gate.wait()
        if self.refused_before:
            self.refused_before -= 1
            raise LogUnavailable("the disk is full")
        positions = await super().append(records)
        if self.refused_behind:
            self.refused_behind -= 1
            raise LogUnavailable("nobody knows whether it is durable")
        return positions


class Everything:
    """All is visible at once, or never."""

    is_late = False

    def visible(self) -> Positions:
        return Positions()

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        return not self.is_late

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        return seen


@dataclass
class Folded:
    """What the folds would make of a log: events and points, each number of a writer once."""

    events: list[Any] = field(default_factory=list)
    points: list[tuple[str, float]] = field(default_factory=list)


class _Within:
    """Numbers of some ranges, which may be long."""

    def __init__(self, ranges: Sequence[range]) -> None:
        self._ranges = ranges

    def __contains__(self, number: int) -> bool:
        return any(number in numbers for numbers in self._ranges)


async def folded(log: Log, key: str | None = None) -> Folded:
    """Fails if there is anything in it that the folds refuse."""
    found = Folded()
    seen: dict[str, Seen] = {}
    for record in await log.read(0, 0, 1 << 30, 0.0):
        frame = decode_frame(record.value)
        header = frame.header
        events, rejected = decode_events(frame)
        assert rejected == []
        before = seen.get(header.writer_id, Seen())
        ranges = [range(*found) for found in before.fresh(header.first_seq, header.end_seq)]
        fresh = _Within(ranges)
        seen[header.writer_id] = before.with_range(header.first_seq, header.end_seq)
        if key is not None and header.key != key:
            continue
        found.events += [event for seq, event in events if seq in fresh]
        for group in frame.groups:
            columns = read_group(group, header.first_seq)
            assert isinstance(columns, Ragged)
            rows = zip(columns.seqs.tolist(), columns.index.tolist(), columns.values.tolist(), strict=True)
            found.points += [(columns.metrics[index], value) for seq, index, value in rows if seq in fresh]
    return found


class LogLookup:
    """Looks into the log itself."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.unavailable = False
        #: When the run's writers were last heard: somebody is alive.
        self.heard_at_us: int | None = time.time_ns() // 1000

    async def run(self, run_id: str) -> KnownRun | None:
        if self.unavailable:
            raise StoreUnavailable("the store is not there")
        writers, first = set(), None
        for record in await self._log.read(0, 0, 1 << 30, 0.0):
            frame = decode_frame(record.value)
            for _, event in decode_events(frame)[0]:
                if frame.header.key == run_id and isinstance(event, RunStarted):
                    first = first or event
                    writers.add(frame.header.writer_id)
        if first is None:
            return None
        return KnownRun(first.workspace, first.project, first.name or "", frozenset(writers), self.heard_at_us, False)

    async def assets_named(self, run_id: str, name: str) -> list[str]:
        found: dict[str, None] = {}
        for event in (await folded(self._log, run_id)).events:
            if isinstance(event, AssetLogged) and event.name == name:
                found[event.asset_id] = None
            elif isinstance(event, AssetDeleted):
                found.pop(event.asset_id, None)
        return list(found)

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        return ProjectTexts()

    async def project_exists(self, workspace: str, project: str) -> bool:
        return (workspace, project) == ("w", "p")

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        return ("w", "p") if project_id == "known" else None

    async def runs_of(self, workspace: str, project: str) -> list[str]:
        return [KEY] if (workspace, project) == ("w", "p") else []

    def __getattr__(self, name: str) -> Any:
        """Nothing is known of models and artifacts."""

        async def nothing(*requested: object) -> Any:
            return [] if name in ("run_files", "files_of_kind") else None

        return nothing


@dataclass
class Served:
    """A gateway that takes in what Comet's client writes."""

    url: str
    client: aiohttp.ClientSession
    log: Log
    lookup: LogLookup
    visibility: Everything
    folder: Path

    async def send(
        self, path: str, body: Any = None, *, method: str = "POST", **query: str
    ) -> tuple[int, dict[str, Any]]:
        """Send a request, its body as JSON unless it is bytes or a form; the status and the JSON of the response."""
        return await self.send_with({}, path, body, method=method, **query)

    async def send_with(
        self, headers: dict[str, str], path: str, body: Any = None, *, method: str = "POST", **query: str
    ) -> tuple[int, dict[str, Any]]:
        """Send a request with headers of its own."""
        data = body if isinstance(body, bytes | aiohttp.FormData) or body is None else json.dumps(body).encode()
        url = f"{self.url}/{path}"
        async with self.client.request(method, url, data=data, params=query, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def begun(self, key: str = KEY) -> None:
        body = {"experimentKey": key, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
        assert (await self.send("clientlib/logger/add/run", body))[0] == 200

    async def folded(self) -> Folded:
        return await folded(self.log)


@asynccontextmanager
async def serving(folder: Path, log: Log, settings: GatewaySettings | None = None) -> AsyncIterator[Served]:
    app = web.Application(middlewares=[problem_middleware()])
    storage, lookup, visibility = LocalAssets(folder / "assets"), LogLookup(log), Everything()
    gateway = add_gateway(app, log=log, assets=storage, visibility=visibility, settings=settings or GatewaySettings())
    add_comet_writes(app, gateway=gateway, assets=storage, lookup=lookup)
    runner = web.AppRunner(app, max_line_size=MAX_LINE_BYTES, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            yield Served(f"http://127.0.0.1:{runner.addresses[0][1]}", client, log, lookup, visibility, folder)
    finally:
        await runner.cleanup()


def form_of(content: bytes, **parts: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="/home/me/file")
    for name, text in parts.items():
        form.add_field(name, text)
    return form
