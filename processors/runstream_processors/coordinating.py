"""Which step comes next on the way to another generation of the tables that the processes of a cluster share.

Any number of processes may take steps at the same time, and each may stop anywhere. A step is recorded behind the rows
that it was decided from, or not at all: whoever was slower reads again and decides anew. All that a step needs of the
world stands in `Shared`. docs/design/generations.md has the protocol and what a crash leaves at each step.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from runstream_processors.catching_up import SOON_S, CatchingUp, left
from runstream_processors.comparing import KeyDifference
from runstream_processors.generations import (
    CURRENT,
    Generation,
    Generations,
    Purpose,
    Rebuild,
    RebuildRefused,
    Recorded,
    Stage,
    Versions,
    after_comparison,
    is_newer,
    plan,
    rebuild_row,
)

logger = logging.getLogger(__name__)

#: The part of a lease that two looks take.
_LOOK_LEASES: Final = 0.2
#: Looks at a generation that is ready and does not move, after which it is given up: nobody folds it any more, and
#: readers wait for it.
_STILL_LOOKS: Final = 60


class Shared(Protocol):
    """What the processes of a cluster share, as a coordinator needs it. All raise StoreError or LogError."""

    async def generations(self) -> Generations:
        """Read the table of generations."""

    async def append(self, row: Recorded, after: int) -> bool:
        """Record a stage if the table has `after` rows. Returns whether it is there now."""

    async def begins(self) -> Mapping[int, int]:
        """Return the first offset that the log still has, by partition."""

    async def ends(self) -> Mapping[int, int]:
        """Return the next offset of the log, by partition."""

    async def folded(self, generation: Generation) -> Mapping[int, int]:
        """Return the next offset that every table of a generation waits for, by partition."""

    async def make(self, generation: Generation) -> None:
        """Make its database and its tables, those that are missing."""

    async def compare(self, live: Generation, fresh: Generation) -> Sequence[KeyDifference]:
        """Return what differs in the tables that both fold alike."""

    async def drop(self, generation: Generation) -> None:
        """Remove its tables, those that are left."""


class Coordinator:
    """Takes the next step, one a call of `advance`. Belongs to one event loop."""

    def __init__(
        self,
        shared: Shared,
        *,
        lease_s: float,
        grace_s: float,
        wanted: Versions = CURRENT,
        on_step: Callable[[str], None] = lambda step: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """lease_s: how long a process acts on what it read of the generations. grace_s: how long a generation that
        served is kept for builds that cannot read the next one; a lease at least. on_step: called with the name of each
        step when it is done (fault tests)."""
        self._shared = shared
        self._lease_s = lease_s
        self._grace_s = max(grace_s, lease_s)
        self._wanted = wanted
        self._on_step = on_step
        self._monotonic_s = monotonic_s
        #: When this coordinator first saw of a generation what was recorded before.
        self._seen_at_s: dict[tuple[int, str], float] = {}
        self._made: set[int] = set()
        #: What was found of those that may take over.
        self._compared: dict[int, str] = {}
        self._catching_up: dict[int, CatchingUp] = {}
        #: What a generation has to have before it serves: all that anybody took for visible without waiting for it.
        self._wanted_ends: dict[int, Mapping[int, int]] = {}
        self._still: tuple[Mapping[int, int], int] = ({}, 0)

    async def advance(self) -> None:
        """Take the next step, if its time has come. Raises StoreError and LogError; GenerationsMismatch where a newer
        build's generation serves."""
        found = await self._shared.generations()
        chosen = plan(found, self._wanted, await self._shared.begins())
        if await self._clear_one(found):
            return
        building = found.building
        if building is None:
            if chosen.build is not None:
                await self._record(chosen.build, Stage.BUILDING, found)
        elif is_newer(building.versions, self._wanted):
            await self._watch_still(building, found)  # the processes of that build go on with it
        elif building == chosen.build:
            await self._build(building, found)
        else:
            await self._record(building, Stage.RETIRED, found, chosen.obstacle or "")

    async def _build(self, building: Generation, found: Generations) -> None:
        if building.number not in self._made:
            await self._shared.make(building)
            self._made.add(building.number)
            self._on_step("tables made")
        if found.ready:
            await self._serve(building, found)
            return
        if not await self._is_near(building):
            return
        self._on_step("caught up")
        if building.number in self._compared:
            await self._record(building, Stage.READY, found, self._compared[building.number])
        else:
            await self._compare(building, found)

    async def _compare(self, building: Generation, found: Generations) -> None:
        differing = await self._shared.compare(found.serving, building)
        self._on_step("compared")
        stage, detail = after_comparison(found.purpose, differing)
        if differing:
            logger.error("generation %d differs from the one that serves: %s", building.number, detail)
        if stage is Stage.READY:
            self._compared[building.number] = detail
        else:
            await self._record(building, stage, found, detail)

    async def _is_near(self, building: Generation) -> bool:
        folded, ends = await self._shared.folded(building), await self._shared.ends()
        soon_s = max(SOON_S, self._lease_s * _LOOK_LEASES)
        watch = self._catching_up.setdefault(building.number, CatchingUp(soon_s))
        return watch.look(ends, folded, self._monotonic_s())

    async def _serve(self, building: Generation, found: Generations) -> None:
        """Let it serve once every process waits for it, and it has all that counted as visible before they did."""
        await self._watch_still(building, found)
        if self._since(building, "is ready") <= self._lease_s:
            return
        if building.number not in self._wanted_ends:
            self._wanted_ends[building.number] = await self._shared.folded(found.serving)
        if not left(self._wanted_ends[building.number], await self._shared.folded(building)):
            await self._record(building, Stage.SERVING, found, found.differences)

    async def _watch_still(self, building: Generation, found: Generations) -> None:
        """Give up a generation that is ready and that nobody folds: readers wait for it."""
        if not found.ready:
            return
        folded, looks = await self._shared.folded(building), 0
        if folded == self._still[0] and left(await self._shared.folded(found.serving), folded):
            looks = self._still[1] + 1
        self._still = folded, looks
        if looks > _STILL_LOOKS:
            logger.error("generation %d is given up: it does not move, and readers wait for it", building.number)
            await self._record(building, Stage.RETIRED, found)

    async def _clear_one(self, found: Generations) -> bool:
        """Retire a generation that served, or drop the tables of one that nobody can read or fold any more."""
        for one in found.leftovers:
            if one in found.former:
                if self._since(found.serving, "serves") > self._grace_s:
                    await self._record(one, Stage.RETIRED, found)
                    return True
            elif self._since(one, "given up") > self._lease_s:
                await self._shared.drop(one)
                self._on_step("tables dropped")
                await self._record(one, Stage.DROPPED, found)
                return True
        return False

    async def _record(self, generation: Generation, stage: Stage, found: Generations, detail: str = "") -> None:
        row = Recorded(generation.number, stage, generation.versions, detail)
        if await self._shared.append(row, found.rows):
            logger.info("generation %d of the read models: %s", generation.number, stage.value)
            self._on_step(f"{stage.value} recorded")

    def _since(self, generation: Generation, what: str) -> float:
        """For how long this coordinator has known it."""
        now_s = self._monotonic_s()
        return now_s - self._seen_at_s.setdefault((generation.number, what), now_s)


async def request_rebuild(shared: Shared, wanted: Versions, purpose: Purpose) -> Rebuild:
    """Record that tables of the versions `wanted` are to be built beside those that serve; the coordinator goes on.

    Raises RebuildRefused where that cannot be done now, GenerationsMismatch, StoreError, LogError.
    """
    found = await shared.generations()
    row = rebuild_row(found, wanted, await shared.begins(), purpose)
    if not await shared.append(row, found.rows):
        raise RebuildRefused("another step of the read models was recorded at the same moment: try again")
    return Rebuild(row.number, purpose is Purpose.REPLACE)
