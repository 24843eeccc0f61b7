"""How much room the store has, asked of it now and then for the figures: a full disk stops the folding."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from runstream_service.store import QueryClass, StoreError, StoreReader

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 30.0
#: Object stores say that they have no end.
_ENDLESS_BYTES: Final = 1 << 60
_QUESTION: Final = (
    "SELECT hostName() AS host, name, free_space, total_space FROM system.disks "
    f"WHERE total_space BETWEEN 1 AND {_ENDLESS_BYTES} ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Disk:
    host: str
    name: str
    free_bytes: int
    total_bytes: int


class StoreDisks:
    """Those of the server that answers: behind a load balancer another one may answer next time, under its own name.
    While none does, the last answer stays."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self.found: tuple[Disk, ...] = ()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                rows = (await self._store.query(_QUESTION, of=QueryClass.PROBE)).to_pylist()
                self.found = tuple(
                    Disk(row["host"], row["name"], row["free_space"], row["total_space"]) for row in rows
                )
            except StoreError as error:
                logger.debug("the store's disks cannot be told: %s", error)
            await asyncio.sleep(_LOOK_EVERY_S)
