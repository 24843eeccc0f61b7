"""A release that cannot fold anything stops its worker, instead of putting all that arrives into quarantine."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.recorded.seeded import recorded
from kit.stores import open_migrated
from runstream_ingest.log.memory import MemoryLog
from runstream_model.points import Accepted, collect
from runstream_processors.worker import folding
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.poison_limit import PoisonLimit, PoisonLimitReached
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.visibility import Progress

pytestmark = pytest.mark.store


def test_so_many_of_a_partition_within_the_window() -> None:
    limit = PoisonLimit(2, 10.0)
    limit.count(0, 0.0)
    limit.count(1, 0.0)
    limit.count(0, 1.0)
    limit.count(1, 1.0)
    with pytest.raises(PoisonLimitReached, match="more than 2 records of partition 0 could not be folded within 10 s"):
        limit.count(0, 9.9)
    limit.count(0, 10.0)  # the first is no longer within the window
    with pytest.raises(PoisonLimitReached):
        limit.count(0, 10.9)


def test_zero_is_no_limit() -> None:
    limit = PoisonLimit(0, 10.0)
    for _ in range(10_000):
        limit.count(0, 0.0)


async def test_a_worker_that_can_fold_nothing_stops_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = recorded(5, runs=2, frames=60)
    log = MemoryLog(1)
    end = await log.append(facts.records)
    store = await open_migrated(tmp_path)
    try:

        def failing(accepted: Sequence[Accepted]) -> object:
            if accepted:
                raise RuntimeError("invented: a broken release")
            return collect(accepted)

        settings = WorkerSettings(min_cycle_s=0.0, poison_limit=3)
        with monkeypatch.context() as broken:
            broken.setattr(folding, "collect", failing)
            worker, stop = Worker(log, store, Progress(), settings), asyncio.Event()
            running = asyncio.create_task(worker.run(stop))
            while not (worker.trouble or "").startswith("more than 3 records of partition 0 could not be folded"):
                assert not running.done()
                await asyncio.sleep(0.01)
            stop.set()
            await running
        quarantined = await store.query("SELECT count() AS n FROM quarantine WHERE cause = 'fold_error'")
        assert 0 < quarantined.to_pylist()[0]["n"] <= 3

        await Worker(log, store, Progress(), settings).catch_up(end)
        values = await store.query("SELECT count() AS n FROM points")
        in_quarantine = await store.query("SELECT count() AS n FROM quarantine WHERE cause = 'fold_error'")
        assert in_quarantine.to_pylist() == quarantined.to_pylist(), "the next release folds all the others"
        assert 0 < values.to_pylist()[0]["n"] < len(facts.points)
    finally:
        await store.close()
