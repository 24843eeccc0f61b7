"""How runs end, as their user sees it on a real server: what `finish` says is true, and can be read at once."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.servers.embedded import Server
from kit.waiting import WAIT_S, wait_until
from runstream.api import API
from runstream.errors import RunDeleted
from runstream.sender.lock import sender_lives

QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0, "project": "ends"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("ends")) as server:
        yield server.url


def sender_pid(spool: Path) -> int:
    return int((spool / "sender.lock").read_text())


def start_program(program: str, url: str, folder: Path) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(program)
    return subprocess.Popen(
        [sys.executable, "program.py"],
        env={**os.environ, "RUNSTREAM_URL": url, "RUNSTREAM_DIR": str(folder / "spool")},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("leave", "status"),
    [
        ("raise SystemExit(2)", "failed"),
        ("raise SystemExit(0)", "finished"),
        ("exit(3)", "failed"),
        ("import sys; sys.exit(4)", "failed"),
        ("pass", "finished"),
    ],
)
def test_the_status_is_that_of_the_exit(leave: str, status: str, url: str, tmp_path: Path) -> None:
    run_id = f"exit-{zlib.crc32(leave.encode()):x}"
    program = (
        f"import runstream as rs\nrun = rs.init(project='ends', run_id={run_id!r})\nrun.log({{'a': 1}})\n{leave}\n"
    )
    done = start_program(program, url, tmp_path / "program")
    _, errors = done.communicate(timeout=WAIT_S)
    api = API(url)

    def ended() -> bool:
        found = api.runs(filter=f'id = "{run_id}"')
        return bool(found) and found[0].status != "running"

    wait_until(ended)
    assert api.run(run_id).status == status, errors


def test_finish_means_readable(url: str, tmp_path: Path) -> None:
    api = API(url)
    for number in range(6):
        run = rs.init(run_id=f"readable-{number}", url=url, dir=tmp_path / "spool", **QUIET)
        for step in range(50):
            run.log({"loss": float(step)})
        assert run.finish(timeout_s=WAIT_S)
        assert api.runs(filter=f'id = "readable-{number}"')[0].status == "finished"
        assert api.summaries(run.run_id)[0].count == 50
        assert run.position.startswith("next:")
        assert api.runs.details(run.run_id, wait_for=run.position, wait_s=0).last_step == 49


def test_a_sender_that_dies_while_finish_waits_is_replaced(url: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    run = rs.init(run_id="replaced", url=url, dir=spool, **QUIET)
    wait_until(lambda: sender_lives(spool) and (spool / "sender.json").exists())
    first = sender_pid(spool)
    os.kill(first, signal.SIGSTOP)  # so that it sends nothing of what follows
    for step in range(1_000):
        run.log({"loss": float(step)})
    os.kill(first, signal.SIGKILL)
    assert run.finish(timeout_s=WAIT_S)
    assert API(url).summaries("replaced")[0].count == 1_000


@pytest.mark.parametrize("removed", ["the writer's folder", "the spool"])
def test_a_folder_that_is_removed_is_a_loss_that_is_told(removed: str, url: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    run_id = f"removed-{removed.split()[-1]}"
    run = rs.init(run_id=run_id, url=url, dir=spool, **QUIET)
    wait_until(lambda: sender_lives(spool))
    os.kill(sender_pid(spool), signal.SIGSTOP)
    stopped = sender_pid(spool)
    try:
        for step in range(500):
            run.log({"loss": float(step)})
        assert run.spool_folder is not None
        shutil.rmtree(spool if removed == "the spool" else run.spool_folder)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert run.finish(timeout_s=WAIT_S) is False
    found = API(url).runs(filter=f'id = "{run_id}"')[0]
    assert found.status == "finished"
    assert found.points_dropped >= 500


def test_what_goes_on_after_a_removal_is_kept(url: str, tmp_path: Path) -> None:
    run = rs.init(run_id="goes-on", url=url, dir=tmp_path / "spool", **QUIET)
    run.log({"before": 1.0})
    assert run.spool_folder is not None
    old = run.spool_folder
    shutil.rmtree(old)
    wait_until(lambda: run.spool_folder != old)
    run.log({"after": 2.0})
    assert run.finish(timeout_s=WAIT_S) is False
    assert API(url).summaries("goes-on", "after")[0].last == 2.0


def test_a_file_size_limit_is_a_loss_that_is_told(url: str, tmp_path: Path) -> None:
    """A disk that takes no more: what was lost is counted with the run, and `finish` says so."""
    program = (
        "import resource, runstream as rs\n"
        "run = rs.init(project='ends', run_id='limited', system_metrics_s=0, capture_code=False)\n"
        "import time; time.sleep(1)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({2**20}, resource.RLIM_INFINITY))\n"
        "for step in range(120_000):\n"
        "    run.log({'a': float(step), 'b': 1.0})\n"
        "print(run.finish(timeout_s=200))\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = start_program(program, url, tmp_path / "limited")
    output, errors = done.communicate(timeout=WAIT_S)
    assert output == "False\n", errors
    assert "are lost" in errors
    api = API(url)
    wait_until(lambda: api.runs(filter='id = "limited"')[0].status != "running")
    run = api.runs(filter='id = "limited"')[0]
    kept = sum(summary.count for summary in api.summaries("limited", ["a", "b"]))
    assert run.points_dropped > 0
    assert kept + run.points_dropped == 240_000
    assert run.status == "finished"


@pytest.mark.parametrize("resume", ["must", "allow"])
def test_a_deleted_run_is_not_gone_on_with(resume: Any, url: str, tmp_path: Path) -> None:
    run_id = f"deleted-{resume}"
    assert rs.init(run_id=run_id, url=url, dir=tmp_path / "spool", **QUIET).finish(timeout_s=WAIT_S)
    api = API(url)
    api.delete(run_id)
    with pytest.raises(RunDeleted, match=r"was deleted.*`runstream restore deleted-"):
        rs.init(run_id=run_id, resume=resume, url=url, dir=tmp_path / "other", **QUIET)
    api.restore(run_id)
    again = rs.init(run_id=run_id, resume=resume, url=url, dir=tmp_path / "other", **QUIET)
    again.log({"loss": 1.0})
    assert again.finish(timeout_s=WAIT_S)
    assert api.summaries(run_id, "loss")[0].count == 1


def test_a_resumed_run_goes_on_above_what_is_stored(url: str, tmp_path: Path) -> None:
    first = rs.init(run_id="resumed", url=url, dir=tmp_path / "spool", **QUIET)
    for step in range(10):
        first.log({"loss": 1.0}, step=10 * step)
    first.sample({"system/cpu": 1.0}, 5_000)
    assert first.finish(timeout_s=WAIT_S)
    again = rs.init(run_id="resumed", resume="must", url=url, dir=tmp_path / "other", **QUIET)
    again.log({"loss": 2.0})
    assert again.last_step == 91
    assert again.finish(timeout_s=WAIT_S)
    [curve] = API(url).series("resumed", "loss")
    assert list(curve.steps) == [*range(0, 100, 10), 91]
