"""Reading a writer's spool: committed records, in order, as windows that fit into one frame each."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runstream.events import limits
from runstream.spool.format import (
    ROW_HEAD_BYTES,
    ROW_TAIL_BYTES,
    SEGMENT_HEADER_BYTES,
    Acked,
    SpoolCorrupt,
    segment_numbers,
    segment_path,
)
from runstream.spool.mapped import NO_BOUND, MappedSegment, Run, Schema

_LIFE_TYPES: Final = ("run_started.v1", "run_finished.v1", "writer_lost.v1")
_LIFE: Final = tuple(f'"{kind}"'.encode() for kind in _LIFE_TYPES)
#: What stands where no record was begun; at the very end of a segment there are no bytes at all.
_NOTHING: Final = (b"\0\0\0\0", b"")
#: The marks of a row stay in the spool; its seq may have to travel, as a uint32.
_ROW_OVERHEAD_BYTES: Final = 4 - ROW_HEAD_BYTES - ROW_TAIL_BYTES


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A control event of the spool. `data` is the JSON as its writer wrote it, `fields` the same, read."""

    seq: int
    data: bytes
    fields: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.fields.get("type", ""))


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of one schema: `spans` of (first seq, rows), ascending, and `pieces`, whole records with their marks."""

    schema: Schema
    spans: list[tuple[int, int]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.spans)


@dataclass(slots=True)
class Window:
    """What stands from `start` up to `end`: everything with a sequence number in [start.next_seq, end.next_seq)."""

    start: Acked
    end: Acked
    events: list[EventRecord] = field(default_factory=list)
    groups: dict[bytes, RowGroup] = field(default_factory=dict)
    #: What it has in a frame, before compression.
    raw_bytes: int = 0
    #: It ended because its bounds were met: more may follow at once.
    full: bool = False
    #: It ended in front of this event, which may not be sent yet.
    held_by: EventRecord | None = None

    @property
    def seqs(self) -> int:
        return self.end.next_seq - self.start.next_seq


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies between a place and the end of what is committed."""

    rows: int
    size_bytes: int


def always(_: EventRecord) -> bool:
    """Every event may be sent."""
    return True


class SpoolReader:
    """Reads the segments in a writer's folder while the writer goes on, or long after it is gone.

    Not thread-safe; never blocks but on the disk. Places are `Acked` values: the next sequence number and where its
    record begins. Every method that reads raises SpoolCorrupt (naming file and byte) when the bytes there cannot be a
    record, and OSError when a segment cannot be opened. A record that was begun and not committed ends what is read:
    its writer is in the middle of it, or died there and its `log()` never returned.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Whether the last of run_started, run_finished and writer_lost that was passed is one of the latter two.
        self.ended = False
        self._segments: dict[int, MappedSegment] = {}
        self._tail: Acked | None = None
        self._folder_text = str(folder)

    @property
    def unsure(self) -> bool:
        """Whether bytes were met that make no sense; the next look at them raises if they still do not."""
        return any(segment.doubtful is not None for segment in self._segments.values())

    @property
    def open_segments(self) -> int:
        return len(self._segments)

    def close(self) -> None:
        """Unmap everything. The next read maps again."""
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()

    def has_more(self, place: Acked) -> bool:
        """Whether something was begun at `place`: one look at mapped memory, in most cases.

        Sees the usual rotation (the next row did not fit) but not every one; `read` sees all.
        """
        segment = self._segments.get(place.segment)
        # Spelled out because it runs ten times a second for each of a thousand quiet writers.
        if segment is None or segment.data[place.offset : place.offset + 4] not in _NOTHING:
            return True
        return len(segment.data) - place.offset < segment.widest_row and self.moved_on(place)

    def moved_on(self, place: Acked) -> bool:
        """Whether there is a segment behind that of `place`: one look at the file system."""
        return os.path.exists(f"{self._folder_text}/{place.segment + 1:08d}.rows")

    def read(
        self,
        start: Acked,
        max_bytes: int = limits.TARGET_FRAME_RAW_BYTES,
        max_seqs: int = NO_BOUND,
        may_send: Callable[[EventRecord], bool] = always,
    ) -> Window:
        """What is committed from `start` on: at most `max_bytes` in a frame (but at least one record) and `max_seqs`.

        Ends in front of the first event that `may_send` refuses.
        """
        window = Window(start, start)
        place: Acked | None = start
        while place is not None:
            try:
                place = self._next(place, window, max_bytes, max_seqs, may_send)
            except SpoolCorrupt:
                if not window.seqs:
                    raise
                break  # what is before the damage is sent first
        return window

    def locate(self, seq: int) -> Acked | None:
        """Where the record with this number begins; the end of what is committed if it is the next one to be written.
        None if the spool no longer has it, or has not got so far."""
        numbers = segment_numbers(self.folder)
        for number in reversed(numbers):
            segment = self._mapped(number)
            if segment is not None and segment.header.first_seq <= seq:
                first = segment.header.first_seq
                at, found, _ = segment.walk(SEGMENT_HEADER_BYTES, first, len(segment.data), seq)
                return Acked(seq, number, at) if found == seq else None
        return None

    def first(self) -> Acked | None:
        """The first place that the spool still has; None while there is no segment."""
        return next((place for number in segment_numbers(self.folder) if (place := self.begin_of(number))), None)

    def begin_of(self, number: int) -> Acked | None:
        """Return where the first record of a segment begins; None if there is no such segment."""
        segment = self._mapped(number)
        return None if segment is None else Acked(segment.header.first_seq, number, SEGMENT_HEADER_BYTES)

    def last(self, place: Acked) -> Acked:
        """The end of what is committed, which lies at or behind `place`. Remembers where it was the last time."""
        tail = place if self._tail is None or self._tail.next_seq < place.next_seq else self._tail
        while (segment := self._segment(tail)) is not None:
            at, seq, events = segment.walk(tail.offset, tail.next_seq, len(segment.data), NO_BOUND)
            self._note(events)
            tail = Acked(seq, tail.segment, at)
            following = self._rotated(tail) if segment.empty_at(at) else None
            if following is None:
                break
            tail = following
        self._tail = tail
        return tail

    def backlog(self, place: Acked) -> Backlog:
        """How much is committed behind `place`."""
        tail = self.last(place)
        size_bytes = tail.offset - place.offset
        for number in range(place.segment, tail.segment):
            segment = self._mapped(number)
            size_bytes += len(segment.data) if segment is not None else 0
        return Backlog(tail.next_seq - place.next_seq, size_bytes)

    def forget_before(self, place: Acked) -> None:
        """Delete the segments that lie wholly before `place`."""
        for number in segment_numbers(self.folder):
            if number < place.segment:
                mapped = self._segments.pop(number, None)
                if mapped is not None:
                    mapped.close()
                segment_path(self.folder, number).unlink(missing_ok=True)

    def _next(
        self, place: Acked, window: Window, max_bytes: int, max_seqs: int, may_send: Callable[[EventRecord], bool]
    ) -> Acked | None:
        segment = self._segment(place)
        if segment is None:
            return None
        if segment.empty_at(place.offset):
            return self._rotated(place)
        return self._take(segment, place, window, max_bytes, max_seqs - window.seqs, may_send)

    def _take(
        self,
        segment: MappedSegment,
        place: Acked,
        window: Window,
        max_bytes: int,
        max_seqs: int,
        may_send: Callable[[EventRecord], bool],
    ) -> Acked | None:
        """Add the records at `place` to the window and return the place behind them; None if there are none to add."""
        if max_seqs <= 0:
            window.full = True
            return None
        run = segment.run_at(place.offset, max_seqs, max_bytes)
        if run is None:
            return None
        if (schema := run.schema) is not None:
            run = _fitting(run, schema, window, max_bytes)
            if not run.seqs:
                window.full = True
                return None
            _add_rows(window, run, schema, place.next_seq, segment.data[run.begin : run.end])
        elif run.seqs and not self._take_event(_read_event(segment, run, place.next_seq), window, max_bytes, may_send):
            return None
        segment.passed(run)
        behind = Acked(place.next_seq + run.seqs, place.segment, run.end)
        if run.seqs:
            # Never behind a schema only, nor in a segment of which nothing was taken: what comes before an
            # acknowledged place is deleted, and the segment in which a run ended says that it did.
            window.end = behind
        return behind

    def _take_event(
        self, event: EventRecord, window: Window, max_bytes: int, may_send: Callable[[EventRecord], bool]
    ) -> bool:
        # Its number in decimal, and "[,],": 24 bytes at most.
        size = len(event.data) + 24
        if window.seqs and window.raw_bytes + size > max_bytes:
            window.full = True
            return False
        if not may_send(event):
            window.held_by = event
            return False
        self._note([event.data])
        window.events.append(event)
        window.raw_bytes += size
        return True

    def _segment(self, place: Acked) -> MappedSegment | None:
        """The segment of `place`, with the schemas that stand before it."""
        segment = self._mapped(place.segment)
        if segment is None:
            first = self.first()
            if first is not None and first.segment > place.segment:
                raise SpoolCorrupt(f"{segment_path(self.folder, place.segment)} is missing: later segments are there")
            return None
        self._note(segment.learn(place.offset))
        if segment.learnt == place.offset and segment.learnt_seq != place.next_seq:
            raise SpoolCorrupt(
                f"{segment.path} has number {segment.learnt_seq} at byte {place.offset}, where {place.next_seq} was "
                "expected"
            )
        return segment

    def _mapped(self, number: int) -> MappedSegment | None:
        segment = self._segments.get(number)
        if segment is None:
            segment = MappedSegment.open(segment_path(self.folder, number), number)
            if segment is not None:
                # A window may begin in one segment and end in the next, and be read again.
                for other in [other for other in self._segments if abs(other - number) > 1]:
                    self._segments.pop(other).close()
                self._segments[number] = segment
        return segment

    def _rotated(self, place: Acked) -> Acked | None:
        """The beginning of the next segment, if the writer went on to it from `place`."""
        following = self._mapped(place.segment + 1)
        segment = self._mapped(place.segment)
        if following is None or segment is None or not segment.empty_at(place.offset):
            return None
        first_seq = following.header.first_seq
        if first_seq != place.next_seq:
            raise SpoolCorrupt(
                f"{following.path} begins with number {first_seq}, but {segment.path} ends before number "
                f"{place.next_seq}, at byte {place.offset}"
            )
        return Acked(first_seq, following.number, SEGMENT_HEADER_BYTES)

    def _note(self, events: list[bytes]) -> None:
        for data in events:
            if any(mark in data for mark in _LIFE):
                kind = _type_of(data)
                if kind in _LIFE_TYPES:
                    self.ended = kind != "run_started.v1"


def _fitting(run: Run, schema: Schema, window: Window, max_bytes: int) -> Run:
    """As many of the rows as the window still has room for; at least one if it is empty."""
    row_bytes = schema.width + _ROW_OVERHEAD_BYTES
    names_bytes = 0 if schema.names in window.groups else len(schema.names)
    room = (max_bytes - window.raw_bytes - names_bytes) // row_bytes
    rows = min(run.seqs, max(room, 0 if window.seqs else 1))
    return Run(run.begin, run.begin + rows * schema.width, rows, schema)


def _add_rows(window: Window, run: Run, schema: Schema, seq: int, piece: bytes) -> None:
    group = window.groups.get(schema.names)
    if group is None:
        group = window.groups[schema.names] = RowGroup(schema)
        window.raw_bytes += len(schema.names)
    if group.spans and sum(group.spans[-1]) == seq:
        group.spans[-1] = (group.spans[-1][0], group.spans[-1][1] + run.seqs)
    else:
        group.spans.append((seq, run.seqs))
    group.pieces.append(piece)
    window.raw_bytes += run.seqs * (schema.width + _ROW_OVERHEAD_BYTES)


def _type_of(data: bytes) -> object:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return fields.get("type") if isinstance(fields, dict) else None


def _read_event(segment: MappedSegment, run: Run, seq: int) -> EventRecord:
    data = segment.event_at(run)
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SpoolCorrupt(f"the event at byte {run.begin} of {segment.path} is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise SpoolCorrupt(f"the event at byte {run.begin} of {segment.path} is no JSON object")
    return EventRecord(seq, data, fields)
