"""Buckets in few bytes: no extreme is lost in 32 bits, and every place is found again."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_query.http.packing import HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, Described, packed
from runstream_query.repositories.arguments import MAX_PLACE, Chart
from runstream_query.repositories.buckets import power_of_two_float_width, power_of_two_width, toward_zero
from runstream_query.repositories.summaries import SeriesRecord

INT64 = st.integers(-(2**63), 2**63 - 1)
PLACES = st.floats(-MAX_PLACE, MAX_PLACE)
CHART = Chart(("a", "b", "c"), ("m", "n"))
FOUND = [SeriesRecord(run, metric, 2**40, 0, 1) for run in CHART.runs for metric in CHART.metrics]
DESCRIBED = Described.of(CHART, FOUND, {"a": 1, "b": 2, "c": 4}, None)


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
    found = packed(table_of(rows), CHART, DESCRIBED, double=False)
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
        # No number becomes an infinity or a zero, which a curve shows as something else.
        for was, now in ((low, sent["min"]), (high, sent["max"])):
            assert (math.isinf(was), was == 0) == (math.isinf(now), now == 0)
        # Outward, and by no more than one step.
        with np.errstate(over="ignore"):
            assert float(np.nextafter(np.float32(sent["min"]), np.float32(np.inf))) > low or sent["min"] == low
            assert float(np.nextafter(np.float32(sent["max"]), np.float32(-np.inf))) < high or sent["max"] == high
        assert math.isnan(mean) or sent["min"] <= sent["mean"] <= sent["max"]


@settings(max_examples=examples(300))
@given(tables())
def test_double_precision_changes_no_bit(rows: list[tuple[int, int, int, int, float, float, float]]) -> None:
    found = packed(table_of(rows), CHART, DESCRIBED, double=True)
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


@settings(max_examples=examples(300))
@given(st.sets(PLACES, min_size=1, max_size=20))
def test_places_that_are_floats_are_found_again_within_a_unit(places: set[float]) -> None:
    ordered = sorted(place + 0.0 for place in places)
    table = table_of([(0, 0, 1, 0, 1.0, 1.0, 1.0)] * len(ordered)).set_column(1, "x", pa.array(ordered, pa.float64()))
    chart = Chart(("a",), ("m",), "metric", x_metric="n")
    found = packed(table, chart, DESCRIBED, double=False)
    [series] = found.series
    x = found.table.column("x").to_pylist()
    assert x == sorted(x)
    assert (series.origin, x[0]) == (ordered[0], 0)
    for place, at in zip(ordered, x, strict=True):
        # One rounding of the difference, and one of the sum.
        slack = 4 * max(math.ulp(place), math.ulp(series.origin))
        assert -slack <= place - (series.origin + at * series.unit) < series.unit + slack
    assert series.unit <= max((ordered[-1] - ordered[0]) / 2**31, 2.0**-1022) or (len(ordered), series.unit) == (1, 1)
    exact = packed(table, chart, DESCRIBED, double=True)
    assert exact.table.column("x").to_pylist() == ordered


@settings(max_examples=examples(300))
@given(PLACES, PLACES, st.integers(2, 20_000))
def test_a_width_of_floats_is_the_smallest_power_of_two_that_is_enough(low: float, high: float, most: int) -> None:
    low, high = sorted((low, high))
    width = power_of_two_float_width(low, high, most)
    if low == high:
        assert width == 0
        return
    assert math.frexp(width)[0] == 0.5
    assert math.floor(high / width) - math.floor(low / width) < most
    half = width / 2
    assert width == 2.0**-1022 or math.floor(high / half) - math.floor(low / half) >= most
