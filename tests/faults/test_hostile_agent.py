"""Code that means no good to the agent that runs it: processes that hide or multiply, floods, memory, results that are
none. No server is needed: this is the process, and what watches over it."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from kit.waiting import wait_until
from runstream.agent import harness
from runstream.agent.ending import end_of
from runstream.agent.execution import Execution, Output, Stream
from runstream.agent.folder import End
from runstream.agent.limits import RunLimits

LIMITS: Final = RunLimits(memory_mb=256, processes=40, open_files=64, file_mb=1, output_chars=200_000)
TIMEOUT_S: Final = 60.0
PREAMBLE: Final = """
import json, os, signal, subprocess, sys, time
def spawn(code, **options):
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.DEVNULL, **options)
    print("pid", child.pid, flush=True)
SLEEP = "import time; time.sleep(600)"
"""


class Ran:
    """What came of code that was executed."""

    def __init__(self, folder: Path, body: str, *, timeout_s: float = TIMEOUT_S, cancel_s: float | None = None) -> None:
        code = folder / "code"
        code.mkdir()
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        (code / "train.py").write_text(f"{PREAMBLE}\ndef train(training_data, parameters, context):\n{lines}\n")
        job = {
            "code": str(code),
            "main": "train.py",
            "data": None,
            "parameters": {},
            "context": {},
            "limits": {
                "RLIMIT_DATA": LIMITS.memory_mb << 20,
                "RLIMIT_FSIZE": LIMITS.file_mb << 20,
                "RLIMIT_NOFILE": LIMITS.open_files,
                "RLIMIT_CORE": 0,
            },
            "result": str(folder / "result.json"),
        }
        (folder / "job.json").write_text(json.dumps(job))
        self._printed: list[tuple[Stream, str]] = []
        cancelled = threading.Event()
        if cancel_s is not None:
            threading.Timer(cancel_s, cancelled.set).start()
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        output = Output(lambda stream, text: self._printed.append((stream, text)), LIMITS.output_chars)
        execution = Execution(folder, environ, LIMITS, output)
        command = [sys.executable, harness.__file__, str(folder / "job.json")]
        self.ended = execution.run(command, code, timeout_s, cancelled.is_set)
        self.end: End = end_of(self.ended, folder, timeout_s, LIMITS)

    def output(self, stream: Stream = "stdout") -> str:
        return "".join(text for one, text in self._printed if one == stream)

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.output().splitlines() if line.startswith("pid ")]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


LEAVERS: Final = {
    "setsid": "spawn(SLEEP, start_new_session=True)",
    "double fork": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("pid", os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
""",
    "without the environment": "spawn(SLEEP, start_new_session=True, env={})",
    "many": "[spawn(SLEEP, start_new_session=True) for _ in range(10)]",
    "deaf": """
spawn("import signal, time\\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\\ntime.sleep(600)")
""",
    "and kills who watches": """
spawn(SLEEP, start_new_session=True)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(600)
""",
    "and stops who watches": """
spawn(SLEEP, start_new_session=True)
os.kill(os.getppid(), signal.SIGSTOP)
""",
    "and kills itself": """
spawn(SLEEP, start_new_session=True)
os.kill(os.getpid(), signal.SIGKILL)
""",
}


@pytest.mark.parametrize("how", sorted(LEAVERS))
def test_nothing_that_came_of_a_run_outlives_it(tmp_path: Path, how: str) -> None:
    ran = Ran(tmp_path, LEAVERS[how], timeout_s=5.0 if how.endswith("who watches") else TIMEOUT_S)
    assert ran.pids, ran.output("stderr")
    for pid in ran.pids:
        wait_until(lambda pid=pid: not lives(pid))  # type: ignore[misc]
    assert ran.end.status == ("failed" if how.startswith("and ") else "finished"), ran.end


def test_code_that_does_not_end_is_ended(tmp_path: Path) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nspawn(SLEEP, start_new_session=True)\ntime.sleep(600)"
    ran = Ran(tmp_path, body, timeout_s=1.5)
    assert (ran.ended.why, "stopped after 1.5 s" in ran.end.message) == ("timeout", True)
    assert not any(map(lives, ran.pids))


def test_a_cancelled_run_is_killed(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "spawn(SLEEP)\ntime.sleep(600)", cancel_s=1.0)
    assert ran.end == End("killed", "cancelled")
    assert not any(map(lives, ran.pids))


def test_a_flood_is_cut_off_and_the_run_goes_on(tmp_path: Path) -> None:
    body = """
line = "x" * 999 + "\\n"
for _ in range(20_000):
    sys.stdout.write(line)
sys.stdout.flush()
return {"metrics": {"done": 1}}
"""
    ran = Ran(tmp_path, body)
    assert (ran.end.status, ran.end.metrics) == ("finished", {"done": 1})
    assert len(ran.output()) == LIMITS.output_chars
    assert "longer than an agent keeps" in ran.output("stderr")


def test_bytes_that_are_no_text_are_no_trouble(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 'os.write(1, bytes(range(256)) * 100)\nos.write(2, b"\\xff\\xfe\\xe2\\x98")')
    assert ran.end.status == "finished"
    assert ran.output("stderr").count("\ufffd") >= 3


def test_a_run_that_closes_its_output_goes_on(tmp_path: Path) -> None:
    body = 'sys.stdout.close()\nos.close(1)\nos.close(2)\ntime.sleep(0.5)\nreturn {"metrics": {"a": 1}}'
    assert Ran(tmp_path, body).end.metrics == {"a": 1}


MEMORY: Final = {
    "alone": "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * (1 << 24))",
    "with others": """
for _ in range(8):
    spawn("import time\\nkept = bytearray(b'x') * (60 << 20)\\ntime.sleep(600)")
time.sleep(600)
""",
}


@pytest.mark.parametrize("how", sorted(MEMORY))
def test_a_run_takes_no_more_memory_than_it_may(tmp_path: Path, how: str) -> None:
    ran = Ran(tmp_path, MEMORY[how])
    assert ran.end.status == "failed"
    assert "may take 256 MiB of memory" in ran.end.message
    assert not any(map(lives, ran.pids))


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    body = """
kept = bytearray(b"x") * (100 << 20)
workers = []
for _ in range(6):
    pid = os.fork()
    if pid == 0:
        time.sleep(1.0)
        os._exit(0)
    workers.append(pid)
return {"metrics": {"ended": sum(os.waitpid(pid, 0)[1] == 0 for pid in workers)}}
"""
    assert Ran(tmp_path, body).end.metrics == {"ended": 6}


def test_a_fork_bomb_is_stopped(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "while True:\n    if os.fork() == 0:\n        time.sleep(0.05)\n    time.sleep(0.005)")
    assert (ran.ended.why, "more than 40 processes" in ran.end.message) == ("processes", True)


def test_a_run_opens_and_writes_no_more_than_it_may(tmp_path: Path) -> None:
    body = """
found = []
try:
    kept = [open("/dev/null") for _ in range(200)]
except OSError as error:
    found.append(error.errno)
kept = None
try:
    with open("large", "wb") as file:
        file.write(b"x" * (3 << 20))
except OSError as error:
    found.append(error.errno)
return {"metadata": {"errors": found}}
"""
    assert Ran(tmp_path, body).end.metadata == {"errors": [24, 27]}


ODD_ENDS: Final = {
    "leaves by os._exit": ("os._exit(0)", "exit code 0 before train returned"),
    "leaves by sys.exit": ("sys.exit(3)", "the code called sys.exit(3)"),
    "returns a text": ('return "x"', "train returned str: return a dict"),
    "returns metrics that are none": ('return {"metrics": [1]}', "train returned list as metrics"),
    "returns too much": ('return {"metadata": {"a": "x" * 2_000_000}}', "write them to a file"),
    "returns a path that is none": ('return {"artifact": 7}', "TypeError"),
    "puts a pipe in the place of the result": (
        'os.mkfifo("../result.json")\nos._exit(0)',
        "before train returned",
    ),
    "puts a link in the place of the result": (
        'os.symlink("/etc/passwd", "../result.json")\nos._exit(0)',
        "before train returned",
    ),
    "writes a result of its own": (
        'open("../result.json", "w").write(\'{"status": "ok", "result": {"artifact": 3}}\')\nos._exit(0)',
        "cannot be read",
    ),
    "writes what is no JSON": (
        'open("../result.json", "w").write("[" * 100_000)\nos._exit(0)',
        "before train returned",
    ),
    "raises what cannot be shown": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "Odd",
    ),
}


@pytest.mark.parametrize("how", sorted(ODD_ENDS))
def test_odd_ends_are_failures_that_say_why(tmp_path: Path, how: str) -> None:
    body, words = ODD_ENDS[how]
    end = Ran(tmp_path, body).end
    assert (end.status, words in end.message) == ("failed", True), end


def test_what_train_returns_becomes_json(tmp_path: Path) -> None:
    body = """
class Scalar:
    def __float__(self): return 0.5
loop = {}
loop["loop"] = loop
metrics = {"s": Scalar(), "n": float("nan"), "i": -float("inf"), 1: True}
return {"metrics": metrics, "metadata": {"t": (1, {2}), "l": loop}}
"""
    end = Ran(tmp_path, body).end
    assert end.metrics == {"s": 0.5, "n": "nan", "i": "-inf", "1": True}
    metadata: Any = end.metadata
    assert metadata["t"] == [1, "{2}"]


def test_modules_of_the_agent_are_not_those_of_the_code(tmp_path: Path) -> None:
    body = """
try:
    import limits
except ImportError:
    return {"metadata": {"limits": None}}
"""
    assert Ran(tmp_path, body).end.metadata == {"limits": None}
