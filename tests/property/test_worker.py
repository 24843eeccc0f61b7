"""The worker as a whole, in process: whatever the batches and however the store fails, the tables come out equal.

`make simulate SEEDS=1000000` tries more of them.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.recorded.seeded import Recorded, recorded
from kit.stores import open_migrated, open_migrated_as
from runstream.events.positions import Positions
from runstream_ingest.log.memory import MemoryLog
from runstream_model.points import Accepted, collect
from runstream_processors.rebuild import TableHash, table_hashes
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.worker import folding
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.store import Block, StoreUnavailable
from runstream_service.visibility import Progress

pytestmark = pytest.mark.store

#: Each takes 5,000 times as long as a history of a model.
SEEDS = max(2, int(os.environ.get("RUNSTREAM_SEEDS", "0")) // 5_000)


class FailingStore(ChdbStore):
    """Now and then an insert fails: before anything is written, or after all of it is (the response got lost)."""

    source: random.Random
    rate = 0.0
    failures = 0

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        fate = self.source.random()
        if fate < self.rate / 2:
            self.failures += 1
            raise StoreUnavailable("invented: the store was away before the insert")
        await super().insert(table, columns, block, rows, token=token)
        if fate < self.rate:
            self.failures += 1
            raise StoreUnavailable("invented: the store went away after the insert")


async def folded(
    directory: Path, facts: Recorded, settings: WorkerSettings, *, partitions: int, rate: float, seed: int
) -> tuple[dict[str, TableHash], Counter[tuple[object, ...]], int]:
    """Fold facts into a store that fails at that rate: hashes of all tables, the points, and how often it failed."""
    log = MemoryLog(partitions, clock_us=lambda: 1_700_000_000_000_000)
    end = await log.append(facts.records)
    store = await open_migrated_as(FailingStore, directory)
    store.source, store.rate = random.Random(seed), rate
    try:
        progress, stop = Progress(), asyncio.Event()
        worker = asyncio.create_task(Worker(log, store, progress, settings).run(stop))
        assert await progress.wait_for(end, timeout_s=240)
        stop.set()
        await worker
        rows = await store.query(
            """SELECT run, metric, step, toUnixTimestamp64Micro(at) AS at_us, hex(reinterpretAsString(value)) AS bits,
            epoch FROM points"""
        )
        points = Counter(tuple(row.values()) for row in rows.to_pylist())
        hashes = await table_hashes(store)
    finally:
        await store.close()
    return hashes, points, store.failures


def wanted_points(facts: Recorded) -> Counter[tuple[object, ...]]:
    # ClickHouse's reinterpretAsString leaves out trailing zero bytes.
    return Counter((*point[:4], point[4].rstrip(b"\0").hex().upper(), point[5]) for point in facts.points)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_batches_and_failures_change_nothing(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    facts = recorded(seed, runs=source.randrange(1, 6), frames=25)
    partitions = source.choice((1, 1, 4))
    quick = WorkerSettings(
        max_batch_raw_bytes=source.choice((500, 2_000, 50_000)),
        max_batch_records=source.choice((2, 7, 100)),
        max_ahead_bytes=source.choice((1, 10_000, 10_000_000)),
        min_cycle_s=0.0,
        flush_every_s=source.choice((0.0, 0.01, 10.0)),
        max_keys=source.choice((0, 2, 1000)),
        retry_first_s=0.001,
        retry_most_s=0.002,
    )
    failing = await folded(tmp_path / "failing", facts, quick, partitions=partitions, rate=0.1, seed=seed)
    whole = await folded(tmp_path / "whole", facts, WorkerSettings(), partitions=partitions, rate=0.0, seed=seed)
    assert failing[1] == whole[1] == wanted_points(facts)
    assert failing[0] == whole[0]
    assert failing[2] > 0, "the store never failed: the test tests nothing"


async def test_a_record_whose_fold_raises_is_quarantined_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = recorded(11, runs=2, frames=40)
    log = MemoryLog(1)
    poison = next(offset for offset, (key, value) in enumerate(facts.records) if key == b"run-1" and len(value) > 500)
    await log.append(facts.records)

    def failing(accepted: Sequence[Accepted]) -> object:
        if any(item.offset == poison for item in accepted):
            raise RuntimeError("invented: a fault in the fold")
        return collect(accepted)

    monkeypatch.setattr(folding, "collect", failing)
    store = await open_migrated(tmp_path)
    progress, stop = Progress(), asyncio.Event()
    settings = WorkerSettings(min_cycle_s=0.0, retry_first_s=0.001, retry_most_s=0.002)
    worker = asyncio.create_task(Worker(log, store, progress, settings).run(stop))
    assert await progress.wait_for(Positions({0: len(facts.records)}), timeout_s=240)
    stop.set()
    await worker
    selecting = "SELECT offset, hex(body) AS body FROM quarantine WHERE cause = 'fold_error'"
    rows = (await store.query(selecting)).to_pylist()
    counting = "SELECT count() AS n, countIf(offset = {poison:UInt64}) AS bad FROM points"
    points = (await store.query(counting, {"poison": poison})).to_pylist()
    await store.close()
    assert rows == [{"offset": poison, "body": facts.records[poison][1].hex().upper()}]
    assert points[0]["bad"] == 0
    assert points[0]["n"] > 0
