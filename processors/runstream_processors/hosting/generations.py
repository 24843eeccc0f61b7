"""The workers of this process's partitions, for each generation of the read models that is folded."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from runstream_processors.hosting.partitions import PartitionWorkers
from runstream_processors.worker.loop import Counts, Worker

#: Makes the worker of a partition.
MakeWorker = Callable[[int], Worker]


class GenerationWorkers:
    """What was assigned is folded into every generation at the same time. Belongs to one event loop; the properties
    may be read from anywhere.

    `doubt` and `assign` are as with `PartitionWorkers`.
    """

    def __init__(self, on_death: Callable[[BaseException], None]) -> None:
        """on_death: called when a worker gave up by itself (the log is damaged)."""
        self._on_death = on_death
        self._folding: dict[int, PartitionWorkers] = {}
        self._closing: dict[asyncio.Task[None], PartitionWorkers] = {}
        self._past = Counts()
        #: The number of the generation that serves.
        self.serving = 0
        self._assigned: frozenset[int] | None = None

    @property
    def settled(self) -> bool:
        """Whether it is settled what this process folds, if only nothing."""
        return all(workers.settled for workers in self._folding.values()) and self._assigned is not None

    @property
    def workers(self) -> Mapping[int, Worker]:
        """The workers of the generation that serves, by partition."""
        serving = self._folding.get(self.serving)
        return serving.workers if serving is not None else {}

    @property
    def building(self) -> Mapping[int, Mapping[int, Worker]]:
        """Those of the other generations, by number of the generation and partition."""
        return {number: one.workers for number, one in self._folding.items() if number != self.serving}

    @property
    def counts(self) -> Counts:
        """Of all workers that there are and were, so that they only grow."""
        there = (*self._closing.values(), *self._folding.values())
        return sum((workers.counts for workers in there), self._past)

    def fold(self, generations: Mapping[int, MakeWorker], serving: int) -> None:
        """Fold these generations, by number, and no others from now on. Returns at once."""
        self.serving = serving
        for number in self._folding.keys() - generations.keys():
            workers = self._folding.pop(number)
            closing = asyncio.create_task(workers.close(), name=f"generation {number}")
            self._closing[closing] = workers
            closing.add_done_callback(self._closed)
        for number in generations.keys() - self._folding.keys():
            workers = self._folding[number] = PartitionWorkers(generations[number], self._on_death)
            if self._assigned is not None:
                workers.assign(self._assigned)

    def assign(self, partitions: Collection[int]) -> None:
        """See `PartitionWorkers.assign`."""
        self._assigned = frozenset(partitions)
        for workers in self._folding.values():
            workers.assign(partitions)

    def doubt(self) -> None:
        """See `PartitionWorkers.doubt`."""
        for workers in self._folding.values():
            workers.doubt()

    async def close(self) -> None:
        """Stop all workers; what they folded is written, within a bounded time."""
        await asyncio.gather(*(workers.close() for workers in self._folding.values()), *self._closing)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._past += self._closing.pop(task).counts
