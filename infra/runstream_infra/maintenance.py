"""What the tables need now and then, for as long as a process that folds runs."""

import asyncio
import logging
from typing import Final

from runstream_processors.store.maintenance import complete_roll_up
from runstream_processors.store.profiles import PLAIN, EngineProfile
from runstream_service.store import Store, StoreError

logger = logging.getLogger(__name__)

#: How often parts of the points table that no merge reached get their roll-up.
_EVERY_S: Final = 300.0


async def maintain(store: Store, profile: EngineProfile = PLAIN, every_s: float = _EVERY_S) -> None:
    """For ever. A failure only means: next time. Several processes may do it for the same tables: twice is no harm."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await complete_roll_up(store, profile=profile)
        except StoreError as error:
            logger.warning("the roll-up of points could not be completed, panels stay slower until it is: %s", error)
