"""How far the tables are behind the log, in records and in seconds, looked at again and again for the metrics."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from runstream.events.positions import Positions
from runstream_service.log import LogError, LogReader

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
#: Ends of a partition that are remembered: 17 minutes of looks. Beyond it every second one is forgotten, and from then
#: on they are remembered half as often, so that they stay evenly spread: 1/512 of the delay apart at most.
_MOST_ENDS: Final = 1024


class LagClock:
    """For how long the tables have been behind, by partition, as exactly as the looks are close together.

    Each look remembers where the log ended. The oldest remembered end that the tables have not reached says since when
    they are behind. Pure but for what it remembers.
    """

    def __init__(self) -> None:
        self._ends: dict[int, deque[tuple[int, float]]] = {}
        self._apart_s: dict[int, float] = {}

    def look(self, ends: Mapping[int, int], visible: Positions, at_s: float) -> None:
        """At `at_s` of a monotonic clock the log ended at `ends` (next offsets) and the tables at `visible`."""
        for part, next_offset in ends.items():
            waiting = self._ends.setdefault(part, deque())
            while waiting and waiting[0][0] <= visible[part]:
                waiting.popleft()
            if not waiting:
                self._apart_s[part] = 0.0
                if next_offset > visible[part]:
                    waiting.append((next_offset, at_s))
            elif next_offset > waiting[-1][0] and at_s - waiting[-1][1] >= self._apart_s[part]:
                waiting.append((next_offset, at_s))
            if len(waiting) > _MOST_ENDS:
                self._ends[part] = deque(list(waiting)[::2])
                self._apart_s[part] = 2 * max(self._apart_s[part], _LOOK_EVERY_S)

    def lag_s(self, part: int, visible: Positions, at_s: float) -> float:
        """Seconds since the log was first seen to have a record that the tables do not have yet; 0 if there is none."""
        ends = self._ends.get(part, ())
        return next((at_s - since_s for next_offset, since_s in ends if next_offset > visible[part]), 0.0)


class Following:
    """Asks the log again and again where it ends. Belongs to the event loop that `run` is run in; the metrics may be
    read from it as well. While the log cannot be read, the ends of the last look stay."""

    def __init__(
        self,
        log: LogReader,
        visible: Callable[[], Positions],
        monotonic_s: Callable[[], float] = time.monotonic,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._log = log
        self.visible = visible
        self._monotonic_s = monotonic_s
        self._look_every_s = look_every_s
        self._clock = LagClock()
        #: The next offset of each partition when the log was last asked.
        self.ends: Mapping[int, int] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                self.ends = await self._log.next_offsets()
            except LogError as error:
                logger.debug("the end of the log cannot be told: %s", error)
            self._clock.look(self.ends, self.visible(), self._monotonic_s())
            await asyncio.sleep(self._look_every_s)

    def lag_s(self, part: int) -> float:
        """See `LagClock.lag_s`."""
        return self._clock.lag_s(part, self.visible(), self._monotonic_s())
