"""A worker process of a cluster on the way from one generation of the read models to the next.

Which generations it folds is decided by `runstream_processors.following`; the step that comes next, where this process
has partition 0 and so is the one to take it, by `runstream_processors.coordinating`.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from runstream.events.positions import Positions
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.cluster.shared_tables import SharedTables
from runstream_infra.cluster.store import ClusterStore
from runstream_processors.coordinating import Coordinator
from runstream_processors.following import folded
from runstream_processors.generations import Generation, GenerationsMismatch, check_not_newer, differences
from runstream_processors.hosting.generations import GenerationWorkers, MakeWorker
from runstream_processors.worker.guarding import CrashDirectory, CrashGuard
from runstream_processors.worker.loop import Worker
from runstream_service.log import LogError, LogReader
from runstream_service.store import Store, StoreError, StoreUnavailable
from runstream_service.visibility import Progress

logger = logging.getLogger(__name__)

#: Who folds this partition takes the next step.
_COORDINATING: Final = 0


class ClusterRefolding:
    """Folds the generations that are there in this process, and takes the next step where that is its turn."""

    def __init__(
        self,
        store: ClusterStore,
        log: LogReader,
        workers: GenerationWorkers,
        settings: RoleSettings,
        crashes: CrashDirectory | None,
        on_death: Callable[[BaseException], None],
        *,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """on_death: called where this process has to end, because it holds partitions that another build has to fold.
        on_step: see `TableWriter` and `Coordinator` (fault tests)."""
        self._store = store
        self._log = log
        self._workers = workers
        self._settings = settings
        self._crashes = crashes
        self._on_death = on_death
        self._on_step = on_step
        self._progress: defaultdict[int, Progress] = defaultdict(Progress)
        self._coordinator = Coordinator(
            SharedTables(store, log),
            lease_s=store.settings.lease_s,
            grace_s=store.settings.grace_s,
            wanted=store.versions,
            on_step=on_step,
        )
        #: By what was tried: what went wrong with it last, until it works again.
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What went wrong with following the generations or with the next step, until it works again."""
        return next(iter(self._troubles.values()), None)

    def visible(self) -> Positions:
        """Up to where this process knows that the generation that serves has its partitions."""
        return self._progress[self._workers.serving].visible()

    async def run(self) -> None:
        """Until it is cancelled, or `on_death` is called."""
        await asyncio.gather(self._again("follow", self._follow), self._again("coordinate", self._coordinate))

    async def fold(self) -> None:
        """Begin to fold the generations that are there now, and stop with those that are not. Raises StoreUnavailable,
        StoreInvalid; GenerationsMismatch where a newer build's generation serves: others have to fold it."""
        found = self._store.generations
        check_not_newer(differences(found.serving.versions, self._store.versions))
        makes: dict[int, MakeWorker] = {}
        for generation in folded(found, self._store.versions):
            is_built = generation == found.building
            try:
                tables = await self._store.attach(generation)
            except StoreUnavailable:
                if is_built:
                    continue  # they are not made yet, or gone again
                raise
            makes[generation.number] = partial(self._worker, generation, tables, "rebuilding: " if is_built else "")
        self._workers.fold(makes, found.serving.number)

    def _worker(self, generation: Generation, tables: Store, prefix: str, part: int) -> Worker:
        limits, number = self._settings.limits.worker, generation.number
        before = [_guard_name(earlier, part) for earlier in range(1, number)]
        return Worker(
            self._log,
            tables,
            self._progress[number],
            limits,
            partition=part,
            guard=CrashGuard(self._crashes, _guard_name(number, part), limits, also=before),
            versions=lambda: generation.versions,
            on_step=lambda step: self._on_step(f"{prefix}{step}"),
        )

    async def _again(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
                self._troubles.pop(name, None)
            except GenerationsMismatch as error:
                self._on_death(error)
                return
            except (StoreError, LogError) as error:
                if self._troubles.get(name) != str(error):
                    logger.warning("the generations of the read models stay as they are for now: %s", error)
                self._troubles[name] = str(error)
            except Exception as error:
                self._troubles[name] = f"{type(error).__name__}: {error}"
                logger.exception("the generations of the read models stay as they are for now")
            await asyncio.sleep(self._store.settings.poll_s)

    async def _follow(self) -> None:
        await self._store.look()
        await self.fold()

    async def _coordinate(self) -> None:
        if _COORDINATING in self._workers.workers:
            await self._coordinator.advance()


def _guard_name(generation: int, part: int) -> str:
    return f"partition-{part}" if generation == 1 else f"generation-{generation}-partition-{part}"
