"""How far the read models are, for processes that do not fold: asked of the store."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from runstream.events.positions import Positions
from runstream_service.store import StoreError
from runstream_service.visibility import Progress

logger = logging.getLogger(__name__)

#: While somebody waits, and while nobody does. One question reads a row a partition.
_EAGER_S: Final = 0.05
_LAZY_S: Final = 1.0


class StoreVisibility:
    """`runstream_service.visibility.Visibility` by looking at the commit rows again and again.

    Belongs to the event loop that `start` was called in. While the store is away, what was visible stays so, and waits
    run into their bounds.
    """

    def __init__(self, committed: Callable[[], Awaitable[Positions]] | None = None) -> None:
        #: Tells up to where the tables are complete. May be set later: a gateway takes in data before it has found the
        #: store.
        self.committed = committed
        self._progress = Progress()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: Why the last look did not work; None if it did.
        self.trouble: str | None = "it has not looked into the store yet"
        #: When the last look that worked ended, on the monotonic clock; None before it, when nothing is known of what
        #: is visible.
        self.looked_at_s: float | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def visible(self) -> Positions:
        return self._progress.visible()

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        with self._looking_eagerly():
            return await self._progress.wait_for(wanted, timeout_s)

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        with self._looking_eagerly():
            return await self._progress.wait_beyond(seen, timeout_s)

    @contextmanager
    def _looking_eagerly(self) -> Iterator[None]:
        self._waiting += 1
        self._wake.set()
        try:
            yield
        finally:
            self._waiting -= 1

    async def _follow(self) -> None:
        while True:
            await self._look()
            self._wake.clear()
            try:
                # A first waiter ends a lazy pause.
                async with asyncio.timeout(_LAZY_S):
                    await (asyncio.sleep(_EAGER_S) if self._waiting else self._wake.wait())
            except TimeoutError:
                pass

    async def _look(self) -> None:
        if self.committed is None:
            return
        try:
            found = await self.committed()
        except StoreError as error:
            if self.trouble != str(error):
                logger.warning("how far the read models are cannot be told: %s", error)
            self.trouble = str(error)
            return
        self.trouble, self.looked_at_s = None, time.monotonic()
        self._progress.advance(found)
