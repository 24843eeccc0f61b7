"""The worker's loop where things go wrong in between: a read, a fold or a flush that fails, a stop, a wrong log."""

import asyncio
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.recorded.seeded import Recorded, recorded
from kit.stores import open_migrated_as
from runstream.events.control import OutputAppended, encode_event
from runstream.events.encoding import encode_frame, transposed
from runstream.events.encoding import encode_rows as encode_rows_of_frame
from runstream.events.positions import Positions
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.store import tables
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.native import InvalidColumn
from runstream_processors.worker import folding as folding_module
from runstream_processors.worker.feed import Decoded, Feed
from runstream_processors.worker.folding import Folding
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_processors.worker.writing import TableWriter
from runstream_service.log import LogCorrupt, LogUnavailable, Record
from runstream_service.store import Block, StoreUnavailable
from runstream_service.visibility import Progress

pytestmark = pytest.mark.store

QUICK = WorkerSettings(min_cycle_s=0.0, retry_first_s=0.001, retry_most_s=0.002)
WRITER = "a1" * 16


class SlowStore(ChdbStore):
    """Its first insert of points takes long; `began` says that it is under way."""

    began: threading.Event
    slow = False
    away = False

    def _insert(self, table: str, *arguments: object) -> None:
        if self.away:
            raise StoreUnavailable("invented: no room")
        if table == "points" and self.slow:
            self.slow = False
            self.began.set()
            time.sleep(0.5)
        super()._insert(table, *arguments)  # type: ignore[arg-type]


class FailingLog(MemoryLog):
    """One read fails, as soon as `when` is set."""

    when: threading.Event
    failed = False

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        if next_offset and not self.failed:
            await asyncio.to_thread(self.when.wait)
            self.failed = True
            raise LogUnavailable("invented: the disk does not answer")
        return await super().read(partition, next_offset, max_bytes, timeout_s)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SlowStore]:
    opened = await open_migrated_as(SlowStore, tmp_path)
    opened.began = threading.Event()
    yield opened
    await opened.close()


async def points_of(store: ChdbStore) -> int:
    return int((await store.query("SELECT count() AS n FROM points")).to_pylist()[0]["n"])


async def test_an_insert_under_way_ends_before_the_worker_looks_where_to_go_on(store: SlowStore) -> None:
    facts = recorded(3, runs=2, frames=30)
    log = FailingLog()
    log.when = store.began
    store.slow = True
    end = await log.append(facts.records)
    progress, stop = Progress(), asyncio.Event()
    settings = WorkerSettings(min_cycle_s=0.0, max_batch_records=10, retry_first_s=0.001, retry_most_s=0.002)
    worker = Worker(log, store, progress, settings)
    task = asyncio.create_task(worker.run(stop))
    assert await progress.wait_for(end, timeout_s=240)
    stop.set()
    await task
    assert worker.failures == 1, "nothing failed: the test tests nothing"
    assert await points_of(store) == len(facts.points)


class EndlessLog(MemoryLog):
    """There is always one more record, whatever was read."""

    def __init__(self, facts: Recorded) -> None:
        super().__init__()
        self._facts = facts

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        key, value = self._facts.records[next_offset % len(self._facts.records)]
        return [Record(partition, next_offset, 1, key, value)]

    async def next_offsets(self) -> Mapping[int, int]:
        return {0: 1 << 40}


async def test_a_stop_does_not_wait_for_the_end_of_the_log(store: SlowStore) -> None:
    progress, stop = Progress(), asyncio.Event()
    settings = WorkerSettings(min_cycle_s=0.0, max_batch_records=5, flush_every_s=0.05)
    task = asyncio.create_task(Worker(EndlessLog(recorded(4, runs=1, frames=10)), store, progress, settings).run(stop))
    assert await progress.wait_for(Positions.after(0, 20), timeout_s=240)
    stop.set()
    done, _ = await asyncio.wait([task], timeout=120)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done, "the worker went on folding after it was told to stop"


async def test_what_was_folded_before_a_stop_is_committed(store: SlowStore) -> None:
    facts = recorded(5, runs=2, frames=20)
    log = MemoryLog()
    end = await log.append(facts.records)
    progress, stop = Progress(), asyncio.Event()
    # Flushes wait for the end of the log, which is not reached before the stop.
    settings = WorkerSettings(min_cycle_s=0.0, max_batch_records=1, flush_every_s=1000.0)

    def stop_after_points(step: str) -> None:
        if step == "after points":
            stop.set()

    worker = Worker(log, store, progress, settings, on_step=stop_after_points)
    await worker.run(stop)
    assert progress.visible()[0] >= 2
    assert not progress.visible().covers(end), "all was folded before the stop: the test tests nothing"


@pytest.mark.parametrize("kept", [0, 7])
async def test_a_log_that_ends_before_the_tables_is_refused(store: SlowStore, kept: int) -> None:
    """Otherwise what is appended from now on would get offsets that count as folded, and never be seen."""
    facts = recorded(6, runs=2, frames=20)
    log, shorter = MemoryLog(), MemoryLog()
    end = await log.append(facts.records)
    await shorter.append(facts.records[:kept])
    await Worker(log, store, Progress(), QUICK).catch_up(end)
    with pytest.raises(LogCorrupt, match=rf"have {end[0]} records of partition 0.*no more than {kept}:"):
        await asyncio.wait_for(Worker(shorter, store, Progress(), QUICK).run(asyncio.Event()), 120)


async def test_a_batch_is_bounded_by_what_its_events_unpack_to() -> None:
    """A megabyte of lz4 holds 16 MB of spaces: counted as packed, a batch of such frames would take gigabytes."""
    printed = encode_event(OutputAppended(at_us=1, stream="stdout", text="x"))
    log = MemoryLog()
    for seq in range(40):
        events = b"[[%d,%s]]" % (seq, printed) + b" " * 1_000_000
        await log.append([(b"run", encode_frame(WRITER, "run", seq, seq + 1, events))])
    feed = Feed(log, {0: 0}, max_ahead_bytes=32_000_000)
    sizes: list[int] = []
    while sum(sizes) < 40:
        batch = await feed.take(max_raw_bytes=4_000_000, max_records=20_000, timeout_s=5.0)
        sizes.append(len(batch))
    await feed.close()
    assert max(sizes) <= 4


async def test_memory_is_bounded_while_the_log_never_runs_dry(store: SlowStore) -> None:
    runs = 60
    log = MemoryLog()
    records = [
        (f"run-{n}".encode(), encode_frame(WRITER, f"run-{n}", 0, 1, b"[[0,%s]]" % printed_event(n)))
        for n in range(runs)
    ]
    end = await log.append(records)
    most = 0

    class Watched(Worker):
        async def _fold(self, folding: Folding, batch: list[Decoded], writer: TableWriter) -> None:
            nonlocal most
            await super()._fold(folding, batch, writer)
            most = max(most, len(folding.memory.keys))

    settings = WorkerSettings(min_cycle_s=0.0, max_batch_records=2, flush_every_s=0.0, max_keys=5)
    await Watched(log, store, Progress(), settings).catch_up(end)
    counted = (await store.query("SELECT uniqExact(run) AS n FROM runs")).to_pylist()
    assert counted == [{"n": runs}]
    assert most <= 2 * settings.max_keys


async def test_a_record_whose_rows_cannot_be_written_is_quarantined_alone(
    store: SlowStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What decodes and folds, and breaks only when rows become a block, must not stop everything behind it."""
    facts = recorded(12, runs=2, frames=30)
    log = MemoryLog()
    poison, (key, value) = next(
        (offset, record) for offset, record in enumerate(facts.records) if b"parameters_logged" in record[1]
    )
    end = await log.append(facts.records)
    real = tables.encode_rows

    def encode_rows(table: str, rows: Sequence[Mapping[str, Any]]) -> Block:
        if table == "attribute_states" and any(row["offset"] == poison for row in rows):
            raise InvalidColumn("invented: this value fits no column")
        return real(table, rows)

    monkeypatch.setattr(folding_module, "encode_rows", encode_rows)
    progress, stop = Progress(), asyncio.Event()
    worker = Worker(log, store, progress, QUICK)
    task = asyncio.create_task(worker.run(stop))
    assert await progress.wait_for(end, timeout_s=240)
    stop.set()
    await task
    rows = await store.query("SELECT offset, key, hex(body) AS body FROM quarantine WHERE cause = 'fold_error'")
    broken = sum(value == b"no frame at all" for _, value in facts.records)
    assert rows.to_pylist() == [{"offset": poison, "key": key.decode(), "body": value.hex().upper()}]
    assert await points_of(store) == len(facts.points)
    assert worker.quarantined == {"fold_error": 1, "invalid_frame": broken}
    assert worker.trouble is None
    lines = [line.getMessage() for line in caplog.records if "is in quarantine" in line.getMessage()]
    assert len(lines) == len(set(lines)) == 1 + broken
    assert any(f"record 0:{poison} of '{key.decode()}' is in quarantine" in line for line in lines)


async def test_points_under_a_project_are_quarantined(store: SlowStore) -> None:
    """Its key would make a run of it that no address leads to."""
    group = encode_rows_of_frame(b"loss", 1, transposed(struct.pack("<qqd", 1, 1, 1.0), 24), 0)
    log = MemoryLog()
    end = await log.append([(b"w/p", encode_frame(WRITER, "w/p", 0, 1, b"", [group]))])
    await Worker(log, store, Progress(), QUICK).catch_up(end)
    rows = (await store.query("SELECT cause, detail FROM quarantine")).to_pylist()
    assert [row["cause"] for row in rows] == ["wrong_key"]
    assert "points belong to runs" in rows[0]["detail"]
    assert (await store.query("SELECT run FROM runs")).num_rows == await points_of(store) == 0


async def test_trouble_lasts_until_the_store_takes_writes_again(store: SlowStore) -> None:
    log = MemoryLog()
    progress, stop = Progress(), asyncio.Event()
    worker = Worker(log, store, progress, QUICK)
    task = asyncio.create_task(worker.run(stop))
    store.away = True
    end = await log.append([(b"run", encode_frame(WRITER, "run", 0, 1, b"[[0,%s]]" % printed_event(0)))])
    await wait_until(lambda: worker.failures > 3)
    assert worker.trouble is not None
    assert "invented: no room" in worker.trouble
    store.away = False
    assert await progress.wait_for(end, timeout_s=240)
    await wait_until(lambda: worker.trouble is None)
    stop.set()
    await task


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.001)


def printed_event(number: int) -> bytes:
    return encode_event(OutputAppended(at_us=number + 1, stream="stdout", text="x"))
