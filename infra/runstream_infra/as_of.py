"""The folds of the processors as the query service takes them for reads of the past."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runstream.events.artifacts import ArtifactEvent
from runstream.events.control import RunEvent, decode_event
from runstream_model import run_state
from runstream_model.artifact_rows import row_from_artifact, row_from_version
from runstream_model.artifacts import ArtifactState, fold_artifact
from runstream_model.attributes import Row, rows_from_events
from runstream_model.catalog import (
    AboutExperiment,
    AboutProject,
    ExperimentState,
    ProjectState,
    fold_experiment,
    fold_project,
)
from runstream_model.columns import Coded
from runstream_model.points import Groups, PointBatch, Segments
from runstream_model.schemas import schema_of
from runstream_model.summaries import SummaryFold
from runstream_model.writer_marks import WriterMark, has_ended
from runstream_query.as_of import FoldedArtifact, FoldedRun, FoldedWriter, LoggedEvent

_POINT_COLUMNS: Final = ("run", "metric", "step", "at", "value")


class ProcessorFolds:
    """`runstream_query.as_of.AsOf` by the very functions that fold the present."""

    def fold_run(self, run: str, events: Sequence[LoggedEvent]) -> FoldedRun:
        state: run_state.RunState | None = None
        attributes: dict[tuple[str, str], Row] = {}
        assets: dict[str, Row] = {}
        ended: dict[str, bool] = {}
        for logged in events:
            event = decode_event(logged.body)
            if not isinstance(event, RunEvent):
                continue
            state = run_state.fold(state, event, logged.writer)
            ended[logged.writer] = has_ended(ended.get(logged.writer, WriterMark().ended), [event])
            rows = rows_from_events(run, logged.writer, [(logged.seq, event)], logged.part, logged.offset)
            attributes.update({(row["kind"], row["name"]): row for row in rows.attributes})
            assets.update({row["asset"]: row for row in rows.assets})
        last = events[-1]
        return FoldedRun(
            run_state.row_from_state(run, state or run_state.placeholder(0), last.part, last.offset),
            [row for row in attributes.values() if not row["deleted"]],
            [row for row in assets.values() if not row["deleted"]],
            [FoldedWriter(writer, over) for writer, over in sorted(ended.items())],
        )

    def changed(self, events: Sequence[LoggedEvent]) -> bool:
        *earlier, last = [(logged.writer, decode_event(logged.body)) for logged in events]
        writer, event = last
        if isinstance(event, RunEvent):
            run: run_state.RunState | None = None
            for by, before in earlier:
                if isinstance(before, RunEvent):
                    run = run_state.fold(run, before, by)
            return run_state.fold(run, event, writer) is not run
        if isinstance(event, AboutProject):
            project: ProjectState | None = None
            for _, before in earlier:
                if isinstance(before, AboutProject):
                    project = fold_project(project, before)
            return fold_project(project, event) is not project
        if isinstance(event, ArtifactEvent):
            artifact: ArtifactState | None = None
            for _, before in earlier:
                if isinstance(before, ArtifactEvent) and before.artifact == event.artifact:
                    artifact = fold_artifact(artifact, before).state
            return fold_artifact(artifact, event).state is not artifact
        experiment: ExperimentState | None = None
        for _, before in earlier:
            if isinstance(before, AboutExperiment):
                experiment = fold_experiment(experiment, before)
        return fold_experiment(experiment, event) is not experiment

    def fold_artifact(self, artifact: str, events: Sequence[LoggedEvent]) -> FoldedArtifact | None:
        state: ArtifactState | None = None
        for logged in events:
            event = decode_event(logged.body)
            if isinstance(event, ArtifactEvent) and event.artifact == artifact:
                state = fold_artifact(state, event).state
        if state is None or state.deleted:
            return None
        part, offset = events[-1].part, events[-1].offset
        versions = [row_from_version(artifact, one, False, part, offset) for one in state.versions.values()]
        return FoldedArtifact(row_from_artifact(state, part, offset), versions)

    def summarise(self, points: pa.Table) -> Sequence[Mapping[str, Any]]:
        batch = batch_of(points)
        fold = SummaryFold()
        fold.load(batch.runs() if batch.points else set(), pa.table({"run": pa.array([], pa.string())}))
        fold.fold(batch)
        columns, count = fold.changed_columns()
        lists = {name: _plain(column) for name, column in columns.items() if name not in ("total_digits", "offset")}
        return [{name: values[row] for name, values in lists.items()} for row in range(count)]


def batch_of(points: pa.Table) -> PointBatch:
    """Points as the summary fold takes them: columns run, metric, step, at, value, ordered by run and metric."""
    runs, run = np.unique(points["run"].to_numpy(), return_inverse=True)
    metrics, metric = np.unique(points["metric"].to_numpy(), return_inverse=True)
    begin = np.flatnonzero(np.diff(run, prepend=-1) | np.diff(metric, prepend=-1)).astype(np.int64)
    count = len(runs)
    groups = Groups(
        schemas=(schema_of("\n".join(metrics).encode()),) * count if count else (),
        run=np.arange(count, dtype=np.int32),
        part=np.zeros(count, np.uint16),
        offset=np.zeros(count, np.uint64),
        writer=np.zeros(count, np.uint64),
    )
    segments = Segments(
        group=run[begin].astype(np.int32),
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
        steps=points["step"].to_numpy(),
        at_us=pc.cast(points["at"], pa.int64()).to_numpy(),
    )


def _plain(column: Any) -> list[Any]:
    if isinstance(column, Coded):
        return [column.dictionary[code] for code in column.codes]
    return list(np.asarray(column).tolist())
