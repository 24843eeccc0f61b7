"""What Comet's client writes, over a real socket and a log in memory: what counts once, what twice, what is refused in
which words, and that nothing that it could say makes the gateway fail or write what the folds refuse."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream.events.columns import Ragged, read_group
from runstream.events.control import AssetDeleted, AssetLogged, RunStarted
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream.service.log import LogUnavailable
from runstream.service.lookup import KnownRun, ProjectTexts
from runstream.service.problems import problem_middleware
from runstream.service.store import StoreUnavailable
from runstream_infra.listening import MAX_LINE_BYTES
from runstream_ingest.assets import LocalAssets
from runstream_ingest.comet.routes import ROUTES, add_comet_writes
from runstream_ingest.gateway import GatewaySettings, add_gateway
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.folds.decoding import decode_events
from runstream_processors.folds.seen import Seen

KEY = "k" * 32
AT_MS = 1_795_276_541_365
REST = "api/rest/v2/write/experiment"
METRICS = "clientlib/batch/logger/experiment/metric"
PARAMETERS = "clientlib/batch/logger/experiment/parameter"


class Log(MemoryLog):
    """A log that refuses the next appends, before or after they are durable."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_before = 0
        self.refused_behind = 0
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        self.called.set()
        await self.gate.wait()
        if self.refused_before:
            self.refused_before -= 1
            raise LogUnavailable("the disk is full")
        positions = await super().append(records)
        if self.refused_behind:
            self.refused_behind -= 1
            raise LogUnavailable("nobody knows whether it is durable")
        return positions


class Everything:
    """All is visible at once, or never."""

    is_late = False

    def visible(self) -> Positions:
        return Positions()

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        return not self.is_late

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        return seen


@dataclass
class Folded:
    """What the folds would make of a log: events and points, each number of a writer once."""

    events: list[Any] = field(default_factory=list)
    points: list[tuple[str, float]] = field(default_factory=list)


class _Within:
    """Numbers of some ranges, which may be long."""

    def __init__(self, ranges: Sequence[range]) -> None:
        self._ranges = ranges

    def __contains__(self, number: int) -> bool:
        return any(number in numbers for numbers in self._ranges)


async def folded(log: Log, key: str | None = None) -> Folded:
    """Fails if there is anything in it that the folds refuse."""
    found = Folded()
    seen: dict[str, Seen] = {}
    for record in await log.read(0, 0, 1 << 30, 0.0):
        frame = decode_frame(record.value)
        header = frame.header
        events, rejected = decode_events(frame)
        assert rejected == []
        before = seen.get(header.writer_id, Seen())
        ranges = [range(*found) for found in before.fresh(header.first_seq, header.end_seq)]
        fresh = _Within(ranges)
        seen[header.writer_id] = before.with_range(header.first_seq, header.end_seq)
        if key is not None and header.key != key:
            continue
        found.events += [event for seq, event in events if seq in fresh]
        for group in frame.groups:
            columns = read_group(group, header.first_seq)
            assert isinstance(columns, Ragged)
            rows = zip(columns.seqs.tolist(), columns.index.tolist(), columns.values.tolist(), strict=True)
            found.points += [(columns.metrics[index], value) for seq, index, value in rows if seq in fresh]
    return found


class LogLookup:
    """Looks into the log itself."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.unavailable = False

    async def run(self, run_id: str) -> KnownRun | None:
        if self.unavailable:
            raise StoreUnavailable("the store is not there")
        writers, first = set(), None
        for record in await self._log.read(0, 0, 1 << 30, 0.0):
            frame = decode_frame(record.value)
            for _, event in decode_events(frame)[0]:
                if frame.header.key == run_id and isinstance(event, RunStarted):
                    first = first or event
                    writers.add(frame.header.writer_id)
        if first is None:
            return None
        return KnownRun(first.workspace, first.project, first.name or "", frozenset(writers), True, False)

    async def assets_named(self, run_id: str, name: str) -> list[str]:
        found: dict[str, None] = {}
        for event in (await folded(self._log, run_id)).events:
            if isinstance(event, AssetLogged) and event.name == name:
                found[event.asset_id] = None
            elif isinstance(event, AssetDeleted):
                found.pop(event.asset_id, None)
        return list(found)

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        return ProjectTexts()

    async def project_exists(self, workspace: str, project: str) -> bool:
        return (workspace, project) == ("w", "p")

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        return ("w", "p") if project_id == "known" else None

    async def runs_of(self, workspace: str, project: str) -> list[str]:
        return [KEY] if (workspace, project) == ("w", "p") else []

    def __getattr__(self, name: str) -> Any:
        """Nothing is known of models and artifacts."""

        async def nothing(*asked: object) -> Any:
            return [] if name == "model_files" else None

        return nothing


@dataclass
class Served:
    """A gateway that takes in what Comet's client writes."""

    url: str
    client: aiohttp.ClientSession
    log: Log
    lookup: LogLookup
    visibility: Everything

    async def send(
        self, path: str, body: Any = None, *, method: str = "POST", headers: dict[str, str] | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes | aiohttp.FormData) or body is None else json.dumps(body).encode()
        url = f"{self.url}/{path}"
        async with self.client.request(method, url, data=data, params=query, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def begun(self, key: str = KEY) -> None:
        body = {"experimentKey": key, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
        assert (await self.send("clientlib/logger/add/run", body))[0] == 200

    async def folded(self) -> Folded:
        return await folded(self.log)


@asynccontextmanager
async def serving(folder: Path, log: Log, settings: GatewaySettings | None = None) -> AsyncIterator[Served]:
    app = web.Application(middlewares=[problem_middleware()])
    storage, lookup, visibility = LocalAssets(folder / "assets"), LogLookup(log), Everything()
    gateway = add_gateway(app, log=log, assets=storage, visibility=visibility, settings=settings or GatewaySettings())
    add_comet_writes(app, gateway=gateway, assets=storage, visibility=visibility, lookup=lookup)
    runner = web.AppRunner(app, max_line_size=MAX_LINE_BYTES)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            yield Served(f"http://127.0.0.1:{runner.addresses[0][1]}", client, log, lookup, visibility)
    finally:
        await runner.cleanup()


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


async def test_a_value_without_a_time_counts_each_time_it_is_said(served: Served) -> None:
    said = {"experimentKey": KEY, "metricName": "x", "metricValue": 1}
    for _ in range(2):
        assert (await served.send(f"{REST}/metric", said))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)] * 2


@pytest.mark.parametrize("refused", ["refused_before", "refused_behind"])
async def test_a_value_without_a_time_that_was_refused_counts_once(served: Served, refused: str) -> None:
    said = {"experimentKey": KEY, "metricName": "x", "metricValue": 1}
    setattr(served.log, refused, 1)
    assert (await served.send(f"{REST}/metric", said))[0] == 503
    assert (await served.send(f"{REST}/metric", said))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)]
    assert (await served.send(f"{REST}/metric", said))[0] == 200
    assert (await served.folded()).points == [("x", 1.0)] * 2


async def test_a_handshake_that_is_sent_again_is_answered_as_the_first_time(served: Served) -> None:
    body = {"experimentKey": KEY, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
    first = await served.send("clientlib/logger/add/run", body)
    again = await served.send("logger/add/run", body)
    assert (first[0], first[1]["runId"]) == (200, again[1]["runId"])
    other = body | {"local_timestamp": AT_MS + 1}
    status, answer = await served.send("clientlib/logger/add/run", other)
    assert (status, answer["sdk_error_code"]) == (400, 90999)
    status, answer = await served.send("clientlib/logger/add/run", other | {"getOrCreateEnabled": True})
    assert (status, answer["runId"] != first[1]["runId"]) == (200, True)


@pytest.mark.parametrize("is_only", [True, False])
async def test_an_experiment_that_others_cannot_see_yet_has_not_begun_there(tmp_path: Path, is_only: bool) -> None:
    """Another gateway would refuse its first batch, and the client would drop that for good."""
    body = {"experimentKey": KEY, "teamName": "w", "projectName": "p", "local_timestamp": AT_MS}
    async with serving(tmp_path, Log(), GatewaySettings(is_only_gateway=is_only)) as served:
        served.visibility.is_late = True
        status, answer = await served.send("clientlib/logger/add/run", body)
        assert (status, bool(answer.get("runId"))) == ((200, True) if is_only else (503, False))
        served.visibility.is_late = False
        assert (await served.send("clientlib/logger/add/run", body))[0] == 200
        assert [event.type for event in (await served.folded()).events] == ["run_started.v1"]


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
    assert (await served.send(METRICS, packed, headers={"Content-Encoding": "gzip"}))[0] == 200
    assert len((await served.folded()).points) == 1000
    many = batch(*(["x" * 1_000] * 3_000))
    assert (await served.send(METRICS, many))[0] == 200
    form = aiohttp.FormData()
    form.add_field("file", bytes(3_000_000), filename="file")
    assert (await served.send(f"{REST}/upload-asset", form, experimentKey=KEY, fileName="a"))[0] == 200
    status, answer = await served.send(METRICS, b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (status, "cannot be unpacked" in answer["msg"]) == (400, True)


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
        status, answer = await other.send("clientlib/logger/get/run", {"previousExperiment": KEY})
        assert (status, "store" in answer["type"]) == (503, True)
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
        status, answer = await served.send(path, body)
        assert (status, answer["sdk_error_code"]) == (400, 90210)
        assert unknown in answer["msg"]
    assert not [record for record in await served.log.read(0, 0, 1 << 30, 0.0) if record.key == unknown.encode()]


async def test_beyond_the_bound_the_client_is_told_to_keep_the_batch(tmp_path: Path) -> None:
    async with serving(tmp_path, Log(), GatewaySettings(max_in_flight_bytes=2_000)) as served:
        await served.begun()
        served.log.called.clear()
        served.log.gate.clear()
        waiting = asyncio.create_task(served.send(METRICS, batch(*range(20))))
        await served.log.called.wait()
        async with served.client.post(f"{served.url}/{METRICS}", json=batch(*range(20, 40))) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After-Custom"]) >= 1
            assert (await answer.json(content_type=None))["msg"]
        served.log.gate.set()
        assert (await waiting)[0] == 200
        assert (await served.send(METRICS, batch(*range(20, 40))))[0] == 200
        assert [value for _, value in (await served.folded()).points] == list(map(float, range(40)))


async def test_answers_have_exactly_the_type_that_the_client_takes(served: Served) -> None:
    for method, path, body in [
        ("POST", METRICS, batch(1)),
        ("GET", f"{REST}/archive?experimentKey={KEY}", None),
        ("GET", "clientlib/health/ping", None),
        ("GET", "health/ping", None),
    ]:
        data = None if body is None else json.dumps(body).encode()
        async with served.client.request(method, f"{served.url}/{path}", data=data) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


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


def form_of(content: bytes, **parts: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="/home/me/file")
    for name, text in parts.items():
        form.add_field(name, text)
    return form


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
    status, answer = await served.send("clientlib/asset", {"experimentKey": KEY, "userFileName": "scene", "step": 2})
    assert status == 200
    said = json.dumps({"experimentKey": KEY, "assetId": answer["assetId"]})
    assert (await served.send("asset/asset-item", form_of(b"points", requestParams=said)))[0] == 200
    path = f"asset/{answer['assetId']}/thumbnail"
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
        status, answer = await served.send(f"{REST}/upload-asset", body, **query)
        assert (status, bool(answer["msg"])) == (400, True)


# What the client could say, made odd ------------------------------------------------------------------------------

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
