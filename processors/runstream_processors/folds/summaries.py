"""What is known of each (run, metric): count, extremes, ends and exact sum, over all points in any order.

The state of a series is a function of the set of its points alone: no order, chunking or batching changes a bit of
it (docs/design/summaries.md). It lives in arrays over slots; a batch is reduced to one entry a series first, so that
each slot is touched once, and the number of numpy calls depends neither on runs nor on frames.
"""

from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from runstream.events.names import NO_STEP
from runstream_processors.folds.exact_sum import Digits, ExactSums, peeled
from runstream_processors.folds.failures import FoldError, StateNotLoaded
from runstream_processors.folds.points import PointBatch
from runstream_processors.folds.slots import SeriesSlots
from runstream_processors.folds.winners import SeriesPoints, ends, maxima, minima, value_rank
from runstream_processors.store.native import ColumnData, Lists

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: The four points that are kept of a series: their value, step and time.
_KEPT: Final = ("minimum", "maximum", "first", "last")
_NUMBERS: Final = ("count", "nan_count", "part", "offset")


class SummaryFold:
    """The summaries of the runs in memory. Not thread-safe; does no I/O.

    A run is used in this order: `load` (once), any number of `fold`, `changed_columns` + `mark_saved`, `forget`.

    Memory: 225 bytes a series in arrays (96 for the four points, 68 for the sum, 61 for counts, position and names),
    and about 110 for its place in dictionaries; free slots are used again.
    """

    def __init__(self) -> None:
        self._slots = SeriesSlots()
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(0, np.int64) for name in _NUMBERS}
        for kept in _KEPT:
            self._columns |= {kept: np.zeros(0), f"{kept}_step": np.zeros(0, np.int64)}
            self._columns[f"{kept}_at"] = np.zeros(0, np.int64)
        self._sums = ExactSums()
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
        lists = rows.column("total_digits").combine_chunks()
        digits = Digits(
            _numpy(rows.column("total_exponent"), np.dtype(np.int32)),
            _numpy(lists.flatten(), np.dtype(np.int64)),
            np.diff(_numpy(lists.offsets, np.dtype(np.int64))),
        )
        self._sums.load(slots, digits)

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
        points = SeriesPoints(batch.values, batch.steps, batch.at_us, begin, np.diff(begin, append=batch.points))
        self._fold_points(slots, points)
        group = batch.segments.group
        self._columns["part"][slots] = batch.groups.part[group[first]]
        offset = np.maximum.reduceat(batch.groups.offset[group].astype(np.int64), first)
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
        digits, total = self._sums.read(slots)
        columns: dict[str, ColumnData] = {"run": runs, "metric": metrics}
        columns |= {name: column[slots] for name, column in self._columns.items()}
        minimum, maximum = self._columns["minimum"][slots], self._columns["maximum"][slots]
        total = np.where(minimum == -np.inf, -np.inf, np.where(maximum == np.inf, np.inf, total))
        undefined = (self._columns["nan_count"][slots] > 0) | ((minimum == -np.inf) & (maximum == np.inf))
        columns["total"] = np.where(undefined, np.nan, total)
        columns["total_exponent"] = digits.exponents
        columns["total_digits"] = Lists(digits.flat, digits.lengths)
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

    def _fold_points(self, slots: I64, points: SeriesPoints) -> None:
        """Reduce points to one entry a series, and merge these into the slots, none of which occurs twice."""
        is_nan = np.isnan(points.values)
        numbers, winners = self._columns, _winners(points)
        is_new = numbers["count"][slots] == 0
        for kept in _KEPT:
            self._merge(kept, slots, is_new, _kept_points(points, winners[kept]))
        numbers["count"][slots] += points.length
        if is_nan.any():
            numbers["nan_count"][slots] += np.add.reduceat(is_nan.astype(np.int64), points.begin)
        values = points.values
        largest = np.maximum(-values[winners["minimum"]], values[winners["maximum"]])
        if not np.isfinite(largest).all() or is_nan.any():
            values = np.where(np.isfinite(values), values, 0.0)
            largest = np.maximum.reduceat(np.abs(values), points.begin)
        for amounts in peeled(values, points.length, largest):
            self._sums.add(slots, amounts)

    def _merge(self, kept: str, slots: I64, is_new: Bools, theirs: tuple[F64, I64, I64]) -> None:
        value, step, at = (self._columns[name] for name in (kept, f"{kept}_step", f"{kept}_at"))
        wins = _BEATS[kept](theirs, (value[slots], step[slots], at[slots])) | is_new
        winning = slots if wins.all() else slots[wins]
        for column, their in zip((value, step, at), theirs, strict=True):
            column[winning] = their if len(winning) == len(slots) else their[wins]


def _winners(points: SeriesPoints) -> dict[str, I64]:
    if len(points.begin) == len(points.values):
        # One point a series: it is everything, but a NaN is no extreme.
        first = last = points.begin
        minimum = maximum = np.where(np.isnan(points.values), -1, first)
    else:
        first, last = ends(points)
        minimum, maximum = minima(points), maxima(points)
    return {"minimum": minimum, "maximum": maximum, "first": first, "last": last}


def _kept_points(points: SeriesPoints, winners: I64) -> tuple[F64, I64, I64]:
    """Value, step and time of the winners; NaN, NO_STEP and 0 where there is none. Every NaN is the same NaN."""
    value, step, at = points.values[winners], points.steps[winners], points.at_us[winners]
    value[np.isnan(value)] = np.nan
    none = winners < 0
    if none.any():
        value[none], step[none], at[none] = np.nan, NO_STEP, 0
    return value, step, at


_Point = tuple[F64, I64, I64]


def _is_smaller(theirs: _Point, ours: _Point) -> Bools:
    """Whether their minimum replaces ours. NaN is none."""
    wins = (theirs[0] < ours[0]) | (np.isnan(ours[0]) & ~np.isnan(theirs[0]))
    ties = theirs[0] == ours[0]
    if ties.any():
        wins |= ties & _is_earlier(theirs, ours, np.signbit(theirs[0]) & ~np.signbit(ours[0]))
    return wins


def _is_larger(theirs: _Point, ours: _Point) -> Bools:
    """Whether their maximum replaces ours. NaN is none."""
    wins = (theirs[0] > ours[0]) | (np.isnan(ours[0]) & ~np.isnan(theirs[0]))
    ties = theirs[0] == ours[0]
    if ties.any():
        wins |= ties & _is_earlier(theirs, ours, ~np.signbit(theirs[0]) & np.signbit(ours[0]))
    return wins


def _is_first(theirs: _Point, ours: _Point) -> Bools:
    return _is_earlier(theirs, ours, value_rank(theirs[0]) < value_rank(ours[0]))


def _is_last(theirs: _Point, ours: _Point) -> Bools:
    return _is_earlier(ours, theirs, value_rank(ours[0]) < value_rank(theirs[0]))


def _is_earlier(theirs: _Point, ours: _Point, in_tie: Bools) -> Bools:
    """By (step, at); `in_tie` decides where both are equal."""
    (_, step, at), (_, our_step, our_at) = theirs, ours
    earlier: Bools = (step < our_step) | ((step == our_step) & ((at < our_at) | ((at == our_at) & in_tie)))
    return earlier


_BEATS: Final = {"minimum": _is_smaller, "maximum": _is_larger, "first": _is_first, "last": _is_last}


def _numpy(column: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A column of a table as numbers; times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    array: npt.NDArray[Any] = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(False)
    return array.astype(dtype, copy=False)
