"""Lists of runs: filter, sort, pages, columns, status; and one run."""

import math
from typing import Any

import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, attribute, run, summary, watermark
from runstream.query import Metadata


def ids(response: Any) -> list[str]:
    return [row["run"] for row in response["runs"]]


async def sweep(service: Service) -> None:
    """Four runs with a metric, parameters and tags; r4 has none of them."""
    await service.insert(
        "run_states",
        run("r1", tags=["sweep", "good"], created_at=NOW_US - 1, group="sweep-7", job_type="train"),
        run("r2", tags=["sweep"], created_at=NOW_US - 2, project="q", group="sweep-12"),
        run("r3", created_at=NOW_US - 3, experiment="e"),
        run("r4", created_at=NOW_US - 4, ended_at=None, status="running"),
    )
    await service.insert(
        "summary_states",
        summary("r1", "loss", 0.5, minimum=0.1),
        summary("r2", "loss", 0.25, minimum=0.2),
        summary("r3", "loss", math.nan),
        summary("r1", "val/acc", 0.9),
    )
    await service.insert(
        "attribute_states",
        attribute("r1", "lr", 0.1),
        attribute("r2", "lr", "auto"),
        attribute("r3", "lr", math.nan),
        attribute("r1", "seed", 3),
        attribute("r1", "note", "hello", kind="other"),
        attribute("r1", "git.commit", "abc", kind="environment"),
    )


async def test_runs_that_nobody_named(service: Service) -> None:
    """Their name is their id; `Metadata("experiment_name") == None` of Comet's queries means them as well."""
    await service.insert("run_states", run("a" * 32, name="a" * 32), run("b", name="named"), run("c", name=""))
    for text in ("name is null", (Metadata("experiment_name") == None).filter()):  # noqa: E711 - Comet's way to ask
        assert sorted(ids(await service.get("runs", filter=text))) == ["a" * 32, "c"], text
    for text in ("name is not null", (Metadata("experiment_name") != None).filter()):  # noqa: E711
        assert ids(await service.get("runs", filter=text)) == ["b"], text


async def test_newest_first_by_default(service: Service) -> None:
    await sweep(service)
    assert ids(await service.get("runs")) == ["r1", "r2", "r3", "r4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metric.loss < 0.3", ["r2"]),
        ("metric.loss.min < 0.15", ["r1"]),
        ("metric.loss = nan", ["r3"]),
        ("not metric.loss < 0.3", ["r1", "r3", "r4"]),
        ("metric.loss != 0.25", ["r1", "r3", "r4"]),
        ("metric.loss is null", ["r4"]),
        ('metric."val/acc" > 0.5', ["r1"]),
        ('param.lr = "auto"', ["r2"]),
        ("param.lr <= 0.1", ["r1"]),
        ("param.lr is not null", ["r1", "r2", "r3"]),
        ('"sweep" in tags and not tag = "good"', ["r2"]),
        ('other.note startswith "he" and env.git.commit matches "^a.c$"', ["r1"]),
        ('group = "sweep-7"', ["r1"]),
        ('group startswith "sweep" and job_type is null', ["r2"]),
        ("group is null", ["r3", "r4"]),
        ('not group in ("sweep-7", "sweep-12")', ["r3", "r4"]),
        ('status = "running"', ["r4"]),
        ('project = "q" or experiment = "e"', ["r2", "r3"]),
        ("ended is null", ["r4"]),
        ("duration > 20m and duration < 40m", ["r1", "r2", "r3"]),
        ("created >= now-2us", ["r1", "r2"]),
        ('id in ("r4", "r1")', ["r1", "r4"]),
    ],
)
async def test_filters(service: Service, text: str, expected: list[str]) -> None:
    await sweep(service)
    assert ids(await service.get("runs", filter=text)) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("metric.loss", ["r2", "r1", "r3", "r4"]),
        ("-metric.loss", ["r1", "r2", "r3", "r4"]),
        ("-metric.loss.min", ["r2", "r1", "r3", "r4"]),
        ("param.lr", ["r1", "r3", "r2", "r4"]),
        ("group,-id", ["r4", "r3", "r2", "r1"]),
        ("-job_type,-group", ["r1", "r2", "r3", "r4"]),
        ("-id", ["r4", "r3", "r2", "r1"]),
        ("ended,created", ["r3", "r2", "r1", "r4"]),
        ("status,-project,id", ["r2", "r1", "r3", "r4"]),
        ("duration,id", ["r1", "r2", "r3", "r4"]),
    ],
)
async def test_sorts_and_pages_agree(service: Service, sort: str, expected: list[str]) -> None:
    """NaN and then missing values come last in either direction; pages of every size give the same order."""
    await sweep(service)
    assert ids(await service.get("runs", sort=sort)) == expected
    for limit in (1, 2, 3):
        paged: list[str] = []
        query: dict[str, Any] = {"sort": sort, "limit": limit}
        while True:
            response = await service.get("runs", **query)
            paged += ids(response)
            assert len(response["runs"]) <= limit
            if response["next_cursor"] is None:
                break
            query["cursor"] = response["next_cursor"]
        assert paged == expected


async def test_a_page_with_columns_takes_six_statements_at_most(service: Service) -> None:
    await sweep(service)
    service.reads.requested.clear()
    response = await service.get("runs", columns='metric.loss.min,param.*,metric."val/acc",other.note,env.git.commit')
    assert len(service.reads.requested) <= 6
    columns = {row["run"]: row["columns"] for row in response["runs"]}
    assert columns["r1"] == {
        "metric.loss.min": 0.1,
        "param.lr": 0.1,
        "param.seed": 3,
        'metric."val/acc"': 0.9,
        "other.note": "hello",
        "env.git.commit": "abc",
    }
    assert columns["r2"] == {"metric.loss.min": 0.2, "param.lr": "auto"}
    assert columns["r3"] == {"metric.loss.min": "NaN", "param.lr": "NaN"}
    assert columns["r4"] == {}


async def test_a_long_question_goes_into_a_body(service: Service) -> None:
    await sweep(service)
    response = await service.post("runs/query", {"filter": "metric.loss < 1", "sort": "metric.loss", "count": True})
    assert (ids(response), response["total"]) == (["r2", "r1"], 2)


async def test_deleted_and_archived_are_hidden_until_requested(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b", archived=True), run("c", deleted=True))
    assert ids(await service.get("runs")) == ["a"]
    assert ids(await service.get("runs", filter="archived")) == ["b"]
    assert ids(await service.get("runs", filter="deleted and not archived")) == ["c"]
    assert ids(await service.get("runs", filter="deleted or not deleted", sort="id")) == ["a", "c"]


async def test_newest_state_of_a_run_counts(service: Service) -> None:
    await service.insert("run_states", run("a", name="old", offset=1))
    await service.insert("run_states", run("a", name="new", offset=2))
    assert [row["name"] for row in (await service.get("runs"))["runs"]] == ["new"]
    assert ids(await service.get("runs", filter='name = "old"')) == []


async def test_silent_runs_are_shown_as_crashed_everywhere(service: Service) -> None:
    running = {"status": "running", "ended_at": None, "started_at": NOW_US - 100 * SECOND_US}
    await service.insert("run_states", *(run(name, **running) for name in ("alive", "half", "quiet", "over")))
    await service.insert(
        "watermark_states",
        watermark("alive", "w1", 29.0),
        watermark("half", "w1", 300.0),
        watermark("half", "w2", 1.0),
        watermark("quiet", "w1", 31.0),
        watermark("quiet", "w2", 1.0, ended=True),
        watermark("over", "w1", 300.0, ended=True),
    )
    response = await service.get("runs", sort="id")
    shown = {row["run"]: (row["status"], row["duration_s"]) for row in response["runs"]}
    assert shown["quiet"] == ("crashed", 69.0)
    assert [shown[name] for name in ("alive", "half", "over")] == [("running", 100.0)] * 3
    assert ids(await service.get("runs", filter='status = "crashed"')) == ["quiet"]
    assert ids(await service.get("runs", filter='status = "running"', sort="id")) == ["alive", "half", "over"]
    detail = await service.get("runs/quiet")
    assert detail["run"]["status"] == "crashed"
    assert [(writer["writer"], writer["ended"]) for writer in detail["writers"]] == [("w1", False), ("w2", True)]
    service.now_us += 2 * SECOND_US
    assert (await service.get("runs/alive"))["run"]["status"] == "crashed"


async def test_one_run(service: Service) -> None:
    await sweep(service)
    detail = await service.get("runs/r1")
    assert (detail["metrics"], detail["parameters"], detail["assets"]) == (2, 2, 0)
    assert detail["run"]["tags"] == ["sweep", "good"]
    assert detail["run"]["created_at"] == "2026-01-31T11:59:59.999999Z"
    assert detail["run"]["duration_s"] == 1800.0


async def test_places(service: Service) -> None:
    await sweep(service)
    named = {"workspace": "w", "project": "empty", "description": "d", "notes": "n", "created_at": 1, "updated_at": 1}
    await service.insert("project_states", named | {"deleted": False, "part": 0, "offset": 5})
    gone = named | {"project": "gone", "deleted": True, "part": 0, "offset": 6}
    await service.insert("project_states", gone)
    projects = (await service.get("projects"))["projects"]
    assert [(row["project"], row["runs"]) for row in projects] == [("empty", 0), ("p", 3), ("q", 1)]
    assert (await service.get("workspaces"))["workspaces"] == [{"workspace": "w", "projects": 3, "runs": 4}]
    experiments = (await service.get("experiments", workspace="w", project="p"))["experiments"]
    assert [(row["experiment"], row["runs"]) for row in experiments] == [("e", 1)]


async def test_responses_wait_for_a_position(service: Service) -> None:
    await service.insert("run_states", run("a"))
    service.advance(4)
    for token in ("next:0:5", "0:4", "next:"):
        await service.get("runs", wait_for=token)
    await service.get("runs", 504, wait_for="next:0:6", wait_s=0.01)
    problem = await service.get("runs", 504, wait_for="0:5", wait_s=0.01)
    assert "next:0:6" in problem["detail"]
    async with service.client.get("/api/v1/runs") as response:
        assert response.headers["Runstream-Position"] == "next:0:5"
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("runs", {"filter": "metric.loss <"}, 400, "a value, found the end (column 14)"),
        ("runs", {"filter": "metrics.loss < 1"}, 400, "did you mean metric?"),
        ("runs", {"sort": "tag"}, 400, "sorted by tag"),
        ("runs", {"sort": "-losss"}, 400, "sort: unknown field"),
        ("runs", {"columns": "status"}, 400, "part of every row"),
        ("runs", {"columns": ",".join(f"param.a{number}*" for number in range(51))}, 400, "51 globs, at most 50"),
        ("runs", {"limit": "0"}, 400, "limit"),
        ("runs", {"limit": "100000"}, 400, "at most 1000"),
        ("runs", {"limit": "ten"}, 400, "'ten'"),
        ("runs", {"fliter": "x"}, 400, "did you mean filter?"),
        ("runs", {"cursor": "???"}, 400, "cursor"),
        ("runs", {"wait_for": "latest"}, 400, "wait_for"),
        ("runs/nobody", {}, 404, "'nobody'"),
        ("runs/nobody/parameters", {}, 404, "'nobody'"),
        ("runs/-bad-", {}, 400, "cannot be a run id"),
        ("runs/nobody", {"as_of": "yesterday"}, 400, "as_of"),
        ("runs/nobody", {"as_of": "9" * 5000 + ":0"}, 400, "is no position"),
        ("runs", {"wait_for": "0:" + "9" * 30}, 400, "is no position"),
        ("runs", {"wait_for": "next:0"}, 400, "is no position"),
        ("runs/nobody", {"as_of": "next:0:x"}, 400, "is no position"),
    ],
)
async def test_wrong_questions_are_named(
    service: Service, path: str, query: dict[str, Any], status: int, words: str
) -> None:
    problem = await service.get(path, status, **query)
    assert words in problem["detail"]
    assert problem["type"].startswith("urn:runstream:problem:")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/query", {"workspace": "\ud800"}),
        ("summaries", {"runs": ["\udfff"]}),
        ("series", {"runs": ["a"], "metrics": ["\ud800*"]}),
    ],
)
async def test_text_that_is_no_unicode_is_refused(service: Service, path: str, body: dict[str, Any]) -> None:
    """Not a fault of the server's (500), nor one that goes away by trying again (503)."""
    assert "the body is no JSON" in (await service.post(path, body, 400))["detail"]


async def test_a_filter_problem_points_at_the_place(service: Service) -> None:
    problem = await service.get("runs", 400, filter='status = "runing"')
    assert (problem["name"], problem["column"]) == ("filter", 10)
    assert problem["pointed"] == 'status = "runing"\n         ^'


async def test_a_cursor_of_another_question_is_refused(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b"))
    cursor = (await service.get("runs", limit=1))["next_cursor"]
    problem = await service.get("runs", 400, limit=1, cursor=cursor, sort="id")
    assert "another filter or sort" in problem["detail"]


async def test_a_question_that_is_too_long_is_refused(service: Service) -> None:
    assert "filter" in (await service.post("runs/query", {"filter": "a" * 70_000}, 400))["detail"]
    assert "bytes" in (await service.post("runs/query", {"filter": "a" * 3_000_000}, 400))["detail"]


async def test_what_only_the_engine_can_judge_is_a_problem_of_the_question(service: Service) -> None:
    await service.insert("run_states", run("a"))
    problem = await service.get("runs", 400, filter='name matches "a{5000}"')
    assert problem["type"] == "urn:runstream:problem:refused-by-store"
