"""The status of a run follows the exit of its process, whatever was called on the way."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstream.events.control import RunFinished, WriterLost
from runstream.sender.ends import last_event
from runstream.spool.ending import Ending
from runstream.spool.format import WriterInfo

Folders = Callable[[], list[Path]]

_RUN = "import runstream as rs\nrun = rs.init(project='p')\nrun.log({'a': 1})\n"
_CALLED = "def main():\n    import runstream as rs\n    rs.init(project='p').log({{'a': 1}})\n    {body}\n"

#: What a program does, and its exit code.
PROGRAMS = {
    "returns": (_RUN, 0),
    "sys.exit without a code": (_RUN + "import sys; sys.exit()", 0),
    "sys.exit with a code": (_RUN + "import sys; sys.exit(3)", 3),
    "sys.exit with a text": (_RUN + "import sys; sys.exit('no data')", 1),
    "sys.exit with True": (_RUN + "import sys; sys.exit(True)", 1),
    "sys.exit with a float": (_RUN + "import sys; sys.exit(0.0)", 1),
    "sys.exit with what the parent sees as 0": (_RUN + "import sys; sys.exit(256)", 0),
    "sys.exit with too large a number": (_RUN + "import sys; sys.exit(2**70)", 255),
    "sys.exit with a negative number": (_RUN + "import sys; sys.exit(-1)", 255),
    "exit": (_RUN + "exit(3)", 3),
    "quit without a code": (_RUN + "quit()", 0),
    "raise SystemExit": (_RUN + "raise SystemExit(2)", 2),
    "raise SystemExit without a code": (_RUN + "raise SystemExit", 0),
    "raise SystemExit with a text": (_RUN + "raise SystemExit('text')", 1),
    "raise SystemExit of main": (_CALLED.format(body="return 2") + "raise SystemExit(main())", 2),
    "raise SystemExit of main that went well": (_CALLED.format(body="return 0") + "raise SystemExit(main())", 0),
    "sys.exit of main": ("import sys\n" + _CALLED.format(body="return 2") + "sys.exit(main())", 2),
    "sys.exit of main that went well": ("import sys\n" + _CALLED.format(body="return None") + "sys.exit(main())", 0),
    "an exit imported before": ("from sys import exit as leave\n" + _RUN + "leave(4)", 4),
    "a sys.exit of somebody else": (
        _RUN + "import sys\nbefore = sys.exit\nsys.exit = lambda code=0: before(code + 1)\nsys.exit(1)",
        2,
    ),
    "a sys.exit replaced before": (
        "import sys\nbefore = sys.exit\nsys.exit = lambda code=0: before(code + 1)\n" + _RUN + "sys.exit(1)",
        2,
    ),
    "an exit that was caught": (_RUN + "import sys\ntry: sys.exit(3)\nexcept SystemExit: pass", 0),
    "a raised exit that was caught": (_RUN + "try: raise SystemExit(3)\nexcept SystemExit: pass", 0),
    "an exit that was caught, another that was not": (
        _RUN + "import sys\ntry: sys.exit(3)\nexcept SystemExit: raise SystemExit(0)",
        0,
    ),
    "a good exit that was caught, a bad one that was not": (
        _RUN + "import sys\ntry: sys.exit(0)\nexcept SystemExit: raise SystemExit(5)",
        5,
    ),
    "an exit raised again": (_RUN + "import sys\ntry: sys.exit(6)\nexcept SystemExit: raise", 6),
    "an exit through finally": (_RUN + "import sys\ntry: sys.exit(6)\nfinally: print('tidy')", 6),
    "an exit whose code was changed": (
        _RUN + "import sys\ntry: sys.exit(3)\nexcept SystemExit as leaving:\n    leaving.code = 0\n    raise",
        0,
    ),
    "an exit whose code was looked at": (
        _RUN + "import sys\ntry: sys.exit(3)\nexcept SystemExit as leaving: print(leaving.code)",
        0,
    ),
    "an exit of a thread": (_RUN + "import sys, threading\nthreading.Thread(target=sys.exit, args=(3,)).start()", 0),
    "an error of a thread": (_RUN + "import threading\nthreading.Thread(target=lambda: 1 / 0).start()", 0),
    "an error": (_RUN + "1 / 0", 1),
    "an error before a hook of its own": (_RUN + "import sys\nsys.excepthook = lambda *error: None\n1 / 0", 1),
    "an error with a hook from before": ("import sys\nsys.excepthook = lambda *error: None\n" + _RUN + "1 / 0", 1),
    "an error that was caught": (_RUN + "try: 1 / 0\nexcept ZeroDivisionError: pass", 0),
    "an error that became an exit": (_RUN + "import sys\ntry: 1 / 0\nexcept ZeroDivisionError: sys.exit(9)", 9),
    "an error that was printed as if nobody caught it": (
        _RUN + "import sys\ntry: 1 / 0\nexcept Exception as error: sys.excepthook(type(error), error, None)",
        0,
    ),
    "a program of its own": (
        "import runpy, sys, pathlib\npathlib.Path('inner.py').write_text("
        + repr(_RUN + "raise SystemExit(3)")
        + ")\ntry: runpy.run_path('inner.py', run_name='__main__')\nexcept SystemExit: pass",
        0,
    ),
    "an argument parser": (
        _RUN + "import argparse\nargparse.ArgumentParser().parse_args(['--nonsense'])",
        2,
    ),
    "a test runner": (
        _RUN + "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.fail()\nunittest.main()",
        1,
    ),
}


def end_of(folder: Path, written: Any) -> RunFinished | WriterLost:
    """How the run of a folder ended: as the writer says, or as the sender does in its place."""
    ends = written.of_type("run_finished.v1")
    if ends:
        (end,) = ends
        return RunFinished.model_validate(end)
    end = last_event(folder, WriterInfo.read(folder), written.next_seq, 1)
    assert isinstance(end, RunFinished | WriterLost)
    return end


#: Those that are also started in other ways, which differ in their outermost frame.
_IN_EVERY_WAY = ("returns", "sys.exit with a code", "raise SystemExit of main", "an error", "an exit that was caught")


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, "a file") for name in PROGRAMS] + [(name, way) for name in _IN_EVERY_WAY for way in ("-c", "-m")],
)
def test_the_status_is_that_of_the_exit(
    name: str, way: str, tmp_path: Path, environment: dict[str, str], folders: Folders, read: Any
) -> None:
    program, code = PROGRAMS[name]
    (tmp_path / "program.py").write_text(program)
    arguments = {"a file": ["program.py"], "-c": ["-c", program], "-m": ["-m", "program"]}[way]
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == code, done.stderr
    (folder,) = folders()
    end = end_of(folder, read(folder))
    assert isinstance(end, RunFinished), end
    assert end.status == ("failed" if code else "finished")
    if code:
        assert end.message
    assert (end.traceback is not None) == ("ZeroDivisionError" in (end.message or ""))


@pytest.mark.parametrize("name", ["raise SystemExit of main", "an exit imported before", "returns"])
def test_the_lock_is_held_until_the_exit_code_is_known(
    name: str, tmp_path: Path, environment: dict[str, str], folders: Folders
) -> None:
    """A sender that finds the lock free finds the exit code as well, however long the program takes to go."""
    program = (
        "import atexit, time\natexit.register(lambda: (print('going', flush=True), input()))\n" + PROGRAMS[name][0]
    )
    (tmp_path / "program.py").write_text(program)
    child = subprocess.Popen(
        [sys.executable, "program.py"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    (folder,) = folders()
    free = subprocess.run(["flock", "--nonblock", str(folder / "lock"), "true"], check=False).returncode == 0
    ended_itself = Ending.read(folder) is None
    assert free == ended_itself
    child.communicate("\n", timeout=120)


def test_a_kill_while_the_exit_code_is_awaited_is_a_loss(
    tmp_path: Path, environment: dict[str, str], folders: Folders, read: Any
) -> None:
    program = "import atexit, os\natexit.register(os.kill, os.getpid(), 9)\n" + _RUN + "raise SystemExit(0)"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], env=environment, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    (folder,) = folders()
    assert isinstance(end_of(folder, read(folder)), WriterLost)


def test_a_prompt_ends_with_its_exit_code(environment: dict[str, str], folders: Folders, read: Any) -> None:
    lines = "import runstream as rs\nrun = rs.init(project='p')\n1 / 0\nexit(3)\n"
    done = subprocess.run(
        [sys.executable, "-i"], env=environment, input=lines, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3
    (folder,) = folders()
    end = end_of(folder, read(folder))
    assert isinstance(end, RunFinished)
    assert end.status == "failed"


def test_a_forked_child_ends_in_its_own_way(
    tmp_path: Path, environment: dict[str, str], folders: Folders, read: Any
) -> None:
    program = _RUN + (
        "import os\nif os.fork() == 0:\n    run.log({'b': 2})\n    raise SystemExit(7)\n"
        "os.wait()\nraise SystemExit(0)\n"
    )
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, "program.py"], env=environment, cwd=tmp_path, timeout=120, check=True)
    found = {}
    for folder in folders():
        end = end_of(folder, read(folder))
        assert isinstance(end, RunFinished)
        found["b" if read(folder).values("b") else "a"] = end.status
    assert found == {"a": "finished", "b": "failed"}


def test_a_raised_exit_stays_what_it_was(tmp_path: Path, environment: dict[str, str]) -> None:
    program = _RUN + (
        "import pickle, sys, traceback\n"
        "try: sys.exit(3)\n"
        "except SystemExit as error:\n"
        "    again = pickle.loads(pickle.dumps(error))\n"
        "    print(type(again) is SystemExit, again.code, repr(error), error.args, str(error), error.code)\n"
        "    print(traceback.format_exception_only(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["True 3 SystemExit(3) (3,) 3 3", "['SystemExit: 3\\n']"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff" * 100, b"[" * 5_000, b" " * 100_000),
        b'{"at_us": 1}',
        b'{"at_us": true, "end_seq": 1, "status": null}',
        b'{"at_us": -1, "end_seq": 1, "status": null}',
        b'{"at_us": 1, "end_seq": 1, "status": "odd"}',
        b'{"at_us": 1, "end_seq": 1, "status": null, "message": 3}',
        b'{"at_us": 1, "end_seq": 1, "status": null, "more": 3}',
    ],
)
def test_an_ending_that_is_none_counts_as_a_loss(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ending").write_bytes(content)
    assert Ending.read(tmp_path) is None


def test_an_ending_that_is_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ending")
    assert Ending.read(tmp_path) is None
