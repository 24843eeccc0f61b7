"""Bad input of every kind at a real server: a clear refusal or an entry in quarantine, and a healthy run beside it
stays exact."""

import json
import struct
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.children.forked import run_forked
from kit.servers.embedded import Server
from runstream.events import encoding, limits
from runstream.events.control import RunStarted, encode_event
from runstream.events.positions import Positions

HEALTHY = 200


class Api:
    """A server and what one sends to it. Responses are (status, document)."""

    def __init__(self, server: Server) -> None:
        self.url = server.url

    def get(self, path: str, **query: object) -> tuple[int, Any]:
        return self._send("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def post(self, path: str, document: object) -> tuple[int, Any]:
        return self._send("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def frames(self, body: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/vnd.runstream.frames"}
        return self._send("POST", "/ingest/v1/frames", body, headers)

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            kind = error.headers["Content-Type"]
            return error.code, json.loads(error.read()) if kind.startswith("application/problem+json") else kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad-input")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """A server with one healthy run that goes on until the last test is through, and is compared then."""
    data = folder / "data"
    data.mkdir()
    with Server(data) as server:
        api = Api(server)
        run = runstream.init(
            project="p",
            run_id="healthy",
            url=server.url,
            dir=folder / "spool",
            system_metrics_s=0,
            capture_console=False,
        )
        for step in range(HEALTHY):
            run.log({"loss": step / 7}, step=step)
        yield api
        for step in range(HEALTHY, 2 * HEALTHY):
            run.log({"loss": step / 7}, step=step)
        assert run.finish(timeout_s=120)
        server.stop()
        server.start()  # whatever came in before is folded by now, or the server does not get ready
        _, summaries = api.get("/api/v1/runs/healthy/summaries")
        [loss] = [row for row in summaries["summaries"] if row["metric"] == "loss"]
        assert (loss["count"], loss["maximum"]) == (2 * HEALTHY, (2 * HEALTHY - 1) / 7)
        assert api.get("/api/v1/runs/healthy")[1]["run"]["status"] == "finished"


def writer_of(run: str) -> str:
    return run.encode().hex().rjust(32, "0")


def events_frame(run: str, first_seq: int, *bodies: bytes) -> bytes:
    pairs = encoding.encode_events([(first_seq + i, body) for i, body in enumerate(bodies)])
    return encoding.encode_frame(writer_of(run), run, first_seq, first_seq + len(bodies), pairs)


def rows_frame(run: str, first_seq: int, value: float) -> bytes:
    packed = struct.pack("<qqd", 1, 1_700_000_000_000_000_000, value)
    return encoding.encode_frame(
        writer_of(run), run, first_seq, first_seq + 1, b"", [encoding.encode_rows(b"m", 1, packed, 0)]
    )


STARTED = encode_event(RunStarted(at_us=1_700_000_000_000_000, workspace="default", project="p"))


def test_an_event_from_the_future_is_quarantined_and_its_neighbours_count(api: Api) -> None:
    before = api.get("/api/v1/server")[1]["quarantined_records"]
    unknown = b'{"type": "run_dreamt.v1", "at_us": 1}'
    status, response = api.frames(events_frame("future", 0, STARTED, unknown) + rows_frame("future", 2, 5.0))
    assert status == 200
    status, detail = api.get("/api/v1/runs/future", wait_for=response["positions"])
    assert (status, detail["run"]["status"]) == (200, "running")
    assert api.get("/api/v1/runs/future/summaries")[1]["summaries"][0]["last"] == 5.0
    assert api.get("/api/v1/server")[1]["quarantined_records"] == before + 1


def test_the_same_numbers_with_other_content_change_nothing(api: Api) -> None:
    assert api.frames(events_frame("twice", 0, STARTED) + rows_frame("twice", 1, 1.0))[0] == 200
    status, response = api.frames(rows_frame("twice", 1, 2.0))
    assert (status, response["writers"]) == (200, {writer_of("twice"): 2})
    position = str(Positions.parse(response["positions"]))
    summary = api.get("/api/v1/runs/twice/summaries", wait_for=position)[1]["summaries"][0]
    assert (summary["count"], summary["last"]) == (1, 1.0)


def test_a_gap_is_refused_with_the_number_to_go_on_from(api: Api) -> None:
    assert api.frames(events_frame("gap", 0, STARTED))[0] == 200
    status, problem = api.frames(rows_frame("gap", 9, 1.0))
    assert (status, problem["expected"]) == (409, {writer_of("gap"): 1})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no frame at all", "frame"),
        (rows_frame("r", 0, 1.0)[:-3], "cut"),
        (rows_frame("r", 0, 1.0)[:-1] + b"\xff", "damaged"),
    ],
)
def test_bytes_that_are_no_frames_are_refused(api: Api, body: bytes, words: str) -> None:
    status, problem = api.frames(body)
    assert status == 422
    assert words in problem["detail"]


def test_a_frame_of_a_later_version_is_refused_and_named(api: Api) -> None:
    later = bytearray(rows_frame("r", 0, 1.0))
    later[2] = 2
    status, problem = api.frames(bytes(later))
    assert status == 422
    assert "version 2" in problem["detail"]


def test_too_much_at_once_is_refused_with_the_limit(api: Api) -> None:
    status, problem = api.frames(b"\0" * (limits.MAX_REQUEST_BYTES + 1))
    assert (status, problem["limit_bytes"]) == (413, limits.MAX_REQUEST_BYTES)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("metric.loss <", 14, "expected"),
        ('staus = "x"', 1, "status"),
        ("metric.loss.min < 1 andd status = 'x'", 21, "and"),
        ("(status = 'running'", 20, ")"),
        ("param.lr = 'unclosed", 12, "closed"),
        ("created > 'not a time'", 11, "time"),
    ],
)
def test_a_malformed_filter_names_the_column(api: Api, text: str, column: int, words: str) -> None:
    status, problem = api.get("/api/v1/runs", filter=text)
    assert status == 400
    assert problem["column"] == column, problem
    assert words in json.dumps(problem)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_filter_that_is_too_deep_or_too_long_is_refused(api: Api, depth: int) -> None:
    tree = "(" * depth + "status = 'x'" + ")" * depth
    status, problem = api.post("/api/v1/runs/query", {"filter": tree})
    assert 400 <= status < 500
    assert problem["detail"]


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/api/v1/runs/unknown-run", {}, 404, "unknown-run"),
        ("/api/v1/runs/healthy/summaries", {"metrcis": "loss"}, 400, "metrcis"),
        ("/api/v1/runs", {"limit": "-1"}, 400, "limit"),
        ("/api/v1/runs", {"limit": "many"}, 400, "limit"),
        ("/api/v1/runs", {"sort": "-nothing.at.all"}, 400, "nothing"),
        ("/api/v1/runs/healthy", {"wait_for": "yesterday"}, 400, "yesterday"),
        ("/api/v1/runs/healthy", {"as_of": "yesterday"}, 400, "yesterday"),
        ("/api/v1/runs/healthy/assets/..%2F..%2Fetc%2Fpasswd", {}, 404, ""),
        ("/ingest/v1/assets/..%2F..%2Fetc%2Fpasswd", {}, 405, ""),
        ("/api/v1/nowhere", {}, 404, "nowhere"),
    ],
)
def test_reads_that_cannot_be_answered_say_why(
    api: Api, path: str, query: dict[str, str], status: int, words: str
) -> None:
    found, problem = api.get(path, **query)
    assert (found, problem["status"]) == (status, status), problem
    assert words in json.dumps(problem)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"key": "healthy", "event": {"type": "run_renamed.v1", "name": ""}}, "name"),
        ({"key": "healthy", "event": {"type": "run_exploded.v1"}}, "run_exploded"),
        ({"key": "../up", "event": {"type": "run_archived.v1"}}, "../up"),
        ({"event": {"type": "run_archived.v1"}}, "key"),
        ([], ""),
    ],
)
def test_commands_that_mean_nothing_are_refused(api: Api, document: object, words: str) -> None:
    status, problem = api.post("/ingest/v1/commands", document)
    assert 400 <= status < 500
    assert words in json.dumps(problem)


def test_text_that_looks_like_sql_is_text(api: Api) -> None:
    odd = "x'); DROP TABLE points; --"
    status, _ = api.post("/ingest/v1/commands", {"key": "healthy", "event": {"type": "run_renamed.v1", "name": odd}})
    assert status == 200
    status, response = api.get("/api/v1/runs", filter=f'name = "{odd}"')
    assert [run["name"] for run in response["runs"]] == [odd]
    assert api.get("/api/v1/runs", filter=f'metric."{odd}" > 0')[1]["runs"] == []


def test_a_second_server_on_the_directory_is_refused_and_the_first_goes_on(api: Api, folder: Path) -> None:
    done = run_forked("runstream_infra.cli", "up", "--port", "0", "--data-dir", folder / "data")
    assert done.returncode == 1
    assert "is held by process" in done.stderr
    assert "Traceback" not in done.stderr
    assert api.get("/healthz")[0] == 200


def test_a_damaged_spool_is_named_and_its_neighbour_is_sent(api: Api, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    program = """
import runstream, sys
for run_id in ("damaged", "whole"):
    run = runstream.init(run_id=run_id, mode="offline", url=sys.argv[1], dir=sys.argv[2], system_metrics_s=0)
    run.log({"m": 1.0})
    run.finish()
"""
    subprocess.run([sys.executable, "-c", program, api.url, str(spool)], check=True, capture_output=True, cwd=tmp_path)
    for info in (spool / "writers").glob("*/writer.json"):
        if json.loads(info.read_text())["run_id"] == "damaged":
            with (info.parent / "00000000.rows").open("r+b") as file:
                file.write(b"XXXX")
    command = [sys.executable, "-m", "runstream_infra.cli", "sync", "--dir", str(spool), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4
    [left] = json.loads(done.stdout)["left"]
    assert "00000000.rows" in left["reason"]
    found = [run for run in ("damaged", "whole") if api.get(f"/api/v1/runs/{run}")[0] == 200]
    assert found == ["whole"]
