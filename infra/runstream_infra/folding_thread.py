"""The worker in a thread with an event loop of its own, so that folding never holds up a request."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from runstream_processors.worker.loop import Worker

logger = logging.getLogger(__name__)


class FoldingThread:
    """Runs a worker until it is stopped. `on_death` is called, from the thread, if the worker gives up by itself."""

    def __init__(self, worker: Worker, on_death: Callable[[BaseException], None], name: str = "worker") -> None:
        self._worker = worker
        self._on_death = on_death
        self._loop = asyncio.new_event_loop()
        #: Ends the run of the worker that goes on; all of these belong to the thread's loop.
        self._stop = asyncio.Event()
        self._is_over = False
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Let the worker write what it has read, then end the thread. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
        await asyncio.to_thread(self._thread.join)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let the worker write what it has read. While the block lasts it folds nothing; behind it, it starts again
        from what the store holds then. Raises RuntimeError if the worker has given up."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._hold(), self._loop))
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._may_run.set)

    async def _hold(self) -> None:
        self._may_run.clear()
        self._stop.set()
        await self._is_idle.wait()

    def _end(self) -> None:
        self._is_over = True
        self._stop.set()
        self._may_run.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        except BaseException as error:
            logger.critical("the worker gave up: %s", error)
            self._on_death(error)
        finally:
            self._loop.close()

    async def _work(self) -> None:
        while not self._is_over:
            if not self._may_run.is_set():
                await self._may_run.wait()
                continue
            self._stop.clear()
            self._is_idle.clear()
            try:
                await self._worker.run(self._stop)
            finally:
                self._is_idle.set()
