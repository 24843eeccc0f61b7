"""The file side of a writer: what waits in a queue, and the segment that it is written into.

A record is written kind first, commit mark last, and accounted for by plain stores after that; `runstream.spool.writer`
says why that order matters. Whoever is interrupted leaves `_limit` at 0, and `_settle` puts things right.
"""

import contextlib
import json
import mmap
from collections.abc import Callable
from pathlib import Path
from struct import unpack_from
from typing import Any, Final, TypeAlias

from runstream.clock import Clock
from runstream.notices import Notices
from runstream.spool.backlog import Backlog, EventRecord, RowRecord
from runstream.spool.format import (
    KIND_EVENT,
    KIND_ROW,
    KIND_SCHEMA,
    ROW_TAIL_BYTES,
    SEGMENT_HEADER_BYTES,
    SIZED,
    WriterInfo,
    row_struct,
)
from runstream.spool.segment import SegmentChain, find_record, write_row, write_sized
from runstream.spool.shortage import Shortage, shortage_of

#: 1,000 writers on one host take 256 MB with this; a segment twice as large follows each full one.
FIRST_SEGMENT_BYTES: Final = 256 * 1024
#: At 100 MB/s, the fastest that one thread logs, a new segment every 80 ms.
MAX_SEGMENT_BYTES: Final = 8 * 1024 * 1024
#: What waits in memory while the disk is full: ten minutes of 1,000 rows of ten metrics a second.
BACKLOG_BYTES: Final = 64 * 1024 * 1024
#: How often a full disk is tried again.
_RETRY_S: Final = 0.5
_SCHEMA_ID_BYTES: Final = 4
#: The whole row without its mark: its values stand between.
_VALUES_AT: Final = row_struct(0).size - ROW_TAIL_BYTES
#: Of rows with one set of metrics: `pack_into`, their kind, their size, and where the last of them stands (0: nowhere).
#: A list, because the hot path changes it.
Schema: TypeAlias = list[Any]


class Appender:
    """Queues records and appends them to a chain of segments.

    Holds no lock: `SpoolWriter`, which is one, calls everything here under its own, one call at a time. Its attributes
    are that class's too, because the hot path there cannot afford a step in between.
    """

    __slots__ = (
        "_backlog",
        "_buffer",
        "_chain",
        "_clock",
        "_draining",
        "_folder",
        "_info",
        "_last",
        "_limit",
        "_next_seq",
        "_notices",
        "_offset",
        "_pending_notices",
        "_retry_at_s",
        "_row_sizes",
        "_schemas",
        "_shortage",
        "_want_reserve",
    )

    _buffer: mmap.mmap
    _limit: int
    _offset: int
    _row_sizes: list[int]
    _schemas: dict[tuple[str, ...], Schema]

    def __init__(
        self,
        folder: Path,
        info: WriterInfo,
        clock: Clock,
        notices: Notices,
        segment_bytes: int,
        max_segment_bytes: int,
        backlog_bytes: int,
        want_reserve: Callable[[], None] | None,
    ) -> None:
        """Allocate the first segment in `folder`. Raises OSError."""
        self._folder = folder
        self._info = info
        self._clock = clock
        self._notices = notices
        self._pending_notices: list[tuple[str, str]] = []
        self._draining = False
        #: Why the spool cannot grow at the moment.
        self._shortage: Shortage | None = None
        self._backlog = Backlog(backlog_bytes)
        self._want_reserve = want_reserve
        self._retry_at_s = 0.0
        self._next_seq = 0
        self._schemas = {}
        #: The last value of each metric in the segments before this one.
        self._last: dict[str, float] = {}
        self._chain = SegmentChain(folder, info.writer_id, clock.at_us, segment_bytes, max_segment_bytes)
        self._begin_segment()

    def _last_values(self) -> dict[str, float]:
        """Return the value that each metric was written with last."""
        found = dict(self._last)
        for names, (_, _, _, at) in sorted(self._schemas.items(), key=lambda item: item[1][3]):
            if at:
                found |= zip(names, unpack_from(f"<{len(names)}d", self._buffer, at + _VALUES_AT), strict=True)
        return found

    def _note(self, key: str, message: str) -> None:
        self._pending_notices.append((f"{self._info.writer_id} {key}", message))

    def _settle(self) -> None:
        """Bring the file and the account of it together after a call that was interrupted or failed."""
        if self._limit:
            return
        self._chain.recover()
        if self._buffer is not self._chain.buffer:
            self._begin_segment()
        found = find_record(self._buffer, self._offset, self._row_sizes)
        if not found.finished:
            self._buffer[self._offset : found.end] = bytes(found.end - self._offset)
        elif found.kind == KIND_SCHEMA:
            begin = self._offset + SIZED.size + _SCHEMA_ID_BYTES
            names = bytes(self._buffer[begin : found.end - ROW_TAIL_BYTES]).decode().split("\n")
            self._learn(tuple(names), found.end)
        else:
            if found.kind >= KIND_ROW:
                self._schema_of(found.kind)[3] = self._offset
            self._offset = found.end
            self._next_seq += 1
            self._backlog.next_index += self._draining
        self._draining = False

    def _drain(self) -> None:
        """Write what is queued, in order, until the disk is full."""
        backlog = self._backlog
        while True:
            while len(backlog):
                record = backlog.first
                if not self._has_room(record):
                    self._limit = 0
                    return
                self._put(record)
            backlog.tidy()
            if not (backlog.refused_points or backlog.refused_events):
                break
            self._report_refused()
        if self._shortage is not None:
            self._shortage = None
            self._notices.forget(f"{self._info.writer_id} full")
        self._set_limit()

    def _put(self, record: RowRecord | EventRecord) -> None:
        if isinstance(record, RowRecord):
            schema = self._schemas.get(record.names) or self._put_schema(record.names)
            self._draining = True
            end = write_row(self._buffer, self._offset, schema[1] - KIND_ROW, record.body)
            schema[3] = self._offset
        else:
            self._draining = True
            end = write_sized(self._buffer, self._offset, KIND_EVENT, record.payload)
        self._offset = end
        self._next_seq += 1
        self._backlog.next_index += 1
        self._draining = False

    def _schema_of(self, kind: int) -> Schema:
        return next(schema for schema in self._schemas.values() if schema[1] == kind)

    def _put_schema(self, names: tuple[str, ...]) -> Schema:
        payload = len(self._row_sizes).to_bytes(_SCHEMA_ID_BYTES, "little") + "\n".join(names).encode()
        return self._learn(names, write_sized(self._buffer, self._offset, KIND_SCHEMA, payload))

    def _learn(self, names: tuple[str, ...], end: int) -> Schema:
        layout = row_struct(len(names))
        schema = [layout.pack_into, KIND_ROW + len(self._row_sizes), layout.size, 0]
        self._offset = end
        self._schemas[names] = schema
        self._row_sizes.append(layout.size)
        return schema

    def _report_refused(self) -> None:
        backlog = self._backlog
        cause = self._shortage.cause if self._shortage is not None else "the spool could not grow"
        reason = f"{cause} and the memory bound was reached"
        if backlog.refused_events:
            reason += f"; {backlog.refused_events} control events were dropped too"
        event = {
            "type": "points_dropped.v1",
            "at_us": self._clock.at_us(),
            "count": max(backlog.refused_points, 1),
            "reason": reason,
        }
        backlog.add(EventRecord(json.dumps(event, separators=(",", ":")).encode()))
        backlog.refused_points = backlog.refused_events = 0

    # Segments.

    def _has_room(self, record: RowRecord | EventRecord) -> bool:
        """Make room for a record and, for a row, its schema. False while the disk is full."""
        room = len(self._buffer) - self._offset
        schema_bytes = 0
        if isinstance(record, RowRecord):
            names_bytes = sum(len(name.encode()) + 1 for name in record.names)
            schema_bytes = SIZED.size + _SCHEMA_ID_BYTES + names_bytes + ROW_TAIL_BYTES
            if record.names in self._schemas and record.record_bytes <= room:
                return True
        most = record.record_bytes + schema_bytes
        return most <= room or self._rotate(most)

    def _rotate(self, at_least_bytes: int) -> bool:
        if self._shortage is not None and self._clock.monotonic_s() < self._retry_at_s:
            return False
        try:
            self._chain.rotate(self._next_seq, at_least_bytes)
        except OSError as error:
            self._shortage = shortage_of(error)
            self._retry_at_s = self._clock.monotonic_s() + _RETRY_S
            self._note(
                "full",
                f"the spool {self._folder} cannot grow ({error.strerror or error}): {self._shortage.remedy}. Until "
                f"then up to {self._backlog.max_bytes / 1e6:.0f} MB wait in memory, where a kill loses them; beyond "
                "that points are dropped and counted",
            )
            return False
        self._begin_segment()
        return True

    def _begin_segment(self) -> None:
        """Write into the chain's current segment from its beginning on. Plain stores: see the module."""
        self._last = self._last_values()
        self._schemas = {}
        self._row_sizes = []
        self._offset = SEGMENT_HEADER_BYTES
        self._buffer = self._chain.buffer
        self._set_limit()

    def _set_limit(self) -> None:
        """Up to where the hot path may write: half of the segment, then, once the next one is on its way, all of it."""
        half = len(self._buffer) // 2
        if self._offset <= half:
            self._limit = half
            return
        if self._chain.reserve_wanted and self._shortage is None:
            if self._want_reserve is not None:
                self._want_reserve()
            else:
                with contextlib.suppress(OSError):  # met again, and dealt with, when the segment is full
                    self._chain.keep(self._chain.prepare())
        self._limit = len(self._buffer)
