"""Charts by epoch, by active time and by another metric, held against a look at each point."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, insert_points, run, summary
from runstream.events.control import RunFinished, RunStarted
from runstream.events.names import NO_STEP
from runstream_model.run_state import fold, started_at_us, to_json
from runstream_query.http.arrow import ARROW
from runstream_query.http.charts import SERIES_KEY

BEGAN_US = NOW_US - 7200 * SECOND_US
RESUMED_US = NOW_US - 3600 * SECOND_US
FIRST, SECOND = "1" * 32, "2" * 32
NUMBERS = {name: int(name[:16], 16) for name in (FIRST, SECOND)}
#: The last second of the first attempt, which nobody ended.
VANISHED_S = 999


@dataclass(frozen=True, slots=True)
class Point:
    step: int
    at_us: int
    value: float
    writer: int
    seq: int
    epoch: int | None


def points_of(seed: int, count: int) -> list[Point]:
    """Points of two attempts: some steps twice, some without an epoch or a step, values that are no numbers."""
    random = np.random.default_rng(seed)
    points = []
    for seq in range(count):
        late = seq >= count // 2
        at_us = (RESUMED_US if late else BEGAN_US) + int(random.integers(0, VANISHED_S)) * SECOND_US
        value = float(random.choice([math.nan, math.inf, -math.inf, 1e300, -0.0])) if seq % 50 == 7 else seq * 0.37 % 11
        step = NO_STEP if seq % 40 == 3 else int(random.integers(-20, count // 2)) * 3
        epoch = None if seq % 9 == 4 else seq // 50 - 2
        points.append(Point(step, at_us, value, NUMBERS[SECOND if late else FIRST], seq, epoch))
    return points


SERIES: Mapping[tuple[str, str], list[Point]] = {
    ("long", "loss"): points_of(1, 3_000),
    ("long", "acc"): points_of(2, 1_000),
    ("short", "loss"): points_of(3, 90),
    ("short", "acc"): points_of(4, 80),
    ("alone", "loss"): points_of(5, 60),
}


async def fill(service: Service) -> None:
    for name in ("long", "short", "alone"):
        state = fold(None, RunStarted(at_us=BEGAN_US, workspace="w", project="p"), FIRST)
        state = fold(state, RunStarted(at_us=RESUMED_US, workspace="w", project="p", resumed=True), SECOND)
        state = fold(state, RunFinished(at_us=NOW_US, status="finished"), SECOND)
        shown = {"started_at": started_at_us(state), "state": to_json(state)}
        await service.insert("run_states", run(name, **shown))
    for (name, metric), points in SERIES.items():
        for half in (points[::2], points[1::2]):
            await insert_points(
                service.store,
                name,
                metric,
                np.array([one.step for one in half]),
                np.array([one.value for one in half]),
                at_us=np.array([one.at_us for one in half]),
                epochs=[one.epoch for one in half],
                writers=[one.writer for one in half],
                seqs=[one.seq for one in half],
                summarised=False,
            )
        steps = [one.step for one in points]
        ends = {"first_step": min(steps), "last_step": max(steps), "count": len(points)}
        await service.insert("summary_states", summary(name, metric, **ends))


async def curves(service: Service, **body: Any) -> dict[tuple[str, str], dict[str, Any]]:
    response = await service.post("charts", body)
    return {(one["run"], one["metric"]): one for one in response["series"]}


def last_values(run_id: str, metric: str) -> dict[int, float]:
    """The last value of a metric at each step, by the order of points."""
    points = sorted(SERIES.get((run_id, metric), []), key=lambda one: (one.step, one.at_us, one.writer, one.seq))
    return {one.step: one.value for one in points}


def place_of(axis: str, run_id: str) -> Callable[[Point], float | None]:
    """Where a point of the run is, if it is on the axis."""
    if axis == "epoch":
        return lambda point: point.epoch
    if axis == "active":
        of_run = [one for (name, _), points in SERIES.items() if name == run_id for one in points]
        vanished_us = max(one.at_us for one in of_run if one.writer == NUMBERS[FIRST])
        paused_us = RESUMED_US - vanished_us
        return lambda point: point.at_us - BEGAN_US - (paused_us if point.at_us >= RESUMED_US else 0)
    partners = {
        step: value
        for step, value in last_values(run_id, axis.removeprefix("metric:")).items()
        if step != NO_STEP and math.isfinite(value)
    }
    return lambda point: partners.get(point.step)


def placed(axis: str, series: tuple[str, str], low: float | None, high: float | None) -> list[tuple[float, float]]:
    """The (place, value) of the points in the range."""
    place = place_of(axis, series[0])
    found = [(at, point.value) for point in SERIES[series] if (at := place(point)) is not None]
    return [one for one in found if (low is None or one[0] >= low) and (high is None or one[0] <= high)]


def bucket(place: float, width: float) -> float:
    if isinstance(place, float):
        return math.floor(place / width) if width else place
    return int(math.copysign(abs(place) // width, place))


def same(left: Any, right: float) -> bool:
    left = float(left)
    return left == right or (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-9)


def check(curve: dict[str, Any], points: list[tuple[float, float]], max_points: int, few: bool) -> None:
    """Hold a curve against its points, one bucket after the other. few: each place is one."""
    width, held = curve["width"], dict[float, list[tuple[float, float]]]()
    assert width == 0 or math.frexp(width)[0] == 0.5
    for place, value in sorted(points, key=lambda one: one[0]):
        held.setdefault(bucket(place, width), []).append((place, value))
    assert curve["rows"] == len(held) == len(curve["x"]) <= max_points
    assert (curve["points"], curve["largest"]) == (len(points), max(len(some) for some in held.values()))
    if few:
        assert sorted({place for place, _ in points}) == curve["x"]
    for at, some in enumerate(held.values()):
        values = np.array([value for _, value in some])
        numbers = values[~np.isnan(values)]
        assert curve["x"][at] == some[0][0]
        assert (curve["count"][at], curve["nan_count"][at]) == (len(values), len(values) - len(numbers))
        with np.errstate(invalid="ignore"):
            mean = float(numbers.mean()) if len(numbers) else math.nan
        ends = (float(numbers.min()), float(numbers.max())) if len(numbers) else (math.nan, math.nan)
        for name, value in (("min", ends[0]), ("max", ends[1]), ("mean", mean)):
            assert same(curve[name][at], value), (name, some)


RANGES: list[tuple[str, float | None, float | None]] = [
    ("epoch", None, None),
    ("epoch", 0, 17),
    ("active", None, None),
    ("active", 400 * SECOND_US, 1_500 * SECOND_US),
    ("metric:acc", None, None),
    ("metric:acc", 2.5, 7),
    ("metric:acc", -1, None),
    ("metric:loss", None, 5.25),
]


@pytest.mark.parametrize("max_points", [2, 40, 1000])
async def test_buckets_hold_every_point_that_has_a_place_once(service: Service, max_points: int) -> None:
    await fill(service)
    for axis, low, high in RANGES:
        body = {"runs": ["long", "short", "alone"], "metrics": ["*"], "max_points": max_points, "x": axis}
        body |= {name: place for name, place in (("x_from", low), ("x_to", high)) if place is not None}
        found = await curves(service, **body)
        expectations = {series: placed(axis, series, low, high) for series in SERIES}
        for series, points in SERIES.items():
            expected = expectations[series]
            assert (series in found) == bool(expected), (axis, series)
            if series in found:
                assert found[series]["total"] == len(points)
                of_run = [len(some) for (name, _), some in expectations.items() if name == series[0]]
                check(found[series], expected, max_points, few=max(of_run) <= max_points)


async def test_the_widths_of_a_metrics_axis_are_those_that_are_needed(service: Service) -> None:
    await fill(service)
    found = await curves(service, runs=["long", "short"], metrics=["loss"], max_points=100, x="metric:acc")
    assert (found["short", "loss"]["width"], found["long", "loss"]["width"] > 0) == (0, True)
    # Half as wide would be too many for the places from the first to the last.
    curve = found["long", "loss"]
    places = [place for place, _ in placed("metric:acc", ("long", "loss"), None, None)]
    half = curve["width"] / 2
    assert math.floor(max(places) / half) - math.floor(min(places) / half) + 1 > 100


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("axis", ["epoch", "active", "metric:acc"])
async def test_a_packed_chart_is_the_same_chart(service: Service, axis: str, precision: str) -> None:
    await fill(service)
    body = {"runs": ["long", "short"], "metrics": ["*"], "max_points": 50, "x": axis}
    found = await curves(service, **body)
    sent = {**body, "precision": precision}
    async with service.client.post("/api/v1/charts", json=sent, headers={"Accept": ARROW}) as response:
        assert response.status == 200, await response.text()
        table = pa.ipc.open_stream(await response.read()).read_all()
    series = json.loads(table.schema.metadata[SERIES_KEY])
    assert [(one["run"], one["metric"]) for one in series] == list(found)
    exact = axis != "metric:acc" or precision == "double"
    assert str(table.schema.field("x").type) == ("double" if exact and axis == "metric:acc" else "uint32")
    begin = 0
    for one in series:
        wanted = found[one["run"], one["metric"]]
        x = table.column("x").slice(begin, one["rows"]).to_pylist()
        begin += one["rows"]
        for place, at in zip(wanted["x"], x, strict=True):
            shown = one["origin"] + at * one["unit"]
            assert shown == place if exact else shown <= place < shown + 1.001 * one["unit"]
        span = wanted["x"][-1] - wanted["x"][0]
        assert exact or span / 2**32 <= one["unit"] <= span / 2**31
        assert x == sorted(x)
    assert begin == table.num_rows


async def test_places_at_the_ends_of_floats(service: Service) -> None:
    """Values as large as floats come have no place; the largest that have one are told apart from the smallest."""
    await service.insert("run_states", run("r"))
    steps = np.arange(7)
    places = np.array([-(2.0**1021), -5e-324, 0.0, 5e-324, 2.0**1021, 1.7e308, -1.7e308])
    await insert_points(service.store, "r", "x", steps, places)
    await insert_points(service.store, "r", "m", steps, steps * 1.0)
    few = (await curves(service, runs=["r"], metrics=["m"], x="metric:x"))["r", "m"]
    assert (few["x"], few["points"], few["total"]) == (places[:5].tolist(), 5, 7)
    coarse = (await curves(service, runs=["r"], metrics=["m"], x="metric:x", max_points=4))["r", "m"]
    assert sum(coarse["count"]) == 5
    body = {"runs": ["r"], "metrics": ["m"], "x": "metric:x"}
    async with service.client.post("/api/v1/charts", json=body, headers={"Accept": ARROW}) as response:
        table = pa.ipc.open_stream(await response.read()).read_all()
    [series] = json.loads(table.schema.metadata[SERIES_KEY])
    shown = [series["origin"] + at * series["unit"] for at in table.column("x").to_pylist()]
    assert (shown[0], shown[2], shown[4]) == (-(2.0**1021), 0.0, 2.0**1021)


async def test_groups_by_another_metric(service: Service) -> None:
    await fill(service)
    body = {"runs": ["long", "short"], "metrics": ["loss"], "group_by": ["user"], "max_points": 20}
    response = await service.post("charts/groups", {**body, "x": "metric:acc", "x_from": 0, "x_to": 10})
    [curve] = response["series"]
    held: dict[float, dict[str, list[float]]] = {}
    for name in ("long", "short"):
        for place, value in placed("metric:acc", (name, "loss"), 0, 10):
            held.setdefault(bucket(place, response["width"]), {}).setdefault(name, []).append(value)
    for at, number in enumerate(sorted(held)):
        numbers = [[one for one in some if not math.isnan(one)] for some in held[number].values()]
        with np.errstate(invalid="ignore"):
            means = [float(np.mean(some)) for some in numbers if some]
        means = [one for one in means if not math.isnan(one)]
        assert curve["runs"][at] == len(means)
        assert same(curve["mean"][at], float(np.mean(means)) if means else math.nan)
    assert len(curve["x"]) == len(held)


async def test_an_axis_that_no_run_has_is_told(service: Service) -> None:
    await fill(service)
    response = await service.post("charts", {"runs": ["alone"], "metrics": ["loss"], "x": "metric:los"})
    assert (response["series"], response["unknown"]) == ([], ["run 'alone' has no metric 'los'; did you mean loss?"])
    response = await service.post("charts", {"runs": ["short"], "metrics": ["loss"], "x": "metric:acc"})
    assert response["unknown"] == []


async def test_the_active_axis_looks_at_points_of_vanished_writers_alone(service: Service) -> None:
    await service.insert("run_states", run("r"))
    steps = np.arange(20)
    await insert_points(service.store, "r", "m", steps, steps * 1.0, at_us=BEGAN_US + steps)
    service.reads.requested.clear()
    found = await curves(service, runs=["r"], metrics=["m"], x="active")
    relative = await curves(service, runs=["r"], metrics=["m"], x="relative")
    assert len(found["r", "m"]["x"]) == 20
    assert np.diff(found["r", "m"]["x"]).tolist() == np.diff(relative["r", "m"]["x"]).tolist()
    assert not any("max(at)" in sql for sql in service.reads.requested)
