"""The embedded log: segment files on one machine, written by one thread that commits what has gathered.

Group commit without a timer: while one sync runs, appends gather; the next sync takes all of them. A lone append is
synced at once, a hundred concurrent ones share a sync. Waiting for more before a sync was measured to be harmful.
"""

import asyncio
import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from runstream.clock import SYSTEM_CLOCK
from runstream.events.kafka import partition_of
from runstream.events.positions import Positions
from runstream.private import make_tight
from runstream_ingest.log.disk import Disk, fsync_folder
from runstream_ingest.log.format import (
    MAX_KEY_BYTES,
    MAX_PARTITIONS,
    MAX_SEGMENT_BYTES,
    MAX_VALUE_BYTES,
    Damage,
)
from runstream_ingest.log.lock import lock_directory
from runstream_ingest.log.partition import Partition, Shape, View
from runstream_ingest.log.partition_count import checked_partitions
from runstream_ingest.log.segment import (
    IndexEntry,
    Segment,
    load_index,
    offset_behind,
    read_segment,
    scan,
)
from runstream_ingest.log.wakeups import Wakeups, wait_for
from runstream_service.log import LogCorrupt, LogUnavailable, Record

#: A start scans the newest segment: 128 MiB take about 0.2 s, 2 s where all records are tiny.
SEGMENT_BYTES: Final = 128 << 20
#: Four of the largest requests (16 MB each): a quarter of a second of writing at the 250 MB/s that were measured.
MAX_PENDING_BYTES: Final = 64_000_000
_RETENTION_CHECK_S: Final = 60.0
_READ_THREADS: Final = 4
#: Indexes of sealed segments that are kept in memory: 2,048 entries each, about 0.3 MB.
_CACHED_INDEXES: Final = 32


@dataclass(slots=True)
class _Append:
    """One call of `append` on its way through the writer thread."""

    records: Sequence[tuple[bytes, bytes]]
    size_bytes: int
    done: "asyncio.Future[Positions]"
    next_offsets: dict[int, int] = field(default_factory=dict)
    error: LogUnavailable | None = None


class EmbeddedLog:
    """LogWriter and LogReader over a directory (see `runstream_service.log` for what both promise).

    Appends may come from any event loop, reads too. One process holds a directory (LogBusy for a second one).
    Beyond the interfaces, `append` raises ValueError for a key of more than 65,535 bytes or a value of more than 64 MB,
    and reading after `close` raises LogUnavailable.
    """

    def __init__(self, partitions: list[Partition], lock: int, max_pending_bytes: int, clock_us: Callable[[], int]):
        self._parts = partitions
        self._lock_descriptor = lock
        self._max_pending_bytes = max_pending_bytes
        self._clock_us = clock_us
        self._changed = threading.Condition()
        self._pending: list[_Append] = []
        self._pending_bytes = 0
        self._closing = False
        self._wakeups = [Wakeups() for _ in partitions]
        self._indexes = _Indexes()
        self._readers = ThreadPoolExecutor(_READ_THREADS, "runstream-log-read")
        self._thread = threading.Thread(target=self._write_until_closed, name="runstream-log-write", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        partitions: int | None = 1,
        segment_bytes: int = SEGMENT_BYTES,
        retention_bytes: int | None = None,
        retention_s: float | None = None,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
        disk: Disk | None = None,
    ) -> Self:
        """Open the log in `directory`, or make one there. Blocks: the newest segment is read and checked.

        partitions: fixed when the log is made; None takes those that it has (one if it is new). segment_bytes: when a
        new file is begun. retention_bytes: how much each partition keeps at most; retention_s: how long a record is
        kept at least; None keeps everything, and whole files are removed. max_pending_bytes: appends beyond it raise
        LogUnavailable until some are durable.

        Raises LogBusy, LogMismatch, LogCorrupt, LogUnavailable, ValueError.
        """
        wanted = 1 if partitions is None else partitions
        sizes_fit = 4096 <= segment_bytes <= MAX_SEGMENT_BYTES and max_pending_bytes <= MAX_SEGMENT_BYTES
        if not 1 <= wanted <= MAX_PARTITIONS or not sizes_fit:
            raise ValueError(
                f"a log needs 1 to {MAX_PARTITIONS} partitions (got {wanted}), segments of 4,096 to "
                f"{MAX_SEGMENT_BYTES} bytes (got {segment_bytes}) and at most {MAX_SEGMENT_BYTES} pending bytes "
                f"(got {max_pending_bytes})"
            )
        directory = directory.absolute()
        try:
            make_tight(directory)
            lock = lock_directory(directory)
        except OSError as error:
            raise LogUnavailable(f"the log's directory {directory} cannot be used: {error}") from error
        shape = Shape(segment_bytes, retention_bytes, retention_s)
        opened: list[Partition] = []
        try:
            for number in range(checked_partitions(directory, partitions, clock_us())):
                opened.append(Partition(directory / str(number), number, shape, disk or Disk()))
                opened[-1].retain(clock_us())
            fsync_folder(directory)
        except BaseException as error:
            for partition in opened:
                partition.close()
            os.close(lock)
            if isinstance(error, OSError):
                raise LogUnavailable(f"the log's directory {directory} cannot be used: {error}") from error
            raise
        return cls(opened, lock, max_pending_bytes, clock_us)

    @property
    def partitions(self) -> int:
        return len(self._parts)

    @property
    def pending_bytes(self) -> int:
        """Bytes of keys and values that were given to `append` and are not durable yet."""
        return self._pending_bytes

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        """See LogWriter. Cancelling the caller does not take the records back."""
        size = 0
        for key, value in records:
            if len(key) > MAX_KEY_BYTES or len(value) > MAX_VALUE_BYTES:
                raise ValueError(
                    f"a record with a key of {len(key)} bytes and a value of {len(value)} cannot be appended: at most "
                    f"{MAX_KEY_BYTES} and {MAX_VALUE_BYTES} are allowed"
                )
            size += len(key) + len(value)
        if not records:
            return Positions()
        item = _Append(records, size, asyncio.get_running_loop().create_future())
        with self._changed:
            if self._closing:
                raise LogUnavailable("the log is closed: open it again")
            # An append larger than the bound passes alone, or it could never be made.
            if self._pending_bytes and self._pending_bytes + size > self._max_pending_bytes:
                raise LogUnavailable(
                    f"{self._pending_bytes} bytes already wait to become durable and {size} more are beyond "
                    f"{self._max_pending_bytes}: append again in a moment"
                )
            self._pending.append(item)
            self._pending_bytes += size
            self._changed.notify()
        return await item.done

    async def close(self) -> None:
        """Write and sync what is pending, then release the files and the lock. A second call does nothing more."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        for wakeups in self._wakeups:
            wakeups.wake()
        self._readers.shutdown(wait=False)

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        """See LogReader. One call reads from one segment file; it runs in a thread of the log's own."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        part, wakeups = self._part(partition), self._wakeups[partition]
        while True:
            waiting = wakeups.enter()
            try:
                if self._closing:
                    raise LogUnavailable("the log is closed: open it again")
                view = part.view
                if next_offset < view.begin_offset:
                    raise LogCorrupt(
                        f"record {next_offset} of partition {partition} is gone: retention keeps records from "
                        f"{view.begin_offset} on; rebuild from there, or restore older segments from a copy"
                    )
                if next_offset >= view.next_offset:
                    left_s = deadline - loop.time()
                    if left_s <= 0:
                        return []
                    await wait_for(waiting, left_s)
                    continue
            finally:
                wakeups.leave(waiting)
            segment = view.segment_of(next_offset)
            try:
                return await loop.run_in_executor(
                    self._readers, self._read_from, view, segment, next_offset, max(1, max_bytes)
                )
            except FileNotFoundError:
                if part.view.begin_offset <= segment.base_offset:  # not by retention
                    raise LogCorrupt(f"{segment.path} is gone: restore it from a copy of the log") from None

    async def begin_offsets(self) -> Mapping[int, int]:
        return {part.number: part.view.begin_offset for part in self._parts}

    async def next_offsets(self) -> Mapping[int, int]:
        return self.ends()

    def ends(self) -> Mapping[int, int]:
        """What `next_offsets` gives, at once and from any thread."""
        return {part.number: part.view.next_offset for part in self._parts}

    async def position_at(self, at_us: int) -> Positions:
        if self._closing:
            raise LogUnavailable("the log is closed: open it again")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._position_at, at_us)

    def _part(self, partition: int) -> Partition:
        if not 0 <= partition < len(self._parts):
            raise ValueError(f"there is no partition {partition}: the log has 0 to {len(self._parts) - 1}")
        return self._parts[partition]

    def _read_from(self, view: View, segment: Segment, next_offset: int, max_bytes: int) -> list[Record]:
        try:
            index = self._indexes.of(segment, view)
            return read_segment(segment, index, next_offset, max_bytes)
        except FileNotFoundError:
            raise
        except Damage as damage:
            raise _corrupt(segment, damage) from None
        except OSError as error:
            raise LogUnavailable(f"{segment.path} cannot be read: {error}; repair the disk and read again") from error

    def _position_at(self, at_us: int) -> Positions:
        next_offsets = {}
        for part in self._parts:
            view = part.view
            found = bisect_right(view.segments, at_us, key=lambda segment: segment.first_at_us)
            if found == 0:
                continue
            segment = view.segments[found - 1]
            try:
                next_offset = offset_behind(segment, self._indexes.of(segment, view), at_us)
            except Damage as damage:
                raise _corrupt(segment, damage) from None
            except OSError as error:
                raise LogUnavailable(f"{segment.path} cannot be read: {error}; read again") from error
            if next_offset is not None:
                next_offsets[part.number] = next_offset
        return Positions(next_offsets)

    def _write_until_closed(self) -> None:
        next_check_s = time.monotonic() + _RETENTION_CHECK_S
        while True:
            with self._changed:
                if not self._pending and not self._closing:
                    self._changed.wait(max(0.0, next_check_s - time.monotonic()))
                batch, self._pending = self._pending, []
                closing = self._closing
            if batch:
                self._commit(batch)
            elif closing:
                break
            if time.monotonic() >= next_check_s:
                next_check_s = time.monotonic() + _RETENTION_CHECK_S
                for part in self._parts:
                    part.retain(self._clock_us())
        for part in self._parts:
            part.close()
        os.close(self._lock_descriptor)

    def _commit(self, batch: list[_Append]) -> None:
        """Make a batch durable, partition by partition, and wake those who wait. Never raises: the thread lives."""
        for number, items in self._by_partition(batch).items():
            part = self._parts[number]
            flat = [record for _, records in items for record in records]
            try:
                next_offset = part.commit(flat, self._clock_us())
            except Exception as error:
                refused = error if isinstance(error, LogUnavailable) else LogUnavailable(f"the log failed: {error!r}")
                for item, _ in items:
                    item.error = refused
                continue
            for item, records in reversed(items):
                item.next_offsets[number] = next_offset
                next_offset -= len(records)
            self._wakeups[number].wake()
        with self._changed:
            self._pending_bytes -= sum(item.size_bytes for item in batch)
        _complete_all(batch)

    def _by_partition(self, batch: list[_Append]) -> dict[int, list[tuple[_Append, Sequence[tuple[bytes, bytes]]]]]:
        count = len(self._parts)
        if count == 1:
            return {0: [(item, item.records) for item in batch]}
        grouped: dict[int, list[tuple[_Append, Sequence[tuple[bytes, bytes]]]]] = {}
        for item in batch:
            split: dict[int, list[tuple[bytes, bytes]]] = {}
            for record in item.records:
                number = partition_of(record[0], count)
                split.setdefault(number, []).append(record)
            for number, records in split.items():
                grouped.setdefault(number, []).append((item, records))
        return grouped


class _Indexes:
    """The sparse indexes of segments: the active one's from its view, older ones' from their files. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: OrderedDict[Path, list[IndexEntry]] = OrderedDict()

    def of(self, segment: Segment, view: View) -> list[IndexEntry]:
        if view.active_index and view.active_index[0].offset == segment.base_offset:
            return view.active_index
        with self._lock:
            cached = self._cached.get(segment.path)
            if cached is not None:
                self._cached.move_to_end(segment.path)
                return cached
        kept = load_index(segment.path, segment.partition, segment.base_offset)
        if kept is None:
            kept = scan(segment.path, segment.partition, segment.base_offset, segment.next_offset)
        with self._lock:
            self._cached[segment.path] = kept.index
            while len(self._cached) > _CACHED_INDEXES:
                self._cached.popitem(last=False)
        return kept.index


def _complete_all(batch: list[_Append]) -> None:
    """Complete the futures of a batch: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Append]] = {}
    for item in batch:
        by_loop.setdefault(item.done.get_loop(), []).append(item)
    for loop, items in by_loop.items():
        try:
            loop.call_soon_threadsafe(_complete, items)
        except RuntimeError:  # that loop was closed; nobody waits there
            continue


def _complete(items: list[_Append]) -> None:
    for item in items:
        if item.done.done():
            continue  # its caller was cancelled
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(Positions(item.next_offsets))


def _corrupt(segment: Segment, damage: Damage) -> LogCorrupt:
    return LogCorrupt(
        f"{segment.path} is damaged at byte {damage.position}: {damage.reason}. The record was durable: restore the "
        "file from a copy of the log"
    )
