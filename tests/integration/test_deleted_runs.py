"""A deleted run swallows nothing: what is written to it is kept, its writers are told, and `restore` brings it back."""

import contextlib
import json
import logging
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.children.forked import run_forked
from kit.servers.embedded import Server
from kit.waiting import WAIT_S, wait_until
from runstream.api import API
from runstream.deletion import is_marked_deleted
from runstream.errors import RunDeleted
from runstream.sender.lock import SpoolLock
from runstream.sender.process import Sender
from runstream_infra.cli import app

QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0, "project": "gone"}
WAY_BACK = "`runstream restore {}`"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("gone")) as server:
        yield server.url


def points(url: str, run_id: str) -> list[tuple[int, float]]:
    [curve] = API(url).series(run_id, "loss")
    return list(zip(curve.steps, curve.values, strict=True))


def command(*arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = run_forked("runstream_infra.cli", *arguments)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def test_init_refuses_a_deleted_run(url: str, tmp_path: Path) -> None:
    assert rs.init(run_id="plain", url=url, dir=tmp_path / "spool", **QUIET).finish(timeout_s=WAIT_S)
    api = API(url)
    api.archive("plain")
    api.delete("plain")
    with pytest.raises(RunDeleted, match=r"run plain was deleted.*`runstream restore plain`.*another run_id"):
        rs.init(run_id="plain", url=url, dir=tmp_path / "spool", **QUIET)
    assert list((tmp_path / "spool" / "writers").iterdir()) == [], "nothing was started"
    api.restore("plain")
    again = rs.init(run_id="plain", url=url, dir=tmp_path / "spool", **QUIET)
    again.log({"loss": 1.0}, step=3)
    assert again.finish(timeout_s=WAIT_S)
    assert points(url, "plain") == [(3, 1.0)]


def test_init_never_waits_long_to_hear_whether_a_run_was_deleted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        began_s = time.monotonic()
        host, port = silent.getsockname()
        run = rs.init(run_id="unheard", url=f"http://{host}:{port}", dir=tmp_path / "spool", **QUIET)
        assert time.monotonic() - began_s < WAIT_S
        run.log({"loss": 1.0})
        run.finish(timeout_s=0)
        assert run.spool_folder is not None
        assert run.spool_folder.exists()


def test_a_run_that_is_deleted_while_it_is_written_loses_nothing(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    run = rs.init(run_id="living", url=url, dir=spool, **QUIET)
    api = API(url)
    run.log({"loss": 8.0}, step=0)
    wait_until(lambda: "living" in [one.run for one in api.runs()] and points(url, "living") == [(0, 8.0)])
    api.delete("living")
    run.log({"loss": 4.0}, step=1)
    wait_until(lambda: len(points(url, "living")) == 2)

    shown = command("show", "living", "--url", url).stdout
    line = " ".join(shown.split())
    assert re.search(r"it was deleted .*its writers went on until .*`runstream restore living`", line)
    found = command("doctor", "--url", url, "--dir", str(spool), "--json", code=4)
    assert json.loads(found.stdout)["server"]["deleted_runs"] == ["living"]
    assert any("living" in one and WAY_BACK.format("living") in one for one in json.loads(found.stdout)["problems"])

    with caplog.at_level(logging.WARNING, "runstream"):
        assert run.finish(timeout_s=WAIT_S), "what a deleted run logs is acknowledged"
    assert [record for record in caplog.records if "run living was deleted" in record.getMessage()]
    assert (
        "living"
        in json.loads(command("doctor", "--url", url, "--dir", str(spool), "--json", code=4).stdout)["server"][
            "deleted_runs"
        ]
    ), "also of a run that has ended"
    assert "living" not in [one.run for one in api.runs()]
    api.restore("living")
    assert "living" in [one.run for one in api.runs()]
    again = rs.init(run_id="living", url=url, dir=spool, **QUIET)
    again.log({"loss": 2.0}, step=2)
    assert again.finish(timeout_s=WAIT_S)
    assert points(url, "living") == [(0, 8.0), (1, 4.0), (2, 2.0)]
    [summary] = api.summaries("living", "loss")
    assert (summary.count, summary.last, summary.mean) == (3, 2.0, 14 / 3)


def test_sync_says_that_a_run_was_deleted(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert rs.init(run_id="left", url=url, dir=tmp_path / "first", **QUIET).finish(timeout_s=WAIT_S)
    api = API(url)
    offline = rs.init(run_id="left", url=url, dir=tmp_path / "spool", mode="offline", **QUIET)
    offline.log({"loss": 0.5}, step=7)
    offline.finish()
    api.delete("left")
    assert app.run(["doctor", "--url", url, "--dir", str(tmp_path / "spool"), "--json"]) == 4
    assert "left" in json.loads(capfd.readouterr().out)["server"]["deleted_runs"]
    assert app.run(["sync", "--url", url, "--dir", str(tmp_path / "spool")]) == 0
    written = capfd.readouterr()
    assert "is acknowledged" in written.out
    assert "run left was deleted" in written.err
    assert WAY_BACK.format("left") in written.err
    assert "left" not in [one.run for one in api.runs()]
    api.restore("left")
    assert "left" in [one.run for one in api.runs()]
    assert points(url, "left") == [(7, 0.5)]


def test_the_sender_tells_a_living_writer(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = tmp_path / "spool"
    run = rs.init(run_id="told", url=url, dir=spool, mode="offline", **QUIET)
    api = API(url)
    with _sending(spool), caplog.at_level(logging.WARNING, "runstream"):
        folder = run.spool_folder
        assert folder is not None
        wait_until(lambda: "told" in [one.run for one in api.runs()])
        assert not is_marked_deleted(folder)
        api.delete("told")
        wait_until(lambda: is_marked_deleted(folder))
        wait_until(lambda: any("run told was deleted" in record.getMessage() for record in caplog.records))
        api.restore("told")
        wait_until(lambda: not is_marked_deleted(folder))
    run.finish()


@contextlib.contextmanager
def _sending(spool: Path) -> Iterator[None]:
    """A sender in this process that asks for deleted runs all the time."""
    lock = SpoolLock(spool)
    assert lock.take()
    sender = Sender(spool, include_offline=True, look_s=0.05)
    thread = threading.Thread(target=sender.run, args=(lock, float("inf")))
    thread.start()
    try:
        yield
    finally:
        sender.request_stop()
        thread.join()
