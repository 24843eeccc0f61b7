"""Workers that fold the same partitions at the same time, over a store that fails and dawdles: the tables come out as
if there had been one. docs/design/cluster.md says why; `kit.oracles.claims` walks through many more of a model.

`make simulate SEEDS=1000000` tries more of them.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit.recorded.seeded import recorded
from kit.stores import open_migrated, open_migrated_as
from runstream.events.positions import Positions
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.rebuild import TableHash, rebuild, table_hashes
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.resume import Commit, commits
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.store import Block, StoreUnavailable
from runstream_service.visibility import Progress

pytestmark = pytest.mark.store

#: Each takes 10,000 times as long as a history of a model.
SEEDS = max(1, int(os.environ.get("RUNSTREAM_SEEDS", "0")) // 10_000)
PARTITIONS = 2
RIVALS = 3
#: Bounded: on a slow machine nobody would come to an end if somebody died five times a second for ever.
KILLS = 30
QUICK = WorkerSettings(
    max_batch_raw_bytes=4_000,
    max_batch_records=9,
    max_ahead_bytes=20_000,
    min_cycle_s=0.0,
    flush_every_s=0.01,
    max_keys=2,
    retry_first_s=0.001,
    retry_most_s=0.01,
)


class Dawdling(ChdbStore):
    """Inserts wait, fail before or after they are made, or are made long after the worker was told that they failed."""

    source: random.Random
    late: set[asyncio.Task[None]]

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        assert token, "a worker beside others inserts under a token"
        fate = self.source.random()
        await asyncio.sleep(self.source.choice((0.0, 0.0, 0.005)))
        if fate < 0.03:
            raise StoreUnavailable("invented: the store was away before the insert")
        if fate < 0.06:
            self.late.add(asyncio.create_task(self._later(table, columns, block, rows, token)))
            raise StoreUnavailable("invented: no answer in time")
        await super().insert(table, columns, block, rows, token=token)
        if fate < 0.09:
            raise StoreUnavailable("invented: the answer got lost")

    async def _later(self, table: str, columns: Sequence[str], block: Block, rows: int, token: str) -> None:
        await asyncio.sleep(self.source.uniform(0.0, 0.3))
        await super().insert(table, columns, block, rows, token=token)


@asynccontextmanager
async def dawdling(directory: Path, source: random.Random) -> AsyncIterator[Dawdling]:
    """Closed also when the test fails: a process has one store open at a time."""
    store = await open_migrated_as(Dawdling, directory)
    store.source, store.late = source, set()
    try:
        yield store
        await asyncio.gather(*store.late)
    finally:
        await store.close()


async def folded(directory: Path) -> tuple[dict[str, TableHash], dict[int, int]]:
    """Return the hashes of the tables of a closed store, and the next offset of each partition."""
    store = await ChdbStore.open(directory)
    try:
        return await table_hashes(store), {part: one.next_offset for part, one in (await commits(store)).items()}
    finally:
        await store.close()


async def fold(log: MemoryLog, store: Dawdling, end: Positions) -> int:
    """Let rivals fold everything; how often one of them had to start over."""
    progress, stop = Progress(), asyncio.Event()
    workers = [Worker(log, store, progress, QUICK, partition=part) for part in range(PARTITIONS) for _ in range(RIVALS)]
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        for _ in range(KILLS):
            # One dies in the middle of whatever it does, and comes again.
            await asyncio.sleep(store.source.uniform(0.0, 0.2))
            one = store.source.randrange(len(tasks))
            tasks[one].cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tasks[one]
            tasks[one] = asyncio.create_task(workers[one].run(stop))
        assert await progress.wait_for(end, timeout_s=200)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    return sum(worker.failures for worker in workers)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_rivals_give_the_tables_of_one_worker(tmp_path: Path, seed: int) -> None:
    facts = recorded(seed, runs=6, frames=25)
    log = MemoryLog(PARTITIONS, clock_us=lambda: 1_700_000_000_000_000)
    end = await log.append(facts.records)
    async with dawdling(tmp_path / "rivals", random.Random(seed)) as store:
        failures = await fold(log, store, end)
    rivals, next_offsets = await folded(tmp_path / "rivals")
    assert next_offsets == end.next_offsets
    alone = await open_migrated(tmp_path / "one")
    try:
        await rebuild(log, alone)
        assert rivals == await table_hashes(alone)
    finally:
        await alone.close()
    assert failures > RIVALS * PARTITIONS, "hardly anybody was in anybody's way: the test tests nothing"


async def test_a_worker_of_one_partition_leaves_the_others_alone(tmp_path: Path) -> None:
    facts = recorded(5, runs=6, frames=60)
    log = MemoryLog(PARTITIONS)
    end = await log.append(facts.records)
    store = await open_migrated(tmp_path)
    try:
        mine = Positions({1: end[1]})
        await Worker(log, store, Progress(), QUICK, partition=1).catch_up(mine)
        found = await commits(store)
        parts = "SELECT DISTINCT part FROM points UNION DISTINCT SELECT part FROM events"
        tables = (await store.query(parts)).to_pylist()
    finally:
        await store.close()
    assert found.keys() == {1}
    assert found[1].next_offset == end[1]
    assert found[1].tails["points"] < end[1]
    assert found.get(0, Commit()) == Commit()
    assert tables == [{"part": 1}]
