"""The points of many frames as columns: what the points table takes and what the summary fold works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from runstream.events.columns import F64, I64, U64
from runstream.events.names import NO_EPOCH
from runstream_model.columns import Coded, ColumnData, Gaps
from runstream_model.projection import COUNT, INTEGER, NAME, NUMBER, POSITION, TIME, Column, Projection
from runstream_model.schemas import Schema
from runstream_model.unpacking import I32, Accepted, BadGroup, Unpacked, joined

__all__ = ["Accepted", "BadGroup", "Groups", "PointBatch", "Segments", "collect"]

POINTS: Final = Projection(
    name="points",
    version=2,
    key=("run", "metric", "step"),
    columns=(
        Column("run", NAME, "the run that it was logged to"),
        Column("metric", NAME, "the metric's name"),
        Column("step", INTEGER, "the step that it was logged at"),
        Column("at", TIME, "when it was logged"),
        Column("value", NUMBER, "its value; NaN, the infinities and -0.0 are values"),
        Column("writer", COUNT, "the first 64 bits of its writer's id"),
        *POSITION,
        Column("epoch", f"Nullable({INTEGER})", "the epoch that it was logged in; NULL: none", optional=True),
        Column("seq", COUNT, "its number among what its writer wrote", internal=True, since=2),
    ),
)

#: Points of a segment from which on copying slices is cheaper than an index for each point (0.3 us a slice, against
#: about 8 ns a point).
_SLICED_FROM_POINTS: Final = 40


@dataclass(frozen=True, slots=True)
class Groups:
    """Where points come from, one entry a group, in the order (run, part, offset).

    run: index into the batch's run names; part, offset: the record; writer: the first 64 bits of the writer's id.
    """

    schemas: tuple[Schema, ...]
    run: I32
    part: npt.NDArray[np.uint16]
    offset: U64
    writer: U64


@dataclass(frozen=True, slots=True)
class Segments:
    """Adjacent points of one (run, metric) that came in one group, in the order (run, metric, group).

    group: index into the groups; place: of the metric in the group's schema; metric: index into the batch's metric
    names; begin: the first point; length: how many. Segments of one (run, metric) are adjacent.
    """

    group: I32
    place: I32
    metric: I32
    begin: I64
    length: I64


@dataclass(frozen=True, slots=True)
class PointBatch:
    """Points, ordered by run name, then metric name, then log position, then as logged. Immutable.

    Shapes: values, seqs, steps, at_us [points]; times in microseconds since 1970 UTC. Names in `run_names` and
    `metric_names` are sorted. epochs[points]: `NO_EPOCH` for points without one; None if no group has epochs, which is
    what nearly all batches are: then nothing is done about them, and the insert does not name the column.
    """

    run_names: tuple[str, ...]
    metric_names: tuple[str, ...]
    groups: Groups
    segments: Segments
    values: F64
    seqs: U64
    steps: I64
    at_us: I64
    epochs: I64 | None = None

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.values)

    def runs(self) -> set[str]:
        """The runs that have points."""
        return {self.run_names[run] for run in np.flatnonzero(_present(self.groups.run[self.segments.group]))}

    def groups_used(self) -> npt.NDArray[np.intp]:
        """The groups that have points, ascending."""
        return np.flatnonzero(_present(self.segments.group))

    def after(self, offsets: Mapping[int, int]) -> "PointBatch":
        """The batch without what came at or below `offsets[part]`, for each partition in it (others stay whole)."""
        keep = np.ones(len(self.groups.run), bool)
        for part, offset in offsets.items():
            if offset >= 0:
                keep &= (self.groups.part != part) | (self.groups.offset > np.uint64(offset))
        if keep.all():
            return self
        kept = keep[self.segments.group]
        points = np.repeat(kept, self.segments.length)
        length = self.segments.length[kept]
        segments = Segments(
            self.segments.group[kept], self.segments.place[kept], self.segments.metric[kept], _begins(length), length
        )
        return PointBatch(
            self.run_names,
            self.metric_names,
            self.groups,
            segments,
            self.values[points],
            self.seqs[points],
            self.steps[points],
            self.at_us[points],
            None if self.epochs is None else self.epochs[points],
        )

    def columns(self) -> dict[str, ColumnData]:
        """The columns of the table `points`, for `store.tables.encode_columns`; `points` rows. `epoch` is there only
        if some group has epochs."""
        segments, groups = self.segments, self.groups

        def spread(of_segment: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return _spread(of_segment, segments.length, self.points)

        epochs = {} if self.epochs is None else {"epoch": Gaps(self.epochs, self.epochs == NO_EPOCH)}
        return {
            "run": Coded(self.run_names, spread(_narrow(groups.run, len(self.run_names))[segments.group])),
            "metric": Coded(self.metric_names, spread(_narrow(segments.metric, len(self.metric_names)))),
            "step": self.steps,
            "at": self.at_us,
            "value": self.values,
            "writer": spread(groups.writer[segments.group]),
            "part": spread(groups.part[segments.group]),
            "offset": spread(groups.offset[segments.group]),
            **epochs,
            "seq": self.seqs,
        }


def collect(accepted: Sequence[Accepted]) -> tuple[PointBatch, tuple[BadGroup, ...]]:
    """Unpack frames and order their points; rows whose sequence number is not fresh are left out.

    Groups that cannot be read do not stop the others: they come back as the second value. Pure; any thread.
    """
    unpacked = Unpacked(sorted(accepted, key=lambda one: (one.frame.header.key, one.part, one.offset)))
    run_names, groups = _groups(unpacked.accepted, unpacked.schemas)
    metric_names, metric_at, metric_codes = _metrics(groups.schemas)
    block = joined(unpacked.blocks)
    metric = metric_codes[metric_at[block.group] + block.place]
    order = _order(groups.run[block.group], metric, block.group, len(metric_names))
    length = block.length[order]
    begin = _begins(length)
    segments = Segments(block.group[order], block.place[order], metric[order], begin, length)
    (values,) = _gathered((block.values,), block.values_at[order], segments, len(block.values))
    of_rows = (block.seqs, block.steps, block.at_us)
    seqs, steps, at_us = _gathered(of_rows, block.rows_at[order], segments, len(block.values))
    epochs = None
    if block.epochs is not None:
        (epochs,) = _gathered((block.epochs,), block.rows_at[order], segments, len(block.values))
    batch = PointBatch(run_names, metric_names, groups, segments, values, seqs, steps, at_us, epochs)
    return batch, tuple(unpacked.failures)


def _groups(accepted: Sequence[Accepted], schemas: Sequence[Schema]) -> tuple[tuple[str, ...], Groups]:
    numbers: dict[str, int] = {}
    headers = [one.frame.header for one in accepted]
    groups = Groups(
        schemas=tuple(schemas),
        run=np.array([numbers.setdefault(header.key, len(numbers)) for header in headers], np.int32),
        part=np.array([one.part for one in accepted], np.uint16),
        offset=np.array([one.offset for one in accepted], np.uint64),
        writer=np.array([int(header.writer_id[:16], 16) for header in headers], np.uint64),
    )
    return tuple(numbers), groups


def _metrics(schemas: Sequence[Schema]) -> tuple[tuple[str, ...], I32, I32]:
    """All metric names, sorted; and for place p of group g its index in them: codes[at[g] + p]."""
    distinct: dict[Schema, int] = {}
    size = 0
    at = np.empty(len(schemas), np.int32)
    for number, schema in enumerate(schemas):
        if schema not in distinct:
            distinct[schema] = size
            size += len(schema.names)
        at[number] = distinct[schema]
    names = tuple(sorted({name for schema in distinct for name in schema.names}))
    codes = {name: code for code, name in enumerate(names)}
    return names, at, np.array([codes[name] for schema in distinct for name in schema.names], np.int32)


def _order(run: I32, metric: I32, group: I32, metrics: int) -> npt.NDArray[Any] | slice:
    """The permutation that sorts segments by (run, metric, group); nothing to do is common and costs nothing."""
    key = run.astype(np.int64) * metrics + metric
    key = key * (int(group.max(initial=0)) + 1) + group
    if (key[1:] >= key[:-1]).all():
        return slice(None)
    return np.argsort(key, kind="stable")


def _begins(length: I64) -> I64:
    """Where each piece begins if pieces of these lengths lie one behind the other."""
    return np.concatenate(([0], np.cumsum(length)[:-1])) if len(length) else length


def _spread(of_segment: npt.NDArray[Any], length: I64, points: int) -> npt.NDArray[Any]:
    """What belongs to a segment, once for each of its points."""
    return of_segment if len(of_segment) == points else np.repeat(of_segment, length)


def _gathered(
    columns: Sequence[npt.NDArray[Any]], source: I64, segments: Segments, points: int
) -> list[npt.NDArray[Any]]:
    """The columns in the order of the segments, each of which begins at its `source` in them."""
    if points >= _SLICED_FROM_POINTS * len(source) and points:
        slices = [slice(at, at + length) for at, length in zip(source.tolist(), segments.length.tolist(), strict=True)]
        return [np.concatenate([column[one] for one in slices]) for column in columns]
    rows = source
    if len(source) < points:
        rows = np.repeat(source - segments.begin, segments.length) + np.arange(points)
    return [column[rows] for column in columns]


def _present(codes: I32) -> npt.NDArray[np.bool_]:
    present = np.zeros(int(codes.max(initial=-1)) + 1, bool)
    present[codes] = True
    return present


def _narrow(codes: I32, names: int) -> npt.NDArray[Any]:
    return codes.astype(np.uint8 if names <= 1 << 8 else np.uint16 if names <= 1 << 16 else np.uint32)
