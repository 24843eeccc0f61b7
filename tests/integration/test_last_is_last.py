"""What was logged last is last, wherever it is read: of values that meet in a step and a microsecond, and of a writer
whose clock is set back."""

import csv
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.servers.embedded import Server, wait_until_visible
from runstream.api import API
from runstream_infra.cli import app

PAIRS = 50_000
#: Of each pair the second value is now the larger, now the smaller one.
TRAIN = """
import sys
from pathlib import Path
import runstream as rs

url, spool = sys.argv[1], Path(sys.argv[2])
with rs.init(run_id="pairs", project="p", url=url, dir=spool, system_metrics_s=0, capture_code=False) as run:
    for step in range(50_000):
        run.log({"x": float(step)}, step=step)
        run.log({"x": step + (0.5 if step % 2 else -0.5)}, step=step)
"""
SET_BACK = """
import itertools, sys
from pathlib import Path
from runstream.client.opening import Opening
from runstream.client.run import Run
from runstream.client.sending import keep_sender
from runstream.client.writers import open_writer
from runstream.clock import Clock
from runstream.notices import Notices

url, spool = sys.argv[1], Path(sys.argv[2])
ahead_s = 3600
clock = Clock()
moved = Clock(time_ns=lambda: clock.time_ns() + ahead_s * 10**9)
opening = Opening(run_id="set-back", workspace="w", project="p", experiment=None, name="back", rank=None, spool=spool,
                  url=url, api_key=None, mode="online", handle_sigterm=False)
notices = Notices()
run = Run(opening, open_writer(opening, moved, notices, None), notices, clock=moved)
keep_sender(spool, notices)
for number, ahead_s in enumerate((3600, 1800, 0, -3600)):
    for step in range(10):
        run.log({"x": float(-number)}, step=step)
    run.log_params({"lr": number})
assert run.finish(timeout_s=240)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("last")
    (folder / "data").mkdir()
    with Server(folder / "data") as server:
        for program in (TRAIN, SET_BACK):
            command = [sys.executable, "-c", program, server.url, str(folder / "spool")]
            subprocess.run(command, check=True, capture_output=True)
        wait_until_visible(server.url, ["pairs", "set-back"])
        yield server


@pytest.fixture
def api(server: Server) -> API:
    return runstream.API(url=server.url)


def test_pairs_of_values_of_one_step_are_in_the_order_of_their_calls(server: Server, api: API) -> None:
    wanted = [value for step in range(PAIRS) for value in (float(step), step + (0.5 if step % 2 else -0.5))]
    (curve,) = api.series("pairs", "x")
    assert list(curve.values) == wanted
    (summary,) = api.summaries("pairs")
    assert (summary.count, summary.first, summary.last) == (2 * PAIRS, 0.0, wanted[-1])
    (row,) = api.runs('id = "pairs"', columns=["metric.x.last"])
    assert row.columns["metric.x.last"] == wanted[-1]
    (past,) = api.summaries("pairs", as_of=newest(server))
    assert (past.first, past.last) == (0.0, wanted[-1])
    points = get(server, "/api/rest/v2/experiment/metrics/get-metric?experimentKey=pairs&metricName=x")["metrics"]
    assert [float(point["metricValue"]) for point in points] == wanted


def test_a_clock_that_is_set_back_changes_no_order_and_makes_no_negative_time(server: Server, api: API) -> None:
    (curve,) = api.series("set-back", "x")
    assert list(zip(curve.steps, curve.values, strict=True)) == [(s, -float(n)) for s in range(10) for n in range(4)]
    assert api.summaries("set-back")[0].last == -3.0
    detail = get(server, "/api/v1/runs/set-back")["run"]
    assert detail["duration_s"] >= 0
    assert detail["started_at"] <= detail["ended_at"]
    times = [event["at"] for event in get(server, "/api/v1/runs/set-back/history")["events"]]
    assert times == sorted(times)


def test_an_export_has_the_same_order(server: Server, tmp_path: Path) -> None:
    command = ["export", "--runs", "set-back", "--format", "csv", "--out", str(tmp_path / "out"), "--url", server.url]
    assert app.run(command) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "points.csv").open()))
    assert [float(row["value"]) for row in rows] == [-float(n) for _ in range(10) for n in range(4)]


def newest(server: Server) -> str:
    """The position up to which everything can be read."""
    with urllib.request.urlopen(f"{server.url}/api/v1/runs/pairs") as response:
        return str(response.headers["Runstream-Position"])


def get(server: Server, path: str) -> Any:
    with urllib.request.urlopen(server.url + path) as response:
        return json.load(response)
