"""Lists of runs as of a moment: what they cost, and what they refuse. (That they are right: test_lists_as_of.)"""

import json
from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, attribute, insert_points, run
from runstream.events.control import ParametersLogged, RunEvent, RunStarted, encode_event
from runstream_query import QuerySettings

MAX_RUNS, MAX_EVENTS, MAX_POINTS = 20, 30, 400


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(max_past_runs=MAX_RUNS, max_past_events=MAX_EVENTS, max_past_points=MAX_POINTS)


async def log(service: Service, name: str, offset: int, event: RunEvent) -> None:
    body = encode_event(event).decode()
    row = {"key": name, "part": 0, "offset": offset, "writer": "a" * 32, "seq": offset, "at": event.at_us}
    await service.insert("events", {**row, "type": event.type, "body": body})


async def fill(service: Service, runs: int, project: str = "p", first: int = 0) -> None:
    """Runs that started at the offsets 1 to `runs` and have a parameter, which those of even number got again at 1,000;
    and points of a metric, which go on there."""
    for number in range(first, first + runs):
        name = f"run-{number:03}"
        started = RunStarted(at_us=NOW_US + number, workspace="w", project=project, name=name)
        await log(service, name, number + 1, started)
        await service.insert("run_states", run(name, project=project, offset=number + 1, created_at=NOW_US + number))
        await log(service, name, number + 1, ParametersLogged(at_us=NOW_US, values={"lr": number}))
        await service.insert("attribute_states", attribute(name, "lr", number, offset=number + 1))
        steps = np.arange(10)
        await insert_points(service.store, name, "loss", steps, steps + float(number), offset=number + 1)
        if number % 2 == 0:
            await log(service, name, 1_000, ParametersLogged(at_us=NOW_US, values={"lr": -1}))
            await service.insert("attribute_states", attribute(name, "lr", -1, offset=1_000))
            await insert_points(service.store, name, "loss", steps + 10, steps * 0.0, offset=1_000)
    service.advance(1_001)


async def test_as_many_statements_for_many_runs_as_for_few(service: Service) -> None:
    question = {"as_of": "next:0:500", "columns": "param.lr,metric.loss", "sort": "-metric.loss.max", "limit": 100}
    counts = []
    for first, runs in ((0, 2), (2, 10)):
        await fill(service, runs, first=first)
        service.reads.requested.clear()
        rows = (await service.post("runs/query", question))["runs"]
        assert [row["run"] for row in rows] == [f"run-{number:03}" for number in reversed(range(first + runs))]
        expected = [
            {"param.lr": first + runs - 1 - at, "metric.loss": first + runs - 1 - at + 9} for at in range(first + runs)
        ]
        assert [row["columns"] for row in rows] == expected
        counts.append(len(service.reads.requested))
    assert counts[0] == counts[1] <= 16


async def test_only_what_changed_since_is_folded(service: Service) -> None:
    await fill(service, 12)
    service.reads.requested.clear()
    assert len((await service.post("runs/query", {"as_of": "next:0:1001", "columns": "metric.loss"}))["runs"]) == 12
    assert not any("FROM points" in sql for sql in service.reads.requested)


async def test_pages_are_of_one_moment(service: Service) -> None:
    await fill(service, 6)
    first = await service.post("runs/query", {"as_of": "next:0:500", "limit": 4})
    assert (first["as_of"], len(first["runs"])) == ("next:0:500", 4)
    rest = {"limit": 4, "cursor": first["next_cursor"]}
    assert len((await service.post("runs/query", {**rest, "as_of": "next:0:500"}))["runs"]) == 2
    for other in ({"as_of": "next:0:501"}, {}):
        assert "cursor" in (await service.post("runs/query", {**rest, **other}, 400))["detail"]
    assert [row["run"] for row in (await service.get("runs", as_of="0:2"))["runs"]] == ["run-001", "run-000"]
    assert (await service.get("runs", as_of="next:"))["runs"] == []


async def test_more_than_can_be_looked_at_is_refused_with_a_way_out(service: Service) -> None:
    await fill(service, MAX_RUNS, "large")
    await fill(service, 2, "small", first=MAX_RUNS)
    many: dict[str, Any] = {"as_of": "next:0:500"}
    problem = await service.post("runs/query", many, 422)
    assert "name a project" in problem["detail"]
    assert "RUNSTREAM_QUERY_MAX_PAST_RUNS" in problem["detail"]
    for less in (
        {"project": "small"},
        {"filter": 'id in ("run-020", "run-021")'},
        {"filter": 'id startswith "run-02"'},
    ):
        found = await service.post("runs/query", {**many, **less})
        assert [row["run"] for row in found["runs"]] == ["run-021", "run-020"], less


async def test_more_events_and_points_than_can_be_folded_are_refused(service: Service) -> None:
    await fill(service, 4)
    for seq in range(MAX_EVENTS):
        await log(service, "run-000", 100 + seq, ParametersLogged(at_us=NOW_US, values={"x": seq}))
    problem = await service.post("runs/query", {"as_of": "next:0:500"}, 422)
    assert "RUNSTREAM_QUERY_MAX_PAST_EVENTS" in problem["detail"]
    assert len((await service.post("runs/query", {"as_of": "next:0:500", "filter": 'id = "run-001"'}))["runs"]) == 1
    steps = np.arange(MAX_POINTS)
    await insert_points(service.store, "run-002", "long", steps, steps * 1.0, offset=3, summarised=False)
    await insert_points(service.store, "run-002", "long", steps[:1], steps[:1] * 1.0, offset=1_000)
    one = {"as_of": "next:0:500", "filter": 'id = "run-002"', "columns": "metric.*"}
    assert len((await service.post("runs/query", {**one, "columns": "metric.loss"}))["runs"]) == 1
    assert "RUNSTREAM_QUERY_MAX_PAST_POINTS" in (await service.post("runs/query", one, 422))["detail"]


async def test_names_that_nothing_has_are_told(service: Service) -> None:
    await fill(service, 2)
    found = await service.post("runs/query", {"as_of": "next:0:500", "columns": "metric.los", "project": "p"})
    assert "did you mean loss?" in json.dumps(found["unknown"])
    assert "'nobody'" in json.dumps(await service.post("runs/query", {"as_of": "next:0:9", "project": "nobody"}))
