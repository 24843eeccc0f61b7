"""Which point of each series is its smallest, its largest, its first, its last: by index, ties decided exactly.

All functions take points series behind series (values, steps, at_us [points]; `begin` of each series, ascending) and
return the winners' indices, one a series. They never sort: candidates are narrowed key by key, and most series have
one candidate left after the first key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

_LARGEST: int = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class SeriesPoints:
    """Points of series, at least one each. Times in microseconds since 1970 UTC.

    writing: who logged them; has_nan: whether any value is NaN; even_length: the length of every series, or 0 where
    they differ.
    """

    values: F64
    steps: I64
    at_us: I64
    writing: "Writing"
    begin: I64
    length: I64
    has_nan: bool
    even_length: int

    def spread(self, of_series: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What belongs to a series, once for each of its points."""
        return np.repeat(of_series, self.even_length or self.length)


@dataclass(frozen=True, slots=True)
class Writing:
    """Who logged points, and under which number: seqs[points]; the writers of stretches of points, which begin at
    `begin`, ascending, the first of them at 0."""

    seqs: U64
    writers: U64
    begin: I64

    def writer(self, points: I64) -> U64:
        """The writer of each of the points."""
        return self.writers[np.searchsorted(self.begin, points, side="right") - 1]


def series_points(values: F64, steps: I64, at_us: I64, writing: Writing, begin: I64) -> SeriesPoints:
    """Points of series that begin at `begin`, the first of them at 0."""
    length = np.diff(begin, append=len(values))
    even = int(length[0]) if (length == length[0]).all() else 0
    return SeriesPoints(values, steps, at_us, writing, begin, length, bool(np.isnan(values).any()), even)


def value_rank(values: F64) -> I64:
    """Integers in the order of the values, in which -0.0 is below 0.0 and every NaN is the same and the largest."""
    bits = values.view(np.int64)
    return np.where(np.isnan(values), _LARGEST, bits ^ ((bits >> 63) & _LARGEST))


def minima(points: SeriesPoints) -> I64:
    """The smallest value that is no NaN, at its lowest (step, at), -0.0 before 0.0; -1 where all are NaN."""
    numbers = np.where(np.isnan(points.values), np.inf, points.values) if points.has_nan else points.values
    return _at_extreme(points, np.minimum.reduceat(numbers, points.begin), negative_zero_first=True)


def maxima(points: SeriesPoints) -> I64:
    """The largest value that is no NaN, at its lowest (step, at), 0.0 before -0.0; -1 where all are NaN."""
    numbers = np.where(np.isnan(points.values), -np.inf, points.values) if points.has_nan else points.values
    return _at_extreme(points, np.maximum.reduceat(numbers, points.begin), negative_zero_first=False)


def ends(points: SeriesPoints) -> tuple[I64, I64]:
    """The points with the lowest and the highest (step, at, writer, sequence number)."""
    begin, last = points.begin, points.begin + points.length - 1
    climbs = points.steps[1:] > points.steps[:-1]
    climbs[begin[1:] - 1] = True
    if climbs.all():
        return begin, last
    everyone = np.arange(len(points.values))
    series = points.spread(np.arange(len(begin)))
    return _narrowed(points, everyone, series, np.minimum), _narrowed(points, everyone, series, np.maximum)


def _at_extreme(points: SeriesPoints, extreme: F64, negative_zero_first: bool) -> I64:
    found = np.flatnonzero(points.values == points.spread(extreme))
    if (
        len(found) == len(points.begin)
        and (found - points.begin < points.length).all()
        and (found >= points.begin).all()
    ):
        return found
    series = np.searchsorted(points.begin, found, side="right") - 1
    if (series[1:] == series[:-1]).any():
        for key in (points.steps, points.at_us):
            found, series = _keep_best(key[found], found, series, np.minimum)
        sign = np.signbit(points.values[found]).astype(np.int64)
        found, series = _keep_best(sign, found, series, np.maximum if negative_zero_first else np.minimum)
        found, series = _firsts(found, series)
    winners = np.full(len(points.begin), -1, np.int64)
    winners[series] = found
    return winners


def _narrowed(points: SeriesPoints, found: I64, series: I64, best: np.ufunc) -> I64:
    keys: tuple[Callable[[I64], npt.NDArray[Any]], ...] = (
        points.steps.__getitem__,
        points.at_us.__getitem__,
        points.writing.writer,
        points.writing.seqs.__getitem__,
        lambda left: value_rank(points.values[left]),
    )
    for key in keys:
        found, series = _keep_best(key(found), found, series, best)
        if len(found) == len(points.begin):
            break
    return _firsts(found, series)[0]


def _keep_best(key: npt.NDArray[Any], found: I64, series: I64, best: np.ufunc) -> tuple[I64, I64]:
    """Of candidates, those whose key is the best in their series."""
    begin = np.flatnonzero(np.diff(series, prepend=-1))
    if len(begin) == len(found):
        return found, series
    keep = key == np.repeat(best.reduceat(key, begin), np.diff(begin, append=len(found)))
    return found[keep], series[keep]


def _firsts(found: I64, series: I64) -> tuple[I64, I64]:
    """One candidate a series; what is left of a tie here is equal in all that is kept of a point."""
    begin = np.flatnonzero(np.diff(series, prepend=-1))
    return found[begin], series[begin]
