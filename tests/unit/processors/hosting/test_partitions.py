"""Workers follow what is assigned: none twice, none left over, and those that stay are left alone."""

import asyncio
from collections.abc import Callable

import pytest

from runstream_processors.hosting.generations import GenerationWorkers
from runstream_processors.hosting.partitions import PartitionWorkers
from runstream_processors.worker.loop import Counts
from runstream_service.log import LogCorrupt


class FakeWorker:
    """Runs until it is told to stop, and longer if it is stubborn."""

    def __init__(self, part: int, alive: list[int], stubborn: bool = False) -> None:
        self.part, self._alive, self._stubborn = part, alive, stubborn
        self.starts = 0
        self.counts = Counts(records=10**part, quarantined={"x": 1})

    async def run(self, stop: asyncio.Event) -> None:
        self.starts += 1
        self._alive.append(self.part)
        try:
            await stop.wait()
            if self._stubborn:
                await asyncio.sleep(3600)
        finally:
            self._alive.remove(self.part)


def hosted(
    make: Callable[[int], object], deaths: list[BaseException], doubt_s: float = 60.0, stop_s: float = 60.0
) -> PartitionWorkers:
    return PartitionWorkers(make, deaths.append, doubt_s=doubt_s, stop_s=stop_s)  # type: ignore[arg-type]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_assigned_is_folded_and_nothing_else() -> None:
    alive: list[int] = []
    workers = hosted(lambda part: FakeWorker(part, alive), [])
    workers.assign({0, 2})
    await settled()
    assert sorted(alive) == sorted(workers.workers) == [0, 2]
    kept = workers.workers[2]
    workers.doubt()
    workers.assign({1, 2})
    await settled()
    assert sorted(alive) == [1, 2]
    assert workers.workers[2] is kept, "a partition that stays is not started again"
    assert workers.counts == Counts(records=111, quarantined={"x": 3}), "of the one that ended, too"
    await workers.close()
    assert alive == []
    assert (workers.workers, workers.counts.records) == ({}, 111)


async def test_a_rebalance_that_never_ends_stops_them_all() -> None:
    alive: list[int] = []
    workers = hosted(lambda part: FakeWorker(part, alive), [], doubt_s=0.05)
    assert not workers.settled
    workers.assign({0, 1})
    await settled()
    workers.doubt()
    assert len(alive) == 2
    assert workers.settled
    async with asyncio.timeout(240):
        while alive:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not workers.settled
    workers.assign({1})
    await settled()
    assert alive == [1]
    assert workers.settled
    await workers.close()


async def test_a_rebalance_that_ends_in_time_stops_nobody() -> None:
    alive: list[int] = []
    workers = hosted(lambda part: FakeWorker(part, alive), [], doubt_s=0.05)
    workers.assign({0})
    workers.doubt()
    workers.assign({0})
    await asyncio.sleep(0.2)
    assert alive == [0]
    assert workers.workers[0].starts == 1  # type: ignore[attr-defined]
    await workers.close()


async def test_a_worker_that_does_not_stop_is_cancelled() -> None:
    alive: list[int] = []
    workers = hosted(lambda part: FakeWorker(part, alive, stubborn=True), [], stop_s=0.05)
    workers.assign({0})
    await settled()
    await workers.close()
    assert alive == []


async def test_a_worker_that_gives_up_is_told_of() -> None:
    class Dying(FakeWorker):
        async def run(self, stop: asyncio.Event) -> None:
            raise LogCorrupt("invented: bytes that do not check out")

    deaths: list[BaseException] = []
    workers = hosted(lambda part: Dying(part, []), deaths)
    workers.assign({0})
    await settled()
    assert [str(death) for death in deaths] == ["invented: bytes that do not check out"]
    await workers.close()


async def test_generations_are_folded_beside_each_other() -> None:
    alive: list[int] = []

    def make(generation: int) -> Callable[[int], object]:
        return lambda part: FakeWorker(10 * generation + part, alive)

    workers = GenerationWorkers(lambda error: pytest.fail(f"{error}"))
    workers.fold({1: make(1)}, 1)  # type: ignore[dict-item]
    assert not workers.settled, "nothing was assigned yet"
    workers.assign({0, 1})
    await settled()
    assert sorted(alive) == [10, 11]
    kept = workers.workers[1]
    workers.fold({1: make(1), 2: make(2)}, 1)  # type: ignore[dict-item]
    await settled()
    assert sorted(alive) == [10, 11, 20, 21], "what was assigned before is folded into the new one, too"
    assert workers.workers[1] is kept
    assert workers.building[2].keys() == {0, 1}
    workers.assign({1, 2})
    await settled()
    assert sorted(alive) == [11, 12, 21, 22]
    workers.fold({2: make(2)}, 2)  # type: ignore[dict-item]
    await settled()
    assert sorted(alive) == [21, 22]
    assert workers.workers.keys() == {1, 2}
    assert workers.counts.quarantined == {"x": 6}, "of those that ended, too"
    await workers.close()
    assert alive == []
