"""Appending what Comet's client said, and waiting until it can be read."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from runstream.events import limits
from runstream.events.control import AnyEvent, encode_event
from runstream.events.positions import Positions
from runstream_ingest.gateway.append import Appender
from runstream_ingest.gateway.pressure import Pressure
from runstream_protocols.comet.writes.files import Files
from runstream_protocols.comet.writes.frames import Statement, encoded_frames
from runstream_protocols.comet.writes.refusals import no_experiment, refused
from runstream_service.lookup import Lookup
from runstream_service.problems import Problem
from runstream_service.store import StoreError
from runstream_service.turns import in_turns

#: Runs that are known to be there: no need to ask again.
_KNOWN_RUNS: Final = 100_000
#: Statements without a time of the client's, of which nobody knows whether they are durable: the last so many.
_UNSETTLED: Final = 10_000
#: The client says a thing four times at most, with 12 s of pauses between them and 10 s of patience each.
_SAID_AGAIN_WITHIN_US: Final = 60_000_000


#: What the request that is being answered appended, and is to be visible when it is answered.
_PENDING: ContextVar["_Pending | None"] = ContextVar("pending", default=None)


@dataclass(slots=True)
class _Pending:
    request: web.Request
    positions: Positions = field(default_factory=Positions)


class Recorder:
    """What all handlers append with. Used from one event loop."""

    def __init__(
        self,
        appender: Appender,
        pressure: Pressure,
        lookup: Lookup,
        files: Files,
        visible_timeout_s: float,
        is_only: bool = True,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.lookup = lookup
        self.files = files
        self.now_us = now_us
        self._appender = appender
        self._pressure = pressure
        self._visible_timeout_s = visible_timeout_s
        self._is_only = is_only
        self._known: OrderedDict[str, None] = OrderedDict()
        self._unsettled: OrderedDict[bytes, int] = OrderedDict()
        self._last_stamp = 0
        self._last = Positions()

    def statement(self, key: str, words: bytes, at_us: int | None) -> Statement:
        """`words`: path and body; `at_us`: the time in them, by which the same words are the same statement. Without
        one, the same words are said anew, unless it is not known of the last time whether they were heard: the
        client may be saying them again."""
        if at_us is not None:
            return Statement(key, words, at_us)
        stamp = self._unsettled_stamp(words)
        self._unsettled.pop(words, None)
        return Statement(key, words, self.stamp() if stamp is None else stamp, stamped=True)

    @contextmanager
    def until_answered(self, request: web.Request, words: bytes) -> Iterator[int]:
        """The stamp of a request whose words count once until it is answered: said again while it is being done, or
        after the client went away or was told to come again, they have the same stamp."""
        stamp = self._unsettled_stamp(words)
        if stamp is None:
            stamp = self.stamp()
            self._keep(words, stamp)
        try:
            yield stamp
        except Problem as problem:
            if problem.status < 500:
                self._answered(request, words)
            raise
        else:
            self._answered(request, words)

    def _unsettled_stamp(self, words: bytes) -> int | None:
        stamp = self._unsettled.get(words)
        # The client gave up long ago: whoever says the same now means it anew.
        return stamp if stamp is not None and self.now_us() - stamp < _SAID_AGAIN_WITHIN_US else None

    def _keep(self, words: bytes, stamp: int) -> None:
        self._unsettled[words] = stamp
        while len(self._unsettled) > _UNSETTLED:
            self._unsettled.popitem(last=False)

    def _answered(self, request: web.Request, words: bytes) -> None:
        if request.transport is not None and not request.transport.is_closing():
            self._unsettled.pop(words, None)

    def stamp(self) -> int:
        """Microseconds since 1970 UTC, ascending: no two are equal."""
        self._last_stamp = max(self.now_us(), self._last_stamp + 1)
        return self._last_stamp

    async def append(self, statement: Statement, frames: Sequence[bytes], *, wait: bool = True) -> Positions:
        """Append the frames of a statement. Returns their positions when they are durable. If `wait`, the request is
        answered when they are visible: not here, because it holds its body until its handler returns. Raises
        LogUnavailable."""
        try:
            positions = await self._appender.append([(statement.key.encode(), frame) for frame in frames])
        except BaseException:
            if statement.stamped:
                self._keep(statement.words, statement.at_us)
            raise
        self._last = self._last.merged(positions)
        pending = _PENDING.get()
        if wait and pending is not None:
            pending.positions = pending.positions.merged(positions)
        return positions

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """For the block, appends count as those of this request."""
        token = _PENDING.set(_Pending(request))
        try:
            yield
        finally:
            _PENDING.reset(token)

    async def appended_visible(self) -> None:
        """Wait until what the request appended is visible, or the wait is over."""
        pending = _PENDING.get()
        if pending is not None:
            await self.visible(pending.positions)

    async def visible(self, positions: Positions) -> bool:
        """Whether the positions can be read, when the wait is over; only so many requests wait at once."""
        pending = _PENDING.get()
        request = None if pending is None else pending.request
        return await self._pressure.visible(request, positions, self._visible_timeout_s)

    async def can_be_found(self, positions: Positions) -> bool:
        """Whether requests about a run that began there find it, when the wait is over: this gateway remembers it, but
        others ask the read models, and refuse what is said of a run that these do not have."""
        return await self.visible(positions) or self._is_only

    async def settled(self) -> None:
        """Wait until all that was appended here can be read, or the wait is over."""
        await self.visible(self._last)

    async def say(
        self,
        key: str,
        words: bytes,
        events: Sequence[AnyEvent],
        *,
        at_us: int | None = None,
        wait: bool = True,
    ) -> Positions:
        """Append events about a key as one statement."""
        # All are encoded before the first is appended: one that cannot be would leave half of them in the log.
        encoded = [_encoded(event) async for event in in_turns(events)]
        statement = self.statement(key, words, at_us)
        frames = [frame async for frame in in_turns(encoded_frames(statement, encoded))]
        return await self.append(statement, frames, wait=wait)

    def knows(self, key: str) -> None:
        """The run is there."""
        self._known[key] = None
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN_RUNS:
            self._known.popitem(last=False)

    async def require(self, key: str) -> str:
        """The key of an experiment, which has to be there. Raises Problem."""
        if not await self.is_there(key):
            raise no_experiment(key)
        return key

    async def is_there(self, key: str) -> bool:
        """Whether the run is there; yes where nobody can tell at the moment, because what is said of it must not be
        lost."""
        if key not in self._known:
            try:
                if await self.lookup.run(key) is None:
                    return False
            except StoreError:
                return True
            self.knows(key)
        return True


def _encoded(event: AnyEvent) -> bytes:
    """Raises Problem where it is larger than an event may be."""
    data = encode_event(event)
    if len(data) > limits.MAX_EVENT_BYTES:
        raise refused(
            f"what is written takes {len(data)} bytes, at most {limits.MAX_EVENT_BYTES} are kept at once: log long "
            "texts as assets",
            status=413,
        )
    return data
