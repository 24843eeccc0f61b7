"""Typos are told: what a request names and nothing has stands beside the response, with the nearest name."""

import json
from typing import Any

import pytest

from kit.query.service import Service
from kit.query.tables import attribute, run, summary
from runstream.events.protocol import UNKNOWN_HEADER
from runstream_query.http.arrow import ARROW
from runstream_query.http.unknown import unknown_header


@pytest.fixture
async def filled(service: Service) -> Service:
    await service.insert("run_states", run("r1"), run("r2", project="digits"), run("r3", project="other"))
    await service.insert("summary_states", summary("r1", "loss", 0.5), summary("r2", "val/acc", 0.5))
    await service.insert(
        "attribute_states",
        attribute("r1", "lr", 0.1),
        attribute("r1", "note", "x", kind="other"),
        attribute("r1", "git.commit", "abc", kind="environment"),
    )
    return service


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ({}, []),
        ({"filter": "metric.loss < 1 and param.lr > 0"}, []),
        ({"filter": "metric.loss < 0"}, []),
        ({"filter": "metric.los < 1"}, ["no run has the metric 'los'; did you mean loss?"]),
        ({"filter": "not metric.los < 1"}, ["no run has the metric 'los'; did you mean loss?"]),
        ({"sort": "-metric.los.min"}, ["no run has the metric 'los'; did you mean loss?"]),
        ({"sort": "metric.zzzzzz"}, ["no run has the metric 'zzzzzz'"]),
        ({"columns": "metric.loss,metric.los"}, ["no run has the metric 'los'; did you mean loss?"]),
        ({"columns": "param.*,metric.*"}, []),
        ({"optional_columns": "metric.los,param.lrr,env.git.comit"}, []),
        (
            {"columns": "metric.los", "optional_columns": "metric.los,param.lrr"},
            ["no run has the metric 'los'; did you mean loss?"],
        ),
        (
            {"filter": "param.lrr = 1", "optional_columns": "param.lrr"},
            ["no run has the parameter 'lrr'; did you mean lr?"],
        ),
        ({"filter": "param.lrr = 1"}, ["no run has the parameter 'lrr'; did you mean lr?"]),
        ({"filter": 'other.noet = "x"'}, ["no run has the other value 'noet'; did you mean note?"]),
        (
            {"filter": 'env.git.comit = "x"'},
            ["no run has the value of the environment 'git.comit'; did you mean git.commit?"],
        ),
        (
            {"filter": "metric.los < 1 or param.lrr = 1"},
            [
                "no run has the metric 'los'; did you mean loss?",
                "no run has the parameter 'lrr'; did you mean lr?",
            ],
        ),
        ({"project": "digits", "filter": "metric.val/acc > 0"}, []),
        ({"project": "digits", "filter": "metric.loss > 0"}, ["no run there has the metric 'loss'"]),
        ({"project": "digit"}, ["there is no project 'digit'; did you mean digits?"]),
        ({"project": "digit", "filter": "metric.los > 0"}, ["there is no project 'digit'; did you mean digits?"]),
        ({"workspace": "v"}, ["there is no workspace 'v'"]),
        (
            {"workspace": "w", "project": "othr"},
            ["there is no project 'othr' in the workspace 'w'; did you mean other?"],
        ),
    ],
)
async def test_lists_of_runs(filled: Service, question: dict[str, str], unknown: list[str]) -> None:
    assert (await filled.get("runs", **question))["unknown"] == unknown
    assert (await filled.post("runs/query", question))["unknown"] == unknown


async def test_optional_columns_have_their_values(filled: Service) -> None:
    page = await filled.get("runs", columns="param.lr", optional_columns="metric.loss,metric.los", sort="name")
    cells = {one["run"]: one["columns"] for one in page["runs"]}
    assert cells == {"r1": {"param.lr": 0.1, "metric.loss": 0.5}, "r2": {}, "r3": {}}


@pytest.mark.parametrize("wrong", ["status", "metric.", "params.lr"])
async def test_wrong_optional_columns_are_refused(filled: Service, wrong: str) -> None:
    problem = await filled.get("runs", 400, optional_columns=wrong)
    assert problem["detail"].startswith("optional_columns: ")


async def test_only_the_first_page_tells(filled: Service) -> None:
    first = await filled.get("runs", sort="metric.los", limit="1")
    assert first["unknown"]
    assert (await filled.get("runs", sort="metric.los", limit="1", cursor=first["next_cursor"]))["unknown"] == []


async def test_what_comes_later_is_known_then(filled: Service) -> None:
    await filled.insert("summary_states", summary("r1", "los", 0.5))
    assert (await filled.get("runs", filter="metric.los < 1"))["unknown"] == []


@pytest.mark.parametrize("path", ["series", "summaries"])
async def test_curves_and_summaries(filled: Service, path: str) -> None:
    async def unknown(runs: list[str], *metrics: str) -> Any:
        return (await filled.post(path, {"runs": runs, "metrics": list(metrics)}))["unknown"]

    assert await unknown(["r1"], "loss", "l*") == []
    assert await unknown(["r1"], "nope*") == [], "a glob may match nothing"
    assert await unknown(["r1"], "los", "loss") == ["run 'r1' has no metric 'los'; did you mean loss?"]
    assert await unknown(["r1", "r2"], "loss", "val/acc") == [], "one of them has it"
    assert await unknown(["r1", "r2"], "val/ac") == ["none of these runs has a metric 'val/ac'; did you mean val/acc?"]


@pytest.mark.parametrize(
    ("filter", "unknown"),
    [
        ('project = "digit"', ["there is no project 'digit'; did you mean digits?"]),
        ('project in ("digit", "other") and name = "x"', ["there is no project 'digit'; did you mean digits?"]),
        (
            'workspace = "v" or not project != "othr"',
            ["there is no project 'othr'; did you mean other?", "there is no workspace 'v'"],
        ),
        ('project = "digits" and name = "x"', []),
        ('project contains "zzz"', []),
    ],
)
async def test_places_inside_of_a_filter(filled: Service, filter: str, unknown: list[str]) -> None:
    assert (await filled.get("runs", filter=filter))["unknown"] == unknown


async def test_a_list_of_projects_tells_an_unknown_workspace(filled: Service) -> None:
    assert (await filled.get("projects", workspace="v"))["unknown"] == ["there is no workspace 'v'"]
    assert (await filled.get("projects"))["unknown"] == (await filled.get("projects", workspace="w"))["unknown"] == []


@pytest.mark.parametrize("path", ["experiments", "artifacts"])
async def test_siblings_tell_unknown_places(filled: Service, path: str) -> None:
    assert (await filled.get(path, project="digits"))["unknown"] == []
    assert (await filled.get(path, project="digit"))["unknown"] == ["there is no project 'digit'; did you mean digits?"]


@pytest.mark.parametrize("max_points", [None, 10])
async def test_an_arrow_stream_tells_in_a_header(filled: Service, max_points: int | None) -> None:
    body = {"runs": ["r1"], "metrics": ["los", "loss"], "max_points": max_points}
    async with filled.client.post("/api/v1/series", json=body, headers={"Accept": ARROW}) as response:
        assert response.status == 200
        assert json.loads(response.headers[UNKNOWN_HEADER]) == ["run 'r1' has no metric 'los'; did you mean loss?"]
    body["metrics"] = ["loss"]
    async with filled.client.post("/api/v1/series", json=body, headers={"Accept": ARROW}) as response:
        assert UNKNOWN_HEADER not in response.headers


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ({"project": "digit"}, ["there is no project 'digit'; did you mean digits?"]),
        ({"runs": "r1", "metrics": "los"}, ["run 'r1' has no metric 'los'; did you mean loss?"]),
        ({"runs": "r1", "metrics": "l*"}, []),
        ({"project": "digits"}, []),
    ],
)
async def test_a_live_stream_tells_in_a_header(filled: Service, question: dict[str, str], unknown: list[str]) -> None:
    async with filled.client.get("/api/v1/live", params=question | {"since": "next:"}) as response:
        assert response.status == 200
        assert json.loads(response.headers.get(UNKNOWN_HEADER, "[]")) == unknown


def test_a_header_has_room_for_some() -> None:
    told = [f"no metric {name * 100!r}" for name in "äbcdefghijklmnopqrst"]
    (value,) = unknown_header(told * 3).values()
    assert value.isascii()
    assert len(value) <= 3000
    assert json.loads(value) == (told * 3)[: len(json.loads(value))]
    assert unknown_header([]) == {}
