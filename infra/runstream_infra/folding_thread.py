"""The worker in a thread with an event loop of its own, so that folding never holds up a request."""

import asyncio
import logging
import threading
from collections.abc import Callable

from runstream_processors.worker.loop import Worker

logger = logging.getLogger(__name__)


class FoldingThread:
    """Runs a worker until it is stopped. `on_death` is called, from the thread, if the worker gives up by itself."""

    def __init__(self, worker: Worker, on_death: Callable[[BaseException], None]) -> None:
        self._worker = worker
        self._on_death = on_death
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Let the worker write what it has read, then end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._worker.run(self._stop))
        except BaseException as error:
            logger.critical("the worker gave up: %s", error)
            self._on_death(error)
        finally:
            self._loop.close()
