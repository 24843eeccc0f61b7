"""The logged points nearest to a place, held against a look at each of them."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, insert_points, run
from runstream.events.names import NO_STEP
from runstream_query import QuerySettings
from runstream_query.http.arrow import ARROW

MAX_POINTS = 60
#: (step, time in microseconds, value, writer, number, epoch)
Point = tuple[int, int, float, int, int, int | None]


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(max_json_points=MAX_POINTS)


def points_of(seed: int) -> list[Point]:
    """Steps and times that often tie, at the ends of what they can be, and points without a step."""
    random = np.random.default_rng(seed)
    steps = [*random.integers(-8, 8, 40).tolist(), -(2**63) + 1, 2**63 - 1, NO_STEP, NO_STEP]
    return [
        (step, NOW_US + int(random.integers(0, 12)), seq / 3, seq % 3, seq, seq if seq % 2 else None)
        for seq, step in enumerate(steps)
    ]


SERIES = {(name, metric): points_of(ord(name) + len(metric)) for name in "ab" for metric in ("loss", "val")}


async def fill(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b"))
    for (name, metric), points in SERIES.items():
        columns = list(zip(*points, strict=True))
        await insert_points(
            service.store,
            name,
            metric,
            np.array(columns[0], np.int64),
            np.array(columns[2]),
            at_us=np.array(columns[1], np.int64),
            writers=columns[3],
            seqs=columns[4],
            epochs=columns[5],
        )


def nearest(points: list[Point], axis: str, near: int, count: int, low: int | None, high: int | None) -> list[Point]:
    def place(point: Point) -> int:
        return point[0] if axis == "step" else point[1]

    inside = [
        point
        for point in points
        if (axis == "time" or point[0] != NO_STEP)
        and (low is None or place(point) >= low)
        and (high is None or place(point) <= high)
    ]
    inside.sort(key=lambda point: (abs(place(point) - near), place(point), point[0], point[1], point[3], point[4]))
    return sorted(inside[:count], key=lambda point: (point[0], point[1], point[3], point[4]))


QUESTIONS: list[tuple[str, int, int, int | None, int | None]] = [
    ("step", 0, 1, None, None),
    ("step", 3, 7, None, None),
    ("step", -5, 4, -6, 1),
    ("step", 2**63 - 1, 3, None, None),
    ("step", -(2**63), 3, None, None),
    ("time", NOW_US + 5, 9, None, None),
    ("time", 0, 2, NOW_US + 3, None),
    ("time", 2**62, 2, None, NOW_US + 4),
]


@pytest.mark.parametrize(("axis", "near", "count", "low", "high"), QUESTIONS)
async def test_the_nearest_points(
    service: Service, axis: str, near: int, count: int, low: int | None, high: int | None
) -> None:
    await fill(service)
    body: dict[str, Any] = {"runs": ["b", "a"], "metrics": ["*"], "x": axis, "near": near, "points": count}
    response = await service.post("points", {**body, "x_from": low, "x_to": high})
    assert [(one["run"], one["metric"]) for one in response["curves"]] == sorted(SERIES)
    for curve in response["curves"]:
        wanted = nearest(SERIES[curve["run"], curve["metric"]], axis, near, count, low, high)
        assert curve["steps"] == [point[0] for point in wanted]
        assert curve["values"] == [point[2] for point in wanted]
        assert [int(writer, 16) for writer in curve["writers"]] == [point[3] for point in wanted]
        assert curve["epochs"] == [point[5] for point in wanted]
        assert [datetime.fromisoformat(at).microsecond for at in curve["at"]] == [
            point[1] % 1_000_000 for point in wanted
        ]


async def test_as_an_arrow_stream(service: Service) -> None:
    await fill(service)
    for near, name in ((3, "loss"), (3, "nothing*")):
        body = {"runs": ["a"], "metrics": [name], "near": near, "points": 4}
        curves = (await service.post("points", body))["curves"]
        async with service.client.post("/api/v1/points", json=body, headers={"Accept": ARROW}) as response:
            table = pa.ipc.open_stream(await response.read()).read_all()
        assert table.column("step").to_pylist() == [step for one in curves for step in one["steps"]]
        assert table.column("epoch").to_pylist() == [epoch for one in curves for epoch in one["epochs"]]
        types = {name: str(table.schema.field(name).type) for name in ("step", "at", "value", "writer", "epoch")}
        assert types == {
            "step": "int64",
            "at": "timestamp[us, tz=UTC]",
            "value": "double",
            "writer": "uint64",
            "epoch": "int64",
        }


async def test_as_of_a_position(service: Service) -> None:
    await service.insert("run_states", run("r"))
    steps = np.arange(3)
    await insert_points(service.store, "r", "m", steps, steps * 1.0, offset=2)
    await insert_points(service.store, "r", "m", steps + 3, steps * 1.0, offset=5)
    service.advance(6)
    body = {"runs": ["r"], "metrics": ["m"], "near": 9}
    assert [one["steps"] for one in (await service.post("points", body))["curves"]] == [[5]]
    assert [one["steps"] for one in (await service.post("points", {**body, "as_of": "next:0:3"}))["curves"]] == [[2]]


async def test_what_cannot_be_is_refused(service: Service) -> None:
    await fill(service)
    good = {"runs": ["a", "b"], "metrics": ["*"], "near": 1}
    refused: list[dict[str, Any]] = [
        {"points": 0},
        {"points": 101},
        {"x": "relative"},
        {"near": 2**63},
        {"near": None},
        {"metrics": []},
    ]
    for wrong in refused:
        problem = await service.post("points", {**good, **wrong}, 400)
        assert next(iter(wrong)) in json.dumps(problem)
    assert "MAX_JSON_POINTS" in (await service.post("points", {**good, "points": 16}, 422))["detail"]
    assert "'nobody'" in (await service.post("points", {**good, "runs": ["nobody"]}, 404))["detail"]
    told = await service.post("points", {**good, "metrics": ["los"]})
    assert told == {**told, "curves": [], "unknown": ["none of these runs has a metric 'los'; did you mean loss?"]}
