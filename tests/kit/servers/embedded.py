"""A real server and real trainers for fault tests, and the comparison of what was logged with what is visible."""

import asyncio
import os
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from kit import children
from kit.children.forked import ForkedChild
from kit.children.trainer import CONTROL_EVERY, step_of, values_of
from kit.stores import place_tables
from runstream_infra.ports import free_ports
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings
from runstream_processors.generations import CURRENT, Versions
from runstream_processors.store.databases import EngineDatabases

#: While somebody logs, most of a server's CPU time goes into batches: these have half a second between them, where
#: users have a fifth.
FEWER_BATCHES: Final = {"RUNSTREAM_WORKER_MIN_CYCLE_S": "0.5"}
#: A look is a query, for which the server takes 30 ms of CPU time.
_LOOK_S: Final = 0.3


class Server:
    """The server process that is alive now; `kill` and `start` again on the same directory and port."""

    def __init__(self, directory: Path, environment: dict[str, str] | None = None) -> None:
        """environment: variables beside those of this process, for the server's bounds."""
        self._directory = directory
        self._environment = children.environment({**FEWER_BATCHES, **os.environ, **(environment or {})})
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | ForkedChild | None = None
        #: Options of `kit.children.embedded_server` from the next start on.
        self.options: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_group()

    def start(self, *under: str, must_be_ready: bool = True) -> bool:
        """Start it, `under` another program if given; whether it came as far as being ready."""
        if "--version" not in self.options:  # those of another version it makes itself
            place_tables(self._directory)
        self._process = self._started(under)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().startswith("READY")
        assert ready or not must_be_ready, (self._directory / "server.log").read_text()[-3000:]
        return ready

    def _started(self, under: tuple[str, ...]) -> "subprocess.Popen[str] | ForkedChild":
        module, arguments = "children.embedded_server", (self._directory, self.port, *self.options)
        path = self._directory / "server.log"
        # What PYTHONPATH changes of a process, only a new interpreter imports.
        if not under and "RUNSTREAM_TEST_POISON" not in self._environment:
            return ForkedChild(f"kit.{module}", *arguments, environment=self._environment, errors=path)
        with path.open("a") as log:
            return subprocess.Popen(
                [*under, *children.command(module, *arguments)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=self._environment,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return (self._directory / "server.log").read_text()

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_for_death(self, timeout_s: float) -> bool:
        """Whether it died by itself within that time; if not it is killed."""
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.kill_group()
        return True

    def wait_until_dead_or(self, done: Callable[[], bool]) -> bool:
        """Whether it died by itself before `done` said yes."""
        assert self._process is not None
        while self._process.poll() is None:
            if done():
                return False
            time.sleep(0.1)
        self.kill_group()
        return True

    def kill_group(self) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def stop(self) -> None:
        """SIGTERM; it must drain and exit with 0."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(120) == 0


class Trainers:
    """Training processes that write to one spool until they are told to finish."""

    def __init__(
        self, folder: Path, url: str, count: int, *, spool: Path | None = None, burst: int = 300, first: int = 1
    ) -> None:
        """first: the seed of the first one, which is in the name of its run."""
        self.rows: dict[int, int] = {}
        self._stop = folder / "stop"
        command = children.command("children.trainer", url, spool or folder / "spool", burst)
        self._processes = {
            seed: subprocess.Popen(
                [*command, self.run_id(seed), str(self._stop), str(seed)],
                stdout=subprocess.PIPE,
                text=True,
                env=children.environment(),
            )
            for seed in range(first, first + count)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def run_id(self, seed: int) -> str:
        return f"fault-run-{seed}"

    def runs(self) -> list[str]:
        return [self.run_id(seed) for seed in self._processes]

    def request_end(self) -> None:
        """Tell them to log no more; `finish` waits for them."""
        self._stop.touch()

    def finish(self) -> None:
        """Let them end; how many rows each one logged is known then."""
        self.request_end()
        for seed, process in self._processes.items():
            output, _ = process.communicate(timeout=180)
            assert output.startswith("FINISHED "), output
            self.rows[seed] = int(output.split()[1])


def wait_until_visible(url: str, runs: list[str], timeout_s: float = 240) -> None:
    """Until every run is shown as finished: the event is the last that its writer sends."""
    deadline = time.monotonic() + timeout_s
    for run in runs:
        while not _is_finished(f"{url}/api/v1/runs/{run}"):
            assert time.monotonic() < deadline, f"run {run} is not finished after {timeout_s} s"
            time.sleep(_LOOK_S)


def wait_until_logged(url: str, run: str, timeout_s: float = 240) -> None:
    """Until points of a run can be seen."""
    deadline = time.monotonic() + timeout_s
    while not _shows(f"{url}/api/v1/runs/{run}/summaries", b'"metric"'):
        assert time.monotonic() < deadline, f"run {run} has no points after {timeout_s} s"
        time.sleep(_LOOK_S)


def _is_finished(url: str) -> bool:
    return _shows(url, b'"status":"finished"')


def _shows(url: str, text: bytes) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            return text in response.read()
    except urllib.error.HTTPError as error:
        if error.code in (404, 503):
            return False  # acknowledged and not folded yet; the store is away for a moment
        raise AssertionError(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from error


Rows = list[dict[str, Any]]


def stored(directory: Path, *statements: str, versions: Versions = CURRENT) -> list[Rows]:
    """What the generation that serves answers, of a stopped server that folds these versions."""

    async def ask() -> list[Rows]:
        databases = await EngineDatabases.open(directory / "store", versions=versions)
        with databases.using(None) as store:
            responses = [(await store.query(statement)).to_pylist() for statement in statements]
        await databases.close()
        return responses

    return asyncio.run(ask())


def check(directory: Path, trainers: Trainers, versions: Versions = CURRENT) -> int:
    """Compare the tables of a stopped server with what the trainers logged; returns the number of points."""
    points, parameters, quarantined = stored(
        directory,
        "SELECT run, metric, step, value FROM points",
        "SELECT run, name, value FROM attributes WHERE kind = 'parameter'",
        "SELECT part, offset, cause, detail FROM quarantine",
        versions=versions,
    )
    assert quarantined == []
    found = Counter((p["run"], p["metric"], p["step"], struct.pack("<d", p["value"])) for p in points)
    wanted = Counter(
        (trainers.run_id(seed), metric, step_of(row), struct.pack("<d", value))
        for seed, rows in trainers.rows.items()
        for row in range(rows)
        for metric, value in values_of(seed, row).items()
    )
    assert found - wanted == Counter(), "points that are doubled or were never logged"
    assert wanted - found == Counter(), "points that are lost"
    names = {
        (trainers.run_id(seed), f"at.{row}")
        for seed, rows in trainers.rows.items()
        for row in range(0, rows, CONTROL_EVERY)
    }
    assert {(p["run"], p["name"]) for p in parameters} == names
    return sum(found.values())


def rebuild_is_equal(directory: Path, versions: Versions = CURRENT) -> None:
    result = asyncio.run(rebuild_and_compare(ServerSettings(data_dir=directory), versions=versions))
    assert result.equal, [table for table in result.tables if not table.equal]
