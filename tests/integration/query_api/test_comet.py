"""Comet's interface where its client does not reach: odd series, old states, silence, the number of statements."""

import math
from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, asset, attribute, insert_points, run, summary, watermark
from runstream.events.names import NO_STEP, project_id

PROJECT = {"workspaceName": "w", "projectName": "p"}


async def get(service: Service, path: str, status: int = 200, /, **query: Any) -> Any:
    async with service.client.get(f"/api/rest/v2/{path}", params=query) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


async def post(service: Service, path: str, body: Any, status: int = 200) -> Any:
    async with service.client.post(f"/api/rest/v2/{path}", json=body) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


async def chart(service: Service, runs: list[str], metrics: list[str], **more: Any) -> dict[str, Any]:
    requested = {"targetedExperiments": runs, "metrics": metrics, "params": None, "independentMetrics": True}
    return dict(
        (await post(service, "experiments/multi-metric-chart", requested | {"fetchFull": False} | more))["experiments"]
    )


def series(n: int, kind: str) -> tuple[Any, Any, Any]:
    """Steps, values and times of a long series."""
    random = np.random.default_rng(7)
    steps, values = np.arange(n), random.normal(size=n)
    at_us = NOW_US + np.arange(n) * 1_000
    match kind:
        case "negative steps":
            steps = steps * 10 - 5 * n
        case "one step":
            steps = np.full(n, 3)
        case "no steps":
            steps = np.full(n, NO_STEP)
        case "nothing but NaN":
            values = np.full(n, np.nan)
        case "holes of NaN":
            values[n // 3 : n // 2] = np.nan
        case "infinities":
            values[[5, n - 5]] = np.inf, -np.inf
        case "far steps":
            steps = np.concatenate([steps[:-1], [2**62]])
        case "farthest steps":
            steps = np.concatenate([[-(2**63) + 1], steps[1:-1], [2**63 - 1]])
        case "some without steps":
            steps[: n // 2] = NO_STEP
    return steps, values, at_us


KINDS = [
    "plain",
    "negative steps",
    "one step",
    "no steps",
    "nothing but NaN",
    "holes of NaN",
    "infinities",
    "far steps",
    "farthest steps",
    "some without steps",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sample_is_of_the_curve_and_has_its_ends_and_extremes(service: Service, kind: str) -> None:
    steps, values, at_us = series(3_000, kind)
    await service.insert("run_states", run("a"))
    epochs = [None if n % 3 == 0 else n // 100 for n in range(len(steps))]
    await insert_points(service.store, "a", "x", steps, values, at_us=at_us, summarised=False, epochs=epochs)
    ends = {"first_step": int(steps[0]), "last_step": int(steps[-1]), "count": len(steps)}
    ends |= {"first_at": int(at_us[0]), "last_at": int(at_us[-1])}
    await service.insert("summary_states", summary("a", "x", **ends))
    (found,) = (await chart(service, ["a"], ["x"]))["a"]["metrics"]
    points = [
        (step, at, float(value), epoch)
        for step, at, value, epoch in zip(
            found["steps"], found["timestamps"], found["values"], found["epochs"], strict=True
        )
    ]
    logged = {
        (None if step == NO_STEP else int(step), int(at) // 1000, repr(float(value)), epoch)
        for step, at, value, epoch in zip(steps, at_us, values, epochs, strict=True)
    }
    assert {(step, at, repr(value), epoch) for step, at, value, epoch in points} <= logged
    assert len(points) <= 500
    assert (points[0][1], points[-1][1]) == (at_us[0] // 1000, at_us[-1] // 1000)
    numbers = [value for _, _, value, _ in points if not math.isnan(value)]
    if kind == "nothing but NaN":
        assert not numbers
    else:
        assert (min(numbers), max(numbers)) == (np.nanmin(values), np.nanmax(values))
    if kind not in ("far steps", "farthest steps", "holes of NaN"):
        assert len(points) >= 250


async def test_of_equally_high_points_a_sample_keeps_the_same_each_time(service: Service) -> None:
    """A curve that goes up and down between 0 and 1: the first 0 and the last 1 of a bucket are its ends."""
    n, width = 2_000, 16
    steps = np.arange(n)
    await service.insert("run_states", run("a"))
    for half in (steps[n // 2 :], steps[: n // 2]):
        at_us = NOW_US + half * 1_000
        await insert_points(service.store, "a", "x", half, (half % 2).astype(float), at_us=at_us, summarised=False)
    ends = {"first_step": 0, "last_step": n - 1, "count": n, "first_at": NOW_US, "last_at": NOW_US + n * 1_000}
    await service.insert("summary_states", summary("a", "x", **ends))
    (found,) = (await chart(service, ["a"], ["x"]))["a"]["metrics"]
    assert found["steps"] == [step for begin in range(0, n, width) for step in (begin, begin + width - 1)]
    assert (await chart(service, ["a"], ["x"]))["a"]["metrics"] == [found]


async def test_the_number_of_statements_does_not_grow(service: Service) -> None:
    steps = np.arange(700)
    for n in range(12):
        await service.insert("run_states", run(f"r{n}"))
        await service.insert("attribute_states", attribute(f"r{n}", "lr", n))
        for metric in ("long", "other"):
            await insert_points(service.store, f"r{n}", metric, steps, steps * n)
        await insert_points(service.store, f"r{n}", "short", steps[:3], steps[:3] * n)
    counts = []
    for runs in (1, 12):
        service.reads.requested.clear()
        names = [f"r{n}" for n in range(runs)]
        charts = await chart(service, names, ["long", "other", "short", "none"], params=["lr"])
        counts.append(len(service.reads.requested))
        assert [len(charts[name]["metrics"]) for name in names] == [3] * runs
        assert [charts[name]["params"] for name in names] == [{"lr": n} for n in range(runs)]
        found = {one["metricName"]: one for one in charts[names[-1]]["metrics"]}
        assert found["short"]["values"] == [0.0, runs - 1.0, 2.0 * (runs - 1)]
        assert max(found["long"]["values"]) == 699 * (runs - 1)
    assert counts[0] == counts[1] <= 6
    service.reads.requested.clear()
    assert len((await get(service, "experiments", **PROJECT))["experiments"]) == 12
    rules = {"condition": "AND", "rules": [{"field": "lr", "operator": "less", "value": 6}]}
    body = PROJECT | {"predicates": [{"source": "params", "query": rules}]}
    assert (await post(service, "project/query", body))["experimentKeys"] == [f"r{n}" for n in range(6)]
    assert len(service.reads.requested) <= 7


async def test_series_that_were_not_requested_stay_out(service: Service) -> None:
    """Of two runs and two metrics where one pair is short and one long: the statement is about pairs."""
    for name, metric, n in (("a", "x", 600), ("a", "y", 5), ("b", "x", 5), ("b", "y", 600)):
        await service.insert("run_states", run(name))
        await insert_points(service.store, name, metric, np.arange(n), np.arange(n) * 1.0)
    charts = await chart(service, ["b", "a"], ["y", "x"])
    assert list(charts) == ["b", "a"]
    for name, long in (("a", "x"), ("b", "y")):
        for one in charts[name]["metrics"]:
            assert (len(one["steps"]) > 5) == (one["metricName"] == long)
            assert one["steps"][-1] == (599 if one["metricName"] == long else 4)


async def test_points_come_in_pieces_that_join(service: Service) -> None:
    """More points than a statement reads (3,000 here), in several reads and pieces."""
    await service.insert("run_states", run("a"))
    for metric in ("x", 'qu"ote\\'):
        await insert_points(service.store, "a", metric, np.arange(20_000), np.arange(20_000) / 4)
    everything = (await get(service, "experiment/metrics/get-all", experimentKey="a"))["metrics"]
    assert [point["offset"] for point in everything] == [*range(20_000)] * 2
    assert [point["metricName"] for point in everything] == ['qu"ote\\'] * 20_000 + ["x"] * 20_000
    one = (await get(service, "experiment/metrics/get-metric", experimentKey="a", metricName="x"))["metrics"]
    assert one == everything[20_000:]
    assert [float(point["metricValue"]) for point in one] == [n / 4 for n in range(20_000)]
    assert await get(service, "experiment/metrics/get-metric", experimentKey="a", metricName="y") == {"metrics": []}


async def test_points_have_epochs_and_contexts_and_null_where_there_are_none(service: Service) -> None:
    await service.insert("run_states", run("a"))
    steps, values = np.array([NO_STEP, NO_STEP, 3, 4]), np.array([1.0, 2.0, 3.0, 4.0])
    at_us = NOW_US + np.arange(4) * 1000
    for metric in ("train_loss", "trained", "train_"):
        epochs = [0, None, -1, 2**62] if metric == "train_loss" else None
        await insert_points(service.store, "a", metric, steps, values, at_us=at_us, epochs=epochs)
    everything = (await get(service, "experiment/metrics/get-all", experimentKey="a"))["metrics"]
    shown = [(one["metricName"], one["step"], one["epoch"], one["runContext"], one["offset"]) for one in everything]
    assert shown == [
        *(("train_", step, None, None, offset) for offset, step in enumerate((None, None, 3, 4))),
        ("train_loss", None, 0, "train", 0),
        ("train_loss", None, None, "train", 1),
        ("train_loss", 3, -1, "train", 2),
        ("train_loss", 4, 2**62, "train", 3),
        *(("trained", step, None, None, offset) for offset, step in enumerate((None, None, 3, 4))),
    ]
    one = await get(service, "experiment/metrics/get-metric", experimentKey="a", metricName="train_loss")
    assert one["metrics"] == everything[4:8]
    for full in (False, True):
        charts = await chart(service, ["a"], ["train_loss", "trained"], fetchFull=full)
        curves = {curve["metricName"]: curve for curve in charts["a"]["metrics"]}
        assert curves["train_loss"]["epochs"] == [0, None, -1, 2**62]
        assert curves["train_loss"]["steps"] == [None, None, 3, 4]
        assert curves["trained"]["epochs"] == [None] * 4
    aligned = await chart(service, ["a"], ["train_loss", "trained"], independentMetrics=False)
    assert aligned["a"]["steps"] == [None, 3, 4]
    assert aligned["a"]["metrics"][0]["epochs"] == [None, -1, 2**62], "of a step the last point"


async def test_summaries_of_points_without_steps(service: Service) -> None:
    await service.insert("run_states", run("a"))
    ends = dict.fromkeys(("minimum_step", "maximum_step", "first_step", "last_step"), NO_STEP)
    await service.insert("summary_states", summary("a", "validate_acc", 0.5, **ends), summary("a", "acc", 0.5))
    found = (await get(service, "experiment/metrics/summary", experimentKey="a"))["values"]
    assert [one["name"] for one in found] == ["acc", "validate_acc"]
    for end in ("Min", "Max", "Current"):
        assert found[1][f"step{end}"] is None
        assert found[0][f"step{end}"] is not None
        assert (found[0][f"runContext{end}"], found[1][f"runContext{end}"]) == (None, "validate")


async def test_assets_have_the_context_that_they_were_logged_in(service: Service) -> None:
    await service.insert("run_states", run("a"))
    row = asset("a", "x", "plot.png", "0" * 64, 3)
    await service.insert("asset_states", row | {"context": "train"}, row | {"asset": "y"})
    listed = (await get(service, "experiment/asset/list", experimentKey="a", type="all"))["assets"]
    assert {one["assetId"]: one["runContext"] for one in listed} == {"x": "train", "y": None}


async def test_output_of_many_pieces_is_one_text(service: Service) -> None:
    await service.insert("run_states", run("a"))
    assert await get(service, "experiment/output", experimentKey="a") == {"output": None}
    lines = [f'{n} "ü" \\ \t\n' for n in range(25_000)]
    rows = [
        {"run": "a", "writer": 1 + n // 20_000, "seq": n, "at": NOW_US, "stream": "stdout", "text": text}
        | {"part": 0, "offset": 1}
        for n, text in enumerate(lines)
    ]
    await service.insert("output", *rows)
    assert (await get(service, "experiment/output", experimentKey="a"))["output"] == "".join(lines)


async def test_a_chart_of_too_many_points_says_what_to_do(service: Service) -> None:
    await service.insert("run_states", run("a"))
    await service.insert("summary_states", summary("a", "x", count=1_000_001))
    requested = {"targetedExperiments": ["a"], "metrics": ["x"], "fetchFull": True}
    response = await post(service, "experiments/multi-metric-chart", requested, 400)
    assert "1000001 points" in response["msg"]


async def test_types_of_columns_are_those_of_the_newest_values(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b", archived=True, tags=["t"]), run("c", deleted=True))
    await service.insert("run_states", run("d", project="elsewhere", tags=["far"]))
    old = [attribute("a", name, "text") for name in ("was text", "gone", "still text")]
    new = [
        attribute("a", "was text", 1, offset=2),
        attribute("a", "gone", 1, offset=2, deleted=True),
        attribute("a", "mixed", True),
        attribute("b", "mixed", 2.5),
        attribute("a", "flag", True),
        attribute("b", "flag", None),
        attribute("a", "only null", None),
        attribute("a", "free", 1),
        attribute("b", "free", "x"),
        attribute("a", "free", 1, kind="other"),
        attribute("c", "of a deleted run", 1),
        attribute("d", "elsewhere", 1),
    ]
    await service.insert("attribute_states", *old, *new)
    columns = (await get(service, "project/column-names", **PROJECT))["columns"]
    types = {(one["source"], one["name"]): one["type"] for one in columns}
    assert {name: kind for (source, name), kind in types.items() if source == "params"} == {
        "was text": "double",
        "still text": "string",
        "mixed": "double",
        "flag": "boolean",
        "only null": "string",
        "free": "string",
    }
    assert types["log_other", "free"] == "double"
    assert [name for source, name in types if source == "tag"] == ["t"]


async def test_runs_that_fell_silent_have_crashed_and_deleted_ones_are_gone(service: Service) -> None:
    running = {"status": "running", "ended_at": None}
    await service.insert("run_states", run("quiet", **running), run("busy", **running), run("gone", deleted=True))
    await service.insert("watermark_states", watermark("quiet", "w", 90), watermark("busy", "w", 1))
    quiet = await get(service, "experiment/metadata", experimentKey="quiet")
    assert (quiet["running"], quiet["hasCrashed"]) == (False, True)
    assert quiet["endTimeMillis"] == NOW_US // 1000 - 90_000, "when it was last heard of"
    assert quiet["durationMillis"] == 3600_000 - 90_000
    busy = await get(service, "experiment/metadata", experimentKey="busy")
    assert (busy["running"], busy["hasCrashed"], busy["endTimeMillis"]) == (True, False, None)
    listed = (await get(service, "experiments", **PROJECT))["experiments"]
    assert sorted(listed, key=lambda one: str(one["experimentKey"])) == [busy, quiet]
    assert (await get(service, "experiment/metadata", 404, experimentKey="gone"))["msg"]
    assert await chart(service, ["gone", "quiet"], ["x"]) == await chart(service, ["quiet"], ["x"])
    body = PROJECT | {"predicates": [], "archived": False}
    assert (await post(service, "project/query", body))["experimentKeys"] == ["busy", "quiet"]


async def test_orders_and_pages_of_experiments(service: Service) -> None:
    for n, (started, ended) in enumerate([(5, 50), (9, None), (1, 90), (7, 60)]):
        times = {"created_at": NOW_US + n, "started_at": NOW_US + started, "ended_at": ended and NOW_US + ended}
        await service.insert("run_states", run(f"r{n}", **times))
    await service.insert("run_states", run("r4", archived=True))

    async def keys(**requested: Any) -> str:
        found = (await get(service, "experiments", **(PROJECT | requested)))["experiments"]
        return " ".join(one["experimentKey"] for one in found)

    assert await keys() == "r2 r0 r3 r1", "by start: one that was uploaded later stands where it began"
    assert await keys(archived="True") == "r4"
    assert await keys(archived="False", sortBy="startTime", sortOrder="asc") == "r2 r0 r3 r1"
    assert await keys(sortBy="startTime", sortOrder="desc") == "r1 r3 r0 r2"
    assert await keys(sortBy="endTime", sortOrder="desc") == "r2 r3 r0 r1", "what has no end is before all that has"
    assert await keys(sortBy="endTime", page=1, size=3) == "r1 r0 r3"
    assert await keys(sortBy="endTime", page=2, size=3) == "r2"
    assert await keys(page=3, size=3) == ""
    found = await get(service, "experiments", projectId=project_id("w", "p"))
    assert len(found["experiments"]) == 4
    await get(service, "experiments", 400, **PROJECT, page=1)
    await get(service, "experiments", 400, **PROJECT, page=0, size=3)
    await get(service, "experiments", 400, **PROJECT, sortBy="name")


async def test_a_name_without_a_source_is_looked_up_in_the_project(service: Service) -> None:
    """As the client sends groups inside of a group over several sources."""
    for n in range(3):
        await service.insert("run_states", run(f"r{n}", tags=["t"] if n == 2 else []))
        await service.insert("attribute_states", attribute(f"r{n}", "size", n), attribute(f"r{n}", "word", f"w{n}"))
    inner: list[dict[str, Any]] = [
        {"field": "size", "type": "double", "operator": "greater", "value": 0},
        {"field": "word", "type": "string", "operator": "ends_with", "value": "1"},
    ]
    tag = {"source": "tag", "field": "t", "type": "string", "operator": "equal", "value": "t"}
    tree = {"condition": "OR", "rules": [{"condition": "AND", "rules": inner}, tag]}
    body = PROJECT | {"predicates": [{"source": "nested", "query": tree}]}
    assert (await post(service, "project/query", body))["experimentKeys"] == ["r1", "r2"]
    searched = {"projectId": project_id("w", "p"), "rulesTree": tree, "limit": 1, "page": 2}
    found = await post(service, "experiments/search", searched)
    assert found == {"experiments": [{"experimentKey": "r2"}], "total": 2}
    inner[0]["field"] = "none"
    assert "none" in (await post(service, "project/query", body, 400))["msg"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"field": "x", "operator": "equal", "value": {"a": 1}}, "dict"),
        ({"field": "x", "operator": "between", "value": 3}, "two values"),
        ({"field": "x", "operator": "contains", "value": "1"}, "contains is for texts"),
        ({"field": "x", "value": 1}, "operator"),
        ({"condition": "XOR", "rules": [{"field": "x", "operator": "equal", "value": 1}]}, "XOR"),
        ({"condition": "AND", "rules": []}, "no rules"),
        ({"condition": "AND", "rules": ["x"]}, "no rules"),
    ],
)
async def test_rules_that_mean_nothing_are_refused(service: Service, rule: dict[str, Any], message: str) -> None:
    await service.insert("run_states", run("a"))
    query = rule if "rules" in rule else {"condition": "AND", "rules": [rule]}
    response = await post(
        service, "project/query", PROJECT | {"predicates": [{"source": "metrics", "query": query}]}, 400
    )
    assert message in response["msg"]
