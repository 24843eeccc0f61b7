"""A trainer whose clock is hours off, against a real server: everything is taken, and whoever looks is told."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.servers.embedded import Server
from runstream_infra.cli import app

HOUR_S = 3600
TRAIN = """
import sys, time
from pathlib import Path
from runstream.client.run import Run
from runstream.client.sending import keep_sender
from runstream.client.opening import Opening
from runstream.client.writers import open_writer
from runstream.clock import Clock
from runstream.notices import Notices

url, spool, run_id, ahead_s, mode = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
clock = Clock(time_ns=lambda: time.time_ns() + ahead_s * 10**9)
opening = Opening(run_id=run_id, workspace="w", project="p", experiment=None, name=f"named {run_id}", rank=None,
                  spool=spool, url=url, api_key=None, mode=mode, handle_sigterm=False)
notices = Notices()
run = Run(opening, open_writer(opening, clock, notices, None), notices, clock=clock)
if mode == "online":
    keep_sender(spool, notices)
for step in range(20):
    run.log({"loss": 1 / (step + 1)}, step=step)
print("LOGGED", flush=True)
sys.stdin.readline()
print("FINISHED", run.finish(timeout_s=240), flush=True)
"""


@contextmanager
def trainer(url: str, spool: Path, run_id: str, ahead_s: int, mode: str = "online") -> Iterator[None]:
    """A trainer that has logged, and goes on living for the duration of the block."""
    command = [sys.executable, "-c", TRAIN, url, str(spool), run_id, str(ahead_s), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "LOGGED\n"
            yield
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith("FINISHED")
        finally:
            process.kill()


def get(url: str, path: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}", timeout=120) as response:
        return json.loads(response.read())


def wait_for_points(url: str, run_id: str) -> None:
    deadline = time.monotonic() + 60
    while [row["count"] for row in summaries(url, run_id)] != [20]:
        assert time.monotonic() < deadline, "the points did not become visible"
        time.sleep(0.05)


def summaries(url: str, run_id: str) -> Any:
    try:
        return get(url, f"runs/{run_id}/summaries")["summaries"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []  # nothing of it has come yet
        raise


def output_of(command: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        app.main(command)
    return int(ended.value.code or 0), capfd.readouterr().out


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "data").mkdir()
    with Server(tmp_path / "data") as server:
        monkeypatch.setenv("RUNSTREAM_URL", server.url)
        yield server


def test_a_clock_that_is_ahead_is_shown_and_costs_nothing(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spool = tmp_path / "spool"
    with trainer(server.url, spool, "ahead", 3 * HOUR_S), trainer(server.url, spool, "right", 0):
        wait_for_points(server.url, "ahead")
        wait_for_points(server.url, "right")
        detail = get(server.url, "runs/ahead")
        assert 3 * HOUR_S - 120 < detail["clock_ahead_s"] <= 3 * HOUR_S
        assert detail["writers"][0]["clock_ahead_s"] == detail["clock_ahead_s"]
        assert detail["run"]["duration_s"] == 0.0, "by the server's clock it has not begun"
        assert get(server.url, "runs/right")["clock_ahead_s"] is None
        assert [row["run"] for row in get(server.url, "clocks")["runs"]] == ["ahead"]

        _, shown = output_of(["show", "ahead"], capfd)
        assert "its clock runs 3 h 00 min ahead of the server's" in shown.replace("2 h 59 min", "3 h 00 min")
        assert "the order of what it logged is not affected" in shown
        assert "its clock" not in output_of(["show", "right"], capfd)[1]
        code, shown = output_of(["doctor", "--dir", str(spool)], capfd)
        assert (code, "named ahead (ahead)" in shown, "named right" in shown) == (4, True, False)
        code, shown = output_of(["doctor", "--dir", str(spool), "--json"], capfd)
        found = json.loads(shown)["server"]["odd_clocks"]
        assert [(row["run"], row["clock_ahead_s"] > 2.9 * HOUR_S) for row in found] == [("ahead", True)]

    deadline = time.monotonic() + 60
    while get(server.url, "runs/ahead")["run"]["status"] != "finished":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    curve = get(server.url, "runs/ahead/series?metrics=loss")["curves"][0]
    assert curve["steps"] == list(range(20))
    assert get(server.url, "clocks")["runs"] == [], "a run that is over is nobody's task any more"
    assert get(server.url, "runs/ahead")["clock_ahead_s"] > 2.9 * HOUR_S, "and its page still says it"


def test_late_data_of_an_offline_run_accuses_nobody(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What an offline run of five hours ago looks like when it is sent now."""
    spool = tmp_path / "spool"
    with trainer(server.url, spool, "offline", -5 * HOUR_S, mode="offline"):
        pass
    code, _ = output_of(["sync", "--dir", str(spool)], capfd)
    assert code == 0
    wait_for_points(server.url, "offline")
    detail = get(server.url, "runs/offline")
    assert (detail["clock_ahead_s"], detail["writers"][0]["clock_ahead_s"]) == (None, None)
    assert "its clock" not in output_of(["show", "offline"], capfd)[1]
