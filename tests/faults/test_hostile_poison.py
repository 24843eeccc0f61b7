"""Records whose fold raises, among many good ones: the good ones are in the tables after few flushes."""

import asyncio
import math
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.stores import open_migrated_as
from runstream.events.encoding import encode_frame, encode_rows
from runstream_ingest.log.memory import MemoryLog
from runstream_model.points import Accepted, collect
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.worker import folding
from runstream_processors.worker.inserts import COMMIT
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.store import Block
from runstream_service.visibility import Progress

RECORDS = 2_000
#: As in production: one flush a second, so that all records are in one batch.
SETTINGS = WorkerSettings(min_cycle_s=0.0)


class CountingStore(ChdbStore):
    """How many times a commit row was written: flushes."""

    commits = 0
    inserts = 0

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        self.commits += table == COMMIT
        self.inserts += 1
        await super().insert(table, columns, block, rows, token=token)


def records() -> list[tuple[bytes, bytes]]:
    """One row a frame, of twenty runs."""
    found = []
    for number in range(RECORDS):
        run, seq = f"run-{number % 20}", number // 20
        group = encode_rows(b"loss", 1, struct.pack("<qqd", seq, 10**18 + seq, float(seq)), 0)
        found.append((run.encode(), encode_frame(f"{number % 20:032x}", run, seq, seq + 1, b"", [group])))
    return found


@pytest.mark.parametrize("bad", [{1_234}, {0, 999, 1_000, RECORDS - 1}])
async def test_good_records_are_visible_after_few_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: set[int]
) -> None:
    def failing(accepted: Sequence[Accepted]) -> object:
        if any(item.offset in bad for item in accepted):
            raise RuntimeError("invented: a fault in the fold")
        return collect(accepted)

    monkeypatch.setattr(folding, "collect", failing)
    log = MemoryLog(1)
    end = await log.append(records())
    store = await open_migrated_as(CountingStore, tmp_path)
    try:
        store.inserts = 0
        progress, stop = Progress(), asyncio.Event()
        worker = Worker(log, store, progress, SETTINGS)
        running = asyncio.create_task(worker.run(stop))
        assert await progress.wait_for(end, timeout_s=300)
        stop.set()
        await running
        quarantined = await store.query("SELECT offset, cause FROM quarantine ORDER BY offset")
        points = await store.query("SELECT offset FROM points ORDER BY offset")
        steps = math.ceil(math.log2(RECORDS)) + 1
        assert [(row["offset"], row["cause"]) for row in quarantined.to_pylist()] == [
            (offset, "fold_error") for offset in sorted(bad)
        ]
        assert [row["offset"] for row in points.to_pylist()] == [n for n in range(RECORDS) if n not in bad]
        assert worker.failures <= len(bad) * (steps + 1)
        assert store.commits <= len(bad) * (2 * steps + 2) + math.ceil(RECORDS / 100)
        assert store.commits < RECORDS / 10
        assert worker.trouble is None
    finally:
        await store.close()
