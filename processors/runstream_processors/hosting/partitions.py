"""A worker for every partition that this process was given."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from runstream_processors.worker.loop import Counts, Worker

logger = logging.getLogger(__name__)

#: How long a worker that has to go may take to write what it folded. Its successor need not wait for it.
_STOP_S: Final = 10.0


@dataclass(slots=True)
class _Running:
    worker: Worker
    stop: asyncio.Event
    task: asyncio.Task[None]


class PartitionWorkers:
    """Starts and stops workers. Belongs to one event loop; `workers` may be read from anywhere.

    A rebalance takes all partitions away for a moment and mostly gives the same ones back. The workers go on meanwhile,
    which does no harm; only those that are not given back are stopped, and all of them if nobody says anything for
    `doubt_s`.
    """

    def __init__(
        self,
        make: Callable[[int], Worker],
        on_death: Callable[[BaseException], None],
        *,
        doubt_s: float = 15.0,
        stop_s: float = _STOP_S,
    ) -> None:
        """make: the worker of a partition. on_death: called when one gave up by itself (the log is damaged)."""
        self._make = make
        self._on_death = on_death
        self._doubt_s = doubt_s
        self._stop_s = stop_s
        self._running: dict[int, _Running] = {}
        self._stopping: dict[asyncio.Task[None], Worker] = {}
        self._past = Counts()
        self._doubt: asyncio.TimerHandle | None = None
        #: Whether it is settled what this process folds, if only nothing: not before the first assignment, and not
        #: after a rebalance that does not end.
        self.settled = False

    @property
    def workers(self) -> Mapping[int, Worker]:
        """The workers by partition."""
        return {part: running.worker for part, running in self._running.items()}

    @property
    def counts(self) -> Counts:
        """Of all workers that there are and were, so that counts only grow."""
        there = (*self._stopping.values(), *self.workers.values())
        return sum((worker.counts for worker in there), self._past)

    def assign(self, partitions: Collection[int]) -> None:
        """These and no others are this process's from now on. Returns at once."""
        self._no_doubt()
        self.settled = True
        for part in sorted(self._running.keys() - set(partitions)):
            self._end(part)
        for part in sorted(set(partitions) - self._running.keys()):
            self._begin(part)

    def doubt(self) -> None:
        """A rebalance began. If it does not end in time, somebody else has the partitions for long."""
        if self._doubt is None:
            self._doubt = asyncio.get_running_loop().call_later(self._doubt_s, self._give_up)

    async def close(self) -> None:
        """Stop all workers; what they folded is written, within a bounded time."""
        self._no_doubt()
        for part in list(self._running):
            self._end(part)
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _begin(self, part: int) -> None:
        worker, stop = self._make(part), asyncio.Event()
        task = asyncio.create_task(worker.run(stop), name=f"partition {part}")
        task.add_done_callback(self._ended)
        self._running[part] = _Running(worker, stop, task)
        logger.info("folding partition %d", part)

    def _end(self, part: int) -> None:
        running = self._running.pop(part)
        running.stop.set()
        stopping = asyncio.create_task(_stopped(running.task, self._stop_s))
        self._stopping[stopping] = running.worker
        stopping.add_done_callback(self._stopped)
        logger.info("no longer folding partition %d", part)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        self._past += self._stopping.pop(task).counts

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_death(error)

    def _give_up(self) -> None:
        self._doubt = None
        self.settled = False
        logger.warning(
            "no partitions were assigned for %.0f s: this process stops folding until some are", self._doubt_s
        )
        for part in list(self._running):
            self._end(part)

    def _no_doubt(self) -> None:
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None


async def _stopped(task: asyncio.Task[None], within_s: float) -> None:
    done, _ = await asyncio.wait((task,), timeout=within_s)
    if not done:
        task.cancel()
        await asyncio.wait((task,))
