"""Long work on an event loop, in turns: after each one the loop serves everybody else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

#: How long one turn takes. A loop that serves others every 2 ms delays none of them noticeably, and giving up the
#: turn costs about 20 us: 1 %.
TURN_S: Final = 0.002
#: Some 10 us each: 2 ms.
_ITEMS_AT_ONCE: Final = 200


class Turns:
    """One piece of long work. Call `rest` between its parts."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()

    async def rest(self) -> None:
        """Let the event loop serve others if this turn is over."""
        if time.perf_counter() - self._began_s > TURN_S:
            await asyncio.sleep(0)
            self._began_s = time.perf_counter()


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items; whoever works on them lets the event loop serve others between two of them."""
    turns = Turns()
    for item in items:
        yield item
        await turns.rest()


async def worked(items: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns: in a thread where it is about many items, because it has no places to rest. Other threads
    run every 5 ms meanwhile."""
    if items <= _ITEMS_AT_ONCE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
