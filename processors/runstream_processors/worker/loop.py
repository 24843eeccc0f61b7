"""The loop: read, fold, write, for ever; and after any failure start again from what the store holds."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from runstream.events.positions import Positions
from runstream_processors.generations import CURRENT, Versions, absent_columns
from runstream_processors.store.resume import Commit, commits, ends
from runstream_processors.worker.claims import Overtaken
from runstream_processors.worker.feed import Decoded, Feed
from runstream_processors.worker.folding import Folding
from runstream_processors.worker.guarding import CrashDirectory, CrashGuard
from runstream_processors.worker.inserting import ClaimedInserts, sole_writer
from runstream_processors.worker.inserts import POINTS, RESUMING, Insert, SetAside
from runstream_processors.worker.loading import load_catalog, load_keys
from runstream_processors.worker.narrowing import Narrowing
from runstream_processors.worker.poison_limit import PoisonLimit, PoisonLimitReached
from runstream_processors.worker.settings import WorkerSettings
from runstream_processors.worker.writing import TableWriter, Written
from runstream_service.log import LogCorrupt, LogReader, LogUnavailable
from runstream_service.store import Store, StoreCorrupt, StoreUnavailable
from runstream_service.visibility import Progress

logger = logging.getLogger(__name__)

#: So many of one insert into quarantine get a line in the log: a client gone wrong sends thousands a second.
_LINES_AN_INSERT: Final = 20


class _FoldRaised(Exception):
    """The fold of a batch raised, or the making of its rows; `__cause__` is what it raised. The next try takes fewer
    records."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What workers did since they were made; of several, the sum."""

    records: int = 0
    points: int = 0
    failures: int = 0
    overtaken: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.records + other.records,
            self.points + other.points,
            self.failures + other.failures,
            self.overtaken + other.overtaken,
            Counter(self.quarantined) + Counter(other.quarantined),
        )


class Worker:
    """Folds a log into a store.

    On one machine it is the only one: the store's lock sees to that. In a cluster each folds the partition that is
    given as `partition`, and another may be at the same one: see `claims`. `versions` tells, each time that it begins
    with the tables, which version of each projection they have: columns that came later are left out.

    `run` belongs to one event loop; the public attributes may be read from anywhere.
    """

    def __init__(
        self,
        log: LogReader,
        store: Store,
        progress: Progress,
        settings: WorkerSettings | None = None,
        *,
        partition: int | None = None,
        crashes: CrashDirectory | None = None,
        guard: CrashGuard | None = None,
        versions: Callable[[], Versions] = lambda: CURRENT,
        monotonic_s: Callable[[], float] = time.monotonic,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._log = log
        self._store = store
        self._progress = progress
        self._settings = settings or WorkerSettings()
        self._partitions = range(log.partitions) if partition is None else (partition,)
        self._shares_tables = partition is not None
        self._versions = versions
        self._inserting = ClaimedInserts(store) if self._shares_tables else sole_writer(store)
        self._monotonic_s = monotonic_s
        self._on_step = on_step
        self._narrowing = Narrowing()
        self._poison_limit = PoisonLimit(self._settings.poison_limit, self._settings.poison_window_s)
        name = "worker" if partition is None else f"partition-{partition}"
        self._guard = guard or CrashGuard(crashes, name, self._settings)
        #: Where folds raised: each place is shown in the log once.
        self._shown: set[tuple[str, int]] = set()
        self._out_of_memory: Counter[tuple[int, int]] = Counter()
        #: Folded and not yet handed to the writer, as (partition, offset).
        self._unflushed: list[tuple[int, int]] = []
        #: Whether it has found its place in the log; False again while it starts over after a failure.
        self.resumed = False
        #: What went wrong last, until something was written again or there is nothing left to write.
        self.trouble: str | None = None
        self.records = 0
        self.points = 0
        self.failures = 0
        #: Times another worker turned out to be at the same partition; counted among the failures, too.
        self.overtaken = 0
        #: By cause: what was put into quarantine.
        self.quarantined: Counter[str] = Counter()

    @property
    def counts(self) -> Counts:
        return Counts(self.records, self.points, self.failures, self.overtaken, dict(self.quarantined))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then what was folded is written and this returns. Raises LogCorrupt: going on behind
        damage would lose data silently. Where too many records cannot be folded it stops folding, and `trouble` says
        so until `stop` is set. Everything else is logged and tried again."""
        try:
            await self._run(stop)
        finally:
            # Whatever ended it, its process lives: no mark stays open.
            self._guard.close()

    async def _run(self, stop: asyncio.Event) -> None:
        retry_s = self._settings.retry_first_s
        while not stop.is_set():
            began_s = self._monotonic_s()
            try:
                await self._run_once(stop)
            except LogCorrupt:
                raise
            except Overtaken as error:
                self.overtaken += 1
                logger.info("starting again from the tables in %.1f s: %s", retry_s, error)
            except (StoreUnavailable, StoreCorrupt) as error:
                self.trouble = f"the store does not work: {error}"
                logger.warning("the store does not work, the next try is in %.1f s: %s", retry_s, error)
            except LogUnavailable as error:
                self.trouble = f"the log cannot be read: {error}"
                logger.warning("the log cannot be read, the next try is in %.1f s: %s", retry_s, error)
            except PoisonLimitReached as error:
                self.trouble = str(error)
                logger.error("the worker stops: %s", error)
                await stop.wait()
                return
            except _FoldRaised:
                # No pause: each try takes fewer records, and the good ones wait for it.
                self.failures += 1
                self.resumed = False
                continue
            except Exception as error:
                self.trouble = f"{type(error).__name__}: {error}"
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
        found = await commits(self._store)
        done = {part: found.get(part, Commit()) for part in self._partitions}
        _check_end(found, self._log.partitions, self._partitions, await self._log.next_offsets())
        found_ends = await ends(self._store, RESUMING, done)
        again = await commits(self._store)
        if any(again.get(part, Commit()) != commit for part, commit in done.items()):
            # What is committed may be deleted: a table's rows told less than they did when they were beyond the commit.
            raise Overtaken("another worker committed while this one looked where to go on")
        folding = Folding(done, found_ends, self._narrowing.poison, absent_columns(self._versions()))
        await load_catalog(self._store, folding)
        self._progress.advance(Positions({part: commit.next_offset for part, commit in done.items()}))
        self._unflushed = []
        next_offsets = {part: commit.next_offset for part, commit in done.items()}
        await self._guard.examine(self._log, next_offsets, stop)
        self.resumed = True
        self._on_step("resumed")
        self._narrowing.resumed(next_offsets)
        self._guard.begin(next_offsets)
        feed = Feed(self._log, next_offsets, max_ahead_bytes=self._settings.max_ahead_bytes, guard=self._guard)
        writer = TableWriter(
            self._inserting,
            self._visible,
            at_once=self._shares_tables,
            on_inserted=self._inserted,
            on_step=self._on_step,
        )
        try:
            await self._cycles(folding, feed, writer, stop)
        except _FoldRaised:
            await writer.drain()  # what was handed to it is good: then it need not be folded again
            raise
        finally:
            await feed.close()
            await writer.close()

    async def _cycles(self, folding: Folding, feed: Feed, writer: TableWriter, stop: asyncio.Event) -> None:
        flushed_s = self._monotonic_s()
        dirty = False
        while True:
            began_s = self._monotonic_s()
            careful = self._narrowing.is_active or self._guard.is_careful
            # A dirty fold waits for nothing: if the log ran dry it is flushed at once.
            batch = [] if stop.is_set() else await self._take(feed, timeout_s=0.0 if dirty else 0.5)
            if batch:
                await self._fold(folding, batch, writer)
                dirty = True
            due = careful or self._monotonic_s() - flushed_s > self._settings.flush_every_s
            if dirty and (due or stop.is_set() or not feed.waiting_bytes):
                await self._flush(folding, writer)
                flushed_s, dirty = self._monotonic_s(), False
                if careful or not feed.waiting_bytes or folding.keys_held > self._settings.max_keys:
                    await writer.drain()
                    folding.shrink(self._settings.max_keys)
            if stop.is_set():
                await writer.drain()
                return
            if batch:
                await self._pause(feed, began_s)
            elif not dirty:
                self.trouble = None

    async def _take(self, feed: Feed, timeout_s: float) -> list[Decoded]:
        return await feed.take(
            max_raw_bytes=self._settings.max_batch_raw_bytes,
            max_records=self._guard.most(self._narrowing.most(self._settings.max_batch_records)),
            max_events_bytes=self._settings.max_batch_events_bytes,
            max_groups=self._settings.max_batch_groups,
            timeout_s=timeout_s,
        )

    async def _fold(self, folding: Folding, batch: list[Decoded], writer: TableWriter) -> None:
        if needed := folding.needs(batch):
            # Nothing of these keys is on its way to the store: a key leaves memory only while all is written.
            await load_keys(self._store, folding, needed)
        places = [(decoded.record.partition, decoded.record.offset) for decoded in batch]
        try:
            inserts = await asyncio.to_thread(folding.fold, batch)
        except Exception as error:
            self._suspect(places, error)
            raise _FoldRaised from error
        self._unflushed += places
        self.records += len(batch)
        if inserts:
            await writer.put(Written(inserts))

    async def _flush(self, folding: Folding, writer: TableWriter) -> None:
        """Hand everything that changed to the writer, and with it the position."""
        try:
            flush = await asyncio.to_thread(folding.flush)
        except Exception as error:
            self._suspect(self._unflushed, error)
            raise _FoldRaised from error
        self._narrowing.folded(self._unflushed)
        self._unflushed = []
        await writer.put(Written(flush.inserts, Positions(flush.next_offsets)))

    def _suspect(self, places: list[tuple[int, int]], error: Exception) -> None:
        """A fold or the making of its rows raised: the next tries take fewer records, and the one that raises alone
        goes to quarantine. Raises MemoryError the first times: it may be the machine that is short of memory."""
        if isinstance(error, MemoryError) and len(places) == 1:
            self._out_of_memory.update(places)
            if self._out_of_memory[places[0]] < self._settings.traced_deaths:
                raise error
        if not self._narrowing.failed(places):
            logger.warning("one of %d records cannot be folded (%r); they are folded in halves", len(places), error)
            return
        self._poison_limit.count(places[0][0], self._monotonic_s())
        line = _where(error)
        if line in self._shown:
            logger.warning("the record %d:%d cannot be folded, as others before: %r", *places[0], error)
            return
        self._shown.add(line)
        logger.error("the record %d:%d cannot be folded and goes to quarantine", *places[0], exc_info=error)

    def _visible(self, positions: Positions) -> None:
        self._progress.advance(positions)
        self._guard.visible(self._progress.visible())

    def _inserted(self, insert: Insert) -> None:
        """An insert is in its table: count it, and say what of it is in quarantine."""
        self.trouble = None
        if insert.table == POINTS:
            self.points += insert.rows
        self.quarantined.update(one.cause for one in insert.set_aside)
        for one in insert.set_aside[:_LINES_AN_INSERT]:
            _log_set_aside(one)
        if (more := len(insert.set_aside) - _LINES_AN_INSERT) > 0:
            logger.warning("%d more are in quarantine: the table `quarantine` has all of them", more)

    async def _pause(self, feed: Feed, began_s: float) -> None:
        """Let a trickle gather, but not once much is waiting."""
        while feed.waiting_bytes < self._settings.early_bytes:
            left_s = self._settings.min_cycle_s - (self._monotonic_s() - began_s)
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, 0.02))


def _check_end(
    found: Mapping[int, Commit], partitions: int, folded: Iterable[int], next_offsets: Mapping[int, int]
) -> None:
    """Raises LogCorrupt if the tables hold records that the log does not have: what it appends from now on would get
    offsets that count as folded, and nobody would ever see it."""
    for part, commit in found.items():
        if part < partitions and part not in folded:
            continue  # another worker's
        end = next_offsets.get(part, 0)
        if commit.next_offset > end:
            raise LogCorrupt(
                f"the tables have {commit.next_offset} records of partition {part}, but the log has no more than "
                f"{end}: it is another log, or an older copy. Put the right one back; or move the tables away (the "
                "directory `store`), and they are made again from this one"
            )


def _where(error: Exception) -> tuple[str, int]:
    """The line that raised."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return (at.tb_frame.f_code.co_filename, at.tb_lineno) if at is not None else (repr(type(error)), 0)


def _log_set_aside(one: SetAside) -> None:
    fields = {"partition": one.part, "offset": one.offset, "cause": one.cause}
    logger.warning("record %d:%d of %r is in quarantine: %s", one.part, one.offset, one.key, one.detail, extra=fields)


async def _sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
