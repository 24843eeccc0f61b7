"""Nothing that Comet's client could say makes the gateway fail, or write what the folds refuse."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from comet_gateway import AT_MS, KEY, Log, form_of, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream_ingest.comet.routes import ROUTES

texts = st.text(max_size=20) | st.sampled_from(["", " ", "\x00", "a/b", "x" * 3_000, "☃" * 300, "NaN", "1_0", "٣", KEY])
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
SENT = [(route.method, route.paths[0], route.path) for route in ROUTES if not route.multipart and "{" not in route.path]
UPLOADS = [(route.method, route.paths[0]) for route in ROUTES if route.multipart]


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


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.lists(requests(), min_size=1, max_size=6))
def test_nothing_that_is_said_makes_it_fail_or_write_what_the_folds_refuse(
    loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, bytes]]
) -> None:
    async def say() -> None:
        async with serving(tmp_path_factory.getbasetemp() / "odd", Log()) as served:
            await served.begun()
            for method, path, body in said:
                data = None if method == "GET" else body
                query = {"experimentKey": KEY, "assetId": "a"} if method == "GET" else {}
                status, answer = await served.send(path.lstrip("/"), data, method=method, **query)
                assert status in (200, 400, 404), (path, body, answer)
                assert status == 200 or answer["msg"]
                served.lookup.unavailable = False
            await served.folded()

    loop.run(say())


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
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
            status, answer = await served.send(path, form, method=method, experimentKey=KEY, **query)
            assert status in (200, 400), (path, query, answer)
            await served.folded()

    loop.run(say())
