"""Calls that come too late: they raise nothing, change nothing, and are told once."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream as rs

Read = Callable[[Path], Any]

#: Every method that a training loop can call.
_EVERYTHING = """
def everything(run):
    run.log({"late": 1}); run.log({"late": 1}, step=7); run.log({"late": "x", "new": 2})
    run.log_params({"late": 1}); run.log_other("late", 1); run.add_tags("late"); run.remove_tags("late")
    run.log_text("late", "x"); run.log_asset(b"x", name="late"); run.log_image([[0.0, 1.0]], "late.png")
    run.rename("late"); run.notes("late"); run.finish(); run.finish("failed")
"""
_BEGIN = f"""
import atexit, os, sys, threading, time
import runstream as rs
{_EVERYTHING}
run = rs.init(project="p")
run.log({{"early": 1}})
"""


def everything(run: rs.Run) -> None:
    space: dict[str, Any] = {}
    exec(_EVERYTHING, space)
    space["everything"](run)


def _nothing_came_late(folder: Path, read: Read) -> None:
    written = read(folder)
    assert written.values("early") == [1]
    assert not written.values("late")
    assert written.events[-1][1]["type"] == "run_finished.v1"
    assert written.events[-1][0] == written.next_seq - 1
    assert list((folder / "assets").iterdir()) == []


def test_after_finish(tmp_path: Path, caplog: pytest.LogCaptureFixture, read: Read) -> None:
    run = rs.init(mode="offline", dir=tmp_path, capture_code=False, capture_console=False, system_metrics_s=0)
    run.log({"early": 1})
    run.finish()
    everything(run)
    everything(run)
    assert caplog.text.count("is finished: what was logged after that is left out") == 1
    assert run.spool_folder is not None
    _nothing_came_late(run.spool_folder, read)


def test_after_the_finish_of_a_run_that_was_unpickled_and_never_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = rs.init(mode="offline", dir=tmp_path, capture_code=False, capture_console=False, system_metrics_s=0)
    other = pickle.loads(pickle.dumps(run))
    assert other.finish()
    everything(other)
    everything(other)
    assert caplog.text.count("is finished") == 1
    assert other.spool_folder is None
    assert len(list((tmp_path / "writers").iterdir())) == 1
    run.finish()


@pytest.mark.parametrize("finished_in", ["parent", "child"])
def test_in_a_forked_child(finished_in: str, run_script: Any, folders: Any, read: Read) -> None:
    done = run_script(
        _BEGIN
        + ("run.finish()\n" if finished_in == "parent" else "")
        + "if os.fork() == 0:\n"
        + "    run.finish()\n"
        + "    everything(run); everything(run)\n"
        + "    os._exit(0)\n"
        + "print(os.wait()[1])\n"
    )
    assert done.stdout == "0\n"
    assert done.stderr.count("is finished") == 1
    assert "Traceback" not in done.stderr
    (folder,) = folders()
    _nothing_came_late(folder, read)


@pytest.mark.parametrize(
    "code",
    [
        "thread = threading.Thread(target=everything, args=(run,))\n"
        "atexit._run_exitfuncs(); thread.start(); thread.join()",
        # Functions that were registered before `init` are called after the run has ended.
        "",
        # An object that the interpreter takes apart with its last modules.
        "class Late:\n"
        "    def __del__(self): everything(run)\n"
        "late = Late(); late.itself = late; sys.modules['late'] = late",
    ],
    ids=["a thread", "atexit", "__del__"],
)
def test_while_the_interpreter_exits(code: str, run_script: Any, folders: Any, read: Read) -> None:
    begin = (
        _BEGIN if code else _BEGIN.replace("run = rs.init", "atexit.register(lambda: everything(run))\nrun = rs.init")
    )
    done = run_script(begin + code)
    assert done.returncode == 0
    assert done.stderr.count("is finished") == 1, done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = folders()
    _nothing_came_late(folder, read)


def test_a_thread_that_outlives_the_main_thread_still_logs(run_script: Any, folders: Any, read: Read) -> None:
    """Threads that are no daemons are waited for before the run ends."""
    done = run_script(
        _BEGIN
        + "def late():\n"
        + "    threading.main_thread().join(); time.sleep(0.1)\n"
        + "    run.log({'thread': 1}); run.log_params({'p': 1})\n"
        + "threading.Thread(target=late).start()\n"
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    (folder,) = folders()
    written = read(folder)
    assert written.values("thread") == [1]
    assert written.events[-1][1]["status"] == "finished"


def test_a_daemon_that_logs_to_the_very_end(run_script: Any, folders: Any, read: Read) -> None:
    done = run_script(
        _BEGIN
        + "def busy():\n"
        + "    while True: run.log({'a': 1}); run.log_params({'p': 1}); run.log_text('t', 'x')\n"
        + "threading.Thread(target=busy, daemon=True).start(); time.sleep(0.05)\n"
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("is finished") <= 1
    (folder,) = folders()
    written = read(folder)
    assert written.seqs == list(range(written.next_seq))
    assert written.events[-1][1]["type"] == "run_finished.v1"
