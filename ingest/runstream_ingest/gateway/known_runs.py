"""Whether the runs that requests are about exist: a mistyped id must not become a run."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from runstream.events.control import AnyEvent, RunEvent, RunStarted
from runstream_service.lookup import Lookup
from runstream_service.problems import Problem
from runstream_service.store import StoreError

#: How often the read models are looked at for a run that they do not have.
_LOOK_S: Final = 0.1


class KnownRuns:
    """The runs that were found once, and those that began here. Used from one event loop.

    lookup: what the read models have; None where nobody tells, and every run counts as known. patience_s: how long a
    run may take to come there, because another gateway appended its first record only now. remembered: that many.
    """

    def __init__(
        self,
        lookup: Lookup | None,
        patience_s: float,
        remembered: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._patience_s = patience_s
        self._limit = remembered
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._known: OrderedDict[str, None] = OrderedDict()

    async def check(self, commands: Sequence[tuple[str, AnyEvent]]) -> None:
        """Raises Problem (404) for a command about a run that does not exist and that no command of the same request
        starts. What the store cannot tell now is believed: the log takes commands without it."""
        started = {key for key, event in commands if isinstance(event, RunStarted)}
        wanted = dict.fromkeys(run for key, event in commands if (run := _run_of(key, event)) is not None)
        until_s = self._monotonic_s() + self._patience_s
        for run in wanted:
            if run not in started and not await self.exists(run, until_s):
                raise Problem(
                    404,
                    "no-such-run",
                    "There is no such run",
                    f"No run has the id {run!r}: look it up in /api/v1/runs. A run that was started just now is there "
                    "once its first record has come.",
                    run=run,
                )

    async def exists(self, run: str, until_s: float | None = None) -> bool:
        """Return whether the run is there, looking for it until `until_s` of the clock (None: once); yes where nobody
        can tell at the moment, because what is written about it must not be lost."""
        if self._lookup is None:
            return True
        while run not in self._known:
            try:
                found = await self._lookup.run(run)
            except StoreError:
                return True
            if found is not None:
                self.remember(run)
            elif until_s is None or self._monotonic_s() >= until_s:
                return False
            else:
                await self._sleep(_LOOK_S)
        return True

    def remember_started(self, commands: Sequence[tuple[str, AnyEvent]]) -> None:
        """Note the runs that these commands started, once they are durable."""
        for key, event in commands:
            if isinstance(event, RunStarted):
                self.remember(key)

    def remember(self, run: str) -> None:
        """Note that the run is there, or will be: the log has its first record."""
        self._known[run] = None
        self._known.move_to_end(run)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


def _run_of(key: str, event: AnyEvent) -> str | None:
    """Return the run that an event is about, or refers to; None if there is none, or if it makes one."""
    if isinstance(event, RunEvent):
        return key
    run = getattr(event, "run", None)
    return run if isinstance(run, str) else None
