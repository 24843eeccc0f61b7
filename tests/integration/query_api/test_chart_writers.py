"""Charts by writer, and groups by rank and attempt, held against a look at each point."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, insert_points, run
from runstream.events.control import RunFinished, RunStarted
from runstream_model.run_state import RunState, fold, to_json
from runstream_query import QuerySettings
from runstream_query.http.arrow import ARROW
from runstream_query.http.charts import SERIES_KEY

#: Writers by name: of the two ranks, of the attempt after, and one that never started.
WRITERS = {name: f"{number:016x}{0:016x}" for number, name in enumerate(("zero", "one", "again", "rest"), 3)}
ABOUT: Mapping[str, tuple[int | None, int | None]] = {
    "zero": (0, 1),
    "one": (1, 1),
    "again": (0, 2),
    "rest": (None, None),
}
#: What a writer logged: run -> writer -> values at the steps 0, 2, 4, ...
RUNS: Mapping[str, Mapping[str, int]] = {
    "a": {"zero": 300, "one": 350, "again": 500},
    "b": {"zero": 40, "one": 30},
    "c": {"rest": 25},
}
MAX_SERIES = 12


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(max_series=MAX_SERIES)


def state_of(name: str) -> RunState:
    begin = NOW_US - 3600 * SECOND_US
    state = None
    for number, writer in enumerate(one for one in RUNS[name] if one != "rest"):
        began = RunStarted(
            at_us=begin + number * SECOND_US, workspace="w", project="p", rank=ABOUT[writer][0], resumed=number == 2
        )
        if began.resumed:
            state = fold(state, RunFinished(at_us=begin + SECOND_US + 1, status="failed"), WRITERS["zero"])
        state = fold(state, began, WRITERS[writer])
    return state or RunState()


def values_of(name: str, writer: str) -> tuple[Any, Any]:
    """Steps and values."""
    count = RUNS[name][writer]
    random = np.random.default_rng(ord(name) + len(writer))
    values = random.normal(size=count)
    values[count // 3] = math.nan
    return np.arange(count) * 2, values


async def fill(service: Service, metrics: tuple[str, ...] = ("loss",)) -> None:
    for name, writers in RUNS.items():
        await service.insert("run_states", run(name, state=to_json(state_of(name)), tags=[f"tag-{name}", "all"]))
        for writer in writers:
            steps, values = values_of(name, writer)
            number = int(WRITERS[writer][:16], 16)
            for metric in metrics:
                await insert_points(service.store, name, metric, steps, values, writers=[number] * len(steps))


def buckets_of(steps: Any, values: Any, width: int) -> list[tuple[int, int, int, float, float]]:
    """(place, count, NaN, lowest, highest) of each bucket."""
    rows = []
    for number in sorted(set((steps // width).tolist())):
        held = values[steps // width == number]
        numbers = held[~np.isnan(held)]
        ends = (float(numbers.min()), float(numbers.max())) if len(numbers) else (math.nan, math.nan)
        rows.append((int(steps[steps // width == number].min()), len(held), len(held) - len(numbers), *ends))
    return rows


@pytest.mark.parametrize("max_points", [2, 20, 400])
async def test_a_curve_for_each_writer(service: Service, max_points: int) -> None:
    await fill(service)
    body = {"runs": ["b", "a", "c"], "metrics": ["loss"], "max_points": max_points, "by": "writer"}
    series = (await service.post("charts", body))["series"]
    order = [(name, writer) for name in ("a", "b", "c") for writer in RUNS[name]]
    assert [(one["run"], one["writer"]) for one in series] == [(name, WRITERS[writer][:16]) for name, writer in order]
    for curve, (name, writer) in zip(series, order, strict=True):
        assert (curve["rank"], curve["attempt"]) == ABOUT[writer]
        assert curve["total"] == RUNS[name][writer] == curve["points"]
        rows = buckets_of(*values_of(name, writer), curve["width"])
        assert len(rows) <= max_points
        columns = [curve[column] for column in ("x", "count", "nan_count", "min", "max")]
        for shown, row in zip(zip(*columns, strict=True), rows, strict=True):
            assert np.allclose(np.array([float(value) for value in shown]), np.array(row), equal_nan=True, rtol=0)
    # Lanes that a run has few points in, each, are exact, however many there are together.
    exact = [one["largest"] == 1 for one in series if one["run"] == "b"]
    assert exact == [max_points >= 40] * 2


async def test_a_range_and_other_axes_of_writers(service: Service) -> None:
    await fill(service, ("loss", "acc"))
    for axis in ("time", "relative", "active", "metric:acc"):
        body = {"runs": ["a"], "metrics": ["loss"], "max_points": 1000, "by": "writer", "x": axis}
        series = (await service.post("charts", body))["series"]
        assert [one["rank"] for one in series] == [0, 1, 0], axis
        # A value of the other metric is a place once for each writer that has a point at its step.
        assert all(one["total"] == RUNS["a"][name] for one, name in zip(series, RUNS["a"], strict=True))
    [one] = (await service.post("charts", {**body, "x": "step", "x_from": 700}))["series"]
    assert (one["attempt"], one["points"], one["total"], one["x"][0]) == (2, 150, 500, 700)


async def test_the_description_of_packed_series_has_the_writer(service: Service) -> None:
    await fill(service)

    for by, keys in (("writer", {"writer", "rank", "attempt"}), ("series", set[str]())):
        body = {"runs": ["a"], "metrics": ["loss"], "by": by}
        async with service.client.post("/api/v1/charts", json=body, headers={"Accept": ARROW}) as response:
            table = pa.ipc.open_stream(await response.read()).read_all()
        series = json.loads(table.schema.metadata[SERIES_KEY])
        assert all({"writer", "rank", "attempt"} & set(one) == keys for one in series)
        assert sum(one["rows"] for one in series) == table.num_rows


def of_group(names: list[tuple[str, str]], width: int) -> dict[int, list[float]]:
    """Bucket -> the mean of each run that has one, of the points of these (run, writer) together."""
    means: dict[int, list[float]] = {}
    for name in dict.fromkeys(name for name, _ in names):
        pieces = [values_of(name, writer) for one, writer in names if one == name]
        steps, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
        for number in sorted(set((steps // width).tolist())):
            held = values[(steps // width == number) & ~np.isnan(values)]
            means.setdefault(number, []).extend([float(held.mean())] if len(held) else [])
    return means


@pytest.mark.parametrize("by", [["rank"], ["attempt"], ["attempt", "rank"], ["tag", "rank"]])
@pytest.mark.parametrize("max_points", [10, 1000])
async def test_groups_of_ranks_and_attempts(service: Service, by: list[str], max_points: int) -> None:
    await fill(service)
    body = {"runs": list(RUNS), "metrics": ["loss"], "group_by": by, "max_points": max_points}
    response = await service.post("charts/groups", body)
    expected: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for name, writers in RUNS.items():
        for writer in writers:
            for tag in (f"tag-{name}", "all") if "tag" in by else ("",):
                known = {"rank": ABOUT[writer][0], "attempt": ABOUT[writer][1], "tag": tag}
                expected.setdefault(tuple(known[field] for field in by), []).append((name, writer))
    found = {tuple(curve["group"].values()): curve for curve in response["series"]}
    assert set(found) == set(expected)
    for key, names in expected.items():
        curve = found[key]
        assert list(curve["group"]) == by
        assert curve["size"] == len({name for name, _ in names})
        means = of_group(names, response["width"])
        assert curve["runs"] == [len(means[number]) for number in sorted(means)]
        wanted = [float(np.mean(means[number])) if means[number] else math.nan for number in sorted(means)]
        assert np.allclose([float(one) for one in curve["mean"]], wanted, rtol=1e-9, equal_nan=True)


async def test_too_many_writers_are_refused(service: Service) -> None:
    await fill(service, ("m0", "m1", "m2"))
    body: dict[str, Any] = {"runs": ["a", "b"], "metrics": ["*"]}
    assert len((await service.post("charts", body))["series"]) == 6
    problem = await service.post("charts", {**body, "by": "writer"}, 422)
    assert "RUNSTREAM_QUERY_MAX_SERIES" in problem["detail"]
    problem = await service.post("charts/groups", {**body, "group_by": ["rank"]}, 422)
    assert "RUNSTREAM_QUERY_MAX_SERIES" in problem["detail"]
    problem = await service.post("charts", {**body, "by": "rank"}, 400)
    assert "by" in problem["detail"]


async def test_writers_of_the_past(service: Service) -> None:
    await fill(service)
    steps = np.arange(5)
    await insert_points(service.store, "a", "loss", steps, steps * 1.0, offset=9, writers=[99] * 5)
    service.advance(10)
    body = {"runs": ["a"], "metrics": ["loss"], "by": "writer"}
    assert len((await service.post("charts", body))["series"]) == 4
    assert len((await service.post("charts", {**body, "as_of": "next:0:9"}))["series"]) == 3
