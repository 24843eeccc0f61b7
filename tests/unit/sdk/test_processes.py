"""Runs in programs of their own: how they end, fork, spawn, and are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Read = Callable[[Path], Any]

_BEGIN = """
import os, sys
import runstream as rs
run = rs.init(project="p", name="n")
run.log({"a": 1})
"""


def _end(folder: Path, read: Read) -> dict[str, Any]:
    ends: list[dict[str, Any]] = read(folder).of_type("run_finished.v1")
    (end,) = ends
    return end


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("", "finished", None),
        ("sys.exit(0)", "finished", None),
        ("sys.exit(3)", "failed", "exit(3)"),
        ("sys.exit('no data')", "failed", "no data"),
        ("raise ValueError('boo')", "failed", "ValueError: boo"),
        ("raise KeyboardInterrupt", "killed", "KeyboardInterrupt"),
        ("import threading\nthreading.Thread(target=lambda: run.log({'a': 2})).start()", "finished", None),
    ],
)
def test_how_a_program_ends(
    code: str, status: str, message: str | None, run_script: Any, folders: Any, read: Read
) -> None:
    run_script(_BEGIN + code)
    (folder,) = folders()
    end = _end(folder, read)
    assert end["status"] == status
    assert message is None or message in end["message"]
    assert ("traceback" in end) == ("raise" in code)


def test_the_exception_is_still_printed(run_script: Any) -> None:
    done = run_script(_BEGIN + "raise ValueError('boo')")
    assert done.returncode == 1
    assert "ValueError: boo" in done.stderr


def test_a_signal_that_kills_leaves_what_was_logged(
    tmp_path: Path, environment: dict[str, str], folders: Any, read: Read
) -> None:
    """Killed at a random moment: every call that returned is there, at most one more, and nothing torn is read."""
    code = _BEGIN + (
        "i = 0\n"
        "while True:\n"
        "    run.log({'i': i, 'x': 0.5} if i % 7 else {f'm{i}': 1.0, 'i': i}, step=i)\n"
        "    i += 1\n"
        "    sys.stdout.write(f'{i}\\n'); sys.stdout.flush()\n"
    )
    (tmp_path / "program.py").write_text(code)
    for kill in range(4):
        process = subprocess.Popen(
            [sys.executable, "program.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(50 + 700 * kill):
            process.stdout.readline()
        process.kill()
        lines = process.stdout.read().split()
        process.wait()
        returned = int(lines[-1]) if lines else 50 + 700 * kill
        found = read(folders()[-1])
        assert found.values("i")[:returned] == list(range(returned))
        assert len(found.values("i")) <= returned + 1
        assert not found.of_type("run_finished.v1")


def test_an_interrupt_by_hand_marks_it_killed(
    tmp_path: Path, environment: dict[str, str], folders: Any, read: Read
) -> None:
    logging = "run.log({'a': 2})\n"
    code = _BEGIN + f"for _ in range(1000): {logging}print('ready', flush=True)\nwhile True: {logging}"
    (tmp_path / "program.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(120) != 0
    finally:
        process.kill()
        process.wait()
    found = read(folders()[0])
    assert _end(folders()[0], read)["status"] == "killed"
    assert found.seqs == list(range(found.next_seq))


def test_a_forked_child_has_a_writer_of_its_own(run_script: Any, folders: Any, read: Read) -> None:
    code = _BEGIN + (
        "import threading, time\n"
        "def busy():\n"
        "    while not stop: run.log({'thread': 1})\n"
        "stop = False\n"
        "thread = threading.Thread(target=busy); thread.start()\n"  # the fork happens in the middle of its calls
        "children = []\n"
        "for n in range(5):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        if not n: run.finish()\n"
        "        if n:\n"
        "            for i in range(100): run.log({'child': n * 1000 + i}, step=i)\n"
        "            run.log_other('from', n)\n"
        "        sys.exit(0)\n"
        "    children.append(child)\n"
        "codes = [os.waitpid(child, 0)[1] for child in children]\n"
        "stop = True; thread.join()\n"
        "run.log({'parent': 1})\n"
        "print(codes)\n"
    )
    done = run_script(code)
    assert done.stdout.strip() == "[0, 0, 0, 0, 0]", done.stderr
    found = [read(folder) for folder in folders()]
    assert len(found) == 5, "the child that did not use the run has no writer"
    assert len({one.events[0][1]["pid"] for one in found}) == 5
    assert sum(len(one.values("parent")) for one in found) == 1
    children = sorted(value for one in found for value in one.values("child"))
    assert children == [n * 1000 + i for n in range(1, 5) for i in range(100)]
    assert all(len(one.of_type("run_finished.v1")) == 1 for one in found)
    parent = next(one for one in found if one.values("parent"))
    assert not parent.values("child")
    assert parent.seqs == list(range(parent.next_seq))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing(method: str, run_script: Any, folders: Any, read: Read) -> None:
    code = (
        "import multiprocessing, os, sys\n"
        "import runstream as rs\n"
        "def work(run, n):\n"
        "    for i in range(50): run.log({'w': n * 100 + i}, step=i)\n"
        "    if n == 2: raise ValueError('worker')\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    run = rs.init(project='p', api_key='k')\n"
        "    workers = [context.Process(target=work, args=(run, n)) for n in range(3)]\n"
        "    for worker in workers: worker.start()\n"
        "    for worker in workers: worker.join()\n"
        "    run.log({'main': 1})\n"
    )
    done = run_script(code)
    found = [read(folder) for folder in folders()]
    assert len(found) == 4, done.stderr
    assert sorted(value for one in found for value in one.values("w")) == [
        n * 100 + i for n in range(3) for i in range(50)
    ]
    ends = {min(one.values("w"), default=-1): one.of_type("run_finished.v1")[0] for one in found}
    assert {first: end["status"] for first, end in ends.items()} == {
        -1: "finished",
        0: "finished",
        100: "finished",
        200: "failed",
    }
    assert ends[200]["message"] == "ValueError: worker"
    import json

    infos = [json.loads((folder / "writer.json").read_text()) for folder in folders()]
    assert len({info["run_id"] for info in infos}) == 1
    assert {info["api_key"] for info in infos} == {"k"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_run_that_begins_in_a_worker_ends_with_it(method: str, run_script: Any, folders: Any, read: Read) -> None:
    code = (
        "import multiprocessing\n"
        "import runstream as rs\n"
        "def work(rank):\n"
        "    rs.init(run_id='shared', rank=rank).log({'w': rank})\n"
        "    if rank: raise ValueError('worker')\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    workers = [context.Process(target=work, args=(rank,)) for rank in range(2)]\n"
        "    for worker in workers: worker.start()\n"
        "    for worker in workers: worker.join()\n"
    )
    done = run_script(code)
    found = [read(folder) for folder in folders()]
    ends = {one.values("w")[0]: one.of_type("run_finished.v1")[0]["status"] for one in found}
    assert ends == {0: "finished", 1: "failed"}, done.stderr


def test_a_pool_that_reads_data_for_a_loader(run_script: Any, folders: Any, read: Read) -> None:
    code = (
        "import concurrent.futures, multiprocessing\n"
        "import runstream as rs\n"
        "def load(i):\n"
        "    rs.log({'loaded': i})\n"
        "    return i\n"
        "if __name__ == '__main__':\n"
        "    run = rs.init()\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        "        print(sum(pool.map(load, range(40))))\n"
    )
    done = run_script(code)
    assert done.stdout.strip() == "780", done.stderr
    found = [read(folder) for folder in folders()]
    assert sorted(value for one in found for value in one.values("loaded")) == list(range(40))


def test_importing_is_light(run_script: Any) -> None:
    """What takes long to import waits until it is used."""
    heavy = ["pydantic", "numpy", "psutil", "lz4", "urllib.request", "subprocess", "asyncio", "runstream.settings"]
    done = run_script(f"import sys, runstream\nprint([name for name in {heavy} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_log_from_a_signal_handler_that_exits(run_script: Any, folders: Any, read: Read) -> None:
    code = _BEGIN + (
        "import signal\n"
        "def leave(*_):\n"
        "    run.log({'last': 1})\n"
        "    run.finish('killed', timeout_s=0)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGALRM, leave)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "while True: run.log({'a': 2})\n"
    )
    done = run_script(code)
    assert done.returncode == 0, done.stderr
    (folder,) = folders()
    found = read(folder)
    assert found.values("last") == [1]
    assert _end(folder, read)["status"] == "killed"
    assert found.seqs == list(range(found.next_seq))


def test_a_killed_writer_leaves_its_lock(tmp_path: Path, environment: dict[str, str], folders: Any) -> None:
    import fcntl

    code = _BEGIN + "print('ready', flush=True)\nsys.stdin.read()\n"
    (tmp_path / "program.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    with (folders()[0] / "lock").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_fork_waits_for_an_import_of_the_background(run_script: Any) -> None:
    """A child that is forked while another thread imports a module could never import it."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from importlib.machinery import SourceFileLoader\n"
        "load = SourceFileLoader.exec_module\n"
        "importing = threading.Event()\n"
        "def slow(self, module):\n"
        "    if module.__name__ == 'runstream.capture.environment':\n"
        "        importing.set()\n"
        "        time.sleep(0.3)\n"
        "    load(self, module)\n"
        "SourceFileLoader.exec_module = slow\n"
    ) + (
        _BEGIN
        + "importing.wait()\n"
        + "child = os.fork()\n"
        + "if child == 0:\n"
        + "    signal.alarm(120)\n"
        + "    import runstream.capture.environment\n"
        + "    run.log({'a': 2})\n"
        + "    os._exit(0)\n"
        + "print(os.waitpid(child, 0)[1])\n"
    )
    done = run_script(code)
    assert done.stdout.strip() == "0", done.stderr


def test_a_child_that_is_terminated_while_it_begins_ends(run_script: Any) -> None:
    """The signal comes when the child has our handler still, which it gives back a moment later."""
    done = run_script(
        "import os, signal, time\n"
        "import runstream as rs\n"
        "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "run = rs.init(project='p')\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    time.sleep(600)\n"
        "print(os.waitpid(child, 0)[1], signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, set()))\n"
    )
    assert done.stdout.split() == ["15", "False"]


def test_children_that_their_pool_kills_do_not_end_the_run(run_script: Any, folders: Any, read: Read) -> None:
    """As joblib ends the workers of its multiprocessing backend, and `Pool.__exit__` its own."""
    run_script(
        _BEGIN + "import math, multiprocessing, signal, time\n"
        "from joblib import Parallel, delayed\n"
        "assert Parallel(n_jobs=2, backend='multiprocessing')(delayed(math.sqrt)(n) for n in (1, 4)) == [1, 2]\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert pool.map(math.sqrt, [9]) == [3]\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    time.sleep(600)\n"
        "os.kill(child, signal.SIGTERM)\n"
        "assert os.waitpid(child, 0)[1] == signal.SIGTERM\n"
        "run.log({'a': 2})\n"
    )
    (folder,) = folders()
    assert _end(folder, read)["status"] == "finished"
    assert read(folder).values("a") == [1.0, 2.0]
