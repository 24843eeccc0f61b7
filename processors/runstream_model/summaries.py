"""What is known of each (run, metric): count, extremes, ends, and exact sums of values and squares, in any order.

The state of a series is a function of the set of its points alone: no order, chunking or batching changes a bit of
it (docs/design/summaries.md). It lives in arrays over slots; a batch is reduced to one entry a series first, so that
each slot is touched once, and the number of numpy calls depends neither on runs nor on frames.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from runstream.events.names import NO_STEP
from runstream_model.columns import ColumnData, Lists
from runstream_model.exact_sum import SQUARES_WINDOW, SUM_WINDOW, Digits, ExactSums
from runstream_model.failures import FoldError, StateNotLoaded
from runstream_model.moments import deviations, peeled
from runstream_model.points import PointBatch
from runstream_model.slots import SeriesSlots
from runstream_model.statistics import ENDS, KEPT_POINTS
from runstream_model.winners import SeriesPoints, Writing, ends, maxima, minima, series_points, value_rank

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

#: Points that are folded at once: arrays of 512 kB stay in the processor's cache from one step to the next.
_CHUNK_POINTS: Final = 1 << 16
_NUMBERS: Final = ("count", "nan_count", "part", "offset")


@dataclass(frozen=True, slots=True)
class _Kept:
    """One point of each of some series."""

    value: F64
    step: I64
    at_us: I64

    def at(self, series: I64) -> "_Kept":
        return _Kept(self.value[series], self.step[series], self.at_us[series])

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """By what their columns have behind the name of the point."""
        return {"": self.value, "_step": self.step, "_at": self.at_us}


@dataclass(frozen=True, slots=True)
class _End(_Kept):
    """The point at one end of each of some series, with what decides between points of one step and time."""

    writer: U64
    seq: U64

    def at(self, series: I64) -> "_End":
        return _End(self.value[series], self.step[series], self.at_us[series], self.writer[series], self.seq[series])

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """By what their columns have behind the name of the point."""
        return {
            "": self.value,
            "_step": self.step,
            "_at": self.at_us,
            "_writer": self.writer,
            "_seq": self.seq,
        }


class SummaryFold:
    """The summaries of the runs in memory. Not thread-safe; does no I/O.

    A run is used in this order: `load` (once), any number of `fold`, `changed_columns` + `mark_saved`, `forget`.

    Memory: 346 bytes a slot in arrays, which double when they are full (128 for the four points, 72 for the sum, 104
    for that of squares, 42 for counts, position, names and marks), and 75 bytes a series in dictionaries. Slots of
    forgotten runs are used again.
    """

    def __init__(self) -> None:
        self._slots = SeriesSlots()
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(0, np.int64) for name in _NUMBERS}
        for kept in KEPT_POINTS:
            self._columns |= {kept: np.zeros(0), f"{kept}_step": np.zeros(0, np.int64)}
            self._columns[f"{kept}_at"] = np.zeros(0, np.int64)
        for end in ENDS:
            self._columns |= {f"{end}_writer": np.zeros(0, np.uint64), f"{end}_seq": np.zeros(0, np.uint64)}
        self._sums = ExactSums(SUM_WINDOW)
        self._squares = ExactSums(SQUARES_WINDOW)
        self._is_changed = np.zeros(0, bool)
        self._is_handed_over = np.zeros(0, bool)

    @property
    def runs_in_memory(self) -> int:
        """How many runs are loaded."""
        return len(self._slots.runs)

    @property
    def series_in_memory(self) -> int:
        """How many (run, metric) have a slot."""
        return self._slots.used

    def unknown_runs(self, batch: PointBatch) -> set[str]:
        """The runs of a batch that have to be loaded before it is folded."""
        return batch.runs() - self._slots.runs.keys()

    def load(self, runs: AbstractSet[str], rows: pa.Table) -> None:
        """Take runs into memory. `rows`: what the view `summaries` has of them; a run without rows is new.

        Rows of other runs are left out. A run that is in memory is replaced. Raises InvalidState for rows that no
        fold wrote, FoldError if a replaced run has changes that are not saved.
        """
        self.forget(runs)
        for run in runs:
            self._slots.add_run(run)
        wanted = [run in runs for run in rows.column("run").to_pylist()]
        if not all(wanted):
            rows = rows.filter(pa.array(wanted, pa.bool_()))
        if not rows.num_rows:
            return
        named = zip(rows.column("run").to_pylist(), rows.column("metric").to_pylist(), strict=True)
        slots = np.array([self._slots.slot(run, metric) for run, metric in named], np.int64)
        self._reserve()
        for name, column in self._columns.items():
            column[slots] = _numpy(rows.column(name), column.dtype)
        self._sums.load(slots, _stored_sums(rows, "total"))
        self._squares.load(slots, _stored_sums(rows, "squares"))

    def fold(self, batch: PointBatch) -> None:
        """Fold a batch's points. Raises StateNotLoaded, and changes nothing, if a run of it is unknown."""
        if not batch.points:
            return
        if missing := self.unknown_runs(batch):
            raise StateNotLoaded(f"runs {sorted(missing)[:5]} are not in memory: call load() with their rows first")
        of_segment = self._slots.of_segments(batch)
        self._reserve()
        first = np.flatnonzero(np.diff(of_segment, prepend=-1))
        slots = of_segment[first]
        begin = batch.segments.begin[first]
        group = batch.segments.group
        writers = batch.groups.writer[group]
        segment = np.append(first, len(group)).tolist()
        for one, end in _chunks(begin, batch.points):
            low, high = int(begin[one]), int(begin[end]) if end < len(begin) else batch.points
            its = slice(segment[one], segment[end])
            writing = Writing(batch.seqs[low:high], writers[its], batch.segments.begin[its] - low)
            columns = (batch.values[low:high], batch.steps[low:high], batch.at_us[low:high])
            self._fold_points(slots[one:end], series_points(*columns, writing, begin[one:end] - low))
        offset = batch.groups.offset[group].astype(np.int64)
        if len(first) < len(offset):
            offset = np.maximum.reduceat(offset, first)
        self._columns["part"][slots] = batch.groups.part[group[first]]
        self._columns["offset"][slots] = np.maximum(self._columns["offset"][slots], offset)
        self._is_changed[slots] = True

    def changed_columns(self) -> tuple[dict[str, ColumnData], int]:
        """The newest state of every series that changed since the last `mark_saved`, ordered by run and metric.

        For `store.tables.encode_columns("summary_states", ...)`; the second value is the number of rows. part and
        offset are those of the last record that has points of the series.
        """
        self._is_handed_over |= self._is_changed
        self._is_changed[:] = False
        slots, runs, metrics = self._slots.named(np.flatnonzero(self._is_handed_over))
        sums, total = self._sums.read(slots)
        squares, _ = self._squares.read(slots)
        columns: dict[str, ColumnData] = {"run": runs, "metric": metrics}
        columns |= {name: column[slots] for name, column in self._columns.items()}
        minimum, maximum = self._columns["minimum"][slots], self._columns["maximum"][slots]
        total = np.where(minimum == -np.inf, -np.inf, np.where(maximum == np.inf, np.inf, total))
        undefined = (self._columns["nan_count"][slots] > 0) | ((minimum == -np.inf) & (maximum == np.inf))
        columns["total"] = np.where(undefined, np.nan, total)
        is_finite = np.isfinite(minimum) & np.isfinite(maximum) & ~undefined
        # Rows of a version without squares give sums that do not belong together; that version does not store `std`.
        with np.errstate(invalid="ignore"):
            std = deviations(self._columns["count"][slots], sums, squares)
        columns["std"] = np.where(is_finite, std, np.nan).tolist()  # a list, because the column can be NULL
        for name, exact in (("total", sums), ("squares", squares)):
            columns |= {f"{name}_exponent": exact.exponents, f"{name}_digits": Lists(exact.flat, exact.lengths)}
        return columns, len(slots)

    def mark_saved(self) -> None:
        """What the last `changed_columns` gave is in the store (or will be before anything is loaded again). Series
        that changed after that call stay changed."""
        self._is_handed_over[:] = False

    def forget(self, runs: AbstractSet[str]) -> None:
        """Drop runs from memory; those that are not there are left out. Raises FoldError, and drops nothing, if one
        has changes that are not saved."""
        known = [run for run in runs if run in self._slots.runs]
        slots = np.array([slot for run in known for slot in self._slots.runs[run].slots.values()], np.int64)
        unsaved = self._is_changed[slots] | self._is_handed_over[slots]
        if unsaved.any():
            raise FoldError(
                f"{int(unsaved.sum())} series of runs to forget are not saved: save changed_columns() first"
            )
        for column in self._columns.values():
            column[slots] = 0
        self._sums.clear(slots)
        self._squares.clear(slots)
        for run in known:
            self._slots.drop_run(run)

    def _reserve(self) -> None:
        have = len(self._is_changed)
        if self._slots.capacity <= have:
            return
        more = self._slots.capacity - have
        for name, column in self._columns.items():
            self._columns[name] = np.concatenate((column, np.zeros(more, column.dtype)))
        self._is_changed = np.concatenate((self._is_changed, np.zeros(more, bool)))
        self._is_handed_over = np.concatenate((self._is_handed_over, np.zeros(more, bool)))
        self._sums.reserve(self._slots.capacity)
        self._squares.reserve(self._slots.capacity)

    def _fold_points(self, slots: I64, points: SeriesPoints) -> None:
        """Reduce points to one entry a series, and merge these into the slots, none of which occurs twice."""
        numbers = self._columns
        is_new = np.flatnonzero(numbers["count"][slots] == 0)
        minimum, maximum, first, last = _winners(points)
        self._merge_extreme("minimum", np.less, slots, is_new, minimum)
        self._merge_extreme("maximum", np.greater, slots, is_new, maximum)
        self._merge_end("first", np.less, slots, is_new, first)
        self._merge_end("last", np.greater, slots, is_new, last)
        numbers["count"][slots] += points.length
        values = points.values
        largest = np.maximum(-minimum.value, maximum.value)
        if points.has_nan or np.isinf(largest).any():
            numbers["nan_count"][slots] += np.add.reduceat(np.isnan(values).astype(np.int64), points.begin)
            values = np.where(np.isfinite(values), values, 0.0)
            largest = np.maximum.reduceat(np.abs(values), points.begin)
        for amounts in peeled(values, points.length, largest):
            self._sums.add(slots, amounts.sums)
            self._squares.add(slots, amounts.squares)

    def _merge_extreme(self, kept: str, beats: np.ufunc, slots: I64, is_new: I64, theirs: _Kept) -> None:
        """The smaller (`beats` is less) or larger value stays; NaN is none."""
        ours = self._columns[kept][slots]
        wins = beats(theirs.value, ours) | (np.isnan(ours) & ~np.isnan(theirs.value))
        wins[is_new] = True
        ties = np.flatnonzero((theirs.value == ours) & ~wins)
        if ties.size:
            tied, at = theirs.at(ties), self._kept(kept, slots[ties])
            # Of two zeros that are equal in all else, -0.0 is the minimum and 0.0 the maximum.
            signs = value_rank(tied.value), value_rank(at.value)
            signs = signs if beats is np.less else signs[::-1]
            wins[ties] = _is_before((tied.step, at.step), (tied.at_us, at.at_us), signs)
        self._keep(kept, slots, wins, theirs)

    def _merge_end(self, kept: str, beats: np.ufunc, slots: I64, is_new: I64, theirs: _End) -> None:
        """The first (`beats` is less) or last by step, time, writer and sequence number stays."""
        ours = self._columns[f"{kept}_step"][slots]
        wins = beats(theirs.step, ours)
        wins[is_new] = True
        ties = np.flatnonzero((theirs.step == ours) & ~wins)
        if ties.size:
            wins[ties] = self._is_further(kept, beats, slots[ties], theirs.at(ties))
        self._keep(kept, slots, wins, theirs)

    def _is_further(self, kept: str, beats: np.ufunc, slots: I64, theirs: _End) -> Bools:
        """Whether each of their ends is the one to keep, and not ours, which has the same step."""
        ours = _End(*(self._columns[f"{kept}{column}"][slots] for column in theirs.columns()))
        first, second = (theirs, ours) if beats is np.less else (ours, theirs)
        return _is_before(
            (first.at_us, second.at_us),
            (first.writer, second.writer),
            (first.seq, second.seq),
            (value_rank(first.value), value_rank(second.value)),
        )

    def _kept(self, kept: str, slots: I64) -> _Kept:
        return _Kept(*(self._columns[name][slots] for name in (kept, f"{kept}_step", f"{kept}_at")))

    def _keep(self, kept: str, slots: I64, wins: Bools, theirs: _Kept) -> None:
        if not wins.any():
            return
        if not wins.all():
            slots, theirs = slots[wins], theirs.at(np.flatnonzero(wins))
        for column, values in theirs.columns().items():
            self._columns[f"{kept}{column}"][slots] = values


def _chunks(begin: I64, points: int) -> Iterator[tuple[int, int]]:
    """Series [one, end) that have about _CHUNK_POINTS together (a single one may have more)."""
    chunk = begin // _CHUNK_POINTS
    starts = np.flatnonzero(np.diff(chunk, prepend=-1)).tolist()
    yield from pairwise([*starts, len(begin)])


def _winners(points: SeriesPoints) -> tuple[_Kept, _Kept, _End, _End]:
    """Minimum, maximum, first and last of each series."""
    if points.even_length != 1:
        first, last = ends(points)
        minimum, maximum = _kept_points(points, minima(points)), _kept_points(points, maxima(points))
        return minimum, maximum, _end_points(points, first), _end_points(points, last)
    # One point a series is everything, and a segment of its own; but a NaN is no extreme.
    values = np.where(np.isnan(points.values), np.nan, points.values) if points.has_nan else points.values
    only = _End(values, points.steps, points.at_us, points.writing.writers, points.writing.seqs)
    if points.has_nan:
        extreme = _kept_points(points, np.where(np.isnan(points.values), -1, points.begin))
    else:
        extreme = _Kept(only.value, only.step, only.at_us)
    return extreme, extreme, only, only


def _kept_points(points: SeriesPoints, winners: I64) -> _Kept:
    """The winners; NaN, NO_STEP and 0 where there is none. Every NaN is the same NaN."""
    value, step, at = points.values[winners], points.steps[winners], points.at_us[winners]
    if points.has_nan:
        value[np.isnan(value)] = np.nan
        none = winners < 0
        value[none], step[none], at[none] = np.nan, NO_STEP, 0
    return _Kept(value, step, at)


def _end_points(points: SeriesPoints, winners: I64) -> _End:
    """The winners, of which there is one in each series. Every NaN is the same NaN."""
    kept, writing = _kept_points(points, winners), points.writing
    return _End(kept.value, kept.step, kept.at_us, writing.writer(winners), writing.seqs[winners])


def _is_before(*keys: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> Bools:
    """Whether the left ones are smaller than the right ones in the first key in which they differ."""
    before = np.zeros(len(keys[0][0]), bool)
    tied = ~before
    for left, right in keys:
        before |= tied & (left < right)
        tied &= left == right
    return before


def _stored_sums(rows: pa.Table, name: str) -> Digits:
    """The exact sums in the columns that belong to `name`."""
    lists = rows.column(f"{name}_digits").combine_chunks()
    return Digits(
        _numpy(rows.column(f"{name}_exponent"), np.dtype(np.int32)),
        _numpy(lists.flatten(), np.dtype(np.int64)),
        np.diff(_numpy(lists.offsets, np.dtype(np.int64))),
    )


def _numpy(column: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A column of a table as numbers; times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    array: npt.NDArray[Any] = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(False)
    return array.astype(dtype, copy=False)
