"""Whoever answers under a gateway's address: only our gateway's own answers cost a record, an asset or a key."""

import gzip
import hashlib
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from kit.hostile.server import Face, HostileServer, Request, response
from kit.sending.collector import Collector
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.api import API, Asset, ServerFailed, ServerUnreachable
from runstream.api.transport import Transport
from runstream.api.values import moment
from runstream.api.views.artifacts import Artifact, ArtifactVersion
from runstream.client.resuming import on_server
from runstream.clock import SYSTEM_CLOCK
from runstream.errors import RunstreamError, Unavailable
from runstream.events.protocol import ACKNOWLEDGES, ASSET_HEADER, PROTOCOL_HEADER, asset_mark
from runstream.sender.assets import AssetUploads, Waiting
from runstream.sender.channel import Channel, Target
from runstream.sender.status import read_status
from runstream.sender.transport import HttpTransport, Unreachable
from runstream.sender.writers import SpooledWriter
from runstream.spool.format import Acked

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KEY = "a-secret-key-of-somebody"
HTML = b"<html><body>Please sign in to Airport Wi-Fi</body></html>"
OURS = {PROTOCOL_HEADER.replace("-", "_"): "1"}
FRAMES = "/ingest/v1/frames"


def writers_of(request: Request, seq: int) -> bytes:
    """What a fake knows to say of a request of frames."""
    return json.dumps({"positions": "0:9", "writers": dict.fromkeys(request.writers, seq)}).encode()


def fake_ack(request: Request, **more: Any) -> bytes:
    if request.path != FRAMES:
        return response(200, HTML)
    told = {**json.loads(writers_of(request, 2)), **more}
    return response(200, json.dumps(told).encode(), Content_Type="application/json")


def problem(request: Request, status: int, ours: bool, **members: Any) -> bytes:
    told = {"title": "no", "detail": "never", **members}
    if request.path == FRAMES:
        told["writer_id"] = request.writers[0]
        told["expected"] = dict.fromkeys(request.writers, 1 << 40)
    return response(status, json.dumps(told).encode(), **(OURS if ours else {}))


def a_status(status: int) -> Face:
    return lambda request: response(status, b"" if request.method == "HEAD" else HTML, Content_Type="text/html")


FACES: dict[str, Face] = {
    **{f"portal {status}": a_status(status) for status in (200, 201, 204, 400, 401, 403, 404, 409, 413, 422, 451, 500)},
    **{f"proxy {status}": a_status(status) for status in (407, 408, 411, 421, 429, 502, 503, 504, 511, 599)},
    "empty 200": lambda _: response(200),
    "json of another server": lambda _: response(200, b'{"status":"ok"}', Content_Type="application/json"),
    "an acknowledgement without our header": lambda request: fake_ack(request, **ACKNOWLEDGES),
    "an old acknowledgement": lambda request: fake_ack(request),
    "our header, another receipt": lambda request: (
        response(
            200,
            json.dumps({**ACKNOWLEDGES, "receipt": "0" * 32, **json.loads(writers_of(request, 2))}).encode(),
            **OURS,
        )
        if request.path == FRAMES
        else response(200, b"", **OURS)
    ),
    "our header and html": lambda request: response(200, b"" if request.method == "HEAD" else HTML, **OURS),
    "our header, another asset": lambda request: response(
        200, b"", **OURS, **{ASSET_HEADER.replace("-", "_"): asset_mark("f" * 64, len(CONTENT))}
    ),
    "our header, another size": lambda request: response(
        200, b"", **OURS, **{ASSET_HEADER.replace("-", "_"): asset_mark(SHA256, 1)}
    ),
    "an asset without our header": lambda request: response(
        200, b"", **{ASSET_HEADER.replace("-", "_"): asset_mark(SHA256, len(CONTENT))}
    ),
    "a later protocol": lambda request: response(200, b"", Runstream_Protocol="2"),
    "a gap that is not ours": lambda request: problem(request, 409, ours=False, type="urn:runstream:problem:gap"),
    "a refusal that is not ours": lambda request: problem(request, 422, ours=False, type="urn:runstream:problem:x"),
    "a refusal without a type": lambda request: problem(request, 422, ours=True),
    "a refusal of another type": lambda request: problem(request, 413, ours=True, type="about:blank"),
    "a gap of another type": lambda request: problem(request, 409, ours=True, type="urn:example:gap"),
    "deep json": lambda request: response(200, b'{"writers":' * 50_000, **OURS),
    "a number beyond every number": lambda request: response(200, b'{"writers":{"a":' + b"9" * 5000 + b"}}", **OURS),
    "packed": lambda request: response(200, gzip.compress(bytes(1_000_000)), Content_Encoding="gzip", **OURS),
    "cut": lambda request: response(200, HTML, Connection="close", **OURS)[:-9],
    "no http": lambda request: b"SSH-2.0-OpenSSH_9.6\r\n",
    "chunked garbage": lambda request: b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + HTML,
    "an endless line": lambda request: b"HTTP/1.1 200 " + b"x" * 200_000,
    "redirect": lambda request: response(302, b"", Location="http://127.0.0.1:9/elsewhere"),
}


class Bench:
    """A writer with an asset and records behind it, its channel and its uploads, at one address; in this thread."""

    def __init__(self, spool: Path, url: str) -> None:
        self.spool = spool
        self.maker = SpoolMaker(spool, writer_info("5" * 32, url, api_key=KEY))
        (self.maker.folder / "assets").mkdir()
        self.copy = self.maker.folder / "assets" / SHA256
        self.copy.write_bytes(CONTENT)
        self.maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
        self.maker.row(["a"], 0, [1.0])
        asset: dict[str, Any] = {"asset_id": "x", "name": "m.bin", "kind": "model", "size_bytes": len(CONTENT)}
        self.maker.event(type="asset_logged.v1", at_us=2, sha256=SHA256, **asset)
        self.maker.row(["a"], 1, [2.0])
        headers = {"Authorization": f"Bearer {KEY}"}
        self.uploads = AssetUploads(HttpTransport(url), headers, lambda: 0.0, time.time)
        self.channel = Channel(Target(url, KEY), HttpTransport(url), self.uploads, SYSTEM_CLOCK, lambda: 0.0)
        self.writer = SpooledWriter(self.maker.folder, self.maker.info, spool / "rejected", SYSTEM_CLOCK)
        self.channel.adopt(self.writer)

    def try_for(self, seen: Callable[[], bool], timeout_s: float = 240.0) -> None:
        until_s = time.monotonic() + timeout_s
        while not seen():
            assert time.monotonic() < until_s
            rest_s = min(self.channel.step(), self.uploads.step(), 0.02)
            # What is waited for, and for whom, is of no interest here.
            self.channel._not_before_s = self.channel._last_sent_s = float("-inf")
            time.sleep(min(rest_s, 0.002))

    def close(self) -> None:
        self.channel.close()


@pytest.mark.parametrize("name", FACES)
def test_nothing_is_given_up_for_a_response_that_is_not_our_gateways(tmp_path: Path, name: str) -> None:
    with HostileServer(FACES[name]) as server:
        bench = Bench(tmp_path / "spool", server.url)

        def seen() -> bool:
            posts = sum(request.path == FRAMES for request in server.requests)
            return posts >= 3 and sum(request.path != FRAMES for request in server.requests) >= 3

        bench.try_for(seen)
        assert bench.copy.read_bytes() == CONTENT, "the only copy of the asset is still there"
        assert isinstance(bench.uploads.state(SHA256, bench.copy), Waiting)
        assert not (tmp_path / "spool" / "rejected").exists(), "nothing was set aside"
        assert Acked.read(bench.maker.folder).next_seq == 0
        assert bench.writer.set_aside_count == 0
        bench.channel._publish(time.monotonic())
        told = bench.channel.status.last_error or ""
        assert server.url in told or "HTTP" in told
        assert told.isprintable()
        bench.close()


def test_a_captive_portal_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """With the process, from sign-in page to gateway: everything arrives."""
    with HostileServer(FACES["portal 200"]) as portal:
        url, port = portal.url, portal.port
        bench = Bench(tmp_path / "spool", url)
        bench.close()
        command = [sys.executable, "-m", "runstream.sender", "--dir", str(tmp_path / "spool")]
        sender = subprocess.Popen(command)
        try:
            assert wait(lambda: len({r.method for r in portal.requests}) == 2 and len(portal.requests) > 5)
            assert wait(lambda: "sign in" in str(trouble(tmp_path / "spool")))
            told = str(trouble(tmp_path / "spool"))
            assert url in told
            assert "no Runstream gateway answers there" in told
            assert bench.copy.exists()
        except BaseException:
            sender.kill()
            raise
    gateway = Collector(port=port)
    try:
        assert gateway.wait_for(lambda: len(gateway.writers.get("5" * 32, NOBODY).records) == 4, 120)
        assert gateway.assets == {SHA256: CONTENT}
        assert not (tmp_path / "spool" / "rejected").exists()
        assert wait(lambda: not bench.copy.exists()), "stored by its gateway: the copy goes"
    finally:
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(120) == 0
        gateway.close()


class _Nobody:
    records: dict[int, Any] = {}  # noqa: RUF012


NOBODY: Any = _Nobody()


def trouble(spool: Path) -> str | None:
    status = read_status(spool)
    return next((target.last_error for target in status.targets if target.last_error), None) if status else None


def wait(done: Callable[[], bool], timeout_s: float = 240.0) -> bool:
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        if done():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_and_no_key_goes_elsewhere(tmp_path: Path, status: int) -> None:
    with HostileServer(lambda _: response(200, b'{"run":{"run":"r"}}', **OURS)) as elsewhere:
        place = f"http://localhost:{elsewhere.port}/stolen"
        with HostileServer(lambda _: response(status, b"", Location=place)) as server:
            bench = Bench(tmp_path / "spool", server.url)
            bench.try_for(lambda: len(server.requests) >= 4)
            bench.close()
            with pytest.raises(Unavailable, match="redirects to http://localhost"):
                on_server(server.url, KEY, "r")
            api = API(url=server.url, api_key=KEY)
            for call in (
                lambda: api.run("r"),
                lambda: api.add_tags("r", ["x"]),
                lambda: api.download(asset(), tmp_path),
            ):
                with pytest.raises(
                    ServerFailed, match=r"redirects to http://localhost:\d+/stolen, which is not followed"
                ):
                    call()
            if status == 302:
                cli = subprocess.run(
                    [sys.executable, "-m", "runstream_infra.cli", "doctor", "--url", server.url, "--api-key", KEY],
                    capture_output=True,
                    text=True,
                    env={**os.environ, "RUNSTREAM_DIR": str(tmp_path / "none")},
                    timeout=120,
                )
                assert cli.returncode in (3, 4), cli.stderr
                assert "redirects to" in cli.stdout.replace("\n", " ")
        assert elsewhere.requests == []


def test_no_proxy_of_the_environment_sees_a_request_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer(a_status(200)) as proxy, HostileServer(lambda _: response(404, b"{}", **OURS)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with pytest.raises(Unavailable):
            on_server(server.url, KEY, "r")
        with pytest.raises(RunstreamError):
            API(url=server.url, api_key=KEY).run("r")
        subprocess.run(
            [sys.executable, "-m", "runstream_infra.cli", "doctor", "--url", server.url, "--api-key", KEY],
            capture_output=True,
            env={**os.environ, "RUNSTREAM_DIR": str(tmp_path / "none")},
            timeout=120,
        )
        assert len(server.requests) >= 3
        assert proxy.requests == []


# Responses that do not end.


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        (b"HTTP/1.1 200 X\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 X\r\n" + b"Runstream-Protocol: 1\r\n\r\n", b"[[["),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + bytes(1024) + b"\r\n"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 X\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 102 Processing\r\nA: b\r\n\r\n"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"trailer: x\r\n"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"f"),
        (b"HTTP/1.1 404 X\r\nRunstream-Protocol: 1\r\n\r\n", b"x"),
    ],
)
def test_an_endless_response_is_an_error(head: bytes, endless: bytes) -> None:
    with HostileServer(lambda _: head, endless=endless) as server:
        # Its trickle of trailers or interim answers may only end with the time that there is for a head.
        transport = HttpTransport(server.url)
        with pytest.raises(Unreachable):
            transport.request("POST", FRAMES, b"x", {}, timeout_s=1.0)
        transport.close()
        with pytest.raises((ServerFailed, ServerUnreachable)):
            Transport(server.url, None, timeout_s=1.0, max_json_bytes=2_000_000).get("/api/v1/runs/r")
        with pytest.raises(Unavailable):
            on_server(server.url, None, "r", timeout_s=0.5)


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\n\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 999\r\n\r\n"]
)
@pytest.mark.parametrize("piece", [b"a", b"HTTP/1.1 100 X\r\n\r\n"])
def test_a_response_that_trickles_ends_by_the_time_for_the_whole(head: bytes, piece: bytes) -> None:
    with HostileServer(lambda _: head, endless=piece, trickle_s=0.05) as server:
        transport = HttpTransport(server.url)
        with pytest.raises(Unreachable) as caught:
            transport.request("POST", FRAMES, b"x", {}, timeout_s=0.2)
        assert caught.value.too_slow or "cannot be read" in str(caught.value)
        transport.close()
        with pytest.raises((ServerFailed, ServerUnreachable)):
            Transport(server.url, None, timeout_s=0.2).get("/api/v1/runs/r")


def test_a_sender_stops_while_a_gateway_trickles(tmp_path: Path) -> None:
    with HostileServer(lambda _: b"HTTP/1.1 200 X\r\n", endless=b"A: b\r\n", trickle_s=0.2) as server:
        bench = Bench(tmp_path / "spool", server.url)
        bench.close()
        sender = subprocess.Popen([sys.executable, "-m", "runstream.sender", "--dir", str(tmp_path / "spool")])
        try:
            assert wait(lambda: len(server.requests) >= 2)
            sender.send_signal(signal.SIGTERM)
            # Far below the minute that such a request may take.
            assert sender.wait(120) == 0
        finally:
            sender.kill()
            sender.wait()
    assert Acked.read(bench.maker.folder).next_seq == 0


def test_what_is_read_of_a_response_is_bounded() -> None:
    with (
        HostileServer(lambda _: response(200, b"x" * 10_001)) as server,
        pytest.raises(Unreachable, match="10001 bytes, at most 10000"),
    ):
        HttpTransport(server.url, max_response_bytes=10_000).request("POST", FRAMES, b"", {})
    with HostileServer(lambda _: response(200, b"x" * 10_000)) as server:
        transport = HttpTransport(server.url, max_response_bytes=10_000)
        assert len(transport.request("POST", FRAMES, b"", {}).body) == 10_000


def test_a_key_that_no_header_takes_is_never_shown() -> None:
    with HostileServer(a_status(200)) as server:
        for key in ("secret\r\nX-Evil: 1", "secret\u2603man"):
            with pytest.raises(Unreachable) as caught:
                HttpTransport(server.url).request("POST", FRAMES, b"", {"Authorization": f"Bearer {key}"})
            assert "secret" not in str(caught.value)
            with pytest.raises(RunstreamError) as refused:
                API(url=server.url, api_key=key)
            assert "secret" not in str(refused.value)
        assert server.requests == []


# What reads.


def asset(size_bytes: int = 5) -> Asset:
    return Asset("r", "a", "m.bin", "model", SHA256, size_bytes, "x/y", None, {}, moment("2026-01-02T03:04:05Z"))


def version(api: API) -> ArtifactVersion:
    at = moment("2026-01-02T03:04:05Z")
    return ArtifactVersion(api, "w", "p", "model", "n", "a", 1, "1", "", "", (), (), (), None, 1, 1, at, at)


def artifact(api: API) -> Artifact:
    at = moment("2026-01-02T03:04:05Z")
    return Artifact(api, "a", "w", "p", "model", "n", "", "", (), False, at, at, 1, 1, "1")


def calls(api: API, folder: Path) -> dict[str, Callable[[], Any]]:
    """One call of every method of API that asks a server."""
    own: dict[str, Callable[[], Any]] = {
        "download": lambda: api.download(asset(), folder),
        "download_all": lambda: api.download_all([asset()], folder),
        "get_experiment": lambda: api.get_experiment("r"),
        "query": lambda: api.query("w", "p", "name = 'x'"),
        "history": lambda: list(api.history("r")),
        "live": lambda: list(api.live("r", reconnect=False)) or fail(),
        "runs.fields": lambda: api.runs.fields(),
        "series": lambda: list(api.series("r")),
        "series.nearest": lambda: api.series.nearest("r", "m", 1),
        "series.charts": lambda: api.series.charts("r"),
        "series.follow": lambda: list(api.series.follow("r", reconnect=False)) or fail(),
        "series.groups": lambda: api.series.groups("r", "*", "param.lr"),
        "assets.addresses": lambda: api.assets.addresses([asset()]),
        "artifacts.addresses": lambda: api.artifacts.addresses(version(api), ["f"]),
        "runs.output_lines": lambda: api.runs.output_lines("r"),
        "runs.search_output": lambda: api.runs.search_output("r", "x"),
        "views": lambda: api.views("p"),
        "views.get": lambda: api.views.get("n", "p"),
        "views.save": lambda: api.views.save("n", {}, "p"),
        "views.delete": lambda: api.views.delete("n", "p"),
        "command": lambda: api.command("r", {"type": "run_archived.v1"}),
        "artifact": lambda: api.artifact("n", "model"),
        "create_artifact": lambda: api.create_artifact("n", "model"),
        "log_artifact_version": lambda: api.log_artifact_version("n", "model", {"f": b"x"}),
        "update_artifact": lambda: api.update_artifact(artifact(api), notes="x"),
        "delete_artifact": lambda: api.delete_artifact(artifact(api)),
        "artifact_versions": lambda: api.artifact_versions(artifact(api)),
        "artifact_version": lambda: api.artifact_version(artifact(api)),
        "artifact_contents": lambda: api.artifact_contents(version(api)),
        "update_artifact_version": lambda: api.update_artifact_version(version(api), comment="x"),
        "delete_artifact_version": lambda: api.delete_artifact_version(version(api)),
        "download_artifact": lambda: api.download_artifact(version(api), folder),
        "artifacts.lineage": lambda: api.artifacts.lineage("r"),
        "artifacts.add_files": lambda: api.artifacts.add_files(version(api), {"f": b"x"}),
        "read_artifact_file": lambda: api.read_artifact_file(version(api), "f") and fail(),
    }
    parts = {name: part.__call__ for name, part in vars(api).items() if callable(part)}
    server = {f"server.{name}": method for name, method in inspect.getmembers(api.server, inspect.ismethod)}
    for name, method in [*inspect.getmembers(api, inspect.ismethod), *parts.items(), *server.items()]:
        if name.rpartition(".")[2][0] == "_" or name in own or name in WITHOUT_A_REQUEST:
            continue
        wanted = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
        own[name] = partial(method, *[ARGUMENTS.get(each, "x") for each in wanted])
    return own


class Answered(Exception):
    """Raised where any bytes are a right response."""


def fail() -> NoReturn:
    raise Answered


#: They say what a panel is about, or what was counted here, or make an API.
WITHOUT_A_REQUEST = frozenset(
    {
        "over",
        "get_panel_workspace",
        "get_panel_project_name",
        "get_panel_project_id",
        "get_panel_options",
        "get_panel_experiment_colors",
        "get_panel_metric_colors",
        "get_panel_width",
        "get_panel_height",
        "get_panel_size",
        "get_panel_report",
        "get_panel_request_count",
    }
)
ARGUMENTS: dict[str, Any] = {"tags": ["x"], "metrics": ["m"], "runs": ["r"], "experiment_keys": ["r"], "x_axis": "step"}
READS: dict[str, bytes] = {
    "html": response(200, HTML, **OURS),
    "empty": response(200, b"", **OURS),
    "array": response(200, b"[]", **OURS),
    "null": response(200, b"null", **OURS),
    "nothing in it": response(200, b"{}", **OURS),
    "deep": response(200, b'{"runs":' + b"[" * 100_000, **OURS),
    "no text": response(200, b"\xff\xfe\x00{", **OURS),
    "a huge number": response(200, b'{"runs":[' + b"1" * 100_000 + b"]}", **OURS),
    "html of another status": response(404, HTML),
    "a problem of another form": response(404, b"[1]", **OURS),
    "a problem of wrong members": response(400, b'{"detail":{"a":[1]},"pointed":7,"status":"x"}', **OURS),
    "packed": response(200, gzip.compress(b"{}"), Content_Encoding="gzip", **OURS),
    "cut": response(200, b"{}", Connection="close", **OURS).replace(b"Length: 2", b"Length: 20"),
}
_NAMES = [
    "runs",
    "run",
    "writers",
    "values",
    "summaries",
    "curves",
    "envelopes",
    "assets",
    "pieces",
    "events",
    "workspaces",
    "projects",
    "experiments",
    "artifacts",
    "versions",
    "files",
    "version",
    "metadata",
    "next_cursor",
    "visible",
    "positions",
    "commands",
    "refused",
    "columns",
    "experiments",
    "metrics",
    "results",
    "parameters",
    "models",
    "data",
]
for _kind, _value in {"numbers": 7, "texts": "x", "lists": [1], "objects": {"a": 1}, "nothings": None}.items():
    READS[_kind] = response(200, json.dumps(dict.fromkeys(_NAMES, _value)).encode(), **OURS)


@pytest.mark.parametrize("name", READS)
def test_reading_raises_what_it_says_whatever_comes(tmp_path: Path, name: str) -> None:
    def face(_: Request) -> bytes:
        return READS[name]

    with HostileServer(face) as server:
        api = API(url=server.url, api_key=KEY, workspace="w", project="p")
        unexpected = {}
        for method, call in calls(api, tmp_path).items():
            try:
                call()
            except (RunstreamError, Answered):
                continue
            except Exception as error:
                unexpected[method] = repr(error)[:200]
        assert unexpected == {}
        assert len(server.requests) > 50


def requested(name: str, call: Callable[[], Any]) -> None:
    call()
    raise AssertionError(f"{name} asks nobody")


def test_every_method_of_the_api_is_among_the_calls(tmp_path: Path) -> None:
    api = API(url="http://127.0.0.1:1", workspace="w", project="p")
    named = set(calls(api, tmp_path))
    assert len(named) > 60
    for name, call in calls(api, tmp_path).items():
        if name == "get_metrics_for_chart":
            continue  # says of each experiment what went wrong
        with pytest.raises(ServerUnreachable):
            requested(name, call)


def test_pages_that_never_end_are_an_error() -> None:
    row = {"text": "x"}
    face = response(200, json.dumps({"pieces": [row], "events": [row], "next_cursor": "again"}).encode(), **OURS)
    runs = response(200, json.dumps({"runs": [], "next_cursor": "again", "artifacts": []}).encode(), **OURS)
    with HostileServer(
        lambda request: runs if "runs/query" in request.path or "artifacts" in request.path else face
    ) as s:
        api = API(url=s.url)
        for call in (lambda: api.output("r"), lambda: list(api.history("r")), api.runs, api.artifacts):
            with pytest.raises(ServerFailed, match="do not go on"):
                call()


@pytest.mark.parametrize("sent", [b"12345678", b"1234", b"abcde"])
def test_a_download_that_is_not_what_was_logged_leaves_no_file(tmp_path: Path, sent: bytes) -> None:
    with HostileServer(lambda _: response(200, sent, **OURS)) as server, pytest.raises(ServerFailed):
        API(url=server.url).download(asset(), tmp_path / "m.bin")
    assert list(tmp_path.iterdir()) == []


def test_an_endless_download_stops_at_the_size_that_was_logged(tmp_path: Path) -> None:
    with (
        HostileServer(lambda _: b"HTTP/1.1 200 X\r\n\r\n", endless=b"x") as server,
        pytest.raises(ServerFailed, match="more than the 5 bytes"),
    ):
        API(url=server.url).download(asset(), tmp_path / "m.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert wait(lambda: threading.active_count() <= before + 2)
