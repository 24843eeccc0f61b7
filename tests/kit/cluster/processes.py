"""`runstream cluster up` as a child process, and hands to kill, pause and count what runs in it."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from kit import children
from kit.children.forked import ForkedChild
from runstream_infra.cluster.state import ClusterState, ProcessState, stop_cluster
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_processors.store.settings import StoreSettings

CLI = [sys.executable, "-m", "runstream_infra.cli"]
#: A worker that says nothing for so long loses its partitions: the shortest that a busy test machine bears.
SESSION_S = 3
#: Most looks ask several processes.
_LOOK_S: Final = 0.2


class Cluster:
    """A cluster in a directory of its own, from entering to leaving. Blocks until all of it is ready."""

    def __init__(
        self, directory: Path, *options: str, environment: Mapping[str, str] | None = None, forked: bool = False
    ) -> None:
        """forked: whether its processes are forked (`kit.children.cluster_up`) and not started as users start them."""
        self.directory = directory
        self._options = options
        self._forked = forked
        self.environment = {
            **os.environ,
            "RUNSTREAM_WORKER_SESSION_S": str(SESSION_S),
            **(environment or {}),
        }
        self._supervisor: subprocess.Popen[str] | ForkedChild | None = None
        self._extra: list[subprocess.Popen[bytes]] = []
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the supervisor and wait until it says that everything answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._supervisor = self._started("--port", "0", "--json", "--data-dir", str(self.directory), *self._options)
        assert self._supervisor.stdout is not None
        output = ""
        for line in self._supervisor.stdout:
            output += line
            if line.startswith("}"):
                break
        assert output.strip().endswith("}"), f"it did not start: {self.error_path.read_text()[-3000:]}"
        self.url = json.loads(output)["url"]

    def _started(self, *arguments: str) -> "subprocess.Popen[str] | ForkedChild":
        if self._forked:
            environment = children.environment(self.environment)
            return ForkedChild("kit.children.cluster_up", *arguments, environment=environment, errors=self.error_path)
        with self.error_path.open("a") as errors:
            command = [*CLI, "cluster", "up", *arguments]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment)

    def close(self) -> None:
        """End the supervisor and whatever else still runs, also after it was killed."""
        for child in self._extra:
            end(child)
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(120)
        state = ClusterState.read(self.directory)
        if state is not None and state.living:
            for process in state.living:
                _signal(process.pid, signal.SIGCONT)
            stop_cluster(state, self.directory)
        if self._supervisor is not None:
            self._supervisor.wait(120)
            assert self._supervisor.stdout is not None
            self._supervisor.stdout.close()

    @property
    def error_path(self) -> Path:
        """What the supervisor logs."""
        return self.directory.with_name(self.directory.name + ".supervisor.log")

    @property
    def supervisor_pid(self) -> int:
        assert self._supervisor is not None
        return self._supervisor.pid

    def kill_supervisor(self) -> None:
        """SIGKILL the supervisor alone; what it started goes on."""
        assert self._supervisor is not None
        self._supervisor.send_signal(signal.SIGKILL)
        self._supervisor.wait(120)

    def processes(self, role: str) -> list[ProcessState]:
        """What the cluster's own account says of the processes of a role, in their order."""
        state = ClusterState.read(self.directory)
        assert state is not None, f"no cluster runs in {self.directory}"
        return [process for process in state.processes if process.role == role]

    def send(self, role: str, index: int, number: signal.Signals = signal.SIGKILL) -> ProcessState:
        """Send a signal to a process that lives (waiting for it to be started again, if it has just died)."""
        process: ProcessState = wait_for(lambda: self._living(role, index), 200, f"{role} {index} to live")
        os.kill(process.pid, number)
        return process

    def _living(self, role: str, index: int) -> ProcessState | None:
        process = self.processes(role)[index]
        return process if process.alive else None

    def wait_until_ready(self, timeout_s: float = 200) -> None:
        """Until every gateway, worker and query server says that it is ready, and every other process lives."""
        for role in ("clickhouse", "kafka", "gateway", "worker", "query-server"):
            for index in range(len(self.processes(role))):
                wait_for(lambda role=role, index=index: self._is_ready(role, index), timeout_s, f"{role} {index}")  # type: ignore[misc]

    def _is_ready(self, role: str, index: int) -> bool:
        process = self.processes(role)[index]
        if not process.alive:
            return False
        return role in ("kafka", "clickhouse") or status_of(f"{process.address}/readyz") == 200

    def start_worker(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """A worker beside those of the supervisor, which does not know of it."""
        log = self.directory / "logs" / "extra-workers.log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(command) or [*CLI, "worker"],
                env=self.role_environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._extra.append(child)
        return child

    def role_environment(self) -> dict[str, str]:
        """What a process of this cluster takes from its environment."""
        url = next(iter(process.address for process in self.processes("clickhouse")), "")
        return self.environment | {
            "RUNSTREAM_KAFKA_BOOTSTRAP": ",".join(process.address for process in self.processes("kafka")),
            "RUNSTREAM_KAFKA_REPLICATION": str(min(3, len(self.processes("kafka")))),
            "RUNSTREAM_CLICKHOUSE_URL": url or self.environment["RUNSTREAM_CLICKHOUSE_URL"],
            "RUNSTREAM_ASSETS": str(self.directory / "assets"),
        }

    def kafka_settings(self) -> KafkaSettings:
        return KafkaSettings.from_environment(self.role_environment())

    def store_settings(self, **changed: str) -> StoreSettings:
        return StoreSettings.from_environment(self.role_environment(), **changed)

    def figure(self, role: str, name: str) -> list[float]:
        """A figure of each process of a role, by what its /metrics says; processes that do not answer are left out."""
        keys = [after for option, after in itertools.pairwise(self._options) if option == "--api-key"]
        headers = {"Authorization": f"Bearer {keys[0]}"} if keys else {}
        found = []
        for process in self.processes(role):
            try:
                requested = urllib.request.Request(f"{process.address}/metrics", headers=headers)
                with urllib.request.urlopen(requested, timeout=5) as response:
                    lines = response.read().decode().splitlines()
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{process.role} does not tell its metrics: {error.code}") from error
            except OSError:
                continue
            found += [float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return found


class DyingWorkers:
    """Workers beside the supervisor's, each of which dies at a step of its loop (kit.children.cluster_worker)."""

    def __init__(self, cluster: Cluster) -> None:
        self._log = cluster.directory / "logs" / "dying-workers.log"
        self._parent = subprocess.Popen(
            children.command("children.cluster_worker", self._log),
            env=children.environment(cluster.role_environment() | {"RUNSTREAM_WORKER_MIN_CYCLE_S": "0.2"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pids: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.living:
            _signal(pid, signal.SIGKILL)
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(120)
        self._parent.stdout.close()

    def start(self, step: str, visit: int) -> None:
        """One that dies when it comes to the step for this time."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(visit, step, file=self._parent.stdin, flush=True)
        self._pids[int(self._parent.stdout.readline())] = step

    @property
    def living(self) -> list[int]:
        return [pid for pid in self._pids if Path(f"/proc/{pid}").exists()]

    @property
    def died_at(self) -> list[str]:
        """The steps at which workers died, in that order. Fails for one that ended in another way."""
        living = self.living
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        died = {int(line.split()[0]): line.split(" ", 2)[2] for line in lines if " DIED " in line}
        others = self._pids.keys() - died.keys() - set(living)
        assert not others, f"workers {others} ended by themselves: {lines[-20:]}"
        return list(died.values())


def wait_for(look: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true result of `look`; fails after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(_LOOK_S)
    return found


def wait_while_moving(look: Callable[[], Any], progress: Callable[[], object], what: str, still_s: float = 120) -> Any:
    """The first true result of `look`; fails when `progress` has given the same result for `still_s`."""
    last, deadline_s, look_again_s = progress(), time.monotonic() + still_s, time.monotonic() + 5
    while not (found := look()):
        if time.monotonic() > look_again_s:
            now, look_again_s = progress(), time.monotonic() + 5
            if now != last:
                last, deadline_s = now, time.monotonic() + still_s
        assert time.monotonic() < deadline_s, f"waited in vain for {what}: for {still_s:g} s nothing moved on {last}"
        time.sleep(_LOOK_S)
    return found


def status_of(url: str, timeout_s: float = 5.0) -> int:
    """The status of a response; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def end(child: "subprocess.Popen[Any]", number: signal.Signals = signal.SIGTERM, timeout_s: float = 60) -> int:
    """Send a signal to a child, wait for its end, and return how it ended; SIGKILL if it does not."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
