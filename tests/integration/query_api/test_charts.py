"""Charts: every run in buckets of its own width, that hold every point once and hide no extreme."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, insert_points, run, summary
from runstream.events.names import NO_STEP
from runstream_query.http.arrow import ARROW
from runstream_query.http.charts import SERIES_KEY

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
STARTED_US = NOW_US - 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class Points:
    """The points of a series, in no order."""

    steps: Integers
    at_us: Integers
    values: Floats

    def places(self, axis: str) -> Integers:
        places = {"step": self.steps, "time": self.at_us, "relative": self.at_us - STARTED_US}
        return places[axis]


def noisy(seed: int, steps: Integers, every_us: int = 1_000_003) -> Points:
    """Values with NaN and infinities, a time for each step."""
    random = np.random.default_rng(seed)
    values = random.normal(size=len(steps))
    values[random.random(len(steps)) < 0.05] = math.nan
    values[len(steps) // 2], values[len(steps) // 3] = math.inf, -math.inf
    return Points(steps, STARTED_US + (steps - steps.min()) * every_us, values)


SERIES: Mapping[tuple[str, str], Points] = {
    ("long", "loss"): noisy(1, np.random.default_rng(0).permutation(np.arange(-2_000, 60_000))),
    ("long", "val"): noisy(2, np.arange(0, 60_000, 1_000)),
    ("short", "loss"): noisy(3, np.arange(700)),
    ("sparse", "loss"): Points(
        np.array([5, 100_000, 250_001, 2**40]), STARTED_US + np.arange(4) * 5, np.array([1, math.nan, -3, 1e300])
    ),
}


async def fill(service: Service) -> None:
    await service.insert("run_states", *[run(name) for name in ("long", "short", "sparse")])
    for (name, metric), points in SERIES.items():
        for half in (slice(None, len(points.steps) // 2), slice(len(points.steps) // 2, None)):
            at = points.at_us[half]
            await insert_points(
                service.store, name, metric, points.steps[half], points.values[half], at_us=at, summarised=False
            )
            # Merged parts have the roll-up, new ones do not: the buckets come from both.
            if not half.start:
                await service.store.command("OPTIMIZE TABLE points FINAL")
        ends = {"first_step": int(points.steps.min()), "last_step": int(points.steps.max()), "count": len(points.steps)}
        await service.insert("summary_states", summary(name, metric, **ends))


async def arrow(service: Service, **body: Any) -> tuple[pa.Table, list[dict[str, Any]]]:
    async with service.client.post("/api/v1/charts", json=body, headers={"Accept": ARROW}) as response:
        assert response.status == 200, await response.text()
        table = pa.ipc.open_stream(await response.read()).read_all()
    return table, json.loads(table.schema.metadata[SERIES_KEY])


async def curves(service: Service, **body: Any) -> dict[tuple[str, str], dict[str, Any]]:
    response = await service.post("charts", body)
    return {(one["run"], one["metric"]): one for one in response["series"]}


def same(left: float, right: float) -> bool:
    return (math.isnan(left) and math.isnan(right)) or left == right


def check(curve: dict[str, Any], points: Points, axis: str, low: int | None, high: int | None) -> None:
    """Hold a curve against the points of its series, one bucket after the other."""
    places, values = points.places(axis), points.values
    inside = (places >= (-(2**62) if low is None else low)) & (places <= (2**62 if high is None else high))
    places, values = places[inside], values[inside]
    width = curve["width"]
    assert width & (width - 1) == 0
    numbers = np.array([int(place / abs(place) * (abs(place) // width)) if place else 0 for place in places.tolist()])
    buckets = sorted(set(numbers.tolist()))
    assert curve["rows"] == len(buckets) == len(curve["x"])
    assert (curve["points"], curve["total"]) == (len(places), len(points.steps))
    assert curve["largest"] == max(curve["count"])
    for at, bucket in enumerate(buckets):
        held = values[numbers == bucket]
        finite = held[~np.isnan(held)]
        assert curve["x"][at] == places[numbers == bucket].min()
        assert (curve["count"][at], curve["nan_count"][at]) == (len(held), len(held) - len(finite))
        assert same(float(curve["min"][at]), float(finite.min()) if len(finite) else math.nan)
        assert same(float(curve["max"][at]), float(finite.max()) if len(finite) else math.nan)
        with np.errstate(invalid="ignore"):
            mean = float(finite.mean()) if len(finite) else math.nan
        assert same(float(curve["mean"][at]), mean) or math.isclose(float(curve["mean"][at]), mean, rel_tol=1e-9)


RANGES: list[tuple[str, int | None, int | None]] = [
    ("step", None, None),
    ("step", -700, 3_333),
    ("step", 255, 256),
    ("step", 4_097, None),
    ("step", None, 20_479),
    ("step", 100, 12_345),
    ("time", None, None),
    ("time", STARTED_US + 2_000_000_000, STARTED_US + 9_000_000_000),
    ("relative", None, None),
    ("relative", 0, 40_000_000),
    ("relative", 1_000_000_000, None),
]


@pytest.mark.parametrize("max_points", [2, 30, 1000])
async def test_buckets_hold_every_point_once(service: Service, max_points: int) -> None:
    await fill(service)
    for axis, low, high in RANGES:
        body = {"runs": ["long", "short", "sparse"], "metrics": ["*"], "max_points": max_points, "x": axis}
        body |= {name: place for name, place in (("x_from", low), ("x_to", high)) if place is not None}
        found = await curves(service, **body)
        for series, points in SERIES.items():
            inside = (points.places(axis) >= (-(2**62) if low is None else low)) & (
                points.places(axis) <= (2**62 if high is None else high)
            )
            assert (series in found) == inside.any()
            if series in found:
                assert found[series]["rows"] <= max_points
                check(found[series], points, axis, low, high)


async def test_a_long_run_does_not_make_a_short_one_coarse(service: Service) -> None:
    await fill(service)
    found = await curves(service, runs=["long", "short", "sparse"], metrics=["loss"], max_points=700)
    assert found["short", "loss"]["width"] == 1
    assert found["short", "loss"]["largest"] == 1
    assert found["short", "loss"]["x"] == list(range(700))
    assert found["long", "loss"]["width"] == 128
    # Few points are points, however far they are from each other.
    assert (found["sparse", "loss"]["width"], found["sparse", "loss"]["x"]) == (1, [5, 100_000, 250_001, 2**40])


@pytest.mark.parametrize("axis", ["step", "time", "relative"])
@pytest.mark.parametrize("precision", ["single", "double"])
async def test_a_packed_chart_is_the_same_chart(service: Service, axis: str, precision: str) -> None:
    await fill(service)
    body = {"runs": ["sparse", "long", "short"], "metrics": ["loss", "val"], "max_points": 100, "x": axis}
    found = await curves(service, **body)
    table, series = await arrow(service, **body, precision=precision)
    assert [(one["run"], one["metric"]) for one in series] == list(found)
    begin = 0
    for one in series:
        wanted = found[one["run"], one["metric"]]
        rows = table.slice(begin, one["rows"])
        begin += one["rows"]
        assert {**one, "unit": 1} == {name: wanted[name] for name in one}
        offsets = [(place - one["origin"]) // one["unit"] for place in wanted["x"]]
        assert rows.column("x").to_pylist() == offsets
        assert one["unit"] == 1 or max(offsets) >= 2**31
        for low, high, least, most, flags, nans in zip(
            rows.column("min").to_pylist(),
            rows.column("max").to_pylist(),
            map(float, wanted["min"]),
            map(float, wanted["max"]),
            rows.column("flags").to_pylist(),
            wanted["nan_count"],
            strict=True,
        ):
            assert flags == (nans > 0) + 2 * (most == math.inf) + 4 * (least == -math.inf)
            if math.isnan(least):
                assert math.isnan(low)
                assert math.isnan(high)
            else:
                assert low <= least <= most <= high
                if precision == "double":
                    assert (low, high) == (least, most)
    assert begin == table.num_rows
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    # One of the values is 1e300, which would be an infinity in 32 bits.
    finite = [value for one in found.values() for value in map(float, one["max"]) if math.isfinite(value)]
    number = "float" if precision == "single" and max(finite) < 1e38 else "double"
    assert types == {"x": "uint32", "min": number, "max": number, "mean": number, "flags": "uint8"}


async def test_one_spike_among_very_many_points_is_seen_at_every_zoom(service: Service) -> None:
    steps, spike = np.arange(300_000), 123_457
    values = np.zeros(len(steps))
    values[spike] = 1e-3
    await service.insert("run_states", run("r"))
    await insert_points(service.store, "r", "loss", steps, values)
    await service.store.command("OPTIMIZE TABLE points FINAL")
    random = np.random.default_rng(5)
    for _ in range(40):
        low, high = random.integers(0, spike + 1), random.integers(spike, len(steps))
        body = {"runs": ["r"], "metrics": ["loss"], "max_points": int(random.integers(2, 800))}
        table, [series] = await arrow(service, **body, x_from=int(low), x_to=int(high))
        highest = np.array(table.column("max")).argmax()
        assert table.column("max")[highest].as_py() >= 1e-3
        place = series["origin"] + table.column("x")[highest].as_py() * series["unit"]
        assert place <= spike < place + series["width"]
        assert series["points"] == high - low + 1


async def test_points_are_seen_before_their_summary(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b"))
    steps = np.arange(5_000)
    await insert_points(service.store, "a", "acc", steps[:10], steps[:10] * 1.0)
    await insert_points(service.store, "a", "loss", steps[:10], steps[:10] * 1.0)
    await insert_points(service.store, "b", "loss", steps[:10], steps[:10] * 1.0)
    # Of these no summary tells yet: further points of a series, and the first of another.
    await insert_points(service.store, "a", "loss", steps[10:], steps[10:] * 1.0, summarised=False)
    await insert_points(service.store, "b", "acc", steps[:3], steps[:3] * 1.0, summarised=False)
    for body in ({"max_points": 100}, {"max_points": 100, "x": "relative"}):
        found = await curves(service, runs=["a", "b"], metrics=["acc", "loss"], **body)
        assert {name: curve["points"] for name, curve in found.items()} == {
            ("a", "acc"): 10,
            ("a", "loss"): 5_000,
            ("b", "acc"): 3,
            ("b", "loss"): 10,
        }
        assert all(curve["rows"] <= 100 and curve["total"] >= curve["points"] for curve in found.values())
    table, _ = await arrow(service, runs=["a", "b"], metrics=["acc", "loss"], max_points=100)
    assert table.num_rows == sum(curve["rows"] for curve in found.values())


@pytest.mark.parametrize("axis", ["step", "time", "relative"])
async def test_a_chart_of_the_past(service: Service, axis: str) -> None:
    await service.insert("run_states", run("r"), run("later"))
    steps = np.arange(2_000)
    await insert_points(service.store, "r", "m", steps[:900], steps[:900] * 1.0, offset=3, summarised=False)
    await insert_points(service.store, "r", "m", steps[900:], steps[900:] * 1.0, offset=5)
    await insert_points(service.store, "later", "m", steps[:5], steps[:5] * 1.0, offset=6)
    service.advance(6)
    found = await curves(service, runs=["r", "later"], metrics=["m"], as_of="next:0:4", x=axis)
    assert list(found) == [("r", "m")]
    assert (found["r", "m"]["points"], found["r", "m"]["total"]) == (900, 900)
    assert await curves(service, runs=["r"], metrics=["m"], as_of="next:0:2", x=axis) == {}


async def test_an_empty_chart_has_the_columns_of_others(service: Service) -> None:
    await fill(service)
    for precision, number in (("single", "float"), ("double", "double")):
        table, _ = await arrow(service, runs=["long"], metrics=["none*"], precision=precision)
        assert [str(field.type) for field in table.schema] == ["uint32", number, number, number, "uint8"]


async def test_points_without_a_step_have_a_time(service: Service) -> None:
    await service.insert("run_states", run("r"))
    steps = np.array([NO_STEP, NO_STEP, 3, 900])
    await insert_points(service.store, "r", "m", steps, np.arange(4.0), at_us=STARTED_US + np.arange(4))
    by_step = (await curves(service, runs=["r"], metrics=["m"]))["r", "m"]
    assert (by_step["x"], by_step["points"], by_step["total"]) == ([3, 900], 2, 4)
    by_time = (await curves(service, runs=["r"], metrics=["m"], x="relative"))["r", "m"]
    assert (by_time["x"], by_time["points"]) == ([0, 1, 2, 3], 4)
    await insert_points(service.store, "r", "only", steps[:2], np.arange(2.0), at_us=STARTED_US + np.arange(2))
    assert await curves(service, runs=["r"], metrics=["only"]) == {}
    table, series = await arrow(service, runs=["r"], metrics=["only"])
    assert (table.num_rows, series) == (0, [])


async def test_the_ends_of_what_a_step_can_be(service: Service) -> None:
    await service.insert("run_states", run("r"))
    steps = np.array([-(2**63) + 1, -1, 0, 1, 2**63 - 1])
    await insert_points(service.store, "r", "m", steps, np.arange(5.0), at_us=STARTED_US + np.arange(5))
    few = (await curves(service, runs=["r"], metrics=["m"]))["r", "m"]
    assert few["x"] == steps.tolist()
    table, [series] = await arrow(service, runs=["r"], metrics=["m"])
    assert series["unit"] == 2**32
    assert table.column("x").to_pylist() == [0, 2**31 - 1, 2**31 - 1, 2**31, 2**32 - 1]
    assert (await curves(service, runs=["r"], metrics=["m"], max_points=3))["r", "m"]["count"] == [1, 3, 1]


async def test_four_statements_however_many_series(service: Service) -> None:
    await fill(service)
    service.reads.requested.clear()
    await curves(service, runs=["long", "short", "sparse"], metrics=["*"], max_points=50)
    assert len(service.reads.requested) == 2
    service.reads.requested.clear()
    await curves(service, runs=["long", "short", "sparse"], metrics=["*"], max_points=50, x="relative", x_from=0)
    assert len(service.reads.requested) == 4


async def test_what_cannot_be_is_refused(service: Service) -> None:
    await fill(service)
    good = {"runs": ["long"], "metrics": ["loss"]}
    for wrong, words in (
        ({"x_from": 5, "x_to": 4}, "x_from 5 is behind x_to 4"),
        ({"max_points": 1}, "max_points"),
        ({"max_points": 20_001}, "at most 20000"),
        ({"x": "steps"}, "x"),
        ({"x_from": 0.5}, "whole numbers"),
        ({"x_from": 1e3}, "whole numbers"),
        ({"x": "metric:loss", "x_to": 10**400}, "largest float"),
        ({"precision": "half"}, "precision"),
        ({"x_from": 2**63}, "x_from"),
        ({"runs": []}, "runs"),
    ):
        problem = await service.post("charts", {**good, **wrong}, 400)
        assert words in json.dumps(problem)
    assert "'nobody'" in (await service.post("charts", {**good, "runs": ["nobody"]}, 404))["detail"]
    told = (await service.post("charts", {**good, "metrics": ["los"]}))["unknown"]
    assert told == ["run 'long' has no metric 'los'; did you mean loss?"]
