"""What Comet's client writes, over a real socket and a log in memory: what counts once, what twice, what is refused."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kit.comet.gateway import AT_MS, KEY, Log, Served, form_of, serving
from runstream.events.control import AssetLogged, RunStarted
from runstream_ingest.gateway import GatewaySettings

pytestmark = pytest.mark.sockets

REST = "api/rest/v2/write/experiment"
METRICS = "clientlib/batch/logger/experiment/metric"
PARAMETERS = "clientlib/batch/logger/experiment/parameter"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, Log()) as started:
        await started.begun()
        yield started


def batch(*numbers: Any, at_ms: int = AT_MS) -> dict[str, Any]:
    values = [{"metricName": "x", "metricValue": number, "step": 1, "timestamp": at_ms} for number in numbers]
    return {"experimentKey": KEY, "values": values}


async def test_a_batch_that_is_sent_again_counts_once_wherever_it_arrives(served: Served, tmp_path: Path) -> None:
    """The same gateway, and another one over the same log: after a crash, or beside it."""
    assert (await served.send(METRICS, batch(1, 2)))[0] == 200
    assert (await served.send(METRICS, batch(1, 2)))[0] == 200
    async with serving(tmp_path, served.log) as other:
        assert (await other.send(METRICS, batch(1, 2)))[0] == 200
        assert (await other.folded()).points == [("x", 1.0), ("x", 2.0)]
        assert (await other.send(METRICS, batch(3)))[0] == 200
        assert (await other.send(METRICS, batch(1, 2, at_ms=AT_MS + 1)))[0] == 200
    assert (await served.folded()).points == [("x", float(n)) for n in (1, 2, 3, 1, 2)]


async def test_a_batch_of_which_nobody_knew_whether_it_was_durable_counts_once(served: Served) -> None:
    served.log.refused_behind = 1
    assert (await served.send(METRICS, batch(1)))[0] == 503
    assert (await served.send(METRICS, batch(1)))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)]


async def test_parameters_sent_again_change_nothing(served: Served) -> None:
    values = [{"parameterName": "lr", "parameterValue": 0.1, "timestamp": AT_MS, "source": "manual"}]
    for value in (0.1, 0.2, 0.1):
        values[0]["parameterValue"] = value
        assert (await served.send(PARAMETERS, {"experimentKey": KEY, "values": values}))[0] == 200
    logged = [event.values for event in (await served.folded()).events if hasattr(event, "values")]
    assert logged == [{"lr": 0.1}, {"lr": 0.2}], "the third was a late sending of the first"


async def test_a_value_without_a_time_counts_each_time_it_is_logged(served: Served) -> None:
    payload = {"experimentKey": KEY, "metricName": "x", "metricValue": 1}
    for _ in range(2):
        assert (await served.send(f"{REST}/metric", payload))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)] * 2


@pytest.mark.parametrize("refused", ["refused_before", "refused_behind"])
async def test_a_value_without_a_time_that_was_refused_counts_once(served: Served, refused: str) -> None:
    payload = {"experimentKey": KEY, "metricName": "x", "metricValue": 1}
    setattr(served.log, refused, 1)
    assert (await served.send(f"{REST}/metric", payload))[0] == 503
    assert (await served.send(f"{REST}/metric", payload))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)]
    assert (await served.send(f"{REST}/metric", payload))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)] * 2


async def test_a_handshake_that_is_sent_again_is_answered_as_the_first_time(served: Served) -> None:
    body = {"experimentKey": KEY, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
    first = await served.send("clientlib/logger/add/run", body)
    again = await served.send("logger/add/run", body)
    assert (first[0], first[1]["runId"]) == (200, again[1]["runId"])
    other = body | {"local_timestamp": AT_MS + 1}
    status, response = await served.send("clientlib/logger/add/run", other)
    assert (status, response["sdk_error_code"]) == (400, 90999)
    status, response = await served.send("clientlib/logger/add/run", other | {"getOrCreateEnabled": True})
    assert (status, response["runId"] != first[1]["runId"]) == (200, True)


@pytest.mark.parametrize("is_only", [True, False])
async def test_an_experiment_that_others_cannot_see_yet_has_not_begun_there(tmp_path: Path, is_only: bool) -> None:
    """Another gateway would refuse its first batch, and the client would drop that for good."""
    body = {"experimentKey": KEY, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
    async with serving(tmp_path, Log(), GatewaySettings(is_only_gateway=is_only)) as served:
        served.visibility.is_late = True
        status, response = await served.send("clientlib/logger/add/run", body)
        assert (status, bool(response.get("runId"))) == ((200, True) if is_only else (503, False))
        served.visibility.is_late = False
        assert (await served.send("clientlib/logger/add/run", body))[0] == 200
        assert [event.type for event in (await served.folded()).events] == ["run_started.v1"]


@pytest.mark.parametrize(("heard_s_ago", "resumed"), [(1, False), (20, True), (None, True)])
async def test_who_goes_on_with_an_experiment_replaces_those_that_are_gone(
    served: Served, heard_s_ago: int | None, resumed: bool
) -> None:
    now_us = time.time_ns() // 1000
    served.lookup.heard_at_us = None if heard_s_ago is None else now_us - heard_s_ago * 1_000_000
    body = {"previousExperiment": KEY, "local_timestamp": AT_MS + 1}
    assert (await served.send("clientlib/logger/get/run", body))[0] == 200
    *_, started = [event for event in (await served.folded()).events if isinstance(event, RunStarted)]
    assert started.resumed is resumed


async def test_lines_that_are_sent_again_are_printed_once_and_those_of_rest_as_they_come(served: Served) -> None:
    body = {"experimentKey": KEY, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
    first = (await served.send("clientlib/logger/add/run", body))[1]["lastOffset"]
    path = "clientlib/rest/v2/write/experiment/output"
    lines = [{"output": f"{n}\n", "stderr": False, "offset": first + n, "localTimestamp": AT_MS} for n in range(3)]
    for _ in range(2):
        assert (await served.send(path, {"experimentKey": KEY, "outputLines": lines}))[0] == 200
    by_hand = [{"output": "by hand\n", "stderr": False, "offset": 0, "localTimestamp": 12}]
    for _ in range(2):
        assert (await served.send(path, {"experimentKey": KEY, "outputLines": by_hand}))[0] == 200
    printed = [event.text for event in (await served.folded()).events if event.type == "output_appended.v1"]
    assert "".join(printed) == "0\n1\n2\nby hand\nby hand\n"


async def test_packed_bodies_and_bodies_of_megabytes(served: Served, tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(batch(*range(1000))).encode())
    assert (await served.send_with({"Content-Encoding": "gzip"}, METRICS, packed))[0] == 200
    assert len((await served.folded()).points) == 1000
    many = batch(*(["x" * 1_000] * 3_000))
    assert (await served.send(METRICS, many))[0] == 200
    form = aiohttp.FormData()
    form.add_field("file", bytes(3_000_000), filename="file")
    assert (await served.send(f"{REST}/upload-asset", form, experimentKey=KEY, fileName="a"))[0] == 200
    status, response = await served.send_with({"Content-Encoding": "gzip"}, METRICS, b"no gzip")
    assert (status, "cannot be unpacked" in response["msg"]) == (400, True)


async def test_odd_numbers_of_json(served: Served) -> None:
    body = (
        f'{{"experimentKey": "{KEY}", "values": ['
        + ",".join(
            f'{{"metricName": "x", "metricValue": {number}, "timestamp": {AT_MS}}}'
            for number in ("NaN", "-Infinity", "1e400", "9" * 5_000, "9" * 400, "-0.0", "[" * 300 + "]" * 300)
        )
        + "]}"
    )
    assert (await served.send(METRICS, body.encode()))[0] == 200
    values = [value for _, value in (await served.folded()).points]
    assert repr(values) == "[nan, -inf, inf, inf, inf, -0.0]"


async def test_where_the_store_does_not_answer_nothing_is_lost(served: Served, tmp_path: Path) -> None:
    async with serving(tmp_path, served.log) as other:
        other.lookup.unavailable = True
        assert (await other.send(METRICS, batch(1)))[0] == 200
        status, response = await other.send("clientlib/logger/get/run", {"previousExperiment": KEY})
        assert (status, "store" in response["type"]) == (503, True)
    assert (await served.folded()).points == [("x", 1.0)]


async def test_unknown_experiments_are_refused_in_the_clients_words(served: Served) -> None:
    unknown = "u" * 32
    for path, body in [
        (METRICS, batch(1) | {"experimentKey": unknown}),
        (f"{REST}/metric", {"experimentKey": unknown, "metricName": "x", "metricValue": 1}),
        ("clientlib/logger/get/run", {"previousExperiment": unknown}),
        ("clientlib/tags/add-tags-to-experiment", {"experimentKey": unknown, "addedTags": ["a"]}),
        ("clientlib/status-report/update", {"experimentKey": unknown, "runId": "a" * 32, "is_alive": False}),
        ("clientlib/status-report/offline-metadata", {"experimentKey": unknown, "endTimestamp": AT_MS}),
    ]:
        status, response = await served.send(path, body)
        assert (status, response["sdk_error_code"]) == (400, 90210)
        assert unknown in response["msg"]
    assert not [record for record in await served.log.read(0, 0, 1 << 30, 0.0) if record.key == unknown.encode()]


async def test_beyond_the_bound_the_client_is_told_to_keep_the_batch(tmp_path: Path) -> None:
    async with serving(tmp_path, Log(), GatewaySettings(max_in_flight_bytes=2_000)) as served:
        await served.begun()
        served.log.called.clear()
        served.log.gate.clear()
        waiting = asyncio.create_task(served.send(METRICS, batch(*range(20))))
        await served.log.called.wait()
        async with served.client.post(f"{served.url}/{METRICS}", json=batch(*range(20, 40))) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After-Custom"]) >= 1
            assert (await response.json(content_type=None))["msg"]
        served.log.gate.set()
        assert (await waiting)[0] == 200
        assert (await served.send(METRICS, batch(*range(20, 40))))[0] == 200
        assert [value for _, value in (await served.folded()).points] == list(map(float, range(40)))


async def test_responses_have_exactly_the_type_that_the_client_takes(served: Served) -> None:
    for method, path, body in [
        ("POST", METRICS, batch(1)),
        ("GET", f"{REST}/archive?experimentKey={KEY}", None),
        ("GET", "clientlib/health/ping", None),
        ("GET", "health/ping", None),
    ]:
        data = None if body is None else json.dumps(body).encode()
        async with served.client.request(method, f"{served.url}/{path}", data=data) as response:
            assert (response.status, response.headers["Content-Type"]) == (200, "application/json")


async def test_gets_that_change_something_do_it_each_time(served: Served) -> None:
    for what in ("archive", "restore", "delete", "restore", "stop", "set-status"):
        assert (await served.send(f"{REST}/{what}", method="GET", experimentKey=KEY))[0] == 200
    types = [event.type for event in (await served.folded()).events]
    assert types[-6:] == [
        "run_archived.v1",
        "run_restored.v1",
        "run_deleted.v1",
        "run_restored.v1",
        "run_status_changed.v1",
        "run_started.v1",
    ]


async def test_names_of_files_stand_in_the_query_as_the_client_gives_them(served: Served) -> None:
    upload = f"{REST}/upload-asset"
    assert (await served.send(upload, form_of(b"1", metadata='{"a": "ü"}'), experimentKey=KEY, fileName="/a b/☃"))[
        0
    ] == 200
    live = {"experimentId": KEY, "assetId": "i" * 32, "fileName": "live", "type": "model-element", "step": "3"}
    assert (await served.send("clientlib/asset/upload", form_of(b"2"), **live, groupingName="m"))[0] == 200
    figure = {"experimentId": KEY, "imageId": "f" * 32, "figName": "fig", "context": "c" * 300}
    assert (await served.send("visualizations/upload", form_of(b"3"), **figure))[0] == 200
    nameless = {"experimentId": KEY, "assetId": "n" * 32, "fileName": "auto-generated-in-the-backend"}
    assert (await served.send("asset/upload", form_of(b"4"), **nameless, type="text-sample", extension=".txt"))[
        0
    ] == 200
    first, model, image, text = [one for one in (await served.folded()).events if isinstance(one, AssetLogged)]
    assert (first.name, first.metadata, first.size_bytes) == ("/a b/☃", {"a": "ü"}, 1)
    assert (model.asset_id, model.name, model.kind, model.step) == ("i" * 32, "m/live", "model", 3)
    assert (image.asset_id, image.name, image.kind) == ("f" * 32, "fig", "image")
    assert image.context is not None
    assert len(image.context) <= 100
    assert text.name.startswith("text-sample-")
    assert text.name.endswith(".txt")


async def test_the_same_file_again_is_the_same_asset_and_overwriting_replaces_it(served: Served) -> None:
    upload = f"{REST}/upload-asset"
    query = {"experimentKey": KEY, "fileName": "a"}
    first = (await served.send(upload, form_of(b"1"), **query))[1]["assetId"]
    assert (await served.send(upload, form_of(b"1"), **query))[1]["assetId"] == first
    second = (await served.send(upload, form_of(b"2"), **query, overwrite="False"))[1]["assetId"]
    assert await served.lookup.assets_named(KEY, "a") == [first, second]
    third = (await served.send(upload, form_of(b"3"), **query, overwrite="True"))[1]["assetId"]
    assert await served.lookup.assets_named(KEY, "a") == [third]


async def test_pieces_of_an_asset_and_its_small_picture(served: Served) -> None:
    status, response = await served.send("clientlib/asset", {"experimentKey": KEY, "userFileName": "scene", "step": 2})
    assert status == 200
    payload = json.dumps({"experimentKey": KEY, "assetId": response["assetId"]})
    assert (await served.send("asset/asset-item", form_of(b"points", requestParams=payload)))[0] == 200
    path = f"asset/{response['assetId']}/thumbnail"
    assert (await served.send(path, form_of(b"png"), method="PUT", experimentKey=KEY))[0] == 200
    kinds = [(one.kind, one.size_bytes) for one in (await served.folded()).events if isinstance(one, AssetLogged)]
    assert kinds == [("asset", 0), ("asset-item", 6), ("thumbnail", 3)]
    limits = (await served.send("clientlib/asset/3d-limits", {"experimentKey": KEY}))[1]
    assert all(limits[name] > 0 for name in ("maxPoints", "maxBoxes"))


async def test_many_tags_and_deep_metadata_fit(served: Served) -> None:
    tags = [f"{number} " + "☃" * 60 for number in range(3_000)]
    assert (await served.send(f"{REST}/tags", {"experimentKey": KEY, "addedTags": tags}))[0] == 200
    assert (await served.send(f"{REST}/tags/delete", {"experimentKey": KEY, "tags": tags}))[0] == 200
    events = [event for event in (await served.folded()).events if event.type.startswith("tags_")]
    assert [tag for event in events for tag in event.tags] == tags * 2
    deep = '{"deep": ' + "[" * 300 + "]" * 300 + "}"
    query = {"experimentKey": KEY, "fileName": "a"}
    assert (await served.send(f"{REST}/upload-asset", form_of(b"1", metadata=deep), **query))[0] == 200
    body = {"experimentKey": KEY, "userFileName": "b", "metadata": {str(number): "y" * 20_000 for number in range(10)}}
    assert (await served.send("clientlib/asset", body))[0] == 400
    (logged,) = [one for one in (await served.folded()).events if isinstance(one, AssetLogged)]
    assert logged.metadata == {"deep": "[" * 300 + "]" * 300}


async def test_a_form_without_a_file_is_refused(served: Served) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("metadata", "{}")
    query = {"experimentKey": KEY, "fileName": "a"}
    for body in (form, {"no": "form"}, b"--x\r\nbroken"):
        status, response = await served.send(f"{REST}/upload-asset", body, **query)
        assert (status, bool(response["msg"])) == (400, True)
