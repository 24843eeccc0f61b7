"""Live updates by Server-Sent Events: what changed in the read models, as it becomes visible.

A stream holds no queue. It remembers the position up to which it has told everything; each tick it asks the store for
the newest state of what changed behind that position. So a slow reader costs no memory and misses nothing: it is told
fewer intermediate states. The position is the `id` of the last message of a tick, and a stream that resumes with it
(Last-Event-ID) goes on exactly there; a row may be told twice, never left out.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web
from pydantic import Field as ModelField

from runstream.events.positions import InvalidPositions, Positions
from runstream.service.protocol import keep_little_unsent
from runstream_query.answers import Answer, Changes, RunRow, Summary, encode_json
from runstream_query.errors import InvalidRequest, TooBusy
from runstream_query.http.context import Context
from runstream_query.http.details import SUMMARY_COLUMNS
from runstream_query.http.endpoint import Asked, Call, Endpoint
from runstream_query.http.globs import chosen_condition
from runstream_query.http.pages import shown_rows
from runstream_query.http.runs import run_row
from runstream_query.sql.parameters import Parameters
from runstream_query.sql.prefix import beyond
from runstream_query.sql.runs import newest_runs, run_rows

EVENT_STREAM: Final = "text/event-stream"
Row = TypeVar("Row")


class AskedLive(Asked):
    runs: list[str] = ModelField(default_factory=list, max_length=1000, description="run ids; none means all")
    workspace: str | None = None
    project: str | None = None
    metrics: list[str] = ModelField(default_factory=list, max_length=100, description="names or globs; none means all")
    since: str | None = ModelField(default=None, description="begin behind this position (Last-Event-ID goes before)")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which runs and metrics a stream tells of."""

    runs: tuple[str, ...]
    workspace: str | None
    project: str | None
    metrics: tuple[str, ...]

    def run_condition(self, parameters: Parameters) -> str:
        """On columns run, workspace and project."""
        conditions = ["1"]
        if self.runs:
            conditions.append(f"run IN {parameters.texts(self.runs)}")
        if self.workspace is not None:
            conditions.append(f"workspace = {parameters.text(self.workspace)}")
        if self.project is not None:
            conditions.append(f"project = {parameters.text(self.project)}")
        return " AND ".join(conditions)

    def series_condition(self, parameters: Parameters) -> str:
        """On columns run and metric."""
        conditions = ["1"]
        if self.runs:
            conditions.append(f"run IN {parameters.texts(self.runs)}")
        if self.workspace is not None or self.project is not None:
            conditions.append(f"run IN (SELECT run FROM runs WHERE {self.run_condition(parameters)})")
        if self.metrics:
            conditions.append(chosen_condition(self.metrics, parameters))
        return " AND ".join(conditions)


async def live(context: Context, call: Call[AskedLive]) -> web.StreamResponse:
    asked = call.asked
    if len(context.live) >= context.settings.max_live:
        raise TooBusy(f"{len(context.live)} live streams are open, which is the limit: try again later")
    scope = Scope(tuple(asked.runs), asked.workspace, asked.project, tuple(asked.metrics))
    seen = _since(call.request.headers.get("Last-Event-ID") or asked.since)
    if seen is None:
        seen = context.visibility.visible()
    mark = object()
    context.live.add(mark)
    try:
        return await _Stream(context, scope, seen).run(call.request)
    finally:
        context.live.discard(mark)


def _since(text: str | None) -> Positions | None:
    if text is None:
        return None
    try:
        return Positions.parse(text)
    except InvalidPositions as error:
        raise InvalidRequest(f"Last-Event-ID: {error}", name="Last-Event-ID") from None


class _Stream:
    """One reader's stream, from its first byte to its last."""

    def __init__(self, context: Context, scope: Scope, seen: Positions) -> None:
        self._context = context
        self._scope = scope
        self._seen = seen
        self._lost: frozenset[str] = frozenset()

    async def run(self, request: web.Request) -> web.StreamResponse:
        # The first looks at the store come before the answer, so that a refused question is a problem, not a stream.
        looked = self._context.visibility.visible()
        self._lost = await self._lost_runs()
        first = await self._tick(looked)
        response = web.StreamResponse(
            headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        keep_little_unsent(request)
        await self._write(response, first)
        settings = self._context.settings
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + settings.live_heartbeat_s
        try:
            while not self._context.stopping.is_set():
                visible = await self._beyond(looked, max(0.0, beat_at - loop.time()))
                if visible != looked:
                    looked = visible
                    await self._write(response, await self._tick(looked))
                    await self._pause(settings.live_tick_s)
                if loop.time() >= beat_at:
                    beat_at = loop.time() + settings.live_heartbeat_s
                    await self._write(response, await self._beat())
            await self._write(response, b": the server stops\n\n")
            await response.write_eof()
        except (ConnectionResetError, TimeoutError):
            pass  # the reader is gone, or takes nothing: it comes back with the last id that it saw
        return response

    async def _beyond(self, looked: Positions, timeout_s: float) -> Positions:
        """What is visible, once that differs from `looked`, or the time is over, or the server stops."""
        change = asyncio.ensure_future(self._context.visibility.wait_beyond(looked, timeout_s))
        stop = asyncio.ensure_future(self._context.stopping.wait())
        try:
            await asyncio.wait((change, stop), return_when=asyncio.FIRST_COMPLETED)
            return change.result() if change.done() else looked
        finally:
            for waiting in (change, stop):
                waiting.cancel()
            await asyncio.gather(change, stop, return_exceptions=True)

    async def _pause(self, duration_s: float) -> None:
        try:
            async with asyncio.timeout(duration_s):
                await self._context.stopping.wait()
        except TimeoutError:
            pass

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._context.settings.live_write_s):
            await response.write(data)

    async def _tick(self, visible: Positions) -> bytes:
        """Messages about everything behind what was told; afterwards everything up to `visible` is told."""
        runs, summaries = await asyncio.gather(self._changed_runs(), self._changed_summaries())
        self._seen = self._seen.merged(visible)
        return self._messages(runs, summaries)

    async def _beat(self) -> bytes:
        """That the stream lives; and runs whose writers fell silent, or spoke again, of which no event tells."""
        lost = await self._lost_runs()
        changed, self._lost = lost ^ self._lost, lost
        if not changed:
            return f": {self._seen}\n\n".encode()
        return self._messages(await self._shown(sorted(changed)), [])

    async def _lost_runs(self) -> frozenset[str]:
        parameters = Parameters()
        columns = ("run", "workspace", "project", "lost")
        source = run_rows(
            parameters, self._context.clock(), columns, "(SELECT run FROM run_states WHERE status = 'running')"
        )
        sql = f"SELECT run FROM {source} WHERE lost AND {self._scope.run_condition(parameters)}"
        return frozenset(row["run"] for row in await self._context.rows(sql, parameters))

    async def _changed_runs(self) -> list[RunRow]:
        parameters = Parameters()
        changed = f"(SELECT run FROM run_states WHERE {beyond(self._seen, parameters)})"
        source = newest_runs(("workspace", "project"), changed)
        sql = f"SELECT run FROM {source} WHERE {self._scope.run_condition(parameters)} ORDER BY run"
        return await self._shown([row["run"] for row in await self._context.rows(sql, parameters)])

    async def _shown(self, runs: list[str]) -> list[RunRow]:
        clock = self._context.clock()
        rows: list[RunRow] = []
        for part in _parts(runs, self._context.settings.live_rows):
            rows.extend(run_row(row) for row in (await shown_rows(self._context, part, clock)).values())
        return rows

    async def _changed_summaries(self) -> list[Summary]:
        parameters = Parameters()
        sql = (
            f"SELECT {SUMMARY_COLUMNS} FROM summaries WHERE (run, metric) IN (SELECT run, metric FROM summary_states "
            f"WHERE {beyond(self._seen, parameters)} AND {self._scope.series_condition(parameters)}) "
            "ORDER BY run, metric"
        )
        return [Summary(**row) for row in await self._context.rows(sql, parameters)]

    def _messages(self, runs: list[RunRow], summaries: list[Summary]) -> bytes:
        """Only the last message of a tick has the position: whoever is cut off in between is told the tick again."""
        rows = self._context.settings.live_rows
        messages = [_message("run", Changes(runs=part)) for part in _parts(runs, rows)]
        messages += [_message("summary", Changes(summaries=part)) for part in _parts(summaries, rows)]
        identity = f"id: {self._seen}\n".encode()
        if messages:
            messages[-1] = identity + messages[-1]
            return b"".join(messages)
        return identity + b"\n"


def _message(event: str, changes: Answer) -> bytes:
    # JSON as we write it has no line breaks outside of strings, and none inside: one data line is enough.
    return b"event: " + event.encode() + b"\ndata: " + encode_json(changes) + b"\n\n"


def _parts(rows: list[Row], size: int) -> Iterator[list[Row]]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


ENDPOINTS: Final[Iterable[Endpoint]] = (
    Endpoint("GET", "/api/v1/live", "Changes as they become visible", live, AskedLive, None, (EVENT_STREAM,)),
)
