"""Fields of runs: what there is to filter by, with counts, ranges and values."""

import json
import math
from typing import Any

import pytest

from kit.query.service import Service
from kit.query.tables import attribute, run, summary, watermark


async def fill(service: Service) -> None:
    await service.insert(
        "run_states",
        run("a", tags=["x", "y"], group="g"),
        run("b", tags=["y"], status="failed"),
        run("c", project="other", user="bob"),
        run("gone", deleted=True, tags=["hidden"]),
        run("old", archived=True, group="old"),
    )
    await service.insert(
        "attribute_states",
        attribute("a", "lr", 0.1),
        attribute("b", "lr", 0.01),
        attribute("c", "lr", 0.1),
        attribute("gone", "lr", 7),
        attribute("old", "lr", 9),
        attribute("a", "layers", "3"),
        attribute("b", "layers", 4),
        attribute("a", "odd", math.nan),
        attribute("a", "text", "x" * 501),
        attribute("b", "text", "short"),
        attribute("a", "note", {"deep": [1, None]}, kind="other"),
        attribute("a", "git.commit", "abc", kind="environment"),
        attribute("a", "with space", True),
    )
    # A later value takes the place of an earlier one.
    await service.insert("attribute_states", attribute("b", "lr", 0.2, offset=9))
    await service.insert(
        "summary_states",
        summary("a", "loss", 0.5, minimum=0.25, maximum=4.0, count=10),
        summary("b", "loss", math.nan, count=2, nan_count=2),
        summary("c", "val/loss", 3.0, count=5),
    )


async def read(service: Service, **body: Any) -> dict[str, dict[str, Any]]:
    response = await service.post("runs/fields", body)
    rows = {row["field"]: row for row in response["fields"]}
    assert len(rows) == len(response["fields"])
    return rows


def values(row: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(one["value"], one["runs"]) for one in row["values"]]


async def test_what_was_logged(service: Service) -> None:
    await fill(service)
    rows = await read(service, kinds=["param", "other", "env"])
    assert [(row["kind"], row["name"]) for row in rows.values()] == [
        ("env", "git.commit"),
        ("other", "note"),
        *[("param", name) for name in ("layers", "lr", "odd", "text", "with space")],
    ]
    rate = rows["param.lr"]
    assert (rate["kind"], rate["name"], rate["runs"], rate["distinct"], rate["numbers"]) == ("param", "lr", 3, 2, 3)
    assert (rate["min"], rate["max"], values(rate)) == (0.1, 0.2, [(0.1, 2), (0.2, 1)])
    # A text that says a number is one to filters, so it is here.
    assert (rows["param.layers"]["min"], rows["param.layers"]["max"]) == (3, 4)
    assert (rows["param.odd"]["min"], values(rows["param.odd"])) == (None, [("NaN", 1)])
    text = rows["param.text"]
    assert (text["runs"], text["distinct"], values(text), text["numbers"]) == (2, 2, [("short", 1)], 0)
    assert values(rows["other.note"]) == [({"deep": [1, None]}, 1)]
    assert values(rows['param."with space"']) == [(True, 1)]


async def test_columns_of_runs(service: Service) -> None:
    await fill(service)
    rows = await read(service, kinds=["run"])
    assert list(rows) == ["status", "tag", "group", "project", "workspace", "user", "host"]
    assert values(rows["tag"]) == [("y", 2), ("x", 1)]
    assert values(rows["status"]) == [("finished", 2), ("failed", 1)]
    assert (values(rows["user"]), rows["user"]["distinct"]) == ([("ann", 2), ("bob", 1)], 2)
    assert values((await read(service, kinds=["run"], values=1))["project"]) == [("p", 2)]


async def test_a_running_run_whose_writers_are_silent_is_crashed(service: Service) -> None:
    await service.insert("run_states", run("r", status="running", ended_at=None))
    await service.insert("watermark_states", watermark("r", "w", 3600))
    assert values((await read(service, kinds=["run"]))["status"]) == [("crashed", 1)]


async def test_metrics(service: Service) -> None:
    await fill(service)
    rows = await read(service, kinds=["metric"])
    loss = rows["metric.loss"]
    assert (loss["runs"], loss["points"], loss["min"], loss["max"]) == (2, 12, 0.25, 4.0)
    assert (loss["distinct"], loss["numbers"], loss["values"]) == (None, None, [])
    assert list(rows) == ["metric.loss", "metric.val/loss"]


async def test_a_prefix_completes_and_a_filter_narrows(service: Service) -> None:
    await fill(service)
    assert list(await read(service, kinds=["param"], prefix="l")) == ["param.layers", "param.lr"]
    assert list(await read(service, kinds=["metric"], prefix="val/")) == ["metric.val/loss"]
    rows = await read(service, kinds=["run", "param", "metric"], filter='tag = "x"', project="p")
    assert (rows["param.lr"]["runs"], rows["metric.loss"]["points"], values(rows["tag"])) == (
        1,
        10,
        [("x", 1), ("y", 1)],
    )
    archived = await read(service, kinds=["param"], filter="archived")
    assert values(archived["param.lr"]) == [(9, 1)]
    assert await read(service, project="nothing") == {}


async def test_a_limit_says_that_there_is_more(service: Service) -> None:
    await fill(service)
    for kind, names in (("param", 5), ("metric", 2)):
        for limit in (1, names - 1, names, names + 1):
            response = await service.post("runs/fields", {"kinds": [kind], "limit": limit})
            assert (len(response["fields"]), response["more"]) == (min(limit, names), limit < names)


async def test_defaults_leave_the_environment_out(service: Service) -> None:
    await fill(service)
    assert {row["kind"] for row in (await read(service)).values()} == {"run", "metric", "param", "other"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"filter": "status ="}, "filter"),
        ({"kinds": ["nothing"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"values": 101}, "values"),
        ({"limit": 0}, "limit"),
        ({"columns": "param.lr"}, "columns"),
    ],
)
async def test_what_cannot_be_is_refused(service: Service, wrong: dict[str, Any], words: str) -> None:
    assert words in json.dumps(await service.post("runs/fields", wrong, 400))
