"""Buckets of charts in few bytes: what a page draws.

A row is 17 bytes: where the bucket is, its extremes and its mean as 32-bit floats, and what such floats cannot say. The
extremes are rounded outward, so that a curve never looks flatter than it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from runstream_query.chart_responses import ChartCurve, ChartSeries
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


@dataclass(frozen=True, slots=True)
class Packed:
    """The buckets of a chart as they are sent, and the series that they belong to, in their order."""

    table: pa.Table
    series: Sequence[ChartSeries]


def packed(
    table: pa.Table, chart: Chart, found: Sequence[SeriesRecord], widths: Mapping[str, int], *, double: bool
) -> Packed:
    """Pack what `ChartRepository.buckets` returned. `found`: the series, with how many points they have in all;
    `widths`: by run. double: extremes and means as they are, in 64 bits."""
    series = series_of(table, chart, found, widths)
    x = _column(table, "x")
    origins = np.repeat([one.origin for one in series], [one.rows for one in series]).astype(np.int64)
    units = np.repeat([one.unit for one in series], [one.rows for one in series]).astype(np.int64)
    low, high, mean = (_column(table, name) for name in ("min", "max", "mean"))
    flags = np.where(_column(table, "nan_count") > 0, HAS_NAN, 0)
    flags = flags | np.where(high == np.inf, HAS_INFINITY, 0) | np.where(low == -np.inf, HAS_NEGATIVE_INFINITY, 0)
    columns: dict[str, npt.NDArray[Any]] = {
        # The difference of two int64 may need 64 bits without a sign.
        "x": ((x.view(np.uint64) - origins.view(np.uint64)) // units.view(np.uint64)).astype(np.uint32),
        **({"min": low, "max": high, "mean": mean} if double else _singles(low, high, mean)),
        "flags": flags.astype(np.uint8),
    }
    return Packed(pa.table(columns), series)


def series_of(
    table: pa.Table, chart: Chart, found: Sequence[SeriesRecord], widths: Mapping[str, int]
) -> list[ChartSeries]:
    """Return the series that have buckets in the table, in its order."""
    totals = {(one.run, one.metric): one.count for one in found}
    described = []
    for begin, end in stretches(_column(table, "series")):
        number = int(table.column("series")[begin].as_py())
        run, metric = chart.runs[number // len(chart.metrics)], chart.metrics[number % len(chart.metrics)]
        counts = _column(table.slice(begin, end - begin), "count")
        points = int(counts.sum())
        first, last = (int(table.column("x")[at].as_py()) for at in (begin, end - 1))
        described.append(
            ChartSeries(
                run=run,
                metric=metric,
                width=widths[run],
                rows=end - begin,
                points=points,
                largest=int(counts.max()),
                # Points are visible before their summary.
                total=max(points, totals.get((run, metric), 0)),
                origin=first,
                unit=_unit(last - first),
            )
        )
    return described


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


def _unit(span: int) -> int:
    """The smallest power of two that counts to `span` in 32 bits."""
    return 1 << max(0, span.bit_length() - _PLACE_BITS)


def _singles(low: Floats, high: Floats, mean: Floats) -> dict[str, Singles]:
    # Values beyond the range of a single become infinite, inward again the largest single.
    with np.errstate(over="ignore"):
        lower, upper, middle = (values.astype(np.float32) for values in (low, high, mean))
        # Comparisons with NaN are false: it stays what it is.
        lower = np.where(lower > low, np.nextafter(lower, np.float32(-np.inf)), lower)
        upper = np.where(upper < high, np.nextafter(upper, np.float32(np.inf)), upper)
    return {"min": lower, "max": upper, "mean": np.clip(middle, lower, upper)}
