"""A batch of records -> rows for every table. No I/O, no clock: the same records give the same rows, whatever the
batches were (tests/property/test_worker.py)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa

from runstream.events import limits
from runstream.events.artifacts import ArtifactEvent
from runstream.events.control import (
    AnyEvent,
    ProjectCreated,
    ProjectDeleted,
    ProjectEvent,
    ProjectUpdated,
    RunEvent,
    encode_event,
)
from runstream.events.encoding import encode_events
from runstream.events.entities import EntityEvent
from runstream.events.frame import Frame, FrameHeader
from runstream_model import artifact_rows, artifact_state, entities, run_state
from runstream_model.artifact_rows import ArtifactRows
from runstream_model.attempts import bounded
from runstream_model.attributes import rows_from_events
from runstream_model.columns import ColumnData
from runstream_model.decoding import decode_events
from runstream_model.entities import EntityRows, entity_from_row
from runstream_model.history import row_of_dead_letter, rows_of_events
from runstream_model.points import PointBatch, collect
from runstream_model.seen import MOST_RANGES, Range, Seen
from runstream_model.source import Source
from runstream_model.unpacking import Accepted
from runstream_model.upcasting import understood
from runstream_model.writer_marks import WriterMark, has_ended, row_from_mark, row_of_commit
from runstream_processors.store.resume import NOTHING, Commit
from runstream_processors.store.tables import OPTIONAL, encode_columns, encode_rows
from runstream_processors.worker.claims import Overtaken
from runstream_processors.worker.feed import Decoded
from runstream_processors.worker.inserts import (
    APPENDED,
    COMMIT,
    POINTS,
    RESUMING,
    STATES,
    SUMMARIES,
    Flush,
    Insert,
    SetAside,
)
from runstream_processors.worker.memory import KeyMemory, Memory
from runstream_service.log import Record
from runstream_service.store import Block

#: Items of one record in quarantine: 0 is the whole record, then its events, and from here on its groups of points.
_FIRST_GROUP_ITEM: Final = 1_000_000

Fresh = tuple[Range, ...]
_Value = TypeVar("_Value")


class Folding:
    """The pure middle of the worker.

    `commits`: where it goes on, for every partition that it folds.
    `ends`: for each table the last offset of each partition that has rows in it. After a crash between two inserts
    that may be beyond the commit: what is at or below it is folded into memory's watermarks, but not into that table
    again.
    `poison`: (partition, offset) of records whose fold failed with a programming error: they are quarantined.
    `absent`: columns by table that the tables' generation does not have yet: no row gets them.
    """

    def __init__(
        self,
        commits: Mapping[int, Commit],
        ends: Mapping[str, Mapping[int, int]],
        poison: Iterable[tuple[int, int]] = (),
        absent: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> None:
        self.memory = Memory()
        #: For each table the last record of each partition with rows in what was handed over so far.
        self._ends = {table: dict(ends.get(table, {})) for table in RESUMING}
        self._ends[COMMIT] = {part: commit.next_offset - 1 for part, commit in commits.items() if commit.next_offset}
        #: What the tables held at the start, and what was folded since: nobody else writes, so nothing is beyond both.
        self._began = {table: dict(offsets) for table, offsets in self._ends.items()}
        self._next = {part: commit.next_offset for part, commit in commits.items()}
        self._poison = frozenset(poison)
        self._absent = absent
        self._rows: dict[str, list[dict[str, Any]]] = {table: [] for table in (*APPENDED, *STATES)}
        self._changed_runs: dict[str, Record] = {}
        self._changed_writers: dict[tuple[str, str], Record] = {}
        self._artifact_rows = ArtifactRows()
        self._entity_rows = EntityRows()
        self._folded_to: dict[int, int] = {}

    def needs(self, batch: Sequence[Decoded]) -> set[str]:
        """Keys whose memory has to be loaded before `fold(batch)`."""
        return self.memory.unknown({decoded.frame.header.key for decoded in batch if decoded.frame})

    def load_catalog(self, projects: pa.Table, experiments: pa.Table) -> None:
        """Take in all projects and experiments (rows of their views), once, before the first batch.
        Raises Overtaken."""
        self._check_known("project_states", projects)
        self._check_known("experiment_states", experiments)
        self.memory.catalog.load(projects.to_pylist(), experiments.to_pylist())

    def load(self, keys: set[str], watermarks: pa.Table, runs: pa.Table, summaries: pa.Table) -> None:
        """Take in the newest states of `keys` (rows of the views); a key without rows is new. Raises Overtaken if a
        state is newer than what this worker folded or found at its start: somebody else wrote it, and what was folded
        into it would be folded once more."""
        for table, rows in ((COMMIT, watermarks), ("run_states", runs), (SUMMARIES, summaries)):
            self._check_known(table, rows)
        for key in keys:
            self.memory.keys[key] = KeyMemory()
        for row in watermarks.to_pylist():
            mark = WriterMark(Seen.from_flat(row["seen"]), row["last_seen_at_us"], row["ended"])
            self.memory.keys[row["key"]].writers[row["writer"]] = mark
        for row in runs.to_pylist():
            self.memory.keys[row["run"]].run = run_state.from_json(row["state"])
        self.memory.summaries.load(keys, summaries)

    def load_artifacts(self, rows: pa.Table) -> None:
        """Take in artifacts of keys that were just loaded (rows of the view `artifacts`). Raises Overtaken."""
        self._check_known(artifact_rows.ARTIFACTS, rows)
        for row in rows.to_pylist():
            self.memory.keys[row["key"]].artifacts[row["artifact"]] = artifact_state.from_json(row["state"])

    def load_entities(self, rows: pa.Table) -> None:
        """Take in entities of keys that were just loaded (rows of the view `entities`). Raises Overtaken."""
        self._check_known(entities.ENTITIES, rows)
        for row in rows.to_pylist():
            self.memory.keys[row["key"]].entities.put(entity_from_row(row))

    def fold(self, batch: Sequence[Decoded]) -> list[Insert]:
        """Fold a batch whose keys are loaded. Returns the points to insert now; all else waits for `flush`."""
        accepted = []
        records: dict[tuple[int, int], Record] = {}
        for decoded in batch:
            record = decoded.record
            place = record.partition, record.offset
            self._folded_to[record.partition] = self._next[record.partition] = record.offset + 1
            if decoded.frame is None:
                self._quarantine(record, 0, decoded.cause, decoded.detail, record.value)
            elif place in self._poison:
                self._quarantine(record, 0, "fold_error", "folding it raised; the worker's log says what", record.value)
            else:
                header = decoded.frame.header
                mark = self.memory.keys[header.key].writers.get(header.writer_id)
                if mark is None and len(self.memory.keys[header.key].writers) >= limits.MAX_KEY_WRITERS:
                    self._quarantine(record, 0, "too_many_writers", _writers(header), record.value)
                    continue
                if mark is not None and not mark.seen.has_room(header.first_seq, header.end_seq):
                    self._quarantine(record, 0, "too_many_gaps", _gaps(header), record.value)
                    continue
                records[place] = record
                accepted.append(self._accept(record, decoded.frame))
        with_points = [item for item in accepted if item.fresh and item.frame.groups]
        if not with_points:
            return []
        points, bad_groups = collect(with_points)
        for bad in bad_groups:
            item = _FIRST_GROUP_ITEM + bad.item
            self._quarantine(records[bad.part, bad.offset], item, "invalid_group", bad.detail, bad.raw)
        self.memory.summaries.fold(points.after(self._ends[SUMMARIES]))
        return self._points_insert(points.after(self._ends[POINTS]))

    def flush(self) -> Flush:
        """Hand over everything that changed since the last flush, in the order in which it must be written."""
        inserts = []
        columns, count = self.memory.summaries.changed_columns()
        if count:
            last = _last_offsets(columns["part"], columns["offset"])
            inserts.append(self._columns_insert(SUMMARIES, columns, count, last))
            self.memory.summaries.mark_saved()
        self._rows["run_states"] = self._run_rows()
        self._rows["project_states"], self._rows["experiment_states"] = self.memory.catalog.take_changed_rows()
        self._rows |= self._artifact_rows.take() | self._entity_rows.take()
        inserts.extend(
            self._rows_insert(table, self._rows[table]) for table in (*APPENDED, *STATES) if self._rows[table]
        )
        if commit := self._watermark_rows():
            inserts.append(self._rows_insert(COMMIT, commit))
        flush = Flush(tuple(inserts), self._folded_to)
        self._rows = {table: [] for table in (*APPENDED, *STATES)}
        self._changed_runs, self._changed_writers, self._folded_to = {}, {}, {}
        return flush

    @property
    def keys_held(self) -> int:
        """How many keys are in memory."""
        return len(self.memory.keys)

    def shrink(self, max_keys: int) -> None:
        """Forget keys beyond `max_keys`, the least recently used first. Only while every flush is written: what is
        forgotten is loaded again from the store."""
        self.memory.shrink(max_keys, keep={key for key, _ in self._changed_writers})

    def _accept(self, record: Record, frame: Frame) -> Accepted:
        """Mark what the frame covers as seen and fold its events; returns what is new of it."""
        header = frame.header
        known = self.memory.use(header.key)
        mark = known.writers.get(header.writer_id, WriterMark())
        fresh = mark.seen.fresh(header.first_seq, header.end_seq)
        ended = mark.ended
        if fresh and frame.events:
            ended = self._fold_events(record, frame, fresh, known, ended)
        if fresh and frame.groups and known.run is None:
            # Its `run_started` is in quarantine or yet to come: the points are kept and the run is shown.
            known.run = run_state.placeholder(record.at_us)
            self._change_run(header.key, record)
        seen = mark.seen.with_range(header.first_seq, header.end_seq)
        known.writers[header.writer_id] = WriterMark(seen, record.at_us, ended)
        self._changed_writers[header.key, header.writer_id] = record
        return Accepted(record.partition, record.offset, frame, fresh)

    def _fold_events(self, record: Record, frame: Frame, fresh: Fresh, known: KeyMemory, ended: bool) -> bool:
        """Fold the new ones of the frame's events; returns whether their writer's part of the run is over then."""
        key, writer_id = frame.header.key, frame.header.writer_id
        decoded, rejected = decode_events(frame)
        for item, reject in enumerate(rejected, start=1):
            if reject.seq is None or _is_fresh(reject.seq, fresh):
                self._quarantine(record, item, reject.cause, reject.detail, reject.body)
        attempts = bounded(known.run, writer_id, [(seq, event) for seq, event in decoded if _is_fresh(seq, fresh)])
        if attempts.refused:
            body = encode_events((seq, encode_event(event)) for seq, event in attempts.refused)
            self._quarantine(record, len(rejected) + 1, "too_many_writers", attempts.detail, body)
        events = [(seq, understood(event)) for seq, event in attempts.taken]
        self._add_rows(record, frame, attempts.taken, events)
        for seq, event in events:
            if isinstance(event, RunEvent):
                self._fold_run(key, writer_id, event, record, known)
            elif isinstance(event, ArtifactEvent | EntityEvent):
                source = Source(writer_id, seq, record.partition, record.offset)
                is_beyond = partial(self._is_beyond, record=record)
                if isinstance(event, ArtifactEvent):
                    self._artifact_rows.fold(known.artifacts, event, source, is_beyond)
                else:
                    self._entity_rows.fold(known.entities, event, source, is_beyond)
            elif self._is_beyond(_catalog_table(event), record):
                self.memory.catalog.fold(event, record.partition, record.offset)
        return has_ended(ended, (event for _, event in events))

    def _fold_run(self, run_id: str, writer_id: str, event: RunEvent, record: Record, known: KeyMemory) -> None:
        if not self._is_beyond("run_states", record):
            return  # the loaded state includes it
        before = known.run
        known.run = run_state.fold(before, event, writer_id)
        if known.run is not before:
            self._change_run(run_id, record)

    def _change_run(self, run_id: str, record: Record) -> None:
        if self._is_beyond("run_states", record):
            self._changed_runs[run_id] = record

    def _add_rows(
        self, record: Record, frame: Frame, came: Sequence[tuple[int, AnyEvent]], events: Sequence[tuple[int, AnyEvent]]
    ) -> None:
        """Add the rows of events as they `came`, and of the same events as they are understood."""
        header = frame.header
        facts = rows_from_events(header.key, header.writer_id, events, record.partition, record.offset)
        history = rows_of_events(header.key, header.writer_id, came, record.partition, record.offset)
        new_rows = (
            ("events", history),
            ("attribute_states", facts.attributes),
            ("asset_states", facts.assets),
            ("output", facts.output),
        )
        for table, rows in new_rows:
            if self._is_beyond(table, record):
                self._rows[table].extend(rows)

    def _quarantine(self, record: Record, item: int, cause: str, detail: str, body: bytes) -> None:
        if self._is_beyond("quarantine", record):
            place = record.key, record.partition, record.offset, record.at_us
            self._rows["quarantine"].append(
                row_of_dead_letter(*place, item=item, cause=cause, detail=detail, body=body)
            )

    def _is_beyond(self, table: str, record: Record) -> bool:
        """Whether the record's rows are still to be written to `table`."""
        return record.offset > self._ends[table].get(record.partition, NOTHING)

    def _check_known(self, table: str, rows: pa.Table) -> None:
        began = self._began[table]
        for part, offset in zip(rows["part"].to_pylist(), rows["offset"].to_pylist(), strict=True):
            # Of partitions that this worker does not fold it knows nothing, and asks nothing.
            if part in self._next and offset >= self._next[part] and offset > began.get(part, NOTHING):
                raise Overtaken(
                    f"{table} has a state of record {part}:{offset}, and the next one of this worker is "
                    f"{part}:{self._next[part]}: another one folds the partition"
                )

    def _insert(
        self, table: str, block: Block, rows: int, last: Mapping[int, int], set_aside: tuple[SetAside, ...] = ()
    ) -> Insert:
        ends = self._ends[table]
        insert = Insert(table, block, rows, {part: ends[part] for part in last if part in ends}, last, set_aside)
        ends.update(last)
        return insert

    def _points_insert(self, points: PointBatch) -> list[Insert]:
        if not points.points:
            return []
        used = points.groups_used()
        last = _last_offsets(points.groups.part[used], points.groups.offset[used])
        return [self._columns_insert(POINTS, points.columns(), points.points, last)]

    def _columns_insert(
        self, table: str, columns: Mapping[str, ColumnData], count: int, last: Mapping[int, int]
    ) -> Insert:
        present = self._present(table, columns)
        insert = self._insert(table, encode_columns(table, present, count), count, last)
        return replace(insert, optional=OPTIONAL[table] & present.keys())

    def _rows_insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Insert:
        fields = ("part", "offset", "key", "cause", "detail")
        set_aside = tuple(SetAside(*(row[name] for name in fields)) for row in rows) if table == "quarantine" else ()
        last = _last_offsets([row["part"] for row in rows], [row["offset"] for row in rows])
        rows = [self._present(table, row) for row in rows] if table in self._absent else rows
        insert = self._insert(table, encode_rows(table, rows), len(rows), last, set_aside)
        return replace(insert, optional=OPTIONAL[table] & rows[0].keys())

    def _present(self, table: str, columns: Mapping[str, _Value]) -> Mapping[str, _Value]:
        """Those of the columns that the tables' generation has."""
        absent = self._absent.get(table)
        return {name: column for name, column in columns.items() if name not in absent} if absent else columns

    def _run_rows(self) -> list[dict[str, Any]]:
        rows = []
        for run_id, record in self._changed_runs.items():
            state = self.memory.keys[run_id].run
            if state is not None:
                rows.append(run_state.row_from_state(run_id, state, record.partition, record.offset))
        return rows

    def _watermark_rows(self) -> list[dict[str, Any]]:
        rows = [
            row_from_mark(key, writer_id, self.memory.keys[key].writers[writer_id], record.partition, record.offset)
            for (key, writer_id), record in self._changed_writers.items()
        ]
        rows.extend(
            row_of_commit(part, next_offset, self._tails(part)) for part, next_offset in self._folded_to.items()
        )
        return rows

    def _tails(self, part: int) -> dict[str, int]:
        return {table: self._ends[table][part] for table in RESUMING if part in self._ends[table]}


def _last_offsets(parts: Any, offsets: Any) -> dict[int, int]:
    """For each partition its highest offset; a row has one place in both columns."""
    parts, offsets = np.asarray(parts), np.asarray(offsets)
    return {int(part): int(offsets[parts == part].max()) for part in np.unique(parts)}


def _is_fresh(seq: int, fresh: Fresh) -> bool:
    return any(begin <= seq < end for begin, end in fresh)


def _gaps(header: FrameHeader) -> str:
    return (
        f"numbers {header.first_seq} to {header.end_seq} of writer {header.writer_id} lie behind one more gap, and its "
        f"numbers have {MOST_RANGES} already: begin a new writer"
    )


def _writers(header: FrameHeader) -> str:
    return (
        f"{header.key} has {limits.MAX_KEY_WRITERS} writers, and {header.writer_id} is one more: go on with one of "
        "them, or begin another run"
    )


def _catalog_table(event: ProjectEvent) -> str:
    is_project = isinstance(event, ProjectCreated | ProjectUpdated | ProjectDeleted)
    return "project_states" if is_project else "experiment_states"
