"""Buckets of charts in few bytes: what a page draws.

A row is 17 bytes: where the bucket is, its extremes and its mean as 32-bit floats, and what such floats cannot say. The
extremes are rounded outward, so that a curve never looks flatter than it is. Places that are floats are rounded down to
a multiple of a power of two, counted from the first: by less than the curve's length divided by 2^31.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from runstream_query.chart_responses import ChartCurve, ChartSeries
from runstream_query.http.lanes import ChartWriter, Written
from runstream_query.repositories.arguments import Chart
from runstream_query.repositories.summaries import SeriesRecord

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]

#: Bits of `flags`.
HAS_NAN: Final = 1
HAS_INFINITY: Final = 2
HAS_NEGATIVE_INFINITY: Final = 4
#: Of a place in the column `x`.
_PLACE_BITS: Final = 32
#: Of the smallest power of two with all of its bits.
_MIN_EXPONENT: Final = -1022


@dataclass(frozen=True, slots=True)
class Packed:
    """The buckets of a chart as they are sent, and the series that they belong to, in their order."""

    table: pa.Table
    series: Sequence[ChartSeries]


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a chart besides its buckets. lanes: run and writer by the numbers that the series are counted
    by; totals: how many points a series has in all, by number and metric; widths: of the buckets, by run."""

    lanes: Sequence[ChartWriter]
    totals: Mapping[tuple[int, str], int]
    widths: Mapping[str, float]
    by_writer: bool

    @classmethod
    def of(
        cls, chart: Chart, found: Sequence[SeriesRecord], widths: Mapping[str, float], written: Written | None
    ) -> Self:
        """Describe a chart of these series, or, where they are divided, of what their writers logged."""
        if written is not None:
            return cls(written.writers, written.totals, widths, by_writer=True)
        numbers = {run: number for number, run in enumerate(chart.runs)}
        totals = {(numbers[one.run], one.metric): one.count for one in found if one.run in numbers}
        return cls([ChartWriter(run, 0, None, None) for run in chart.runs], totals, widths, by_writer=False)


def packed(table: pa.Table, chart: Chart, described: Described, *, double: bool) -> Packed:
    """Pack what `ChartRepository.buckets` returned. double: extremes and means as they are, in 64 bits; so they are,
    too, where 32 bits would make an infinity or a zero of one."""
    series = series_of(table, chart, described, as_they_are=double and not chart.whole)
    low, high, mean = (_column(table, name) for name in ("min", "max", "mean"))
    wide = {"min": low, "max": high, "mean": mean}
    columns: dict[str, npt.NDArray[Any]] = {
        "x": _whole_places(table, series) if chart.whole else _float_places(table, series, double),
        **(_singles(low, high, mean) if not double and _fit_singles(low, high, mean) else wide),
        "flags": flags_of(table),
    }
    return Packed(pa.table(columns), series)


def nothing(whole: bool, *, double: bool) -> Packed:
    """Return the buckets of no series. whole: on an axis of whole numbers."""
    number = pa.float64() if double else pa.float32()
    place = pa.float64() if double and not whole else pa.uint32()
    types = {"x": place, "min": number, "max": number, "mean": number, "flags": pa.uint8()}
    return Packed(pa.table({name: pa.array([], kind) for name, kind in types.items()}), ())


def _whole_places(table: pa.Table, series: Sequence[ChartSeries]) -> Any:
    x = _column(table, "x")
    origins, units = (_spread(series, [getattr(one, name) for one in series], np.int64) for name in ("origin", "unit"))
    # The difference of two int64 may need 64 bits without a sign.
    return ((x.view(np.uint64) - origins.view(np.uint64)) // units.view(np.uint64)).astype(np.uint32)


def _float_places(table: pa.Table, series: Sequence[ChartSeries], double: bool) -> Any:
    x: Floats = _column(table, "x")
    if double:
        return x
    origins, units = (
        _spread(series, [getattr(one, name) for one in series], np.float64) for name in ("origin", "unit")
    )
    return np.minimum(np.floor((x - origins) / units), 2**_PLACE_BITS - 1).astype(np.uint32)


def _spread(series: Sequence[ChartSeries], values: Sequence[float], kind: Any) -> npt.NDArray[Any]:
    """What belongs to a series, once for each of its rows."""
    return np.repeat(np.array(values, kind), [one.rows for one in series])


def flags_of(table: pa.Table) -> npt.NDArray[np.uint8]:
    """Return what each bucket (nan_count, min, max) holds that is no number."""
    low, high = _column(table, "min"), _column(table, "max")
    flags = np.where(_column(table, "nan_count") > 0, HAS_NAN, 0)
    flags = flags | np.where(high == np.inf, HAS_INFINITY, 0) | np.where(low == -np.inf, HAS_NEGATIVE_INFINITY, 0)
    return flags.astype(np.uint8)


def series_of(table: pa.Table, chart: Chart, described: Described, *, as_they_are: bool = False) -> list[ChartSeries]:
    """Return the series that have buckets in the table, in its order. as_they_are: places are not counted from the
    first."""
    series = []
    for begin, end in stretches(_column(table, "series")):
        number, metric_number = divmod(int(table.column("series")[begin].as_py()), len(chart.metrics))
        lane, metric = described.lanes[number], chart.metrics[metric_number]
        counts = _column(table.slice(begin, end - begin), "count")
        points = int(counts.sum())
        first, last = (table.column("x")[at].as_py() for at in (begin, end - 1))
        origin, unit = (0.0, 1.0) if as_they_are else (first, _unit(first, last))
        series.append(
            ChartSeries(
                run=lane.run,
                metric=metric,
                width=described.widths[lane.run],
                rows=end - begin,
                points=points,
                largest=int(counts.max()),
                # Points are visible before their summary.
                total=max(points, described.totals.get((number, metric), 0)),
                origin=origin,
                unit=unit,
                writer=f"{lane.writer:016x}" if described.by_writer else None,
                rank=lane.rank,
                attempt=lane.attempt,
            )
        )
    return series


def curves_of(table: pa.Table, series: Sequence[ChartSeries]) -> list[ChartCurve]:
    """Return the series as those of a JSON response: places as they are, 64 bits a value."""
    curves, begin = [], 0
    for one in series:
        rows = table.slice(begin, one.rows)
        names = ("x", "count", "nan_count", "min", "max", "mean")
        lists = {name: rows.column(name).to_pylist() for name in names}
        curves.append(ChartCurve(**one.model_dump() | {"unit": 1}, **lists))
        begin += one.rows
    return curves


def stretches(numbers: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Return where each stretch of equal numbers begins and ends."""
    if not len(numbers):
        return []
    begins = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist()]
    return list(zip(begins, [*begins[1:], len(numbers)], strict=True))


def _column(table: pa.Table, name: str) -> Any:
    values = table.column(name).to_numpy()
    return values.astype(np.int64) if values.dtype.kind == "u" else values


def _unit(first: float, last: float) -> float:
    """The smallest power of two that counts from `first` to `last` in 32 bits: of whole numbers at least 1, and 1 where
    there is one place."""
    if isinstance(first, int) and isinstance(last, int):
        return 1 << max(0, (last - first).bit_length() - _PLACE_BITS)
    return 1.0 if last == first else float(2.0 ** max(math.frexp(last - first)[1] - _PLACE_BITS, _MIN_EXPONENT))


def _fit_singles(*columns: Floats) -> bool:
    """Whether 32-bit floats tell these values from infinities and from zero, with all of their digits."""
    limits = np.finfo(np.float32)
    for values in columns:
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        if sizes.size and (sizes.max() > limits.max or sizes.min() < limits.smallest_normal):
            return False
    return True


def _singles(low: Floats, high: Floats, mean: Floats) -> dict[str, Singles]:
    # Values beyond the range of a single become infinite, inward again the largest single.
    with np.errstate(over="ignore"):
        lower, upper, middle = (values.astype(np.float32) for values in (low, high, mean))
        # Comparisons with NaN are false: it stays what it is.
        lower = np.where(lower > low, np.nextafter(lower, np.float32(-np.inf)), lower)
        upper = np.where(upper < high, np.nextafter(upper, np.float32(np.inf)), upper)
    return {"min": lower, "max": upper, "mean": np.clip(middle, lower, upper)}
