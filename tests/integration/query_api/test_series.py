"""Curves: all points, and buckets that are exact whatever the range, the width and the values."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, insert_points, run, summary
from runstream.events.names import NO_STEP
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names, projected_envelope, scanned_envelope, step_width

ARROW = "application/vnd.apache.arrow.stream"


async def arrow(service: Service, body: dict[str, Any]) -> pa.Table:
    async with service.client.post("/api/v1/series", json=body, headers={"Accept": ARROW}) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == ARROW
        return pa.ipc.open_stream(await response.read()).read_all()


def noisy(seed: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values with NaN, infinities and stretches that hold nothing but NaN."""
    random = np.random.default_rng(seed)
    values = random.normal(size=count)
    values[random.random(count) < 0.05] = math.nan
    values[:700] = math.nan
    values[1500], values[1501] = math.inf, -math.inf
    return values


async def two_runs(service: Service) -> dict[str, tuple[Any, Any]]:
    """Series a (9,000 points, in disorder, negative steps too) and b (few points, far apart)."""
    random = np.random.default_rng(7)
    steps = random.permutation(np.arange(-2000, 7000))
    data = {"a": (steps, noisy(1, len(steps))), "b": (np.array([5, 100_000, 250_001]), np.array([1.0, math.nan, -3.0]))}
    await service.insert("run_states", run("a"), run("b"))
    for name, (at, values) in data.items():
        half = len(at) // 2
        await insert_points(service.store, name, "loss", at[:half], values[:half], summarised=False)
        # Merged parts have the projection, new ones do not: the buckets come from both.
        await service.store.command("OPTIMIZE TABLE points FINAL")
        await insert_points(service.store, name, "loss", at[half:], values[half:], summarised=False)
        await service.insert("summary_states", _summary(name, at))
    return data


def _summary(name: str, steps: Any) -> dict[str, Any]:
    return summary(name, "loss", first_step=int(steps.min()), last_step=int(steps.max()), count=len(steps))


def same(left: float, right: float) -> bool:
    return (math.isnan(left) and math.isnan(right)) or left == right


def check_buckets(rows: list[dict[str, Any]], steps: Any, values: Any, low: int, high: int) -> None:
    """The buckets hold every point of the range exactly once, in order, with the figures that numpy finds."""
    inside = (steps >= low) & (steps <= high)
    steps, values = steps[inside], values[inside]
    assert sum(row["count"] for row in rows) == len(steps)
    for before, after in pairwise(rows):
        assert before["last_step"] < after["first_step"]
    for row in rows:
        held = (steps >= row["first_step"]) & (steps <= row["last_step"])
        numbers = values[held & ~np.isnan(values)]
        assert (row["count"], row["nan_count"]) == (held.sum(), np.isnan(values[held]).sum())
        assert row["first_step"] == steps[held].min()
        assert row["last_step"] == steps[held].max()
        assert same(row["min"], numbers.min() if len(numbers) else math.nan)
        assert same(row["max"], numbers.max() if len(numbers) else math.nan)
        with np.errstate(invalid="ignore"):
            mean = numbers.mean() if len(numbers) else math.nan
        assert same(row["mean"], mean) or math.isclose(row["mean"], mean, rel_tol=1e-9, abs_tol=1e-12)


RANGES: list[tuple[int | None, int | None]] = [
    (None, None),
    (0, 1023),
    (1, 5000),
    (-700, 3333),
    (255, 256),
    (300, 310),
    (None, 2049),
    (511, None),
    (9000, 9999),
]


@pytest.mark.parametrize("max_points", [2, 3, 7, 20, 100, 1000, 20_000])
async def test_buckets_are_exact(service: Service, max_points: int) -> None:
    data = await two_runs(service)
    for low, high in RANGES:
        body = {"runs": ["a"], "metrics": ["loss"], "max_points": max_points}
        body |= {key: value for key, value in (("step_from", low), ("step_to", high)) if value is not None}
        rows = (await arrow(service, body)).to_pylist()
        assert len(rows) <= max_points
        check_buckets(rows, *data["a"], -(10**9) if low is None else low, 10**9 if high is None else high)


async def test_many_series_take_two_statements_and_share_their_buckets(service: Service) -> None:
    data = await two_runs(service)
    service.reads.requested.clear()
    response = await service.post("series", {"runs": ["a", "b"], "metrics": ["lo*"], "max_points": 50})
    assert len(service.reads.requested) == 2
    assert response["width"] % 256 == 0
    for envelope in response["envelopes"]:
        columns = [name for name in envelope if isinstance(envelope[name], list)]
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*(envelope[c] for c in columns), strict=True)]
        for row in rows:
            row.update({name: float(row[name]) for name in ("min", "max", "mean")})
        check_buckets(rows, *data[envelope["run"]], -(10**9), 10**9)


async def test_points_come_in_order_and_bit_by_bit(service: Service) -> None:
    data = await two_runs(service)
    table = await arrow(service, {"runs": ["b", "a"], "metrics": ["loss"]})
    assert table.schema.field("run").type == pa.dictionary(pa.int32(), pa.string())
    runs = np.array(table.column("run").to_pylist())
    for name, (steps, values) in data.items():
        order = np.argsort(steps)
        mine = table.filter(pa.array(runs == name))
        assert np.array_equal(mine.column("step").to_numpy(), steps[order])
        assert np.array_equal(mine.column("value").to_numpy().view("u8"), values[order].view("u8"))
    assert list(dict.fromkeys(runs)) == ["a", "b"]


async def test_points_as_json(service: Service) -> None:
    await two_runs(service)
    response = await service.get("runs/b/series", metrics="loss")
    assert [(curve["steps"], curve["values"]) for curve in response["curves"]] == [
        ([5, 100_000, 250_001], [1.0, "NaN", -3.0])
    ]
    assert response["curves"][0]["writers"] == ["0000000000000007"] * 3
    ranged = await service.get("runs/a/series", metrics="loss", step_from=10, step_to=12)
    assert ranged["curves"][0]["steps"] == [10, 11, 12]
    problem = await service.get("runs/a/series", 400, metrics="loss")
    assert "9000 points" in problem["detail"]
    assert "max_points" in problem["detail"]


async def test_epochs_come_if_they_are_requested(service: Service) -> None:
    await service.insert("run_states", run("a"))
    steps = np.arange(4)
    await insert_points(service.store, "a", "m", steps, steps * 1.0, epochs=[None, 0, -5, 2**62], offset=3)
    await insert_points(service.store, "a", "n", steps, steps * 1.0, offset=4)
    for metrics in (["m"], ["m", "n"]):
        body = {"runs": ["a"], "metrics": metrics}
        assert "epoch" not in (await arrow(service, body)).column_names
        table = await arrow(service, body | {"epochs": True})
        assert (table.column_names[-1], table.schema.field("epoch").type) == ("epoch", pa.int64())
        assert table.column("epoch").to_pylist() == ([None, 0, -5, 2**62] + [None] * 4)[: 4 * len(metrics)]
    plain = await service.get("runs/a/series", metrics="m")
    assert plain["curves"][0]["epochs"] is None
    service.advance(4)
    for requested in ({}, {"as_of": "0:3"}):
        response = await service.get("runs/a/series", metrics="m", epochs="true", **requested)
        assert response["curves"][0]["epochs"] == [None, 0, -5, 2**62]
    problem = await service.get("runs/a/series", 400, metrics="m", epochs="true", max_points=5)
    assert "buckets have no epochs" in problem["detail"]


async def test_buckets_by_time(service: Service) -> None:
    steps = np.arange(1000)
    at_us = NOW_US + (999 - steps) * 1_000_000
    await service.insert("run_states", run("a"))
    await insert_points(service.store, "a", "m", steps, steps.astype(float), at_us=at_us)
    response = await service.get("runs/a/series", metrics="m", by="time", max_points=10)
    envelope = response["envelopes"][0]
    assert len(envelope["count"]) <= 10
    assert sum(envelope["count"]) == 1000
    assert envelope["first_at"] == sorted(envelope["first_at"])
    assert envelope["first_at"][0] == "2026-01-31T12:00:00Z"
    assert envelope["max"][0] == 999.0
    late = await service.get(
        "runs/a/series",
        metrics="m",
        by="time",
        max_points=10,
        time_from="2026-01-31T12:00:10Z",
        time_to="2026-01-31T12:00:19Z",
    )
    assert sum(late["envelopes"][0]["count"]) == 10


async def test_points_without_a_step_are_a_bucket_of_their_own(service: Service) -> None:
    steps = np.concatenate((np.full(5, NO_STEP), np.arange(1000)))
    await service.insert("run_states", run("a"))
    await insert_points(service.store, "a", "m", steps, np.ones(len(steps)))
    rows = (await arrow(service, {"runs": ["a"], "metrics": ["m"], "max_points": 50})).to_pylist()
    assert (rows[0]["first_step"], rows[0]["last_step"], rows[0]["count"]) == (NO_STEP, NO_STEP, 5)
    assert 40 <= len(rows) - 1 <= 50


@pytest.mark.parametrize("far", [2**63 - 1, -(2**63) + 1])
@pytest.mark.parametrize("max_points", [2, 7, 2_000])
async def test_the_farthest_steps_beside_points_without_one(service: Service, far: int, max_points: int) -> None:
    """No width and no bucket overflows, and all points are in some bucket."""
    steps = np.concatenate((np.full(3, NO_STEP), np.arange(-300, 300), [far]))
    await service.insert("run_states", run("a"))
    await insert_points(service.store, "a", "m", steps, np.ones(len(steps)), at_us=NOW_US + np.arange(len(steps)))
    for more in ({}, {"step_from": NO_STEP, "step_to": 2**63 - 1}, {"time_from": "2020-01-01T00:00:00Z"}):
        rows = (await arrow(service, {"runs": ["a"], "metrics": ["m"], "max_points": max_points} | more)).to_pylist()
        assert sum(row["count"] for row in rows) == len(steps)
        assert rows[0]["first_step"] == NO_STEP
        assert max(row["last_step"] for row in rows) == steps.max()
        begins = [row["first_step"] for row in rows]
        assert begins == sorted(begins)
        assert len(rows) <= max_points + 1


async def test_series_of_a_prefix_of_the_log(service: Service) -> None:
    await service.insert("run_states", run("a"))
    await insert_points(service.store, "a", "m", np.arange(10), np.zeros(10), offset=3)
    await insert_points(service.store, "a", "m", np.arange(10, 20), np.ones(10), offset=5)
    service.advance(5)
    assert len((await service.get("runs/a/series", metrics="m", as_of="0:4"))["curves"][0]["steps"]) == 10
    for token in ("0:5", "next:0:6"):
        assert len((await service.get("runs/a/series", metrics="m", as_of=token))["curves"][0]["steps"]) == 20
    view = await service.get("runs/a/series", metrics="m", as_of="0:4", max_points=5)
    assert sum(view["envelopes"][0]["count"]) == 10
    await service.get("runs/a/series", 504, metrics="m", as_of="0:6", wait_s=0.01)


async def test_a_panel_has_the_same_bits_whatever_the_order_of_its_points(service: Service) -> None:
    """Read by several threads, from many parts, while they are merged: sums of floats depend on their order."""
    random = np.random.default_rng(3)
    count, width = 20_000, 200
    steps = np.arange(count)
    values = {
        "loss": 1 / (1.37 + steps) + random.normal(size=count) * 1e-3,
        "large": random.normal(size=count) * 1e9,
        "mixed": random.normal(size=count) * 10.0 ** random.integers(-9, 9, count),
        "whole": steps.astype(float),
    }
    for metric, logged in values.items():
        for part in np.array_split(random.permutation(count), 8):
            await insert_points(service.store, "a", metric, steps[part], logged[part], summarised=False)
    parameters = Parameters()
    sql = scanned_envelope(Names(("a",), tuple(values)), Range(), "step", width, parameters)
    threads = [f"{sql} SETTINGS max_threads = {number}" for number in (1, 2, 4, 4, 4)]
    reads = [await service.store.query(each, parameters.values) for each in threads]
    await service.store.command("OPTIMIZE TABLE points FINAL")
    reads += [await service.store.query(sql, parameters.values) for _ in range(3)]
    means = [np.array(read.column("mean").to_pylist()).view("u8").tolist() for read in reads]
    assert all(each == means[0] for each in means[1:])
    for row in reads[0].to_pylist():
        exact = math.fsum(values[row["metric"]][row["first_step"] : row["last_step"] + 1]) / row["count"]
        assert math.isclose(row["mean"], exact, rel_tol=1e-12)


async def test_wide_buckets_have_the_same_bits_whatever_was_merged(service: Service) -> None:
    """Their means come from sums that each part rolled up, so that merges change what is added to what."""
    random = np.random.default_rng(11)
    count = 20_000
    steps = np.arange(count)
    values = {
        "loss": 1 / (1.37 + steps) + random.normal(size=count) * 1e-3,
        "rate": np.full(count, 3e-4),
        "mixed": random.normal(size=count) * 10.0 ** random.integers(-9, 9, count),
        "clock": 1.7e18 + random.integers(0, 10**15, count),
        "tiny": random.normal(size=count) * 1e-12,
    }
    parameters = Parameters()
    sql = projected_envelope(Names(("a",), tuple(values)), Range(), 512, parameters)
    chosen = np.array_split(random.permutation(count), 12)
    reads = []
    for number, some in enumerate(chosen):
        for metric, logged in values.items():
            await insert_points(service.store, "a", metric, steps[some], logged[some], summarised=False)
        if number in (3, 7):
            await service.store.command("OPTIMIZE TABLE points FINAL")
    reads += [await service.store.query(f"{sql} SETTINGS max_threads = {n}", parameters.values) for n in (1, 2, 4)]
    await service.store.command("OPTIMIZE TABLE points FINAL")
    reads.append(await service.store.query(f"{sql} SETTINGS force_optimize_projection = 1", parameters.values))
    reads.append(await service.store.query(f"{sql} SETTINGS optimize_use_projections = 0", parameters.values))
    means = [np.array(read.column("mean").to_pylist()).view("u8").tolist() for read in reads]
    assert all(each == means[0] for each in means[1:])
    for row in reads[0].to_pylist():
        held = values[row["metric"]][row["first_step"] : row["last_step"] + 1]
        assert math.isclose(row["mean"], math.fsum(held) / row["count"], rel_tol=1e-15)


async def test_a_wide_view_reads_the_projection(service: Service) -> None:
    """A view of 300,000 points in 256-step buckets has to come from the projection, or it costs what was logged."""
    steps = np.arange(300_000)
    await insert_points(service.store, "a", "m", steps, steps.astype(float))
    await service.store.command("OPTIMIZE TABLE points FINAL")
    parameters = Parameters()
    wanted = Range(step_from=1000, step_to=290_000)
    sql = projected_envelope(Names(("a",), ("m",)), wanted, step_width(1000, 290_000, 100), parameters)
    plan = await service.store.query(f"EXPLAIN projections = 1 {sql}", parameters.values)
    # Two cut pieces are read from the table, all between them from the projection.
    text = "\n".join(plan.column(0).to_pylist())
    assert text.count("ReadFromMergeTree (buckets)") == 1
    assert text.count("ReadFromMergeTree (runstream.points)") == 2


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"runs": ["a", "nobody"], "metrics": ["loss"]}, 404, "'nobody'"),
        ({"runs": [], "metrics": ["loss"]}, 400, "runs"),
        ({"runs": ["a"], "metrics": ["loss"], "max_points": 1}, 400, "max_points"),
        ({"runs": ["a"], "metrics": ["loss"], "max_points": 10**6}, 400, "at most"),
        ({"runs": ["a"], "metrics": ["loss"], "step_from": 5, "step_to": 4}, 400, "step_from"),
        ({"runs": ["a"], "metrics": ["loss"], "step_from": "x"}, 400, "'x'"),
        ({"runs": ["a"], "metrics": ["loss"], "by": "epoch"}, 400, "'epoch'"),
        ({"runs": ["a"], "metrics": ["loss"], "maxpoints": 5}, 400, "did you mean max_points?"),
    ],
)
async def test_wrong_questions_are_named(service: Service, body: dict[str, Any], status: int, words: str) -> None:
    await two_runs(service)
    assert words in (await service.post("series", body, status))["detail"]


async def test_a_misspelt_metric_of_one_run_is_named(service: Service) -> None:
    await two_runs(service)
    assert "did you mean loss?" in (await service.get("runs/a/series", 404, metrics="los"))["detail"]
