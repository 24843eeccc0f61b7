"""Charts of groups: means, spreads and extremes, held against numpy."""

import json
import math
from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, attribute, insert_points, run

STEPS = np.arange(0, 3_000, 3)
#: Run -> the learning rate, the tags, and the group.
RUNS: dict[str, tuple[float | None, list[str], str]] = {
    "a": (0.1, ["x", "y"], "sweep"),
    "b": (0.1, ["y"], "sweep"),
    "c": (0.01, [], ""),
    "d": (None, ["x"], "sweep"),
    "e": (0.1, [], ""),
}


def values_of(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    random = np.random.default_rng(ord(name))
    values = random.normal(size=len(STEPS))
    values[random.random(len(STEPS)) < 0.1] = math.nan
    if name == "e":
        values[:] = math.nan
    if name == "c":
        values[40] = math.inf
    return values


async def fill(service: Service) -> None:
    for name, (rate, tags, group) in RUNS.items():
        await service.insert("run_states", run(name, tags=tags, group=group))
        if rate is not None:
            await service.insert("attribute_states", attribute(name, "lr", rate))
        await insert_points(service.store, name, "loss", STEPS, values_of(name), at_us=NOW_US + STEPS)
    await service.store.command("OPTIMIZE TABLE points FINAL")
    await insert_points(service.store, "a", "acc", STEPS[:10], STEPS[:10] * 1.0)


async def read(service: Service, *by: str, **body: Any) -> dict[str, Any]:
    body = {"runs": list(RUNS), "metrics": ["loss"], "group_by": list(by), "max_points": 50, **body}
    response: dict[str, Any] = await service.post("charts/groups", body)
    return response


def expected(runs: list[str], width: int, low: int, high: int) -> list[dict[str, Any]]:
    rows = []
    for bucket in sorted({int(step) // width for step in STEPS if low <= step <= high}):
        held = (STEPS // width == bucket) & (low <= STEPS) & (high >= STEPS)
        of_runs = [values_of(name)[held] for name in runs]
        numbers = [values[~np.isnan(values)] for values in of_runs]
        means = sorted(float(values.mean()) for values in numbers if len(values))
        every = np.concatenate(numbers)
        with np.errstate(invalid="ignore"):
            rows.append(
                {
                    "x": int(STEPS[held].min()),
                    "runs": len(means),
                    "mean": float(np.mean(means)) if means else math.nan,
                    "sd": float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
                    "median": float(np.median(means)) if means else math.nan,
                    "min": float(every.min()) if len(every) else math.nan,
                    "max": float(every.max()) if len(every) else math.nan,
                }
            )
    return rows


def check(curve: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    assert (curve["x"], curve["runs"]) == ([row["x"] for row in rows], [row["runs"] for row in rows])
    for name in ("mean", "sd", "median", "min", "max"):
        wanted = np.array([row[name] for row in rows])
        assert np.allclose(np.array([float(one) for one in curve[name]]), wanted, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("max_points", "ends"), [(5, {}), (50, {}), (700, {}), (50, {"x_from": 300, "x_to": 999})])
async def test_by_a_parameter(service: Service, max_points: int, ends: dict[str, int]) -> None:
    await fill(service)
    response = await read(service, "param.lr", max_points=max_points, **ends)
    width = response["width"]
    found = {curve["group"]["param.lr"]: curve for curve in response["series"]}
    groups = {0.01: ["c"], 0.1: ["a", "b", "e"], None: ["d"]}
    assert {value: curve["size"] for value, curve in found.items()} == {key: len(runs) for key, runs in groups.items()}
    # Numbers in their order, whoever lacks it last.
    assert list(found) == [0.01, 0.1, None]
    for value, runs in groups.items():
        check(found[value], expected(runs, width, ends.get("x_from", 0), ends.get("x_to", 10**6)))
        assert len(found[value]["x"]) <= max_points


async def test_a_run_is_in_the_group_of_each_of_its_tags(service: Service) -> None:
    await fill(service)
    response = await read(service, "tag")
    found = {curve["group"]["tag"]: curve for curve in response["series"]}
    assert list(found) == ["x", "y", None]
    for tag, runs in {"x": ["a", "d"], "y": ["a", "b"], None: ["c", "e"]}.items():
        check(found[tag], expected(runs, response["width"], 0, 10**6))


async def test_several_fields_and_metrics(service: Service) -> None:
    await fill(service)
    response = await read(service, "group", "param.lr", metrics=["*"])
    found = {(*curve["group"].values(), curve["metric"]): curve["size"] for curve in response["series"]}
    assert found == {
        ("", 0.01, "loss"): 1,
        ("", 0.1, "loss"): 1,
        ("sweep", 0.1, "acc"): 2,
        ("sweep", 0.1, "loss"): 2,
        ("sweep", None, "loss"): 1,
    }


async def test_by_time_since_the_beginning(service: Service) -> None:
    await fill(service)
    response = await read(service, "group", x="relative")
    assert {curve["group"]["group"]: sum(curve["runs"]) > 0 for curve in response["series"]} == {
        "": True,
        "sweep": True,
    }
    assert response["series"][0]["x"][0] == 3600 * 1_000_000


async def test_a_run_without_a_mean_counts_in_none(service: Service) -> None:
    series = {"a": [1.0, 1.0], "b": [2.0, 2.0], "c": [math.inf, -math.inf]}
    for name, values in series.items():
        await service.insert("run_states", run(name))
        await insert_points(service.store, name, "loss", np.array([0, 17, 18]), np.array([0.0, *values]))
    body = {"runs": list(series), "metrics": ["loss"], "group_by": ["user"], "max_points": 2}
    [curve] = (await service.post("charts/groups", body))["series"]
    sd = float(np.std([1, 2], ddof=1))
    assert (curve["x"], curve["runs"]) == ([0, 17], [3, 2])
    assert (curve["mean"], curve["median"]) == ([0, 1.5], [0, 1.5])
    assert math.isclose(curve["sd"][1], sd)
    assert (curve["min"], curve["max"]) == ([0, "-Infinity"], [0, "Infinity"])


async def test_two_reads_are_the_same(service: Service) -> None:
    await fill(service)
    assert await read(service, "group", max_points=700) == await read(service, "group", max_points=700)


async def test_what_cannot_be_is_refused(service: Service) -> None:
    await fill(service)
    for by, words in (
        (["metric.loss"], "metric.loss"),
        (["created"], "created"),
        (["params.lr"], "params"),
        ([], "group_by"),
        (["tag"] * 5, "group_by"),
    ):
        problem = await service.post("charts/groups", {"runs": ["a"], "metrics": ["loss"], "group_by": by}, 400)
        assert words in json.dumps(problem)
    assert (await read(service, "tag", metrics=["nothing*"]))["series"] == []


async def test_too_many_groups_are_refused(service: Service) -> None:
    tags = [f"t{number}" for number in range(1_001)]
    await service.insert("run_states", run("r", tags=tags))
    await insert_points(service.store, "r", "loss", STEPS, STEPS * 1.0)
    problem = await service.post("charts/groups", {"runs": ["r"], "metrics": ["loss"], "group_by": ["tag"]}, 400)
    assert "more than 1000 groups" in problem["detail"]
