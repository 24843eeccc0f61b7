"""Responses as CSV: what JSON says, as a reader of tables reads it."""

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import attribute, insert_points, run, summary
from runstream_query import QuerySettings
from runstream_query.table_rows import cell, csv_pieces

NAMES = ("=1+1", "@SUM(A1)", "+5", "-x", "\ttab", 'plain, with "quotes"\r\nand lines', "ünï", "")
RUNS = [f"r{number}" for number in range(len(NAMES))]


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(max_page=3, points_per_read=3000)


@pytest.fixture
async def filled(service: Service) -> Service:
    await service.insert(
        "run_states",
        *(
            run(one, name=name, tags=["a", "=b"], offset=at)
            for at, (one, name) in enumerate(zip(RUNS, NAMES, strict=True))
        ),
    )
    await service.insert("attribute_states", attribute("r0", "lr", 0.1), attribute("r5", "lr", "=cmd()"))
    values = np.array([1.0, math.nan, math.inf, -math.inf, 0.1])
    await insert_points(service.store, "r0", "loss", np.arange(5), values)
    await service.insert("summary_states", summary("r1", "acc", -math.inf))
    service.advance(20)
    return service


async def table(
    service: Service, path: str, body: Any = None, *, exact: bool = False, **query: str
) -> list[dict[str, str]]:
    accept = "text/csv; cells=exact" if exact else "text/csv"
    method, content = ("GET", {"params": query}) if body is None else ("POST", {"json": body})
    async with service.client.request(method, f"/api/v1/{path}", headers={"Accept": accept}, **content) as response:
        text = (await response.read()).decode()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        assert response.headers["Runstream-Position"]
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_runs_of_all_pages(filled: Service) -> None:
    columns = "param.lr,metric.acc.last"
    rows = await table(filled, "runs", sort="id", columns=columns, exact=True)
    assert [row["run"] for row in rows] == RUNS
    assert [row["name"] for row in rows] == list(NAMES)
    assert [row["param.lr"] for row in rows] == ["0.1", "", "", "", "", "=cmd()", "", ""]
    assert rows[1]["metric.acc.last"] == "-Infinity"
    assert json.loads(rows[0]["tags"]) == ["a", "=b"]
    listed = (await filled.get("runs", sort="id", limit=1))["runs"][0]
    assert set(rows[0]) == {*listed, "param.lr", "metric.acc.last"} - {"columns"}
    assert rows[0]["created_at"] == listed["created_at"]
    some = await table(filled, "runs/query", {"sort": "-id", "limit": 5, "filter": 'tag = "a"'})
    assert [row["run"] for row in some] == RUNS[:-6:-1]


async def test_no_text_is_a_formula_unless_it_is_wanted_as_it_is(filled: Service) -> None:
    rows = await table(filled, "runs", sort="id", columns="param.lr")
    assert [row["name"] for row in rows] == ["'=1+1", "'@SUM(A1)", "'+5", "'-x", "'\ttab", *NAMES[5:]]
    assert rows[5]["param.lr"] == "'=cmd()"
    assert cell(-1.5, exact=False) == "-1.5", "a number is one"


async def test_globs_of_columns_are_of_one_page(filled: Service) -> None:
    problem = await _problem(filled, columns="param.*")
    assert "name the columns" in problem["detail"]
    rows = await table(filled, "runs", sort="id", columns="param.*,other.none", limit="3")
    assert [row["param.lr"] for row in rows] == ["0.1", "", ""]
    assert rows[0]["other.none"] == ""


async def _problem(service: Service, **query: str) -> Any:
    async with service.client.get("/api/v1/runs", params=query, headers={"Accept": "text/csv"}) as response:
        assert response.status == 400
        return await response.json(content_type=None)


async def test_curves(filled: Service) -> None:
    rows = await table(filled, "series", {"runs": ["r0"], "metrics": ["loss"]})
    assert [row["value"] for row in rows] == ["1.0", "NaN", "Infinity", "-Infinity", "0.1"]
    assert [row["step"] for row in rows] == list("01234")
    curve = (await filled.post("series", {"runs": ["r0"], "metrics": ["loss"]}))["curves"][0]
    assert [row["at"] for row in rows] == curve["at"]
    assert [row["writer"] for row in rows] == curve["writers"]
    many = np.arange(10_000)
    await insert_points(filled.store, "r2", "long", many, many / 7)
    rows = await table(filled, "runs/r2/series", metrics="long")
    assert [float(row["value"]) for row in rows] == list(many / 7)
    rows = await table(filled, "runs/r2/series", metrics="long", epochs="true")
    assert (len(rows), rows[0]["epoch"]) == (10_000, "")


async def test_buckets_charts_groups_and_summaries(filled: Service) -> None:
    chosen = {"runs": ["r0"], "metrics": ["loss"], "max_points": 2}
    envelope = (await filled.post("series", chosen))["envelopes"][0]
    rows = await table(filled, "series", chosen)
    assert [float(row["max"]) for row in rows] == [float(value) for value in envelope["max"]]
    assert "first_at" not in rows[0]
    curve = (await filled.post("charts", chosen))["series"][0]
    rows = await table(filled, "charts", chosen)
    assert [(int(row["x"]), int(row["count"])) for row in rows] == list(zip(curve["x"], curve["count"], strict=True))
    assert list(rows[0]) == ["run", "metric", "x", "count", "nan_count", "min", "max", "mean"]
    rows = await table(filled, "charts/groups", {**chosen, "group_by": ["user"]})
    assert (rows[0]["user"], rows[0]["size"], rows[0]["sd"]) == ("ann", "1", "NaN")
    rows = await table(filled, "summaries", {"runs": ["r1"]})
    assert (rows[0]["metric"], rows[0]["last"]) == ("acc", "-Infinity")
    assert await table(filled, "series", {"runs": ["r1"], "metrics": ["none"]}) == []


def test_the_form_is_that_of_rfc_4180() -> None:
    rows = [["a", 'b"c', "d,e", "f\r\ng", None, True, 3, 1e300, {"x": math.nan}]]
    assert b"".join(csv_pieces(rows, exact=True)) == (b'a,"b""c","d,e","f\r\ng",,true,3,1e+300,"{""x"":""NaN""}"\r\n')
