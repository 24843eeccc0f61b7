"""What the build of an environment starts ends with it, and with its supervisor."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit.agent_leases import GRANTED, KeptLeases, supervisor_of
from kit.waiting import wait_until
from runstream.agent import environments
from runstream.agent.environments import Abandoned, BuildFailed, _Pip
from runstream.agent.execution import MARK
from runstream.agent.keeping import Keeper
from runstream.agent.limits import RunLimits
from runstream.agent.preparing import Preparation, Prepared
from runstream.agent.processes import kill_marked
from runstream.panels.supervisor import marked

#: Forks twice and leaves its session, as a daemon does, and tells its pid by a file.
DAEMON = """
import os, sys, time
print("building", flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("aside", "w") as file:
            file.write(str(os.getpid()))
        os.rename("aside", "daemon.pid")
        time.sleep(600)
    os._exit(0)
while not os.path.exists("daemon.pid"):
    time.sleep(0.01)
"""


def pip_of(folder: Path, *, build_s: float = 60.0, goes_on: bool = True, **limits: Any) -> _Pip:
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    return _Pip(folder, environ, RunLimits(**limits), time.monotonic() + build_s, lambda: goes_on)


def program(folder: Path, text: str) -> list[str]:
    (folder / "program.py").write_text(text)
    return [sys.executable, "-I", "-c", f"exec(open({str(folder / 'program.py')!r}).read())", "-m", "pip", "install"]


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_daemon_of_a_build_ends_with_it(tmp_path: Path) -> None:
    pip_of(tmp_path).run(program(tmp_path, DAEMON), tmp_path)
    assert not lives(int((tmp_path / "daemon.pid").read_text()))


def test_a_build_that_fails_shows_the_end_of_what_it_printed(tmp_path: Path) -> None:
    text = "print('x' * 10_000)\nprint('the reason')\nraise SystemExit(3)"
    with pytest.raises(BuildFailed, match="pip install ended with exit code 3") as raised:
        pip_of(tmp_path).run(program(tmp_path, text), tmp_path)
    assert str(raised.value).endswith("the reason\n")
    assert len(str(raised.value)) < 5_000


def test_a_build_has_the_limits_of_a_run(tmp_path: Path) -> None:
    sleep = program(tmp_path, "import time\ntime.sleep(600)")
    with pytest.raises(BuildFailed, match="was not built in time"):
        pip_of(tmp_path, build_s=0.0).run(sleep, tmp_path)
    with pytest.raises(Abandoned):
        pip_of(tmp_path, goes_on=False).run(sleep, tmp_path)
    many = program(tmp_path, "import os, time\nfor _ in range(5):\n    os.fork() or time.sleep(600)\ntime.sleep(600)")
    with pytest.raises(BuildFailed, match="more than 2048 MiB of memory and 3 processes"):
        pip_of(tmp_path, processes=3).run(many, tmp_path)
    assert marked(f"{MARK}={tmp_path}".encode()) == []


def test_a_build_ends_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = program(tmp_path, DAEMON + "\ntime.sleep(600)")
    building = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import time\nfrom pathlib import Path\nfrom runstream.agent.environments import _Pip\n"
        "from runstream.agent.limits import RunLimits\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "pip = _Pip(folder, {}, RunLimits(), time.monotonic() + 600, lambda: True)\n"
        f"pip.run({command!r}, folder)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", building])
    try:
        wait_until((tmp_path / "daemon.pid").exists)
        assert lives(int((tmp_path / "daemon.pid").read_text()))
    finally:
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    wait_until(lambda: not marked(f"{MARK}={tmp_path}".encode()))
    assert not lives(int((tmp_path / "daemon.pid").read_text()))


def test_a_supervisor_ends_what_an_earlier_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = supervisor_of(tmp_path, KeptLeases())
    environ = {**os.environ, MARK: str(first._folder.path)}
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environ)
    found: list[int | None] = []

    def prepare(_: Preparation) -> Prepared:
        found.append(left.wait(30))
        raise environments.BuildFailed("it does not matter")

    monkeypatch.setattr(Preparation, "prepare", prepare)
    wait_until(lambda: left.pid in marked(first._marker))
    first.run()
    assert found == [-signal.SIGKILL]


def test_a_mark_is_one_whole_variable(tmp_path: Path) -> None:
    environ = {**os.environ, MARK: f"{tmp_path}/RUN-10"}
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environ)
    try:
        wait_until(lambda: marked(f"{MARK}={tmp_path}/RUN-10".encode()) == [other.pid])
        assert kill_marked(f"{MARK}={tmp_path}/RUN-1".encode())
        assert marked(f"{MARK[1:]}={tmp_path}/RUN-10".encode()) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_nothing_is_renewed_behind_a_stop() -> None:
    leases = KeptLeases()
    with Keeper(leases, GRANTED, 0.001) as keeper:
        wait_until(lambda: len(leases.requests) > 2)
        keeper.stop()
        count = len(leases.requests)
        time.sleep(0.05)
        assert len(leases.requests) == count
