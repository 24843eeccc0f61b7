"""Buckets in few bytes: no extreme is lost in 32 bits, and every place is found again."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_query.http.packing import HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, packed
from runstream_query.repositories.arguments import Chart
from runstream_query.repositories.buckets import power_of_two_width, toward_zero
from runstream_query.repositories.summaries import SeriesRecord

INT64 = st.integers(-(2**63), 2**63 - 1)
CHART = Chart(("a", "b", "c"), ("m", "n"))
FOUND = [SeriesRecord(run, metric, 2**40, 0, 1) for run in CHART.runs for metric in CHART.metrics]
WIDTHS = {"a": 1, "b": 2, "c": 4}


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[int, int, int, int, float, float, float]]:
    """Rows as the store has them: by series and place."""
    rows = []
    for series in sorted(draw(st.sets(st.integers(0, 5)))):
        for place in sorted(draw(st.sets(INT64, min_size=1, max_size=6))):
            nans = draw(st.integers(0, 3))
            values = sorted(draw(st.lists(st.floats(allow_nan=False), max_size=3)))
            low, high = (values[0], values[-1]) if values else (math.nan, math.nan)
            mean = draw(st.sampled_from([low, high, math.nan]))
            rows.append((series, place, max(1, nans + len(values)), nans, low, high, mean))
    return rows


def table_of(rows: list[tuple[int, int, int, int, float, float, float]]) -> pa.Table:
    names = ("series", "x", "count", "nan_count", "min", "max", "mean")
    types = (pa.uint32(), pa.int64(), pa.uint64(), pa.uint64(), pa.float64(), pa.float64(), pa.float64())
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table({name: pa.array(values, kind) for name, values, kind in zip(names, columns, types, strict=True)})


@settings(max_examples=examples(300))
@given(tables())
def test_packed_buckets_say_what_the_buckets_say(rows: list[tuple[int, int, int, int, float, float, float]]) -> None:
    found = packed(table_of(rows), CHART, FOUND, WIDTHS, double=False)
    numbers = [CHART.runs.index(one.run) * 2 + CHART.metrics.index(one.metric) for one in found.series]
    assert numbers == sorted({row[0] for row in rows})
    described = [one for one in found.series for _ in range(one.rows)]
    assert len(described) == found.table.num_rows == len(rows)
    for (_, x, _, nans, low, high, mean), sent, series in zip(rows, found.table.to_pylist(), described, strict=True):
        assert 0 <= x - (series.origin + sent["x"] * series.unit) < series.unit
        assert series.unit == 1 or max(row[1] for row in rows) - min(row[1] for row in rows) >= 2**32
        expected = (nans > 0) * HAS_NAN + (high == math.inf) * HAS_INFINITY + (low == -math.inf) * HAS_NEGATIVE_INFINITY
        assert sent["flags"] == expected
        if math.isnan(low):
            assert math.isnan(sent["min"])
            assert math.isnan(sent["max"])
            continue
        assert sent["min"] <= low <= high <= sent["max"]
        # Outward, and by no more than one step.
        with np.errstate(over="ignore"):
            assert float(np.nextafter(np.float32(sent["min"]), np.float32(np.inf))) > low or sent["min"] == low
            assert float(np.nextafter(np.float32(sent["max"]), np.float32(-np.inf))) < high or sent["max"] == high
        assert math.isnan(mean) or sent["min"] <= sent["mean"] <= sent["max"]


@settings(max_examples=examples(300))
@given(tables())
def test_double_precision_changes_no_bit(rows: list[tuple[int, int, int, int, float, float, float]]) -> None:
    found = packed(table_of(rows), CHART, FOUND, WIDTHS, double=True)
    for name, at in (("min", 4), ("max", 5), ("mean", 6)):
        sent = np.array(found.table.column(name), np.float64)
        assert np.array_equal(sent.view("u8"), np.array([row[at] for row in rows], np.float64).view("u8"))


@settings(max_examples=examples(300))
@given(st.tuples(INT64, INT64).map(sorted), st.integers(2, 5_000))
def test_a_width_is_the_smallest_power_of_two_that_is_enough(ends: list[int], most: int) -> None:
    low, high = ends
    width = power_of_two_width(low, high, most)

    def buckets(width: int) -> int:
        return toward_zero(high, width) - toward_zero(low, width) + 1

    assert width & (width - 1) == 0
    assert buckets(width) <= most or width == 2**62
    assert width == 1 or buckets(width // 2) > most
