"""Every read has the points of a series in one order (docs/glossary.md): by step, time, writer and its own numbers."""

import itertools
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, insert_points, run, summary
from runstream_query.settings import QuerySettings

ARROW = "application/vnd.apache.arrow.stream"
#: (step, microseconds, writer, number): most of them meet in step and time.
PLACES = sorted(itertools.product((1, 2), (0, 1), (3, 9), (5, 6, 70)))


@pytest.fixture
def settings() -> QuerySettings:
    """Of which a series is longer than one read."""
    return QuerySettings(points_per_read=10)


async def shuffled(service: Service, seed: int = 0) -> list[float]:
    """Insert the points in two parts and any order. Returns their values in order: they fall and rise by chance."""
    rng = random.Random(seed)
    values = rng.sample(range(len(PLACES)), len(PLACES))
    rows = rng.sample(list(zip(PLACES, values, strict=True)), len(PLACES))
    await service.insert("run_states", run("a"))
    for number, part in enumerate((rows[:9], rows[9:])):
        await insert_points(
            service.store,
            "a",
            "x",
            np.array([place[0] for place, _ in part]),
            np.array([value for _, value in part]),
            at_us=np.array([NOW_US + place[1] for place, _ in part]),
            writers=[place[2] for place, _ in part],
            seqs=[place[3] for place, _ in part],
            offset=number + 1,
            summarised=False,
        )
    ends = {"first_step": 1, "last_step": 2, "first_at": NOW_US, "last_at": NOW_US + 1, "offset": 2}
    await service.insert("summary_states", summary("a", "x", count=len(rows), **ends))
    service.advance(2)
    return [float(value) for value in values]


@pytest.mark.parametrize("seed", range(3))
async def test_series_as_json_and_as_arrow_in_pieces(service: Service, seed: int) -> None:
    wanted = await shuffled(service, seed)
    body = {"runs": ["a"], "metrics": ["x"]}
    (curve,) = (await service.post("series", body))["curves"]
    assert curve["values"] == wanted
    async with service.client.post("/api/v1/series", json=body, headers={"Accept": ARROW}) as response:
        table = pa.ipc.open_stream(await response.read()).read_all()
    assert table.column("value").to_pylist() == wanted


@pytest.mark.parametrize("seed", range(3))
async def test_summaries_of_the_past(service: Service, seed: int) -> None:
    wanted = await shuffled(service, seed)
    (found,) = (await service.get("runs/a/summaries", as_of="next:0:3"))["summaries"]
    assert (found["first"], found["last"]) == (wanted[0], wanted[-1])


@pytest.mark.parametrize("seed", range(3))
async def test_comets_points_and_charts(service: Service, seed: int) -> None:
    wanted = await shuffled(service, seed)
    parameters = {"experimentKey": "a", "metricName": "x"}
    async with service.client.get("/api/rest/v2/experiment/metrics/get-metric", params=parameters) as response:
        listed = (await response.json())["metrics"]
    assert [float(one["metricValue"]) for one in listed] == wanted
    (curve,) = await charts(service)
    assert curve["values"] == wanted


async def test_a_sample_of_comets_has_the_ends_of_each_bucket(service: Service) -> None:
    """2,000 points, ten a step and moment: what a bucket begins and ends with is decided by the writer's numbers."""
    count = 2_000
    steps = np.arange(count) // 10
    values = np.random.default_rng(1).permutation(count)
    order = np.random.default_rng(2).permutation(count)
    await service.insert("run_states", run("a"))
    for offset, part in enumerate((order[:700], order[700:]), start=1):
        await insert_points(
            service.store,
            "a",
            "x",
            steps[part],
            values[part],
            at_us=NOW_US + steps[part],
            seqs=part.tolist(),
            offset=offset,
            summarised=False,
        )
    ends = {"first_step": 0, "last_step": int(steps[-1]), "first_at": NOW_US, "last_at": NOW_US + int(steps[-1])}
    await service.insert("summary_states", summary("a", "x", count=count, **ends))
    (curve,) = await charts(service)
    assert 100 < len(curve["values"]) < count
    numbers = {float(value): number for number, value in enumerate(values.tolist())}
    drawn = [numbers[value] for value in curve["values"]]
    assert drawn == sorted(drawn)
    assert (drawn[0], drawn[-1]) == (0, count - 1)
    assert {int(values.argmin()), int(values.argmax())} <= set(drawn)
    for _ in range(2):
        assert await charts(service) == [curve]


async def charts(service: Service) -> list[dict[str, Any]]:
    body = {"targetedExperiments": ["a"], "metrics": ["x"], "params": None, "independentMetrics": True}
    path = "/api/rest/v2/experiments/multi-metric-chart"
    async with service.client.post(path, json={**body, "fetchFull": False}) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["experiments"]["a"]["metrics"])
