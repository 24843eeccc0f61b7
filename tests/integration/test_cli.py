"""The reading commands against a server that answers as the API's models say, and misbehaves where asked to."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstream_infra.cli import app
from runstream_infra.cli.machine import machine_lines
from runstream_query.http.arrow import POINTS_SCHEMA
from runstream_query.responses import (
    Asset,
    Assets,
    Attribute,
    Attributes,
    Curve,
    Envelope,
    OddClock,
    OddClocks,
    RunDetail,
    RunRow,
    Runs,
    Series,
    Summaries,
    Summary,
    encode_json,
)

AT = "2026-01-02T03:04:05.123456Z"
KEY = "k" * 24


def run_row(run: str, name: str, status: str = "finished", columns: dict[str, Any] | None = None) -> RunRow:
    return RunRow.model_validate(
        {
            **dict.fromkeys(("workspace", "project", "experiment", "message", "user", "host", "notes"), ""),
            **dict.fromkeys(("created_at", "started_at", "ended_at", "updated_at"), AT),
            "run": run,
            "name": name,
            "status": status,
            "tags": ["a", "b"],
            "duration_s": 62.5,
            "archived": False,
            "deleted": False,
            "points_dropped": 0,
            "group": "sweep-7",
            "job_type": "train",
            "links": ["w/best"],
            "columns": columns or {},
        }
    )


def summary(run: str, metric: str) -> Summary:
    steps = {f"{name}_step": 7 for name in ("minimum", "maximum", "first", "last")}
    times = {f"{name}_at": AT for name in ("minimum", "maximum", "first", "last")}
    values = {"minimum": float("-inf"), "maximum": 2.0, "first": 2.0, "last": float("nan"), "total": 6.0, "std": 0.5}
    return Summary.model_validate({"run": run, "metric": metric, "count": 3, "nan_count": 1} | steps | times | values)


ROWS = [
    run_row("r1", "first", columns={"param.lr": 0.1, "metric.loss": float("nan"), 'other."best so far"': "3"}),
    run_row("r2", "sec\x1b[31mond", "failed", columns={"param.lr": 0.2}),
]


@dataclass
class FakeServer:
    """What it was asked, and how it is to behave."""

    url: str = ""
    requested: list[tuple[str, str, dict[str, list[str]], Any]] = field(default_factory=list)
    key: str | None = None
    responses: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    odd_clocks: list[OddClock] = field(default_factory=list)
    clock_ahead_s: float | None = None
    settings: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(
        default_factory=lambda: {
            "version": "0.1.0",
            "visible": "0:41",
            "lag_records": 5,
            "quarantined_records": 0,
            "quarantined_by_cause": {},
            "disk_free_bytes": 10**12,
            "disk_total_bytes": 10**13,
        }
    )

    def respond(self, path: str, query: dict[str, list[str]], body: Any, accept: str) -> tuple[int, bytes]:
        if path in self.responses:
            return self.responses[path]
        match path.removeprefix("/api/v1").split("/")[1:]:
            case ["readyz"]:
                return 200, b'{"ready": true, "checks": {"store": "ok"}}'
            case ["clocks"]:
                return 200, encode_json(OddClocks(runs=self.odd_clocks))
            case ["server", "settings"]:
                return 200, json.dumps({"settings": self.settings}).encode()
            case ["server"]:
                return 200, json.dumps(self.status).encode()
            case ["runs", "query"]:
                limit = body["limit"]
                begin = int(body.get("cursor", 0))
                end = begin + min(limit, 1)  # one row a page, so that every list is several pages
                more = str(end) if end < len(ROWS) else None
                return 200, encode_json(Runs(runs=ROWS[begin:end], next_cursor=more))
            case ["runs", "r1"]:
                counts = {"metrics": 1, "parameters": 1, "assets": 1}
                return 200, encode_json(RunDetail(run=ROWS[0], writers=[], clock_ahead_s=self.clock_ahead_s, **counts))
            case ["runs", "r1", ("parameters" | "others") as kind]:
                value = Attribute.model_validate({"name": "lr", "value": 0.1, "at": AT})
                return 200, encode_json(Attributes(run="r1", values=[value] if kind == "parameters" else []))
            case ["runs", run, "output"]:
                printed = run == "r1" and query.get("stream") == ["stdout"]
                pieces = [{"text": text} for text in ("epoch 1\n", "epoch 2\n") if printed]
                return 200, json.dumps({"pieces": pieces, "next_cursor": None}).encode()
            case ["runs", ("r1" | "r2") as run, "assets"]:
                asset = {"run": run, "asset": "a1", "name": "m.bin", "kind": "model", "sha256": "0" * 64, "at": AT}
                rest = {"size_bytes": 1500, "content_type": "x/y", "step": None, "metadata": {}}
                rest |= {"role": "graph", "location": "s3://bucket/m.bin"}
                return 200, encode_json(Assets(assets=[Asset.model_validate(asset | rest)]))
            case ["series"] if "arrow" in accept:
                return 200, self.arrow(body["runs"], body.get("epochs", False))
            case ["series"]:
                return 200, self.curve("max_points" in body)
            case ["summaries"]:
                return 200, encode_json(Summaries(summaries=[summary(run, "loss") for run in body["runs"]]))
            case _:
                return 404, json.dumps({"detail": f"no run has the id {path!r}: look it up"}).encode()

    def curve(self, buckets: bool) -> bytes:
        if not buckets:
            values = [2.0, 1.0, float("nan")]
            curve = {"run": "r1", "metric": "loss", "steps": [0, 1, 2], "at": [AT] * 3, "writers": ["0" * 16] * 3}
            return encode_json(Series(curves=[Curve.model_validate(curve | {"values": values})]))
        lists = {"count": [2, 1], "nan_count": [0, 1], "first_step": [0, 2], "last_step": [1, 2]}
        statistics = {"min": [1.0, float("nan")], "max": [2.0, float("nan")], "mean": [1.5, float("nan")]}
        envelope = Envelope.model_validate({"run": "r1", "metric": "loss"} | lists | statistics)
        return encode_json(Series(envelopes=[envelope], width=2))

    def arrow(self, runs: list[str], epochs: bool) -> bytes:
        sink = pa.BufferOutputStream()
        schema = POINTS_SCHEMA.append(pa.field("epoch", pa.int64())) if epochs else POINTS_SCHEMA
        with pa.ipc.new_stream(sink, schema) as writer:
            for run in runs:
                table = pa.table(
                    {
                        "run": pa.array([run] * 2).dictionary_encode(),
                        "metric": pa.array(["loss"] * 2).dictionary_encode(),
                        "step": [0, 1],
                        "at": pa.array([0, 1], pa.timestamp("us", tz="UTC")),
                        "value": [0.1, float("nan")],
                        "writer": pa.array([2**63 + 1, 2**63 + 1], pa.uint64()),
                    }
                )
                if epochs:
                    table = table.append_column("epoch", pa.array([None, 7], pa.int64()))
                writer.write_table(table.cast(schema))
        stream: bytes = sink.getvalue().to_pybytes()
        return stream


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    """A fake server, which the settings of this process name."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            fake.requested.append((self.command, parts.path, parse_qs(parts.query), body))
            if fake.key is not None and self.headers.get("Authorization") != f"Bearer {fake.key}":
                status, respond = 401, b'{"status": 401, "detail": "This key is not known here."}'
            else:
                status, respond = fake.respond(parts.path, parse_qs(parts.query), body, self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Runstream-Protocol", "1")
            self.send_header("Content-Length", str(len(respond)))
            self.end_headers()
            self.wfile.write(respond)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    fake.url = f"http://127.0.0.1:{listening.server_port}"
    for name in [name for name in os.environ if name.startswith("RUNSTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNSTREAM_URL", fake.url)
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield fake
    listening.shutdown()
    thread.join()
    listening.server_close()


def answered(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command wrote to stdout. It has to end with `code`."""
    capfd.readouterr()
    ended = app.run(list(arguments))
    output = capfd.readouterr()
    assert ended == code, output.err
    return output.out


def refused(capfd: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    """What a command wrote to stderr. It has to end with `code` and to leave stdout alone."""
    capfd.readouterr()
    ended = app.run(list(arguments))
    output = capfd.readouterr()
    assert ended == code, output.err
    assert output.out == ""
    return output.err


def test_runs_lists_every_page(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    lines = answered(capfd, "runs").splitlines()
    assert lines[0].split() == ["id", "name", "status", "project", "started", "duration"]
    assert lines[1].split() == ["r1", "first", "finished", "2026-01-02", "03:04:05", "1", "min", "02", "s"]
    assert len(lines) == 3
    assert "\x1b" not in lines[2]


def test_runs_asks_for_what_the_filter_and_the_sort_key_mention(
    server: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ("runs", 'param.lr > 0.05 and tag = "a"', "--sort", "-metric.loss", "--project", "p", "--json")
    found = json.loads(answered(capfd, *command))
    _, path, _, question = server.requested[0]
    assert path == "/api/v1/runs/query"
    assert question == {
        "filter": 'param.lr > 0.05 and tag = "a"',
        "sort": "-metric.loss",
        "project": "p",
        "columns": "metric.loss,param.lr",
        "limit": 50,
    }
    assert [row["id"] for row in found["runs"]] == ["r1", "r2"]
    assert found["runs"][0]["metric.loss"] == "NaN"
    assert found["runs"][0]["started"] == AT
    assert found["more"] is False


def test_a_limit_is_kept_and_the_rest_is_mentioned(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(answered(capfd, "runs", "--limit", "1", "--json"))["more"] is True
    assert app.run(["runs", "--limit", "1"]) == 0
    assert "--limit" in capfd.readouterr().err


def test_query_points_at_a_mistake(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    told = {
        "detail": "expected a value (column 14)",
        "column": 14,
        "pointed": "metric.loss <\n             ^",
        "status": 400,
    }
    server.responses["/api/v1/runs/query"] = (400, json.dumps(told).encode())
    output = refused(capfd, "query", "metric.loss <", code=2)
    assert output == "runstream: expected a value (column 14)\n  metric.loss <\n               ^\n"


def test_show_has_everything_of_a_run(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    shown = answered(capfd, "show", "r1")
    for wanted in (
        "first",
        "finished",
        "a, b",
        "1 min 02 s",
        "sweep-7",
        "train",
        "lr",
        "0.1",
        "loss",
        "-Infinity",
        "NaN",
        "m.bin",
        "1.5 kB",
        "graph",
        "s3://bucket/m.bin",
        "w/best",
    ):
        assert wanted in shown
    as_json = json.loads(answered(capfd, "show", "r1", "--json"))
    assert set(as_json) == {"run", "writers", "parameters", "others", "summaries", "assets"}
    assert as_json["parameters"] == {"lr": 0.1}
    assert as_json["summaries"][0]["minimum"] == "-Infinity"
    assert as_json["summaries"][0]["mean"] == 2.0  # 6.0 over three points
    assert as_json["summaries"][0]["std"] == 0.5


def test_an_unknown_run_is_bad_input(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no run has the id" in refused(capfd, "show", "nope", code=2)
    assert "no metric 'lass'" in refused(capfd, "series", "r1", "lass", code=2)


def test_series_gives_every_digit_in_a_pipe(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert answered(capfd, "series", "r1", "loss") == "0\t2.0\n1\t1.0\n2\tnan\n"
    assert answered(capfd, "series", "r1", "loss", "--max-points", "2") == "0\t1.5\t1.0\t2.0\n2\tnan\tnan\tnan\n"
    as_json = json.loads(answered(capfd, "series", "r1", "loss", "--json"))
    assert as_json == {"run": "r1", "run_id": "r1", "metric": "loss", "steps": [0, 1, 2], "values": [2.0, 1.0, "NaN"]}


def test_a_key_that_is_refused_says_where_to_give_another(
    server: FakeServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    assert "RUNSTREAM_API_KEY" in refused(capfd, "runs", code=3)
    assert answered(capfd, "runs", "--api-key", KEY)
    monkeypatch.setenv("RUNSTREAM_API_KEY", KEY)
    assert answered(capfd, "runs")
    assert "does not let this in" in refused(capfd, "runs", "--api-key", "wrong", code=3)


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (503, b'{"detail": "the store cannot answer"}', 1, "the store cannot answer"),
        (500, b"<html>", 1, "HTTP 500"),
        (200, b"<html>", 1, "is this a Runstream server?"),
        (200, b"[]", 1, "is this a Runstream server?"),
    ],
)
def test_strange_responses_are_one_calm_line(
    server: FakeServer, capfd: pytest.CaptureFixture[str], status: int, body: bytes, code: int, message: str
) -> None:
    server.responses["/api/v1/runs/query"] = (status, body)
    line = refused(capfd, "runs", code=code)
    assert message in line
    assert line.count("\n") == 1


def test_no_server_is_told_with_the_next_step(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert "runstream up" in refused(capfd, "runs", "--url", url, code=3)
        assert "no address of a server" in refused(capfd, "runs", "--url", "ftp://x", code=2)
        told = json.loads(answered(capfd, "doctor", "--url", url, "--json", code=3))
    assert told["server"]["reachable"] is False
    assert told["settings"]["url"] == {"value": url, "from": "argument url"}


def test_doctor_says_where_settings_come_from_and_never_shows_a_key(
    server: FakeServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    monkeypatch.setenv("RUNSTREAM_API_KEY", KEY)
    page = {"name": "query.max_page", "variable": "RUNSTREAM_QUERY_MAX_PAGE", "default": 1000}
    server.settings = [page | {"value": 200, "origin": "file"}, page | {"name": "other", "origin": "default"}]
    server.settings[1]["value"] = 1000
    shown = answered(capfd, "doctor")
    assert "environment RUNSTREAM_URL" in shown
    assert re.search(r"query\.max_page +200  \(file\)", shown)
    assert "other" not in shown, "what nobody set is not news"
    assert "5 records accepted and not yet visible" in shown
    assert "All is well." in shown
    assert re.search(r"system metrics +\d+ in a sample, every 10 s", shown)
    told = answered(capfd, "doctor", "--json")
    assert KEY not in shown + told
    assert json.loads(told)["ok"] is True
    assert json.loads(told)["machine"]["metrics"]["system/memory_used_bytes"] > 0


def test_doctor_says_what_each_gpu_tells_and_why_there_is_none() -> None:
    machine = {
        "metrics": {"system/cpu_percent": 1.0, "system/gpu0/power_w": 70.5, "system/gpu0/temperature_c": 40.0},
        "gpus": {"gpu0": {"name": "H200", "memory_bytes": 2 * 10**9}, "gpu1": {}, "driver": "570"},
        "notes": [],
    }
    assert machine_lines(machine, 10.0) == [
        ("system metrics", "3 in a sample, every 10 s"),
        ("gpu0", "H200, 2.0 GB: power_w 70.5, temperature_c 40"),
        ("gpu1", "a GPU: tells nothing"),
        ("driver", "570"),
    ]
    none = {"metrics": {}, "gpus": {}, "notes": ["NVIDIA: no driver", "AMD: amdsmi is not installed"]}
    assert machine_lines(none, 0.0) == [
        ("system metrics", "0 in a sample, none is taken, since system_metrics_s is 0"),
        ("GPUs", "none is seen (NVIDIA: no driver; AMD: amdsmi is not installed)"),
    ]


def test_doctor_names_what_is_wrong_with_the_server(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    server.status |= {"quarantined_records": 3, "disk_free_bytes": 10**8}
    server.responses["/readyz"] = (
        503,
        b'{"ready": false, "checks": {"worker": "it has not found its place", "s": "ok"}}',
    )
    told = json.loads(answered(capfd, "doctor", "--json", code=4))
    assert told["server"]["reachable"] is True
    assert [problem.split(":")[0] for problem in told["problems"]] == [
        "the server is not ready (worker",
        "3 records are in quarantine",
        "the server's disk has 100.0 MB left",
    ]


def test_rebuild_lets_a_server_that_runs_do_it(
    server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rebuild = {"generation": 2, "replace": True, "outcome": "building", "detail": ""}
    over = rebuild | {"outcome": "different", "detail": "points at r loss (2 rows, rebuilt 1); runs at r (1 rows)"}
    server.responses["/api/v1/server/rebuild"] = (202, json.dumps(rebuild).encode())
    none: dict[str, Any] = dict.fromkeys(("building", "doing", "obstacle", "trouble"))
    none |= {"differences": [], "folded": 0, "records": 0}
    server.status["read_models"] = none | {"serving": 2, "rebuild": over}
    assert "Folded from the log into generation 2, the tables are NOT equal." in (
        shown := answered(capfd, "rebuild", "--replace", code=1)
    )
    assert "runs at r (1 rows)\n" in shown
    assert "Generation 2 serves; the old tables go away." in shown
    assert ("POST", "/api/v1/server/rebuild", {}, {"replace": True}) in server.requested
    server.status["read_models"]["rebuild"] = rebuild | {"outcome": "equal", "replace": False}
    assert json.loads(answered(capfd, "rebuild", "--json")) == {
        "equal": True,
        "generation": 2,
        "replaced": False,
        "differences": [],
    }
    server.status["read_models"]["rebuild"] = rebuild | {"outcome": "given up", "detail": "the log was cut"}
    assert refused(capfd, "rebuild", code=1).endswith(
        "runstream: generation 2 was given up: the log was cut; `runstream doctor` shows more\n"
    )
    assert "not both" in refused(capfd, "rebuild", "--data-dir", "data", "--url", server.url, code=2)
    assert "data holds no log" in refused(capfd, "rebuild", "--data-dir", "data", code=2)


def test_clocks_that_are_off_are_told_with_the_next_step(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    names = [f"mlp-{number}" for number in range(7)]
    server.odd_clocks = [OddClock(run=f"r-{name}", name=name, clock_ahead_s=-7200) for name in names]
    (problem,) = json.loads(answered(capfd, "doctor", "--json", code=4))["problems"]
    assert "mlp-0 (r-mlp-0) 2 h 00 min behind, " in problem
    assert "mlp-4 (r-mlp-4) 2 h 00 min behind and 2 more. Set the clocks of their machines (NTP)" in problem
    assert "clock" not in answered(capfd, "show", "r1")
    server.clock_ahead_s = 3 * 24 * 3600.0
    shown = answered(capfd, "show", "r1")
    assert "! its clock runs 3 d 0 h ahead of the server's: times shown are its own" in shown
    assert json.loads(answered(capfd, "show", "r1", "--json"))["run"]["clock_ahead_s"] == server.clock_ahead_s


def test_doctor_counts_what_waits_in_the_spool(
    server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = (
        "import runstream as rs; run = rs.init(mode='offline', capture_code=False, system_metrics_s=0)\n"
        "for step in range(10): run.log({'a': step})\nrun.finish()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    told = json.loads(answered(capfd, "doctor", "--json", code=4))
    assert told["spool"]["offline_writers"] == 1
    assert told["spool"]["waiting_records"] >= 12  # ten rows, and that it started and finished
    assert any("runstream sync" in problem for problem in told["problems"])


def test_sync_of_nothing_is_done_at_once(server: FakeServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert "nothing waited" in answered(capfd, "sync")
    assert json.loads(answered(capfd, "sync", "--json"))["complete"] is True


def test_export_writes_a_file_a_kind(server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = json.loads(answered(capfd, "export", "--project", "p", "--out", "all", "--json"))
    assert told["rows"] == {
        "runs": 2,
        "parameters": 2,
        "others": 1,
        "files": 2,
        "output": 1,
        "summaries": 2,
        "points": 4,
    }
    assert pq.read_table(tmp_path / "all" / "others.parquet").to_pylist() == [
        {"run": "r1", "name": "best so far", "value": "3"}
    ]
    assert pq.read_table(tmp_path / "all" / "output.parquet").to_pylist() == [
        {"run": "r1", "stream": "stdout", "text": "epoch 1\nepoch 2\n"}
    ]
    (file, _) = pq.read_table(tmp_path / "all" / "files.parquet").to_pylist()
    assert (file["run"], file["name"], file["size_bytes"]) == ("r1", "m.bin", 1500)
    assert "notes" in pq.read_table(tmp_path / "all" / "runs.parquet").column_names
    points = pq.read_table(tmp_path / "all" / "points.parquet")
    assert points.column("run").to_pylist() == ["r1", "r1", "r2", "r2"]
    assert points.column("writer").to_pylist() == [2**63 + 1] * 4
    assert str(points.column("value").to_pylist()) == "[0.1, nan, 0.1, nan]"
    parameters = pq.read_table(tmp_path / "all" / "parameters.parquet").to_pylist()
    assert parameters == [{"run": "r1", "name": "lr", "value": "0.1"}, {"run": "r2", "name": "lr", "value": "0.2"}]
    (first, _) = pq.read_table(tmp_path / "all" / "summaries.parquet").to_pylist()
    assert first["minimum"] == float("-inf")
    assert first["mean"] == 2.0


def test_export_as_csv(server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answered(capfd, "export", "--runs", "r1,r2", "--format", "csv", "--out", "some")
    lines = (tmp_path / "some" / "points.csv").read_text().splitlines()
    assert lines[0] == '"run","metric","step","at","value","writer"'
    assert re.match(r'"r1","loss",0,"1970-01-01T00:00:00\.000000Z",0\.1,9223372036854775809$', lines[1])
    assert (tmp_path / "some" / "runs.csv").read_text().startswith("id,workspace,project")


def test_export_of_epochs(server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        answered(capfd, "export", "--runs", "r1,r2", "--format", form, "--epochs", "--out", form)
    lines = (tmp_path / "csv" / "points.csv").read_text().splitlines()
    assert lines[0] == '"run","metric","step","at","value","writer","epoch"'
    assert [line.rpartition(",")[2] for line in lines[1:]] == ["", "7", "", "7"]
    points = pq.read_table(tmp_path / "parquet" / "points.parquet")
    assert points.column("epoch").to_pylist() == [None, 7, None, 7]


def test_export_never_overwrites_and_leaves_nothing_half_done(
    server: FakeServer, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    assert "already there" in refused(capfd, "export", "--project", "p", "--out", "there", code=2)
    assert "say which runs" in refused(capfd, "export", "--out", "new", code=2)
    assert "no run has the id 'r9'" in refused(capfd, "export", "--runs", "r1,r9", "--out", "new", code=2)
    server.responses["/api/v1/series"] = (200, b"cut")
    assert "broke off" in refused(capfd, "export", "--project", "p", "--out", "new", code=1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "spool") == ["there"]


def test_a_server_command_without_the_server_says_what_to_install(
    server: FakeServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "aiohttp" or name == "runstream_infra.embedded"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert "pip install 'runstream[server]'" in refused(capfd, "up", "--port", "0", code=1)


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("worker", "faust"),
        ("gateway", "aiokafka"),
        ("query-server", "clickhouse_connect"),
        ("cluster up", "aiokafka"),
        ("cluster up", "faust"),
    ],
)
def test_a_process_of_the_cluster_without_its_packages_says_what_to_install(command: str, package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from runstream_infra.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    assert f"({package} is missing): pip install 'runstream[cluster]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_reading_needs_nothing_but_the_base_install(server: FakeServer) -> None:
    """What a training node has: no Arrow, no numpy, none of the server's packages."""
    code = (
        "import sys\n"
        "for name in 'aiohttp chdb clickhouse_connect numpy obstore pandas prometheus_client pyarrow'.split():\n"
        "    sys.modules[name] = None\n"
        "from runstream_infra.cli import app\n"
        "names = ('runs', 'query', 'show', 'series', 'export', 'up', 'demo', 'sync', 'rebuild', 'doctor', 'version')\n"
        "commands = [name + ' --help' for name in names]\n"
        "commands += ['runs', 'query param.lr>0 -s -metric.loss', 'show r1', 'series r1 loss', 'doctor', 'sync']\n"
        "for command in commands:\n"
        "    assert app.run(command.split()) == 0, command\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    queries = [body for _, path, _, body in server.requested if path.endswith("/runs/query") and "columns" in body]
    assert {body["columns"] for body in queries if body.get("filter")} == {"metric.loss,param.lr"}, (
        "what the filter looks at is shown"
    )
    assert "param.lr" in done.stdout


def test_colour_only_on_a_terminal(server: FakeServer) -> None:
    command = [sys.executable, "-m", "runstream_infra.cli", "runs"]
    plain = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b" not in plain.stdout + plain.stderr
    forced = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert b"\x1b" in subprocess.run(command, capture_output=True, check=True, env=forced).stdout
    refused_colour = {**forced, "NO_COLOR": "1"}
    shown = subprocess.run(command, capture_output=True, check=True, env=refused_colour).stdout
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]", shown)
