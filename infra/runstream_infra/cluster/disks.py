"""How much room the store has, asked of it now and then for the metrics: a full disk stops the folding."""

import asyncio
import logging
from typing import Final

from runstream_processors.store.health import Disk, disks_of
from runstream_service.store import StoreError, StoreReader

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 30.0


class StoreDisks:
    """Those of the server that answers: behind a load balancer another one may answer next time, under its own name.
    While none does, what the last look found stays."""

    def __init__(self, store: StoreReader, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._store = store
        self._look_every_s = look_every_s
        self.found: tuple[Disk, ...] = ()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                self.found = await disks_of(self._store)
            except StoreError as error:
                logger.debug("the store's disks cannot be told: %s", error)
            await asyncio.sleep(self._look_every_s)
