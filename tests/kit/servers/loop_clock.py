"""How long an event loop is kept from serving others, by the CPU clock of its thread: no load of the machine counts."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Longest:
    """The longest callback of the loop, in CPU seconds."""

    def __init__(self) -> None:
        self.cpu_s = 0.0


def unit_s() -> float:
    """CPU seconds of some fixed work (about 5 ms), which is to bounds what a machine is to seconds."""
    best_s = float("inf")
    for _ in range(3):
        began_s = time.thread_time()
        sum(number * number for number in range(100_000))
        best_s = min(best_s, time.thread_time() - began_s)
    return best_s


@contextmanager
def longest_callback() -> Iterator[Longest]:
    """Measures callbacks of asyncio's own loop in this thread until the end of the block."""
    longest = Longest()
    handle: Any = asyncio.events.Handle
    run = handle._run

    def measured(self: Any) -> None:
        began_s = time.thread_time()
        try:
            run(self)
        finally:
            longest.cpu_s = max(longest.cpu_s, time.thread_time() - began_s)

    # What the tests themselves made and keep is not to be looked through for garbage meanwhile.
    gc.collect()
    gc.freeze()
    handle._run = measured
    try:
        yield longest
    finally:
        handle._run = run
        gc.unfreeze()


async def longest_units(work: Callable[[], Awaitable[None]], enough: float, tries: int = 3) -> float:
    """The longest callback while `work` runs, in units of `unit_s`, of the best of some tries, the last of which is the
    first below `enough`: what the code does at once it does each time, and what the machine adds comes and goes."""
    found = float("inf")
    for _ in range(tries):
        with longest_callback() as longest:
            await work()
        found = min(found, longest.cpu_s / unit_s())
        if found < enough:
            break
    return found
