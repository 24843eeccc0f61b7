"""The threads of a store whose client blocks: its coroutines wait here for what runs there."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from runstream_service.store import StoreUnavailable

_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")


class StoreThreads:
    """So many inserts beside each other, and one command at a time; queries have slots (`StoreSlots`).

    All coroutines may be called from any event loop and thread. A caller that is cancelled gives up waiting; what it
    asked for may still happen. They raise what `work` raises, and StoreUnavailable once `close` was called.
    """

    def __init__(self, inserts: int) -> None:
        """Starts no thread yet: each starts with its first work. Raises ValueError unless it is 1 or more."""
        self._closed = False
        self._inserts = ThreadPoolExecutor(inserts, "store-write")
        self._commands = ThreadPoolExecutor(1, "store-command")

    async def insert(self, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        """Run `work` on a thread for inserts; waits for a free one."""
        return await self._in(self._inserts, work, *given)

    async def command(self, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        """Run `work` behind all commands before it."""
        return await self._in(self._commands, work, *given)

    def check_open(self) -> None:
        """Raises StoreUnavailable once `close` was called."""
        if self._closed:
            raise StoreUnavailable("the store is closed: open it again")

    async def close(self, release: Callable[[], None]) -> None:
        """Take nothing more, wait for what runs, then call `release` (in a thread). A second call does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._end, release)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        self.check_open()
        try:
            future = threads.submit(work, *given)
        except RuntimeError as error:
            raise StoreUnavailable("the store is closing: open it again") from error
        return await asyncio.wrap_future(future)

    def _end(self, release: Callable[[], None]) -> None:
        for threads in (self._inserts, self._commands):
            threads.shutdown(wait=True)
        release()
