"""How far the next generation of the read models is, asked again and again by a cluster's process that shows it."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from runstream_infra.cluster.store import ClusterStore
from runstream_infra.refold_status import Doing, RefoldStatus
from runstream_processors.catching_up import left
from runstream_processors.generations import GenerationsMismatch, differences, plan
from runstream_processors.store.resume import committed
from runstream_service.log import LogError, LogReader
from runstream_service.store import StoreError, StoreInvalid

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0


class RefoldWatch:
    """`status` is as it was at the last look; None before the first."""

    def __init__(self, store: ClusterStore, log: LogReader) -> None:
        self._store = store
        self._log = log
        self.status: RefoldStatus | None = None

    def note(self) -> str | None:
        """What readiness says of it."""
        return self.status.note if self.status is not None else None

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                self.status = await self.look()
            except (StoreError, LogError) as error:
                logger.debug("how far the next generation of the read models is cannot be told: %s", error)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> RefoldStatus:
        """Ask now. Raises StoreError, LogError."""
        found = self._store.generations
        serving = found.serving.number
        differing = differences(found.serving.versions, self._store.versions)
        if not differing and found.building is None:
            return RefoldStatus(serving, rebuild=found.rebuild)
        known = partial(RefoldStatus, serving, tuple(map(str, differing)), rebuild=found.rebuild)
        try:
            chosen = plan(found, self._store.versions, await self._log.begin_offsets())
        except GenerationsMismatch as error:
            return known(obstacle=str(error))
        building = found.building or chosen.build
        if building is None:
            return known(obstacle=chosen.obstacle)
        ends = await self._log.next_offsets()
        folded: Mapping[int, int] = {}
        if found.building is not None:
            base = self._store.base
            with suppress(StoreInvalid):  # its tables are not made yet
                folded = (await committed(base, self._store.database_of(found.building))).next_offsets
        return known(
            building=building.number,
            doing=self._doing(found.ready, left(ends, folded)),
            folded=sum(ends.values()) - left(ends, folded),
            records=sum(ends.values()),
        )

    def _doing(self, ready: bool, missing: int) -> Doing:
        if ready:
            return "switching"
        return "folding" if missing else "comparing"
