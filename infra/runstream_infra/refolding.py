"""Making the next generation of the read models beside the one that serves, in the embedded server.

What is to be done is decided by `runstream_processors.generations`; here it is done. The order of the steps, and what a
crash leaves at each of them, stand in docs/design/generations.md.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from runstream.events.positions import Positions
from runstream_infra.folding_thread import FoldingThread
from runstream_infra.refold_status import Doing, RefoldStatus
from runstream_processors.catching_up import CatchingUp
from runstream_processors.comparing import key_differences, same_in_both
from runstream_processors.generations import (
    Generation,
    Plan,
    Purpose,
    Rebuild,
    Recorded,
    Stage,
    after_comparison,
    plan,
    rebuild_row,
)
from runstream_processors.store.repairing import DatabaseStore, SelfRepairingStore
from runstream_processors.worker.guarding import CrashDirectory, CrashGuard
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.log import LogError, LogReader
from runstream_service.store import StoreError, StoreUnavailable
from runstream_service.visibility import Progress

logger = logging.getLogger(__name__)

#: How long folding may be held for the switch; then it goes on and the switch is tried again.
_HELD_MOST_S: Final = 30.0
#: Between two looks at how far the new generation is.
_LOOK_EVERY_S: Final = 0.5
#: Between two looks at the plan, while nothing is to be done or requested, and the pause after a failure.
_PLAN_EVERY_S: Final = 60.0
_RETRY_S: Final = 5.0


@dataclass(slots=True)
class _Build:
    """A generation under way: its tables, its worker's thread and how far that is."""

    generation: Generation
    purpose: Purpose
    tables: DatabaseStore
    progress: Progress
    thread: FoldingThread
    doing: Doing = "folding"
    ends: Mapping[int, int] | None = None
    died: BaseException | None = None
    differences: str = ""


class Refolding:
    """Keeps the generation that serves at the versions of this build. `run` belongs to the server's loop; `status` may
    be read from anywhere."""

    def __init__(
        self,
        log: LogReader,
        store: SelfRepairingStore,
        progress: Progress,
        settings: WorkerSettings,
        crashes: CrashDirectory,
        *,
        on_step: Callable[[str], None] = lambda step: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """progress: how far the generation that serves is. on_step: called with the name of each step of a build when
        it is done, and with those of its worker (fault tests)."""
        self._log = log
        self._store = store
        self._progress = progress
        self._settings = settings
        self._crashes = crashes
        self._on_step = on_step
        self._monotonic_s = monotonic_s
        self._plan: Plan | None = None
        self._build: _Build | None = None
        self._rebuild: Rebuild | None = None
        self._trouble: str | None = None
        self._requesting = asyncio.Lock()
        self._requested = asyncio.Event()

    @property
    def status(self) -> RefoldStatus | None:
        """None until the plan was made for the first time."""
        chosen, build = self._plan, self._build
        if chosen is None:
            return None
        ends = build.ends if build is not None and build.ends is not None else {}
        visible = build.progress.visible() if build is not None else Positions()
        return RefoldStatus(
            serving=chosen.serve.number,
            differences=tuple(map(str, chosen.differences)),
            building=None if chosen.build is None else chosen.build.number,
            doing=None if chosen.build is None else build.doing if build is not None else "folding",
            folded=sum(min(visible[part], end) for part, end in ends.items()),
            records=sum(ends.values()),
            obstacle=chosen.obstacle,
            trouble=self._trouble,
            rebuild=self._rebuild,
        )

    async def request(self, purpose: Purpose) -> Rebuild:
        """Let tables of this build's versions be built beside those that serve. Raises RebuildRefused where that cannot
        be done now, StoreError, LogError."""
        async with self._requesting:
            found = await self._store.generations()
            row = rebuild_row(found, self._store.versions, await self._log.begin_offsets(), purpose)
            await self._store.record(row)
        self._on_step("rebuild requested")
        self._requested.set()
        self._rebuild = Rebuild(row.number, purpose is Purpose.REPLACE)
        return self._rebuild

    async def run(self, serving: FoldingThread) -> None:
        """Until it is cancelled. serving: the worker of the generation that serves. What goes wrong is logged and tried
        again."""
        while True:
            try:
                if not await self._advance(serving):
                    self._trouble = None
                    await self._until_requested()
            except (StoreError, LogError, OSError) as error:
                self._trouble = str(error)
                logger.warning("the read models cannot be built anew, the next try is in %.0f s: %s", _RETRY_S, error)
                await asyncio.sleep(_RETRY_S)
            except Exception as error:
                self._trouble = f"{type(error).__name__}: {error}"
                logger.exception("the read models cannot be built anew, the next try is in %.0f s", _RETRY_S)
                await asyncio.sleep(_RETRY_S)

    async def _until_requested(self) -> None:
        """Wait for a request, but not for longer than the plan may stay as it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PLAN_EVERY_S):
                await self._requested.wait()

    async def _advance(self, serving: FoldingThread) -> bool:
        """Do what the plan says; whether there may be more to do."""
        self._requested.clear()
        found = await self._store.generations()
        self._rebuild = found.rebuild
        known = None if self._plan is None else self._plan.obstacle
        self._plan = chosen = plan(found, self._store.versions, await self._log.begin_offsets())
        for generation in chosen.drop:
            await self._drop(generation)
        if chosen.obstacle is not None and chosen.obstacle != known:
            logger.warning("%s", chosen.obstacle)
        if chosen.build is None:
            return False
        logger.info(
            "generation %d of the read models is built beside generation %d, which serves (%s)",
            chosen.build.number,
            chosen.serve.number,
            ", ".join(map(str, chosen.differences)) or "a rebuild was requested",
        )
        if found.building != chosen.build:
            await self._record(chosen.build, Stage.BUILDING)
            self._on_step("building recorded")
        self._build = await self._begin(chosen.build, chosen.purpose)
        try:
            await self._finish(self._build, chosen.serve, serving)
        finally:
            await self._build.thread.stop()
            self._build = None
        return True

    async def _begin(self, generation: Generation, purpose: Purpose) -> _Build:
        """Make its tables, and let a worker fold the log into them from where they end."""
        tables = await self._store.attach(self._store.database_of(generation))
        self._on_step("tables made")
        progress = Progress()
        guard = CrashGuard(self._crashes, "rebuilding", self._settings, also=("worker",))
        worker = Worker(
            self._log,
            tables,
            progress,
            self._settings,
            guard=guard,
            versions=lambda: generation.versions,
            on_step=lambda step: self._on_step(f"rebuilding: {step}"),
        )

        def on_death(error: BaseException) -> None:
            build.died = error

        build = _Build(generation, purpose, tables, progress, FoldingThread(worker, on_death, "rebuilding"))
        build.thread.start()
        return build

    async def _finish(self, build: _Build, live: Generation, serving: FoldingThread) -> None:
        await self._catch_up(build)
        self._on_step("caught up")
        build.doing = "comparing"
        upto = self._progress.visible().common(build.progress.visible())
        differing = await key_differences(
            build.tables,
            self._store.database_of(live),
            build.tables.database,
            same_in_both(live.versions, build.generation.versions),
            upto,
        )
        self._on_step("compared")
        stage, build.differences = after_comparison(build.purpose, differing)
        if differing:
            logger.error("generation %d differs up to %s: %s", build.generation.number, upto, build.differences)
        if stage is not Stage.READY:
            await self._record(build.generation, stage, build.differences)
            return
        await self._catch_up(build)
        build.doing = "switching"
        await self._switch(build, serving)

    async def _catch_up(self, build: _Build) -> None:
        """Wait until the new generation has nearly all that is in the log."""
        watch = CatchingUp()
        while True:
            build.ends = await self._log.next_offsets()
            if watch.look(build.ends, build.progress.visible().next_offsets, self._monotonic_s()):
                return
            await self._until_folded(build, Positions(build.ends))

    async def _until_folded(self, build: _Build, wanted: Positions) -> None:
        while not await build.progress.wait_for(wanted, _LOOK_EVERY_S):
            if build.died is not None:
                raise StoreUnavailable(f"its worker gave up: {build.died}") from build.died
            found = await self._store.generations()
            if found.building != build.generation:
                raise StoreUnavailable(f"generation {build.generation.number} is not there any more")

    async def _switch(self, build: _Build, serving: FoldingThread) -> None:
        """Let the new generation serve, from one query to the next."""
        async with serving.held():
            self._on_step("folding held")
            try:
                async with asyncio.timeout(_HELD_MOST_S):
                    await self._until_folded(build, self._progress.visible())
            except TimeoutError as error:
                raise StoreUnavailable(
                    f"it did not catch up while folding was held for {_HELD_MOST_S:.0f} s"
                ) from error
            await build.thread.stop()
            self._on_step("caught up with what serves")
            await self._serve(build)
        self._on_step("switched")

    async def _serve(self, build: _Build) -> None:
        """Record that it serves, which is the switch, and serve it. Whether an insert that failed is there has to be
        known before folding goes on, so this tries until the store tells."""
        generation = build.generation
        while True:
            try:
                found = await self._store.generations()
                if found.serving != generation:
                    if found.building != generation:
                        return  # the store was damaged and made anew meanwhile
                    await self._record(generation, Stage.SERVING, build.differences)
                    self._on_step("serving recorded")
                self._store.serve(generation)
            except StoreError as error:
                self._trouble = str(error)
                logger.warning("whether generation %d serves is not known yet: %s", generation.number, error)
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            self._progress.advance(build.progress.visible())
            logger.info("generation %d of the read models serves", generation.number)
            return

    async def _drop(self, generation: Generation) -> None:
        await self._store.drop(self._store.database_of(generation))
        self._on_step("tables dropped")
        await self._record(generation, Stage.DROPPED)
        self._on_step("dropping recorded")
        logger.info("the tables of generation %d are gone", generation.number)

    async def _record(self, generation: Generation, stage: Stage, detail: str = "") -> None:
        await self._store.record(Recorded(generation.number, stage, generation.versions, detail))
