"""What every handler has: the seams, the settings, the clock; and the reads that all of them share."""

import asyncio
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar, TypeVarTuple

from runstream.events.moments import moment_of
from runstream.events.positions import InvalidPositions, Positions
from runstream_query.errors import InvalidRequest, NotFound, NotVisible
from runstream_query.filters.times import instant_us
from runstream_query.http.outgoing import Outgoing
from runstream_query.repositories import Repositories
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.reader import Usage
from runstream_query.settings import QuerySettings
from runstream_service.access import NOTHING, Scope
from runstream_service.assets import AssetReader
from runstream_service.log import LogReader
from runstream_service.routing import Route
from runstream_service.store import QueryClass, StoreReader
from runstream_service.visibility import Visibility

#: What is meant as a position and not as a time, in either spelling.
_POSITION: Final = re.compile(r"next:|\d+:\d+(,\d+:\d+)*\Z")
T = TypeVar("T")
Given = TypeVarTuple("Given")


@dataclass(frozen=True, slots=True)
class Context:
    store: StoreReader
    visibility: Visibility
    log: LogReader | None
    assets: AssetReader
    settings: QuerySettings
    #: Microseconds since 1970 UTC.
    now_us: Callable[[], int]
    #: The routes of each OpenAPI document, by its name.
    documents: Mapping[str, Sequence[Route]] = field(default_factory=dict)
    #: Set when the server begins to stop: live streams end.
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: The live streams that are open, and what those with the same scope share, by scope.
    feeds: dict[Any, Any] = field(default_factory=dict)
    live: set[object] = field(default_factory=set)
    #: The OpenAPI documents as they are sent, once somebody asked for them.
    encoded_documents: dict[str, bytes] = field(default_factory=dict)
    #: What is on its way to readers, and the reads of the past that fold at the moment; made for the application.
    outgoing: Outgoing = field(default=None)  # type: ignore[assignment]
    folding: asyncio.Semaphore = field(default=None)  # type: ignore[assignment]
    #: What this request may see: nothing, before it is known whose it is.
    scope: Scope = NOTHING
    #: What this request reads by, in slots of the class of its queries.
    repositories: Repositories = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.outgoing is None:
            object.__setattr__(self, "outgoing", Outgoing(self.settings))
        if self.folding is None:
            object.__setattr__(self, "folding", asyncio.Semaphore(self.settings.past_folds))
        if self.repositories is None:
            object.__setattr__(self, "repositories", Repositories.over(self.store, QueryClass.LIGHT))

    @property
    def usage(self) -> Usage:
        """Return what this request has read."""
        return self.repositories.reader.usage

    def clock(self, now_us: int | None = None) -> Clock:
        return Clock(self.now_us() if now_us is None else now_us, round(self.settings.silence_s * 1_000_000))

    def for_request(self, of: QueryClass, scope: Scope) -> Self:
        """Return the context of one request, whose queries are of this class and see this scope."""
        return dataclasses.replace(self, scope=scope, repositories=Repositories.over(self.store, of))

    async def off_loop(self, work: Callable[[*Given], T], *given: *Given) -> T:
        """What `work`, a pure function, makes of what was read: in a thread if that is much."""
        return await self.repositories.reader.off_loop(work, *given)

    async def wait(self, wait_for: str | None, wait_s: float | None) -> None:
        """Wait until the position is visible. Raises InvalidRequest, NotVisible."""
        if wait_for is not None:
            await self.wait_for(_positions(wait_for, "wait_for"), wait_s)

    async def wait_for(self, wanted: Positions, wait_s: float | None) -> None:
        """Wait, within the bounds of the settings, until `wanted` is visible. Raises NotVisible."""
        bound_s = min(self.settings.wait_s if wait_s is None else wait_s, self.settings.max_wait_s)
        if not await self.visibility.wait_for(wanted, bound_s):
            raise NotVisible(
                f"position {wanted} was not visible within {bound_s:g} s; visible is {self.visibility.visible()}: "
                f"ask again, or with a longer wait_s (at most {self.settings.max_wait_s:g})"
            )

    async def prefix(self, as_of: str | None, wait_s: float | None) -> Positions | None:
        """The prefix of the log that `as_of` means: a position, or a time of the log's clock; None if it is None.

        It is visible when this returns. Raises InvalidRequest, NotVisible.
        """
        if as_of is None:
            return None
        if _POSITION.match(as_of.strip()):
            wanted = _positions(as_of, "as_of")
        else:
            try:
                at_us = instant_us(as_of)
            except ValueError as error:
                raise InvalidRequest(f"as_of: {error}; or give a position such as next:0:42", name="as_of") from None
            if self.log is None:
                raise InvalidRequest("as_of: this server has no log, so only positions work (next:0:42)", name="as_of")
            wanted = await self.log.position_at(at_us)
            await _check_begun(self.log, wanted, at_us, as_of)
        await self.wait_for(wanted, wait_s)
        return wanted

    async def require_run(self, run: str) -> None:
        """Raises NotFound if nothing was ever heard of the run."""
        if not await self.repositories.runs.exists(self.scope, run):
            raise NotFound(f"no run has the id {run!r}: look it up in /api/v1/runs, or wait for it with wait_for")


async def _check_begun(log: LogReader, wanted: Positions, at_us: int, as_of: str) -> None:
    """Raises InvalidRequest for a time at which the log had nothing yet, unless it has nothing now either."""
    begins = await log.begin_offsets()
    if any(wanted[part] > offset for part, offset in begins.items()):
        return
    firsts = [await log.read(part, offset, 1, 0) for part, offset in begins.items()]
    began_us = min((records[0].at_us for records in firsts if records), default=None)
    if began_us is not None and at_us < began_us:
        raise InvalidRequest(
            f"as_of: {as_of} is before the log begins, at {moment_of(began_us).isoformat()}: give a later time",
            name="as_of",
        )


def _positions(text: str, name: str) -> Positions:
    try:
        return Positions.parse(text)
    except InvalidPositions as error:
        raise InvalidRequest(f"{name}: {error}", name=name) from None
