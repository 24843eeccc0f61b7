"""What was known as of a moment: the fold of a prefix of the log. Pure; long ones belong into a thread."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runstream.events.artifacts import ArtifactEvent
from runstream.events.control import AnyEvent, RunEvent, decode_event
from runstream.events.entities import EntityEvent
from runstream_model import run_state
from runstream_model.artifact_rows import row_from_artifact, row_from_version
from runstream_model.artifact_state import ArtifactState
from runstream_model.artifacts import fold_artifact
from runstream_model.attributes import Row, rows_from_events
from runstream_model.catalog import (
    AboutExperiment,
    AboutProject,
    fold_experiment,
    fold_project,
)
from runstream_model.columns import Coded
from runstream_model.entities import had_effect
from runstream_model.points import Groups, PointBatch, Segments
from runstream_model.schemas import schema_of
from runstream_model.statistics import SUMMARY_STATES
from runstream_model.summaries import SummaryFold
from runstream_model.upcasting import understood
from runstream_model.writer_marks import WriterMark, has_ended

State = TypeVar("State")
One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A control event as the table `events` has it. `writer` is the whole id (hexadecimal), `body` the event's JSON."""

    part: int
    offset: int
    seq: int
    writer: str
    body: str

    def event(self) -> AnyEvent:
        """Return the event as folds take it."""
        return understood(decode_event(self.body))


@dataclass(frozen=True, slots=True)
class PastWriter:
    """A writer after some of its events. `ended`: it had ended, or, without heartbeats, its run had."""

    writer: str
    ended: bool
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run after some of its events. Times are integers, microseconds since 1970 UTC.

    `row` has the columns of `run_states`; `attributes` and `assets` those of their tables, only what is not deleted,
    one row a key; `writers` has those of the events, by id.
    """

    row: Row
    attributes: Sequence[Row]
    assets: Sequence[Row]
    writers: Sequence[PastWriter]


@dataclass(frozen=True, slots=True)
class PastArtifact:
    """An artifact after some of its events. Times are integers, microseconds since 1970 UTC.

    `row` has the columns of `artifact_states`, `versions` those of `artifact_version_states`, only what is there.
    """

    row: Row
    versions: Sequence[Row]


def run_after(run: str, events: Sequence[LoggedEvent], created_us: int | None = None) -> PastRun:
    """Return the run after these events, which are given in the log's order (part, offset, seq); at least one.
    created_us: when the first record of the run came, where points came before its first event."""
    state = None if created_us is None else run_state.placeholder(created_us)
    attributes: dict[tuple[str, str], Row] = {}
    assets: dict[str, Row] = {}
    ended: dict[str, bool] = {}
    for logged in events:
        event = logged.event()
        if not isinstance(event, RunEvent):
            continue
        state = run_state.fold(state, event, logged.writer)
        ended[logged.writer] = has_ended(ended.get(logged.writer, WriterMark().ended), [event])
        rows = rows_from_events(run, logged.writer, [(logged.seq, event)], logged.part, logged.offset)
        attributes.update({(row["kind"], row["name"]): row for row in rows.attributes})
        assets.update({row["asset"]: row for row in rows.assets})
    last = events[-1]
    return PastRun(
        run_state.row_from_state(run, state or run_state.placeholder(0), last.part, last.offset),
        [row for row in attributes.values() if not row["deleted"]],
        [row for row in assets.values() if not row["deleted"]],
        [
            PastWriter(writer, over and not writes_on(state, writer), _rank(state, writer))
            for writer, over in sorted(ended.items())
        ],
    )


def writes_on(state: run_state.RunState | None, writer: str) -> bool:
    """Return whether a writer that sends no heartbeats may still write the run. Its mark says `ended` from the start,
    because nobody waits for it; it has not ended before its run does."""
    known = None if state is None else state.writers.get(writer)
    if state is None or known is None or known.heartbeats or known.ending is not None:
        return False
    return run_state.outcome(state).status == "running"


def _rank(state: run_state.RunState | None, writer: str) -> int | None:
    known = None if state is None else state.writers.get(writer)
    return None if known is None else known.rank


def artifact_after(artifact: str, events: Sequence[LoggedEvent]) -> PastArtifact | None:
    """Return the artifact with this id after the events of its key, in the log's order; those about other things are
    passed over. None if it was not there then."""
    state: ArtifactState | None = None
    for logged in events:
        event = logged.event()
        if isinstance(event, ArtifactEvent) and event.artifact == artifact:
            state = fold_artifact(state, event).state
    if state is None or state.deleted:
        return None
    part, offset = events[-1].part, events[-1].offset
    versions = [row_from_version(artifact, one, False, part, offset) for one in state.versions.values()]
    return PastArtifact(row_from_artifact(state, part, offset), versions)


def last_had_effect(events: Sequence[LoggedEvent]) -> bool:
    """Return whether the last of these events changed what it is about (a run, a project, an experiment, an artifact,
    an entity).
    They are all that were logged about it, in the log's order; at least one."""
    told = [(logged.writer, logged.event()) for logged in events]
    last = told[-1][1]
    if isinstance(last, RunEvent):
        of_run = [(writer, event) for writer, event in told if isinstance(event, RunEvent)]
        return _last_changes(of_run, lambda state, one: run_state.fold(state, one[1], one[0]))
    if isinstance(last, AboutProject):
        return _last_changes([event for _, event in told if isinstance(event, AboutProject)], fold_project)
    if isinstance(last, AboutExperiment):
        return _last_changes([event for _, event in told if isinstance(event, AboutExperiment)], fold_experiment)
    if isinstance(last, ArtifactEvent):
        of_artifact = [
            event for _, event in told if isinstance(event, ArtifactEvent) and event.artifact == last.artifact
        ]
        return _last_changes(of_artifact, lambda state, event: fold_artifact(state, event).state)
    if isinstance(last, EntityEvent):
        return had_effect([event for _, event in told if isinstance(event, EntityEvent)])
    assert_never(last)


def _last_changes(events: Sequence[One], fold: Callable[[State | None, One], State | None]) -> bool:
    before: State | None = None
    state: State | None = None
    for event in events:
        before, state = state, fold(state, event)
    return state is not before


def summaries_of(points: pa.Table) -> Sequence[Mapping[str, Any]]:
    """Return rows with the visible columns of `summary_states`, one a (run, metric) in `points`; times as integers.

    `points` has run (string), metric (string), step (int64), at (timestamp[us, UTC]), value (double), writer (uint64)
    and seq (uint64), ordered by run and metric; all points of a (run, metric) are in one call.
    """
    batch = _batch_of(points)
    fold = SummaryFold()
    fold.load(batch.runs() if batch.points else set(), pa.table({"run": pa.array([], pa.string())}))
    fold.fold(batch)
    columns, count = fold.changed_columns()
    lists = {column.name: _plain(columns[column.name]) for column in SUMMARY_STATES.visible}
    return [{name: values[row] for name, values in lists.items()} for row in range(count)]


def _batch_of(points: pa.Table) -> PointBatch:
    """Points as the summary fold takes them: a segment, and a group, for each stretch of one run, metric and writer."""
    runs, run = np.unique(points["run"].to_numpy(), return_inverse=True)
    metrics, metric = np.unique(points["metric"].to_numpy(), return_inverse=True)
    writer = points["writer"].to_numpy()
    changes = (run[1:] != run[:-1]) | (metric[1:] != metric[:-1]) | (writer[1:] != writer[:-1])
    begin = np.flatnonzero(np.concatenate(([len(run) > 0], changes))).astype(np.int64)
    count = len(begin)
    groups = Groups(
        schemas=(schema_of("\n".join(metrics).encode()),) * count if count else (),
        run=run[begin].astype(np.int32),
        part=np.zeros(count, np.uint16),
        offset=np.zeros(count, np.uint64),
        writer=writer[begin],
    )
    segments = Segments(
        group=np.arange(count, dtype=np.int32),
        place=metric[begin].astype(np.int32),
        metric=metric[begin].astype(np.int32),
        begin=begin,
        length=np.diff(begin, append=points.num_rows).astype(np.int64),
    )
    return PointBatch(
        run_names=tuple(runs),
        metric_names=tuple(metrics),
        groups=groups,
        segments=segments,
        values=points["value"].to_numpy(),
        seqs=points["seq"].to_numpy(),
        steps=points["step"].to_numpy(),
        at_us=pc.cast(points["at"], pa.int64()).to_numpy(),
    )


def _plain(column: Any) -> list[Any]:
    if isinstance(column, Coded):
        return [column.dictionary[code] for code in column.codes]
    return list(np.asarray(column).tolist())
