"""Nothing that Comet's client could say makes the gateway fail, or write what the folds refuse."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from kit.comet.gateway import AT_MS, KEY, Log, form_of, serving
from kit.examples import examples
from runstream_protocols.comet.paths import LIVE_ROOTS, ROOTS
from runstream_protocols.comet.writes.routes import ROUTES
from runstream_service.routing import Route

pytestmark = pytest.mark.sockets

#: Halves of surrogate pairs too, which stand in JSON as escapes.
characters = st.characters(codec=None)
odd_texts = [
    "",
    " ",
    "\x00",
    "a/b",
    "x" * 3_000,
    "☃" * 300,
    "NaN",
    "1_0",
    "٣",
    KEY,
    "\ud800",
    "a\udfffb",
    "\ud83d\ude00",
]
texts = st.text(characters, max_size=20) | st.sampled_from(odd_texts)
queried = st.text(max_size=20) | st.sampled_from(["", " ", "\x00", "a/b", "☃" * 100, "1_0", "٣", "-9", "True"])
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**400, 9_223_372_036_854, AT_MS])
plain = st.none() | st.booleans() | texts | numbers
odd = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)

#: A body that is in order, by path; those of routes that are not here are a key and whatever comes.
BODIES: dict[str, dict[str, Any]] = {
    "logger/add/run": {"teamName": "w", "projectName": "p", "local_timestamp": AT_MS, "libVersion": "3"},
    "logger/get/run": {"previousExperiment": KEY, "local_timestamp": AT_MS},
    "status-report/update": {"runId": "a" * 32, "is_alive": False, "local_timestamp": AT_MS},
    "status-report/offline-metadata": {"startTimestamp": AT_MS, "endTimestamp": AT_MS},
    "batch/logger/experiment/metric": {
        "values": [{"metricName": "x", "metricValue": 1, "step": 1, "epoch": 1, "context": "c", "timestamp": AT_MS}]
    },
    "batch/logger/experiment/parameter": {
        "values": [{"parameterName": "x", "parameterValue": 1, "context": "c", "timestamp": AT_MS}]
    },
    "tags/add-tags-to-experiment": {"addedTags": ["a"]},
    "asset": {"userFileName": "a", "assetType": "b", "step": 1, "metadata": "{}"},
    "asset/log-remote-model": {
        "modelName": "m",
        "remoteAssets": [{"link": "s3://a", "fileName": "f", "metadata": "{}"}],
    },
    "write/experiment/create": {"workspaceName": "w", "projectName": "p", "experimentName": "n"},
    "write/experiment/metric": {"metricName": "x", "metricValue": 1, "step": 1, "epoch": 1, "timestamp": AT_MS},
    "write/experiment/cpu-metrics": {"cpuPercentUtilization": [1, 2], "timestamp": AT_MS, "step": 1},
    "write/experiment/gpu-metrics": {"gpus": [{"gpuId": 1, "usedMemory": 2, "totalMemory": 3}]},
    "write/experiment/ram-metrics": {"totalRam": 1, "usedRam": 2},
    "write/experiment/load-metrics": {"loadAverage": 1},
    "write/experiment/parameter": {"parameterName": "x", "parameterValue": 1},
    "write/experiment/parameter/delete": {"parameterName": "x"},
    "write/experiment/log-other": {"key": "Name", "value": "n", "timestamp": AT_MS},
    "write/experiment/tags": {"addedTags": ["a"]},
    "write/experiment/tags/delete": {"tags": ["a"]},
    "write/experiment/output": {
        "outputLines": [{"output": "a", "stderr": True, "offset": 10**15, "localTimestamp": 1}]
    },
    "write/experiment/file-path": {"filePath": "a"},
    "write/experiment/system-details": {"user": "u", "installedPackages": ["a==1"], "command": ["a"], "pid": 1},
    "write/experiment/cloud-details": {"provider": "p", "metadata": {"a": 1}},
    "write/experiment/dependencies": {"logDependencies": [{"name": "a", "version": "1"}]},
    "write/experiment/git/metadata": {"user": "u", "root": "r", "branch": "b", "parent": "p", "origin": "o"},
    "write/experiment/set-start-end-time": {"startTimeMillis": AT_MS, "endTimeMillis": None},
    "write/experiment/update-status": {"isAlive": True, "error": "e", "hasCrashed": False},
    "write/experiment/move": {"targetWorkspaceName": "w", "targetProjectName": "q", "experimentKeys": [KEY]},
    "write/experiment/html": {"html": "h", "override": True, "timestamp": AT_MS},
    "write/experiment/code": {"code": "c"},
    "write/experiment/graph": {"graph": "g"},
    "write/project/create": {"workspaceName": "w", "projectName": "q", "projectDescription": "d"},
    "write/project/update": {"projectId": "known", "newProjectName": "n", "newProjectDescription": "d"},
    "write/project/delete": {"workspaceName": "w", "projectName": "p", "deleteAllExperiments": True},
    "write/project/notes": {"projectId": "known", "notes": "n"},
}
#: The routes below the first root of each kind, with their paths there; the same stand below the other roots.
FIRST = [
    (route, route.path.removeprefix(f"{root}/"))
    for route in ROUTES
    for root in (ROOTS[0], LIVE_ROOTS[0])
    if route.path.startswith(f"{root}/") and not route.path.startswith(f"{ROOTS[1]}/")
]
PLAIN = [(route, name) for route, name in FIRST if not route.request_media]
SENT = [(route.method, route.path, name) for route, name in PLAIN if "{" not in name]
UPLOADS = [(route.method, route.path) for route, _ in FIRST if route.request_media]
assert {name for _, _, name in SENT} >= BODIES.keys()
assert UPLOADS


@st.composite
def made_odd(draw: st.DrawFn, value: Any) -> Any:
    """Some of its members, at any depth, become something else."""
    if draw(st.integers(0, 3)) == 0:
        return draw(odd)
    if isinstance(value, dict):
        return draw(members(value))
    if isinstance(value, list):
        return [draw(made_odd(item)) for item in value * draw(st.integers(0, 3))]
    return value


@st.composite
def members(draw: st.DrawFn, value: dict[str, Any]) -> dict[str, Any]:
    return {name: draw(made_odd(item)) for name, item in value.items() if draw(st.integers(0, 9))}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes]:
    method, path, name = draw(st.sampled_from(SENT))
    body = (
        {"experimentKey": KEY, **draw(members(BODIES.get(name) or {"a": 1}))} if draw(st.integers(0, 20)) else draw(odd)
    )
    if isinstance(body, dict) and not draw(st.integers(0, 20)):
        body["experimentKey"] = draw(odd)
    return method, path, json.dumps(body).encode()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=st.lists(requests(), min_size=1, max_size=6))
def test_no_request_makes_it_fail_or_write_what_the_folds_refuse(
    loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[str, str, bytes]]
) -> None:
    async def say() -> None:
        async with serving(tmp_path_factory.getbasetemp() / "odd", Log()) as served:
            await served.begun()
            for method, path, body in sent:
                data = None if method == "GET" else body
                query = {"experimentKey": KEY, "assetId": "a"} if method == "GET" else {}
                status, payload = await served.send(path.lstrip("/"), data, method=method, **query)
                assert status in (200, 400, 404, 413, 422), (path, body, payload)
                assert status == 200 or payload["msg"]
                served.lookup.unavailable = False
            await served.folded()

    loop.run(say())


@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(UPLOADS),
    query=st.dictionaries(
        st.sampled_from(
            [
                "fileName",
                "figName",
                "assetId",
                "imageId",
                "step",
                "epoch",
                "context",
                "type",
                "extension",
                "groupingName",
                "overwrite",
            ]
        ),
        queried,
    ),
    metadata=odd,
    is_long=st.booleans(),
)
def test_no_name_of_a_file_makes_it_fail(
    loop: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
    route: tuple[str, str],
    query: dict[str, str],
    metadata: Any,
    is_long: bool,
) -> None:
    async def say() -> None:
        async with serving(tmp_path_factory.getbasetemp() / "odd files", Log()) as served:
            await served.begun()
            method, path = route
            if is_long and "fileName" in query:
                query["fileName"] = (query["fileName"] * 10_000)[:10_000]
            parts = {"metadata": json.dumps(metadata), "requestParams": json.dumps({"assetId": metadata})}
            form = form_of(b"content", **parts)
            path = path.replace("{asset}", "a" * 32).lstrip("/")
            status, payload = await served.send(path, form, method=method, experimentKey=KEY, **query)
            assert status in (200, 400), (path, query, payload)
            await served.folded()

    loop.run(say())


#: Models of the events that a command can have, with what is needed to make one.
EVENTS: list[dict[str, Any]] = [
    {"type": "run_notes_set.v1", "notes": "n"},
    {"type": "run_renamed.v1", "name": "n"},
    {"type": "run_status_changed.v1", "status": "failed", "message": "m"},
    {"type": "tags_added.v1", "tags": ["a"]},
    {"type": "parameters_logged.v1", "values": {"a": 1}},
    {"type": "parameters_deleted.v1", "names": ["a"]},
    {"type": "others_logged.v1", "values": {"a": 1}},
    {"type": "environment_captured.v1", "section": "git", "values": {"a": 1}},
    {"type": "run_moved.v1", "workspace": "w", "project": "p"},
    {"type": "run_started.v1", "workspace": "w", "project": "p", "rank": 1, "pid": 1, "host": "h"},
    {"type": "asset_logged.v1", "asset_id": "a", "name": "n", "sha256": "a" * 64, "size_bytes": 1, "metadata": {}},
    {"type": "asset_deleted.v1", "asset_id": "a"},
    {"type": "output_appended.v1", "stream": "stdout", "text": "t"},
    {"type": "project_created.v1", "workspace": "w", "project": "p", "description": "d"},
    {
        "type": "artifact_version_logged.v1",
        "workspace": "w",
        "artifact_type": "model",
        "name": "m",
        "metadata": {"a": 1},
    },
]


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), events=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=4))
def test_no_command_makes_it_fail_or_append_half_of_a_request(
    loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, events: list[dict[str, Any]]
) -> None:
    keys = {"project_created.v1": "w/p", "artifact_version_logged.v1": "w/m"}
    commands = [
        {"key": keys.get(event["type"], "run-1"), "event": event | data.draw(members({**event, "at_us": 1}))}
        for event in events
    ]
    body = json.dumps(data.draw(made_odd({"commands": commands}))).encode()

    async def say() -> None:
        async with serving(tmp_path_factory.getbasetemp() / "odd commands", Log()) as served:
            status, payload = await served.send("ingest/v1/commands", body)
            assert status in (200, 400, 413, 422), payload
            appended = await served.log.read(0, 0, 1 << 30, 0.0)
            assert len(appended) == (len(payload["commands"]) if status == 200 else 0)
            assert status == 200 or (payload["detail"] and len(json.dumps(payload)) < 30_000)
            await served.folded()

    loop.run(say())


#: What the routes of projects and of the registry read.
NAMES = (
    "projectId",
    "workspaceName",
    "projectName",
    "newProjectName",
    "registryModelId",
    "registryModelName",
    "modelName",
    "modelItemId",
    "registryModelItemId",
    "experimentModelId",
    "experimentModelName",
    "stage",
    "status",
    "version",
    "metadata",
    "assetId",
    "runId",
)


def escaped(text: str) -> str:
    """As it stands in a query string; what is no UTF-8 as a byte that is none."""
    return quote(text.encode(errors="replace").replace(b"?", b"\xff"))


@pytest.mark.parametrize(("route", "name"), PLAIN, ids=[name for _, name in PLAIN])
@pytest.mark.parametrize("text", ["a\ud800", "\x00b"])
def test_odd_texts_in_every_member_of_every_route(
    loop: asyncio.Runner, tmp_path: Path, route: Route, name: str, text: str
) -> None:
    """Also in those of the path and the query string, where they come as bytes that are no UTF-8."""
    names = {**BODIES.get(name, {}), **dict.fromkeys(NAMES, "a")}

    async def say() -> None:
        async with serving(tmp_path, Log()) as served:
            await served.begun()
            path = route.path.lstrip("/").replace("{item}", "a%00b").replace("{asset}", "%FF")
            for member in ["experimentKey", *names]:
                sent = {"experimentKey": KEY, **BODIES.get(name, {}), member: text}
                query = {} if route.method != "GET" else {key: str(value) for key, value in sent.items()}
                if route.method == "GET":
                    raw = "&".join(f"{key}={escaped(value)}" for key, value in query.items())
                    async with served.client.get(URL(f"{served.url}/{path}?{raw}", encoded=True)) as response:
                        status, payload = response.status, await response.json(content_type=None)
                else:
                    status, payload = await served.send(path, json.dumps(sent).encode(), method=route.method)
                assert status in (200, 400, 404, 413, 422), (member, payload)
                assert status == 200 or payload["msg"]
            await served.folded()

    loop.run(say())
