"""SIGTERM, in programs of their own: the run ends as killed, and the program still ends by the signal."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import runstream as rs
from runstream.client import sigterm

Read = Callable[[Path], Any]

_BEGIN = """
import os, signal, sys, threading, time
import runstream as rs
def begin(**options):
    run = rs.init(project="p", **options)
    run.log({"a": 1})
    return run
def ready():
    print("ready", flush=True)
"""


class Program:
    """A program that runs until a test ends it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout: IO[str] = process.stdout
        self.stderr: IO[str] = process.stderr
        assert self.stdout.readline() == "ready\n"

    def end(self) -> int:
        """SIGTERM it and return how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Program]]:
    started: list[subprocess.Popen[str]] = []

    def start(code: str, **variables: str) -> Program:
        process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN + code],
            cwd=tmp_path,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Program(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _ends(folder: Path, read: Read) -> list[tuple[str, str | None]]:
    return [(end["status"], end.get("message")) for end in read(folder).of_type("run_finished.v1")]


_KILLED = ("killed", "ended by SIGTERM")


def test_a_program_that_waits(start: Any, folders: Any, read: Read) -> None:
    program = start("run = begin()\nready()\ntime.sleep(60)\n")
    assert program.end() == -signal.SIGTERM
    assert _ends(folders()[0], read) == [_KILLED]


@pytest.mark.parametrize("after_lines", [1, 700])
def test_a_program_that_logs_all_the_time(after_lines: int, start: Any, folders: Any, read: Read) -> None:
    program = start(
        "run = begin()\nready()\n"
        "i = 0\n"
        "while True:\n"
        "    run.log({'i': i, 'x': 0.5} if i % 7 else {f'm{i}': 1.0, 'i': i}, step=i)\n"
        "    i += 1\n"
        "    print(i, flush=True)\n"
    )
    for _ in range(after_lines):
        program.stdout.readline()
    assert program.end() == -signal.SIGTERM
    lines = program.stdout.read().split("\n")[:-1]
    returned = int(lines[-1]) if lines else after_lines
    found = read(folders()[0])
    assert _ends(folders()[0], read) == [_KILLED]
    assert found.values("i")[:returned] == list(range(returned))
    assert found.seqs == list(range(found.next_seq))
    assert found.events[-1][1]["type"] == "run_finished.v1"


def test_several_runs_and_threads_that_log(start: Any, folders: Any, read: Read) -> None:
    program = start(
        "runs = [begin(), begin(capture_console=True)]\n"
        "def busy(run):\n"
        "    while True: run.log({'b': 1}); run.log_params({'p': 1}); time.sleep(0.001)\n"
        "for run in runs: threading.Thread(target=busy, args=(run,), daemon=True).start()\n"
        "ready()\n"
        "while True: rs.log({'c': 1})\n"
    )
    time.sleep(0.1)
    assert program.end() == -signal.SIGTERM
    assert [_ends(folder, read) for folder in folders()] == [[_KILLED], [_KILLED]]
    assert "is finished" not in program.stderr.read()
    printed = read(folders()[1]).of_type("output_appended.v1")
    assert [event["text"] for event in printed if event["stream"] == "stdout"] == ["ready\n"]


@pytest.mark.parametrize("before", [True, False])
def test_a_handler_of_the_program_decides(before: bool, start: Any, folders: Any, read: Read) -> None:
    """Ours is not installed over it, and does nothing where a later one calls the one that it found."""
    own = (
        "found = signal.getsignal(signal.SIGTERM)\n"
        "def handle(number, frame):\n"
        "    global stop; stop = True\n"
        "    if callable(found): found(number, frame)\n"
        "signal.signal(signal.SIGTERM, handle)\n"
    )
    begin = "stop = False\nrun = begin()\n"
    program = start(
        (own + begin if before else begin + own) + "ready()\n"
        "while not stop: time.sleep(0.01)\n"
        "run.log({'after': 1})\nrun.finish('failed', message='asked to stop')\n"
        "print(signal.getsignal(signal.SIGTERM) is handle)\n"
    )
    assert program.end() == 0
    assert program.stdout.read() == "True\n"
    assert read(folders()[0]).values("after") == [1]
    assert _ends(folders()[0], read) == [("failed", "asked to stop")]


def test_a_signal_that_is_ignored_stays_so(start: Any, folders: Any, read: Read) -> None:
    program = start(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nrun = begin()\nready()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nrun.finish()\n"
        "print(signal.getsignal(signal.SIGTERM) == signal.SIG_IGN)\n"
    )
    assert program.process.wait(120) == 0
    assert program.stdout.read() == "True\n"
    assert _ends(folders()[0], read) == [("finished", None)]


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("run = begin()\n", {"RUNSTREAM_HANDLE_SIGTERM": "0"}),
        ("run = begin(handle_sigterm=False)\n", {}),
        ("thread = threading.Thread(target=begin); thread.start(); thread.join()\n", {}),
        ("run = begin(mode='disabled')\n", {}),
    ],
    ids=["turned off by the environment", "turned off by init", "begun in a thread", "disabled"],
)
def test_where_it_is_left_alone(code: str, variables: dict[str, str], start: Any, tmp_path: Path, read: Read) -> None:
    program = start(
        code + "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\nready()\ntime.sleep(60)\n", **variables
    )
    assert program.end() == -signal.SIGTERM
    for folder in (tmp_path / "spool").glob("writers/*"):
        assert _ends(folder, read) == []


def test_a_process_that_cannot_end_its_run_ends_all_the_same(start: Any, folders: Any, read: Read) -> None:
    """A thread that holds the writer's lock for ever stands for whatever hangs: a disk, a lock of somebody's."""
    program = start(
        "run = begin()\n"
        "def hold():\n"
        "    run._writer._lock.acquire()\n"
        "    ready()\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=hold, daemon=True).start()\n"
        "time.sleep(60)\n"
    )
    assert program.end() == -signal.SIGTERM
    assert read(folders()[0]).values("a") == [1]


def test_children_that_were_forked(start: Any, folders: Any, read: Read) -> None:
    """One that writes to the run ends its part as killed; one that does not is as it was before."""
    program = start(
        "run = begin()\n"
        "def child(use):\n"
        "    reading, writing = os.pipe()\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        if use: run.log({'child': 1})\n"
        "        elif signal.getsignal(signal.SIGTERM) != signal.SIG_DFL: os._exit(9)\n"
        "        os.write(writing, b'x')\n"
        "        time.sleep(60)\n"
        "    os.read(reading, 1)\n"
        "    os.kill(pid, signal.SIGTERM)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "codes = [child(True), child(False)]\n"
        "run.finish()\nready()\nprint(codes)\n"
    )
    assert program.stdout.read() == "[-15, -15]\n"
    assert program.process.wait(120) == 0
    ends = {bool(read(folder).values("child")): _ends(folder, read) for folder in folders()}
    assert ends == {True: [_KILLED], False: [("finished", None)]}


def test_it_is_given_back_with_the_last_run(tmp_path: Path) -> None:
    options: dict[str, Any] = {"mode": "offline", "dir": tmp_path / "spool", "capture_code": False}
    before = signal.getsignal(signal.SIGTERM)
    first, second = rs.init(**options), rs.init(**options)
    during = signal.getsignal(signal.SIGTERM)
    first.finish()
    assert signal.getsignal(signal.SIGTERM) is during
    second.finish()
    assert signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL
    assert during is not before


def test_not_in_the_first_process_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would not end it by the signal that is raised again."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert not sigterm.take(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_not_outside_the_main_thread() -> None:
    took: list[bool] = []
    thread = threading.Thread(target=lambda: took.append(sigterm.take(lambda: None)))
    thread.start()
    thread.join()
    assert took == [False]
