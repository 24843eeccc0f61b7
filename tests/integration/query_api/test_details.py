"""What belongs to a run: logged values, summaries, files, output, history, and all of it as of a past moment."""

import hashlib
import math
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, asset, attribute, insert_points, run, summary
from runstream.events.control import (
    AssetLogged,
    ParametersLogged,
    RunFinished,
    RunRenamed,
    RunStarted,
    TagsAdded,
    encode_event,
)


async def test_logged_values(service: Service) -> None:
    await service.insert("run_states", run("a"))
    await service.insert(
        "attribute_states",
        attribute("a", "lr", 0.1),
        attribute("a", "bad", math.nan),
        attribute("a", "layers", [1, 2]),
        attribute("a", "gone", 1, deleted=True),
        attribute("a", "note", "hi", kind="other"),
        attribute("a", "git.commit", "abc", kind="environment"),
    )
    parameters = await service.get("runs/a/parameters")
    assert [(item["name"], item["value"]) for item in parameters["values"]] == [
        ("bad", "NaN"),
        ("layers", [1, 2]),
        ("lr", 0.1),
    ]
    assert [item["value"] for item in (await service.get("runs/a/others"))["values"]] == ["hi"]
    assert [item["name"] for item in (await service.get("runs/a/environment"))["values"]] == ["git.commit"]


async def test_summaries(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b"))
    await service.insert(
        "summary_states",
        summary("a", "loss", math.inf, count=3, nan_count=1),
        summary("a", "val/acc"),
        summary("b", "val/loss", math.nan),
    )
    every = (await service.get("runs/a/summaries"))["summaries"]
    assert [(row["metric"], row["maximum"]) for row in every] == [("loss", "Infinity"), ("val/acc", 1.0)]
    assert (every[0]["count"], every[0]["nan_count"]) == (3, 1)
    some = await service.post("summaries", {"runs": ["a", "b"], "metrics": ["val/*"]})
    assert [(row["run"], row["metric"]) for row in some["summaries"]] == [("a", "val/acc"), ("b", "val/loss")]
    assert some["summaries"][1]["last"] == "NaN"


async def test_files(service: Service) -> None:
    content = bytes(range(256)) * 40
    sha256 = hashlib.sha256(content).hexdigest()

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await service.assets.write(sha256, chunks(), 10**6)
    named = {"content_type": "text/html", "metadata": '{"k": 1}'}
    await service.insert("run_states", run("a"))
    await service.insert(
        "asset_states",
        asset("a", "x1", "plots/größe.html", sha256, len(content), **named),
        asset("a", "x2", "lost.bin", "0" * 64, 5, kind="model"),
        asset("a", "x3", "deleted.bin", sha256, 5, deleted=True),
    )
    listed = (await service.get("runs/a/assets"))["assets"]
    assert [(row["name"], row["metadata"]) for row in listed] == [("lost.bin", {}), ("plots/größe.html", {"k": 1})]
    assert len((await service.get("runs/a/assets", kind="model"))["assets"]) == 1
    path = "/api/v1/runs/a/assets/x1"
    async with service.client.get(path) as response:
        assert await response.read() == content
        headers = response.headers
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Content-Disposition"].startswith("attachment; filename=\"gr__e.html\"; filename*=UTF-8''gr%C3")
        assert headers["X-Content-Type-Options"] == "nosniff"
        etag = headers["ETag"]
    for requested, begin, end in (("bytes=10-19", 10, 20), ("bytes=10000-", 10000, 10240), ("bytes=-5", 10235, 10240)):
        async with service.client.get(path, headers={"Range": requested}) as response:
            assert response.status == 206
            assert await response.read() == content[begin:end]
            assert response.headers["Content-Range"] == f"bytes {begin}-{end - 1}/10240"
    async with service.client.get(path, headers={"Range": "bytes=99999-"}) as response:
        assert (response.status, response.headers["Content-Range"]) == (416, "bytes */10240")
    async with service.client.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    assert "'x3'" in (await service.get("runs/a/assets/x3", 404))["detail"]
    assert "lost.bin" in (await service.get("runs/a/assets/x2", 404))["detail"]


async def test_output_in_pages(service: Service) -> None:
    await service.insert("run_states", run("a"))
    piece = {"run": "a", "at": NOW_US, "part": 0, "offset": 1}
    lines = [(2, 1, "stdout", "c\n"), (1, 1, "stdout", "a\n"), (1, 5, "stderr", "b\n"), (2**64 - 1, 9, "stdout", "d\n")]
    await service.insert(
        "output", *(piece | {"writer": w, "seq": s, "stream": name, "text": text} for w, s, name, text in lines)
    )
    async with service.client.get("/api/v1/runs/a/output", params={"format": "text"}) as response:
        assert await response.text() == "a\nb\nc\nd\n"
        assert response.content_type == "text/plain"
    texts = []
    query: dict[str, Any] = {"limit": 1, "stream": "stdout"}
    while True:
        page = await service.get("runs/a/output", **query)
        texts += [item["text"] for item in page["pieces"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert texts == ["a\n", "c\n", "d\n"]


def event_row(offset: int, seq: int, event: Any) -> dict[str, Any]:
    return {
        "key": "a",
        "part": 0,
        "offset": offset,
        "writer": "0" * 31 + "1",
        "seq": seq,
        "at": event.at_us,
        "type": event.type,
        "body": encode_event(event).decode(),
    }


async def past(service: Service) -> None:
    """Run a: started, named, tagged and given parameters; later renamed, changed and finished."""
    at = NOW_US - 100 * SECOND_US
    sha256 = "0" * 64
    events = [
        (3, 0, RunStarted(at_us=at, workspace="w", project="p", name="first")),
        (3, 1, ParametersLogged(at_us=at, values={"lr": 0.1, "old": math.nan})),
        (4, 2, TagsAdded(at_us=at, tags=("t",))),
        (4, 3, AssetLogged(at_us=at, asset_id="x", name="f", sha256=sha256, size_bytes=1)),
        (6, 4, RunRenamed(at_us=at + 1, name="second")),
        (6, 5, ParametersLogged(at_us=at + 1, values={"lr": 0.2})),
        (7, 6, RunFinished(at_us=at + 50 * SECOND_US)),
    ]
    await service.insert("events", *(event_row(*event) for event in events))
    await service.insert("run_states", run("a", name="second"))
    service.advance(7)


async def test_history_in_pages(service: Service) -> None:
    await past(service)
    types, query = [], {"limit": 2}
    while True:
        page = await service.get("runs/a/history", **query)
        types += [(item["position"], item["type"]) for item in page["events"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert types[0] == ("next:0:4", "run_started.v1")
    assert types[-1] == ("next:0:8", "run_finished.v1")
    assert len(types) == 7


async def test_a_run_as_of_a_position(service: Service) -> None:
    await past(service)
    before = await service.get("runs/a", as_of="0:5")
    assert await service.get("runs/a", as_of="next:0:6") == before
    assert (before["run"]["name"], before["run"]["status"], before["run"]["tags"]) == ("first", "running", ["t"])
    assert (before["parameters"], before["assets"]) == (2, 1)
    after = await service.get("runs/a", as_of="0:7")
    assert (after["run"]["name"], after["run"]["status"], after["run"]["duration_s"]) == ("second", "finished", 50.0)
    values = (await service.get("runs/a/parameters", as_of="0:5"))["values"]
    assert {item["name"]: item["value"] for item in values} == {"lr": 0.1, "old": "NaN"}
    values = (await service.get("runs/a/parameters", as_of="0:6"))["values"]
    assert {item["name"]: item["value"] for item in values} == {"lr": 0.2, "old": "NaN"}
    assert len((await service.get("runs/a/assets", as_of="0:4"))["assets"]) == 1
    assert (await service.get("runs/a/assets", as_of="0:3"))["assets"] == []
    for beginning in ("0:2", "next:0:3", "next:"):
        assert "'a'" in (await service.get("runs/a", 404, as_of=beginning))["detail"]


async def test_a_run_as_of_a_time_of_the_log(service: Service) -> None:
    await past(service)
    for second in range(8):  # offset n was appended n seconds after the test's beginning
        service.now_us = NOW_US + second * SECOND_US
        await service.log.append([(b"a", b"")])
    assert (await service.get("runs/a", as_of="2026-01-31T12:00:05.9Z"))["run"]["name"] == "first"
    assert (await service.get("runs/a", as_of="2026-01-31 12:00:06"))["run"]["name"] == "second"


async def test_summaries_as_of_a_position(service: Service) -> None:
    await service.insert("run_states", run("a"), run("b"))
    for name, offset, steps in (("a", 2, range(4000)), ("a", 3, range(4000, 5000)), ("b", 2, range(3))):
        at = np.array(steps)
        values = at / 10
        if offset == 3:
            values[0] = math.nan
        for metric in ("m", "n"):
            await insert_points(service.store, name, metric, at, values, offset=offset)
    service.advance(3)
    body = {"runs": ["a", "b"], "as_of": "0:2"}
    rows = {(row["run"], row["metric"]): row for row in (await service.post("summaries", body))["summaries"]}
    assert sorted(rows) == [("a", "m"), ("a", "n"), ("b", "m"), ("b", "n")]
    assert rows["a", "n"]["count"] == 4000
    assert rows["a", "n"]["maximum_step"] == 3999
    assert rows["a", "n"]["total"] == math.fsum(step / 10 for step in range(4000))
    assert rows["b", "m"]["last"] == 0.2
    whole = await service.get("runs/a/summaries", metrics="m", as_of="0:3")
    assert [(row["count"], row["nan_count"], row["total"]) for row in whole["summaries"]] == [(5000, 1, "NaN")]


@pytest.mark.parametrize("cursor", ["x", "1-2", "1-2-3-4", "1-2--3"])
async def test_wrong_cursors_are_named(service: Service, cursor: str) -> None:
    await past(service)
    assert "cursor" in (await service.get("runs/a/history", 400, cursor=cursor))["detail"]
