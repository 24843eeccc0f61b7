"""One segment of a spool as its reader sees it: mapped, its schemas known, its committed records found in runs."""

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from runstream.private import NotPrivate, open_own
from runstream.spool.format import (
    COMMIT_BYTES,
    KIND,
    KIND_EVENT,
    KIND_ROW,
    KIND_SCHEMA,
    MAX_SEGMENT_FILE_BYTES,
    ROW_HEAD_BYTES,
    ROW_TAIL_BYTES,
    SEGMENT_HEADER_BYTES,
    SIZED,
    SegmentHeader,
    SpoolCorrupt,
)

ROW_FIXED_BYTES: Final = 16  # step and time
NO_BOUND: Final = 2**62
_NOTHING: Final = b"\0\0\0\0"
_SCHEMA_ID: Final = struct.Struct("<I")
_MAX_SCHEMA: Final = 2**32 - 1 - KIND_ROW
#: How many rows are looked at first; four times as many after each full success, so that a short tail behind the
#: place never makes the reader touch (and the kernel map) all the empty pages behind it.
_FIRST_LOOK_ROWS: Final = 4


@dataclass(frozen=True, slots=True)
class Schema:
    """A set of metrics, as a segment numbers it. `width` is that of the whole record, marks included."""

    names: bytes
    metrics: int
    width: int
    #: (place in the record, the byte that stands there) of each byte of the kind and of the commit mark.
    marks: tuple[tuple[int, bytes], ...]

    @classmethod
    def numbered(cls, number: int, names: bytes) -> Self:
        metrics = names.count(b"\n") + 1 if names else 0
        width = ROW_HEAD_BYTES + ROW_FIXED_BYTES + 8 * metrics + ROW_TAIL_BYTES
        kind = KIND.pack(KIND_ROW + number)
        places = [*range(ROW_HEAD_BYTES), *range(width - ROW_TAIL_BYTES, width)]
        marks = tuple((place, bytes([byte])) for place, byte in zip(places, kind + COMMIT_BYTES, strict=True))
        return cls(names, metrics, width, marks)


@dataclass(frozen=True, slots=True)
class Run:
    """Committed records of one kind, one behind the other: [begin, end) of the segment.

    Of rows: `schema` is theirs and `seqs` how many there are. Of a schema or an event there is one record at a time;
    `seqs` is 0 for a schema.
    """

    begin: int
    end: int
    seqs: int
    schema: Schema | None


class MappedSegment:
    """Read access to one segment. Not thread-safe. A place (`at`) is always an offset where a record begins.

    Readers look at the commit mark before they copy what is in front of it, and the writer writes it last, so what is
    copied is whole.
    """

    def __init__(self, path: Path, number: int, header: SegmentHeader, data: mmap.mmap) -> None:
        self.path = path
        self.number = number
        self.header = header
        self.data = data
        self.schemas: dict[int, Schema] = {}
        #: The longest row that a schema of this segment makes.
        self.widest_row = 0
        #: A place whose bytes make no sense. Its writer may be in the middle of them, so the first look only notes it.
        self.doubtful: int | None = None
        #: Everything in front of this offset was passed, and the number of the record there.
        self.learnt = SEGMENT_HEADER_BYTES
        self.learnt_seq = header.first_seq

    @classmethod
    def open(cls, path: Path, number: int) -> Self | None:
        """Map the segment; None if it is not there or its header is not written yet. Raises SpoolCorrupt."""
        try:
            descriptor = open_own(path)
        except FileNotFoundError:
            return None
        except NotPrivate as error:
            raise SpoolCorrupt(str(error)) from None
        try:
            size = os.fstat(descriptor).st_size
            if size < SEGMENT_HEADER_BYTES:
                return None
            if size > MAX_SEGMENT_FILE_BYTES:
                raise SpoolCorrupt(f"{path} has {size} bytes, a segment has at most {MAX_SEGMENT_FILE_BYTES}")
            data = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        head = data[:SEGMENT_HEADER_BYTES]
        if not head.strip(b"\0"):
            data.close()
            return None
        return cls(path, number, SegmentHeader.unpack(head, path), data)

    def close(self) -> None:
        self.data.close()

    def empty_at(self, at: int) -> bool:
        """Whether nothing was written at this place yet (or ever: the segment ends before it)."""
        kind = self.data[at : at + 4]
        return kind == _NOTHING or len(kind) < 4

    def run_at(self, at: int, max_rows: int, max_bytes: int = NO_BOUND) -> Run | None:
        """The committed records at `at`: one, or rows that follow each other, at most `max_rows` in `max_bytes` (but at
        least one). None if the one there is not committed.

        Raises SpoolCorrupt when the bytes there cannot become a record, at the second look at the same place.
        """
        doubted = self.doubtful == at
        found = self._look(at, max_rows, max_bytes)
        if not isinstance(found, str):
            self.doubtful = None if doubted else self.doubtful
            return found
        if doubted and not self._torn_head(at):
            raise SpoolCorrupt(f"{self.path} holds {found}, at byte {at}: what follows cannot be read")
        self.doubtful = None if doubted else at
        return None

    def _torn_head(self, at: int) -> bool:
        """Whether nothing stands behind a senseless kind and size: then they are the beginning of a record that was
        never finished, and not the damage of one that was."""
        return not self.data[at + SIZED.size :].strip(b"\0")

    def _look(self, at: int, max_rows: int, max_bytes: int) -> Run | str | None:
        """As `run_at`; a text that says what is wrong where the bytes make no sense."""
        head = self.data[at : at + SIZED.size]
        if len(head) < 4 or head[:4] == _NOTHING:
            return None
        (kind,) = KIND.unpack_from(head)
        if kind >= KIND_ROW:
            schema = self.schemas.get(kind - KIND_ROW)
            if schema is None:
                return f"a row of schema {kind - KIND_ROW}, which nothing before it defines"
            rows = self._committed_rows(at, schema, min(max_rows, max(max_bytes // schema.width, 1)))
            return Run(at, at + rows * schema.width, rows, schema) if rows else None
        if kind not in (KIND_SCHEMA, KIND_EVENT):
            return f"a record of unknown kind {kind}"
        if len(head) < SIZED.size:
            return "a record that is longer than its segment"
        size = SIZED.unpack(head)[1]
        end = at + SIZED.size + size + ROW_TAIL_BYTES
        if end > len(self.data) or (kind == KIND_SCHEMA and size < _SCHEMA_ID.size):
            return f"a record of {size} bytes, where {len(self.data) - at} are left"
        # The head again: had the mark been there by chance, behind a half-written size, the two would differ.
        if self.data[end - ROW_TAIL_BYTES : end] != COMMIT_BYTES or self.data[at : at + SIZED.size] != head:
            return None
        if kind == KIND_EVENT:
            return Run(at, end, 1, None)
        if _SCHEMA_ID.unpack_from(self.data, at + SIZED.size)[0] > _MAX_SCHEMA:
            return "a schema whose number no row can name"
        self._define(at + SIZED.size, end - ROW_TAIL_BYTES)
        return Run(at, end, 0, None)

    def event_at(self, run: Run) -> bytes:
        """The JSON of the event that `run` is."""
        return self.data[run.begin + SIZED.size : run.end - ROW_TAIL_BYTES]

    def walk(self, begin: int, seq: int, until: int, until_seq: int) -> tuple[int, int, list[bytes]]:
        """Go over committed records from (`begin`, `seq`) up to the offset `until` or the number `until_seq`.

        Returns where that ended, as offset and next seq, and the events on the way.
        """
        at, events = begin, []
        while at < until and seq < until_seq:
            run = self.run_at(at, until_seq - seq)
            if run is None:
                break
            if run.schema is not None and run.end > until:
                rows = max((until - at) // run.schema.width, 1)
                run = Run(at, at + rows * run.schema.width, rows, run.schema)
            if run.schema is None and run.seqs:
                events.append(self.event_at(run))
            at, seq = run.end, seq + run.seqs
        return at, seq, events

    def learn(self, until: int) -> list[bytes]:
        """Learn the schemas that stand before the offset `until`; returns the events that were passed."""
        if until <= self.learnt:
            return []
        self.learnt, self.learnt_seq, events = self.walk(self.learnt, self.learnt_seq, until, NO_BOUND)
        if self.learnt > until:
            raise SpoolCorrupt(f"no record of {self.path} begins at byte {until}, where one was acknowledged")
        return events

    def passed(self, run: Run) -> None:
        """Say that `run` was read, so that it need not be learnt."""
        if self.learnt == run.begin:
            self.learnt, self.learnt_seq = run.end, self.learnt_seq + run.seqs

    def _define(self, begin: int, end: int) -> None:
        number = _SCHEMA_ID.unpack(self.data[begin : begin + _SCHEMA_ID.size])[0]
        schema = Schema.numbered(number, self.data[begin + _SCHEMA_ID.size : end])
        self.schemas[number] = schema
        self.widest_row = max(self.widest_row, schema.width)

    def _committed_rows(self, at: int, schema: Schema, max_rows: int) -> int:
        """How many rows of `schema` stand one behind the other from `at` on, at most `max_rows`."""
        most = min(max_rows, (len(self.data) - at) // schema.width)
        rows, look = 0, _FIRST_LOOK_ROWS
        while rows < most:
            wanted = min(look, most - rows)
            found = self._marked_rows(at + rows * schema.width, schema, wanted)
            rows += found
            if found < wanted:
                break
            look *= 4
        return rows

    def _marked_rows(self, at: int, schema: Schema, wanted: int) -> int:
        """How many of the next `wanted` rows have every byte of the kind and of the commit mark."""
        for place, byte in schema.marks:
            begin = at + place
            column = self.data[begin : begin + (wanted - 1) * schema.width + 1 : schema.width]
            wanted = len(column) - len(column.lstrip(byte))
            if not wanted:
                break
        return wanted
