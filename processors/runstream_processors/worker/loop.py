"""The loop: read, fold, write, for ever; and after any failure start again from what the store holds."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from runstream.events.positions import Positions
from runstream.service.log import LogCorrupt, LogReader
from runstream.service.store import Store, StoreUnavailable
from runstream.service.visibility import Progress
from runstream_processors.store.resume import ahead, committed
from runstream_processors.worker.feed import Decoded, Feed
from runstream_processors.worker.folding import RESUMING, Folding
from runstream_processors.worker.loading import load_catalog, load_keys
from runstream_processors.worker.settings import WorkerSettings
from runstream_processors.worker.writing import TableWriter, Written

logger = logging.getLogger(__name__)


class Worker:
    """Folds a log into a store. One worker a store at a time: the store's lock sees to that on one machine.

    `run` belongs to one event loop; the public attributes may be read from anywhere.
    """

    def __init__(
        self,
        log: LogReader,
        store: Store,
        progress: Progress,
        settings: WorkerSettings | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._log = log
        self._store = store
        self._progress = progress
        self._settings = settings or WorkerSettings()
        self._monotonic_s = monotonic_s
        self._on_step = on_step
        self._poison: set[tuple[int, int]] = set()
        #: Records up to here are folded one by one, because a batch with them failed with a programming error.
        self._careful: dict[int, int] = {}
        self._folded: dict[int, int] = {}
        #: Whether it has found its place in the log; False again while it starts over after a failure.
        self.resumed = False
        self.records = 0
        self.points = 0
        self.failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then everything that was read is written and this returns. Raises LogCorrupt: going
        on behind damage would lose data silently. Everything else is logged and tried again."""
        retry_s = self._settings.retry_first_s
        while not stop.is_set():
            began_s = self._monotonic_s()
            try:
                await self._run_once(stop)
            except LogCorrupt:
                raise
            except StoreUnavailable as error:
                logger.warning("the store does not take writes, the next try is in %.1f s: %s", retry_s, error)
            except Exception:
                logger.exception("the worker failed and starts again from the store in %.1f s", retry_s)
            else:
                return
            self.failures += 1
            self.resumed = False
            if self._monotonic_s() - began_s > self._settings.retry_most_s:
                retry_s = self._settings.retry_first_s
            await _sleep_or_stop(stop, retry_s * random.uniform(0.5, 1.0))
            retry_s = min(retry_s * 2, self._settings.retry_most_s)

    async def catch_up(self, to: Positions) -> None:
        """Fold until everything up to `to` is visible, then return. Raises whatever goes wrong (for `rebuild`)."""
        stop = asyncio.Event()
        run = asyncio.create_task(self._run_once(stop))
        waiting = asyncio.create_task(self._progress.wait_for(to, float("inf")))
        await asyncio.wait((run, waiting), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        waiting.cancel()
        await run

    async def _run_once(self, stop: asyncio.Event) -> None:
        done = await committed(self._store)
        folding = Folding({table: await ahead(self._store, table, done) for table in RESUMING}, self._poison)
        await load_catalog(self._store, folding)
        self._progress.advance(Positions(done))
        self.resumed = True
        self._on_step("resumed")
        next_offsets = {part: done.get(part, -1) + 1 for part in range(self._log.partitions)}
        feed = Feed(self._log, next_offsets, max_ahead_bytes=self._settings.max_ahead_bytes)
        writer = TableWriter(self._store, self._progress.advance, on_step=self._on_step)
        try:
            await self._cycles(folding, feed, writer, stop)
        finally:
            await feed.close()
            await writer.close()

    async def _cycles(self, folding: Folding, feed: Feed, writer: TableWriter, stop: asyncio.Event) -> None:
        flushed_s = self._monotonic_s()
        dirty = False
        while True:
            began_s = self._monotonic_s()
            # A dirty fold waits for nothing: if the log ran dry it is flushed at once.
            batch = await self._take(feed, timeout_s=0.0 if dirty or stop.is_set() else 0.5)
            if batch:
                await self._fold(folding, batch, writer)
                dirty = True
            if dirty and (not feed.waiting_bytes or self._monotonic_s() - flushed_s > self._settings.flush_every_s):
                flush = await asyncio.to_thread(folding.flush)
                await writer.put(Written(flush.inserts, Positions(flush.committed)))
                flushed_s, dirty = self._monotonic_s(), False
                if not feed.waiting_bytes:
                    await writer.drain()
                    folding.shrink(self._settings.max_keys)
            if stop.is_set() and not batch and not dirty:
                await writer.drain()
                return
            if batch and not stop.is_set():
                await self._pause(feed, began_s)

    async def _take(self, feed: Feed, timeout_s: float) -> list[Decoded]:
        careful = any(self._folded.get(part, -1) < last for part, last in self._careful.items())
        return await feed.take(
            max_raw_bytes=self._settings.max_batch_raw_bytes,
            max_records=1 if careful else self._settings.max_batch_records,
            timeout_s=timeout_s,
        )

    async def _fold(self, folding: Folding, batch: Sequence[Decoded], writer: TableWriter) -> None:
        if needed := folding.needs(batch):
            # Nothing of these keys is on its way to the store: a key leaves memory only while all is written.
            await load_keys(self._store, folding, needed)
        try:
            inserts = await asyncio.to_thread(folding.fold, batch)
        except Exception:
            self._suspect(batch)
            raise
        for decoded in batch:
            self._folded[decoded.record.partition] = decoded.record.offset
        self.records += len(batch)
        if inserts:
            self.points += sum(insert.rows for insert in inserts)
            await writer.put(Written(inserts))

    def _suspect(self, batch: Sequence[Decoded]) -> None:
        """A fold raised: fold record by record from here, and quarantine the one that raises alone."""
        if len(batch) == 1:
            record = batch[0].record
            logger.error("record %d:%d cannot be folded and goes to quarantine", record.partition, record.offset)
            self._poison.add((record.partition, record.offset))
        for decoded in batch:
            part, offset = decoded.record.partition, decoded.record.offset
            self._careful[part] = max(offset, self._careful.get(part, -1))
        self._folded = {}

    async def _pause(self, feed: Feed, began_s: float) -> None:
        """Let a trickle gather, but not once much is waiting."""
        while feed.waiting_bytes < self._settings.early_bytes:
            left_s = self._settings.min_cycle_s - (self._monotonic_s() - began_s)
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, 0.02))


async def _sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
