"""What live streams with the same scope share: one look at the store a tick, and each change encoded once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar, get_args

from runstream.events.moments import moment_of
from runstream.events.positions import Positions
from runstream_query.http.context import Context
from runstream_query.http.runs import run_row
from runstream_query.http.tails import Followed, TailChanges
from runstream_query.live_responses import Changes
from runstream_query.repositories.reader import records_of
from runstream_query.repositories.selection import Selection
from runstream_query.responses import ResponseModel, RunRow, Summary, encode_json
from runstream_service.store import QueryClass

Row = TypeVar("Row")

#: Summaries of one statement: 20 MB as Python values.
_SUMMARIES_AT_ONCE: Final = 10_000


Kind = Literal["run", "summary", "tail"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a stream tells of: messages of some kinds, about a selection and about the ends of some curves."""

    selection: Selection
    tails: tuple[Followed, ...] = ()
    kinds: frozenset[Kind] = frozenset(KINDS)


class WatchedChanges:
    """What changed of what is watched, as messages. Raises what the store raises."""

    def __init__(self, context: Context, watched: Watched) -> None:
        self._context = context.for_request(QueryClass.LIVE, context.scope)
        self._selection = watched.selection
        self._kinds = watched.kinds
        self._tails = TailChanges(context, watched.tails)

    @property
    def cost_s(self) -> float:
        """What the last look for tails cost, in seconds of a core."""
        return self._tails.cost_s

    async def behind(self, seen: Positions, visible: Positions) -> AsyncIterator[bytes]:
        """Messages about everything behind `seen`; the last has the position up to which everything is told then,
        `visible`: whoever is cut off in between is told the tick again."""
        held: bytes | None = None
        async for message in self._messages(seen):
            if held is not None:
                yield held
            held = message
        yield f"id: {seen.merged(visible)}\n".encode() + (held or b"\n")

    async def _messages(self, seen: Positions) -> AsyncIterator[bytes]:
        at, most = moment_of(self._context.now_us()), self._context.settings.live_rows
        if "run" in self._kinds:
            for part in _parts(await self._changed_runs(seen), most):
                rows = await self._shown(part)
                if rows:
                    yield message_of("run", Changes(at=at, runs=rows))
        if "summary" in self._kinds:
            async for summaries in self._changed_summaries(seen):
                for some in _parts(summaries, most):
                    yield await asyncio.to_thread(message_of, "summary", Changes(at=at, summaries=some))
        if "tail" in self._kinds:
            for tails in await self._tails.behind(seen):
                yield await asyncio.to_thread(message_of, "tail", Changes(at=at, tails=tails))

    async def about(self, runs: Sequence[str]) -> bytes:
        """Messages about these runs, without a position."""
        if "run" not in self._kinds:
            return b""
        at = moment_of(self._context.now_us())
        parts = [await self._shown(part) for part in _parts(runs, self._context.settings.live_rows)]
        return b"".join(message_of("run", Changes(at=at, runs=rows)) for rows in parts if rows)

    async def lost_runs(self) -> frozenset[str]:
        """Runs whose writers are silent, of which no event tells."""
        runs, scope = self._context.repositories.runs, self._context.scope
        return await runs.lost(scope, self._selection, self._context.clock())

    async def _changed_runs(self, seen: Positions) -> list[str]:
        return await self._context.repositories.runs.changed(self._context.scope, self._selection, seen)

    async def _shown(self, runs: Sequence[str]) -> list[RunRow]:
        clock = self._context.clock()
        records = await self._context.repositories.runs.shown(self._context.scope, runs, clock)
        return [run_row(record) for record in records.values()]

    async def _changed_summaries(self, seen: Positions) -> AsyncIterator[list[Summary]]:
        last: tuple[str, str] | None = None
        while True:
            table = await self._context.repositories.summaries.changed(
                self._context.scope, self._selection, seen, last, _SUMMARIES_AT_ONCE
            )
            summaries = await records_of(lambda row: Summary(**row), table)
            if summaries:
                last = summaries[-1].run, summaries[-1].metric
                yield summaries
            if len(summaries) < _SUMMARIES_AT_ONCE:
                return


@dataclass(frozen=True, slots=True)
class Event:
    """One change that all streams of a scope are told. `seen` and `lost` are the feed's behind it. `data` is None where
    it is more than is kept: each stream asks the store for it."""

    number: int
    seen: Positions
    lost: frozenset[str]
    data: bytes | None


class Feed:
    """The changes of one scope from when its first stream was opened until its last one ends.

    It holds no queue a stream: each remembers the number of the last event that it told. One that lags behind what is
    kept asks the store for everything behind its position, and so is told fewer intermediate states.
    """

    def __init__(self, context: Context, watched: Watched) -> None:
        self._context = context
        self.changes = WatchedChanges(context, watched)
        #: How far the events told so far reach, the number of the last one, and the runs that are lost by now.
        self.seen = context.visibility.visible()
        self.number = 0
        self.lost: frozenset[str] = frozenset()
        self.streams = 0
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    async def following(self, number: int, timeout_s: float) -> list[Event] | None:
        """The events behind this one, once there are any or the time is over; None if some of them are not kept any
        more. Raises what the store raised, which ends the feed."""
        if self.number == number and not self._task.done():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return []
        if self.number == number and self._task.done():
            self._task.result()
            return []
        events = [event for event in self._kept if event.number > number]
        return events if len(events) == self.number - number else None

    async def ready(self) -> None:
        """Wait until it knows which runs are lost. Raises what the store raises."""
        if not self._ready.is_set():
            await self._ready.wait()
        if self.is_over and not self._context.stopping.is_set():
            self._task.result()

    @property
    def is_over(self) -> bool:
        return self._task.done()

    def end(self) -> None:
        self._task.cancel()

    async def _follow(self) -> None:
        try:
            await self._tell()
        finally:
            self._ready.set()
            self._changed.set()

    async def _tell(self) -> None:
        settings, loop = self._context.settings, asyncio.get_running_loop()
        looked = self.seen
        self.lost = await self.changes.lost_runs()
        self._ready.set()
        beat_at = loop.time() + settings.live_heartbeat_s
        while not self._context.stopping.is_set():
            visible = await self._beyond(looked, max(0.0, beat_at - loop.time()))
            if visible != looked:
                looked = visible
                data = await self._bounded(self.changes.behind(self.seen, looked))
                self.seen = self.seen.merged(looked)
                self._publish(data)
                await self._pause(self._tick_s())
            if loop.time() >= beat_at:
                beat_at = loop.time() + settings.live_heartbeat_s
                lost = await self.changes.lost_runs()
                changed, self.lost = lost ^ self.lost, lost
                if changed:
                    self._publish(await self.changes.about(sorted(changed)))

    def _tick_s(self) -> float:
        """How long it waits behind a look. All feeds together read tails for a part of the time at most, so that what
        takes long keeps others from nothing."""
        settings = self._context.settings
        feeds = sum(1 for feed in self._context.feeds.values() if feed.changes.cost_s)
        paced_s = self.changes.cost_s * (max(1, feeds) / settings.live_tail_share - 1)
        return min(max(settings.live_tick_s, paced_s), settings.live_heartbeat_s)

    async def _bounded(self, messages: AsyncIterator[bytes]) -> bytes | None:
        held, size = [], 0
        async for message in messages:
            size += len(message)
            if size > self._context.settings.live_backlog_bytes:
                return None
            held.append(message)
        return b"".join(held)

    def _publish(self, data: bytes | None) -> None:
        self.number += 1
        self._kept.append(Event(self.number, self.seen, self.lost, data))
        self._kept_bytes += len(data or b"")
        while self._kept_bytes > self._context.settings.live_backlog_bytes:
            self._kept_bytes -= len(self._kept.popleft().data or b"")
        while len(self._kept) > _EVENTS_KEPT:
            self._kept_bytes -= len(self._kept.popleft().data or b"")
        self._changed.set()
        self._changed = asyncio.Event()

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


#: Four minutes of ticks without changes in the scope.
_EVENTS_KEPT: Final = 1024


def message_of(event: str, changes: ResponseModel) -> bytes:
    """Return a message without an id."""
    # JSON as we write it has no line breaks outside of strings, and none inside: one data line is enough.
    return b"event: " + event.encode() + b"\ndata: " + encode_json(changes, by_alias=True) + b"\n\n"


def _parts(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    for begin in range(0, len(rows), size):
        yield list(rows[begin : begin + size])
