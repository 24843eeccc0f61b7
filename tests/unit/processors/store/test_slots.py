"""Slots of queries: how many run and wait, what a caller that gives up leaves behind, and what one that waits is told.

`connect` and `kill` are stand-ins: a query here waits for its event, and a kill sets it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from runstream_processors.store.slots import QuerySlots
from runstream_service.store import QueryClass, QueryLimitExceeded, QueryLimits, StoreOverloaded, StoreUnavailable

#: No test waits for so long: it is the bound within which what is waited for has to come.
LONG_S = 30.0


class Engine:
    """Connections are numbers. What runs on one ends when it is killed, or let go."""

    def __init__(self) -> None:
        self.running: dict[int, threading.Event] = {}
        self.killed: list[int] = []
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.begun = 0

    def connect(self, number: int) -> int:
        self.opened.append(number)
        return number

    def kill(self, numbers: Sequence[int]) -> None:
        self.killed.extend(numbers)
        for number in numbers:
            self.running[number].set()

    def query(self, number: int) -> str:
        ended = self.running[number] = threading.Event()
        self.begun += 1
        assert ended.wait(LONG_S)
        return f"from {number}"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110 (a condition of another thread)
            await asyncio.sleep(0.005)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    yield engine
    for ended in engine.running.values():
        ended.set()


def slots_of(engine: Engine, limits: QueryLimits) -> QuerySlots[int]:
    return QuerySlots(QueryClass.HEAVY, limits, engine.connect, engine.kill, engine.closed.append)


async def test_a_full_queue_is_told_at_once_and_says_which_limit(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=1, queue=2, wait_s=LONG_S, time_s=LONG_S))
    waiting = [asyncio.create_task(slots.run(engine.query)) for _ in range(3)]
    await until(lambda: engine.begun == 1)
    with pytest.raises(StoreOverloaded, match="1 heavy queries run and 2 wait") as found:
        await slots.run(engine.query)
    assert (found.value.setting, found.value.retry_after_s) == ("queue", 10)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # Their places are free again.
    assert await slots.run(lambda number: number) == 0


async def test_one_that_gets_no_slot_in_time_never_runs(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=1, queue=5, wait_s=0.05, time_s=LONG_S))
    running = asyncio.create_task(slots.run(engine.query))
    await until(lambda: engine.begun == 1)
    with pytest.raises(StoreOverloaded, match="no slot") as found:
        await slots.run(engine.query)
    assert found.value.setting == "wait_s"
    engine.running[0].set()
    assert await running == "from 0"
    assert engine.begun == 1


async def test_who_gives_up_frees_the_slot(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=2, queue=0, wait_s=LONG_S, time_s=LONG_S))
    tasks = [asyncio.create_task(slots.run(engine.query)) for _ in range(2)]
    await until(lambda: engine.begun == 2)
    (given_up, kept) = tasks
    number = next(number for number in engine.running if number not in engine.killed)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await until(lambda: len(engine.killed) >= 1)
    await until(lambda: engine.killed == engine.killed[:1])
    # The other one goes on, and the freed slot takes the next.
    await until(lambda: slots._held == 1)
    assert await slots.run(lambda n: n) == engine.killed[0]
    assert not kept.done()
    assert number in (0, 1)
    for ended in engine.running.values():
        ended.set()
    assert await kept == f"from {1 - engine.killed[0]}"


async def test_a_kill_never_meets_the_next_query(engine: Engine) -> None:
    """Whoever gives up just when its query ends must not kill the one that follows on the same connection."""
    slots = slots_of(engine, QueryLimits(slots=1, queue=500, wait_s=LONG_S, time_s=LONG_S))
    alive: set[object] = set()
    killed_innocent: list[object] = []
    current: list[tuple[object, bool]] = []

    def kill(numbers: Sequence[int]) -> None:
        if current and current[-1][0] not in unwanted:
            killed_innocent.append(current[-1][0])

    slots._kill = kill
    unwanted: set[object] = set()

    def work(mark: object) -> Callable[[int], None]:
        def run(number: int) -> None:
            current.append((mark, True))
            threading.Event().wait(0.001)

        return run

    async def one(give_up: bool) -> None:
        mark = object()
        alive.add(mark)
        task = asyncio.create_task(slots.run(work(mark)))
        if give_up:
            await asyncio.sleep(0.0005)
            unwanted.add(mark)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(one(n % 2 == 0) for n in range(300)))
    assert killed_innocent == []


async def test_a_query_that_the_engine_does_not_end_is_told_and_killed(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=1, queue=0, wait_s=0.01, time_s=0.01))
    with pytest.raises(QueryLimitExceeded, match=r"more than 0\.01 s") as found:
        await slots.run(engine.query)
    assert (found.value.limit, found.value.of) == ("time_s", QueryClass.HEAVY)
    await until(lambda: engine.killed == [0])


async def test_connections_are_opened_once_and_late(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=3))
    assert engine.opened == []
    for _ in range(5):
        await slots.run(lambda number: number)
    assert len(engine.opened) == len(set(engine.opened)) <= 3


async def test_what_the_work_raises_is_raised_and_a_closed_store_says_so(engine: Engine) -> None:
    slots = slots_of(engine, QueryLimits(slots=1, queue=1, wait_s=LONG_S, time_s=LONG_S))
    with pytest.raises(ZeroDivisionError):
        await slots.run(lambda number: 1 // 0)
    assert engine.closed == [0]
    assert await slots.run(lambda number: number) == 0
    assert engine.opened == [0, 0]
    slots.close()
    with pytest.raises(StoreUnavailable, match="closing"):
        await slots.run(engine.query)
