"""Appending what foreign clients write, each statement once and only where its principal may, and waiting until it can
be read."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Self

from aiohttp import web

from runstream.clock import SYSTEM_CLOCK
from runstream.events import limits
from runstream.events.control import AnyEvent, encode_event
from runstream.events.frame import read_header
from runstream.events.positions import Positions
from runstream_ingest.gateway.append import Appender
from runstream_ingest.gateway.frames import Sent
from runstream_ingest.gateway.known_runs import KnownRuns
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.rights import WriterRights
from runstream_ingest.gateway.routes import Gateway
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.statements import Statement, encoded_frames
from runstream_protocols.kit.uploads import Uploads
from runstream_service.access import Action, principal_of
from runstream_service.assets import AssetStorage
from runstream_service.lookup import Lookup
from runstream_service.problems import Problem
from runstream_service.turns import in_turns

#: Runs that are known to be there: no need to look again.
_KNOWN_RUNS: Final = 100_000
#: Statements without a time of the client's, of which nobody knows whether they are durable: the last so many.
_UNSETTLED: Final = 10_000
#: Clients send a request four times at most, with 12 s of pauses between them and 10 s of patience each.
_REPEATED_WITHIN_US: Final = 60_000_000


#: The request that is handled. Nothing is appended without one: nobody would know what its principal may write.
_PENDING: ContextVar["_Pending"] = ContextVar("pending")


@dataclass(slots=True)
class _Pending:
    """A request, what it does, and what it appended that is to be visible when its response is sent."""

    request: web.Request
    action: Action
    positions: Positions = field(default_factory=Positions)


class Recorder:
    """What all handlers of a protocol append with. Used from one event loop."""

    def __init__(
        self,
        appender: Appender,
        pressure: Pressure,
        rights: WriterRights,
        lookup: Lookup,
        uploads: Uploads,
        visible_timeout_s: float,
        is_only: bool = True,
        now_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
    ) -> None:
        self.lookup = lookup
        self.uploads = uploads
        self.now_us = now_us
        self._appender = appender
        self._pressure = pressure
        self._rights = rights
        self._visible_timeout_s = visible_timeout_s
        self._is_only = is_only
        self.known_runs = KnownRuns(lookup, 0.0, _KNOWN_RUNS)
        self._unsettled: OrderedDict[bytes, int] = OrderedDict()
        self._last_stamp = 0
        self._last = Positions()

    @classmethod
    def of(cls, gateway: Gateway, lookup: Lookup, assets: AssetStorage, patience_s: float) -> Self:
        """Return the recorder of a protocol at a gateway. `patience_s`: how long its client waits for a response, which
        no wait for visibility may exceed."""
        settings = gateway.settings
        return cls(
            gateway.appender,
            gateway.pressure,
            gateway.rights,
            lookup,
            Uploads(assets, gateway.pressure, settings),
            min(patience_s, settings.visible_timeout_s),
            settings.is_only_gateway,
        )

    def statement(self, key: str, content: bytes, at_us: int | None) -> Statement:
        """Return the statement of a request. `content`: path and body; `at_us`: the time in it, by which the same
        content is the same statement. Without one it is a new statement, unless nobody knows whether the last one of
        the same content is durable: the client may be repeating it."""
        if at_us is not None:
            return Statement(key, content, at_us)
        stamp = self._unsettled_stamp(content)
        self._unsettled.pop(content, None)
        return Statement(key, content, self.stamp() if stamp is None else stamp, stamped=True)

    @contextmanager
    def until_responded(self, request: web.Request, content: bytes) -> Iterator[int]:
        """Give the stamp of a request whose content counts once until its response is sent: repeated meanwhile, or
        after the client went away or was told to come again, it has the same stamp."""
        stamp = self._unsettled_stamp(content)
        if stamp is None:
            stamp = self.stamp()
            self._keep(content, stamp)
        try:
            yield stamp
        except Problem as problem:
            if problem.status < 500:
                self._responded(request, content)
            raise
        else:
            self._responded(request, content)

    def _unsettled_stamp(self, content: bytes) -> int | None:
        stamp = self._unsettled.get(content)
        # The client gave up long ago: whoever sends the same now means it anew.
        return stamp if stamp is not None and self.now_us() - stamp < _REPEATED_WITHIN_US else None

    def _keep(self, content: bytes, stamp: int) -> None:
        self._unsettled[content] = stamp
        while len(self._unsettled) > _UNSETTLED:
            self._unsettled.popitem(last=False)

    def _responded(self, request: web.Request, content: bytes) -> None:
        if request.transport is not None and not request.transport.is_closing():
            self._unsettled.pop(content, None)

    def stamp(self) -> int:
        """Return microseconds since 1970 UTC, ascending: no two are equal."""
        self._last_stamp = max(self.now_us(), self._last_stamp + 1)
        return self._last_stamp

    async def append(self, statement: Statement, frames: Sequence[bytes], *, wait: bool = True) -> Positions:
        """Append the frames of a statement. Returns their positions when they are durable. If `wait`, the request has
        its response when they are visible: not here, because it holds its body until its handler returns. Raises
        LogUnavailable, and Problem where the request's principal may not write to what the statement is about."""
        pending = _PENDING.get()
        sent = (Sent(number, read_header(frame), memoryview(frame)) for number, frame in enumerate(frames))
        await self._rights.check_frames(principal_of(pending.request), sent, pending.action)
        try:
            positions = await self._appender.append([(statement.key.encode(), frame) for frame in frames])
        except BaseException:
            if statement.stamped:
                self._keep(statement.content, statement.at_us)
            raise
        self._last = self._last.merged(positions)
        if wait:
            pending.positions = pending.positions.merged(positions)
        return positions

    async def require(self, key: str) -> None:
        """Refuse a request whose principal may not write to this run, project or artifact, before anything of it is
        taken. Raises Problem."""
        pending = _PENDING.get()
        await self._rights.check_key(principal_of(pending.request), pending.action, key)

    @contextmanager
    def responding(self, request: web.Request, action: Action) -> Iterator[None]:
        """For the block, appends count as those of this request, which does `action`."""
        token = _PENDING.set(_Pending(request, action))
        try:
            yield
        finally:
            _PENDING.reset(token)

    async def wait_until_visible(self) -> bool:
        """Wait until what the request appended is visible, or the wait is over. Returns whether it is visible."""
        return await self.visible(_PENDING.get().positions)

    async def visible(self, positions: Positions) -> bool:
        """Return whether the positions can be read, when the wait is over; only so many requests wait at once."""
        return await self._pressure.visible(_PENDING.get().request, positions, self._visible_timeout_s)

    async def can_be_found(self, positions: Positions) -> bool:
        """Return whether requests about a run that began there find it, when the wait is over: this gateway remembers
        it, but others look into the read models, and refuse requests about a run that these do not have."""
        return await self.visible(positions) or self._is_only

    async def settled(self) -> bool:
        """Return whether all that was appended here can be read, when the wait is over."""
        return await self.visible(self._last)

    async def record(
        self,
        key: str,
        content: bytes,
        events: Sequence[AnyEvent],
        *,
        at_us: int | None = None,
        wait: bool = True,
    ) -> Positions:
        """Append events about a key as one statement."""
        # All are encoded before the first is appended: one that cannot be would leave half of them in the log.
        encoded = [_encoded(event) async for event in in_turns(events)]
        statement = self.statement(key, content, at_us)
        frames = [frame async for frame in in_turns(encoded_frames(statement, encoded))]
        return await self.append(statement, frames, wait=wait)


def _encoded(event: AnyEvent) -> bytes:
    """Raises Refused where it is larger than an event may be."""
    data = encode_event(event)
    if len(data) > limits.MAX_EVENT_BYTES:
        raise Refused(
            f"what is written takes {len(data)} bytes, at most {limits.MAX_EVENT_BYTES} are kept at once: log long "
            "texts as assets",
            status=413,
        )
    return data
