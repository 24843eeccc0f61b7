"""`runstream cluster up`: the cluster form on one machine, as processes of their own. For trying and for tests."""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from runstream.connections import FAILURES, fetch
from runstream.private import make_tight
from runstream_infra.cluster.front import Front
from runstream_infra.cluster.state import ClusterState, ProcessState
from runstream_infra.kafka import KafkaCluster, KafkaMissing, KafkaStartFailed
from runstream_infra.limits import Limits
from runstream_infra.listening import StartFailed, listen, stop_on_signals
from runstream_infra.ports import free_ports
from runstream_infra.settings import AccessSettings
from runstream_service.logs import configure_logging
from runstream_service.proxies import TRUSTED_VARIABLE
from runstream_service.sealing import KEY_FILE

logger = logging.getLogger(__name__)

SUPERVISOR: Final = "supervisor"
#: How long a process may take from its start to answering: on a busy machine the imports alone take seconds.
_READY_S: Final = 180.0
_LOOK_EVERY_S: Final = 0.2
#: The pause before a process that died is started again, and the longest one if it dies again and again: each time
#: before it has lived for so long.
_RESTART_S: Final = 0.5
_RESTART_MOST_S: Final = 10.0
_LIVED_S: Final = 10.0
_STOP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """What to start. `clickhouse_url`: a server that is there already, instead of a development server."""

    data_dir: Path
    port: int = 7070
    workers: int = 2
    gateways: int = 1
    queries: int = 1
    brokers: int = 1
    partitions: int = 4
    api_keys: tuple[str, ...] = ()
    restart: bool = True
    clickhouse_url: str = ""
    access: AccessSettings = field(default_factory=AccessSettings)
    #: Of the address before all processes; they have theirs from the environment.
    limits: Limits = field(default_factory=Limits)


def spawn(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own: Ctrl-C at a terminal is for the supervisor, which ends the others in
    order."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


@dataclass(slots=True)
class Child:
    """A process that is started again when it dies."""

    role: str
    index: int
    command: list[str]
    environment: Mapping[str, str]
    address: str
    log: Path
    ready_path: str = "/readyz"
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = -1
    started_at_s: float = 0.0
    begin_again_at_s: float = 0.0
    pause_s: float = _RESTART_S / 2
    noticed: bool = field(default=False)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self.restarts += 1
        self.noticed = False
        self.started_at_s = time.monotonic()
        with self.log.open("ab") as log:
            self.process = spawn(self.command, {**os.environ, **self.environment}, log)

    def notice_death(self, now_s: float) -> None:
        """It is dead: settle when it is started again."""
        self.noticed = True
        lived = now_s - self.started_at_s >= _LIVED_S
        self.pause_s = _RESTART_S if lived else min(self.pause_s * 2, _RESTART_MOST_S)
        self.begin_again_at_s = now_s + self.pause_s

    def state(self) -> ProcessState:
        pid = self.process.pid if self.process else 0
        return ProcessState.of(self.role, self.index, pid, self.address, self.log, max(self.restarts, 0))

    def is_ready(self) -> bool:
        try:
            response, _ = fetch(self.address, self.ready_path, {}, 3.0, 1_000_000)
            return response.status == 200
        except FAILURES:
            return False

    def end(self, number: signal.Signals) -> None:
        if self.process is not None and self.alive:
            self.process.send_signal(number)

    def last_lines(self) -> str:
        return b"\n".join(self.log.read_bytes().splitlines()[-8:]).decode(errors="replace")


def run_local(cluster: LocalCluster, on_ready: Callable[[ClusterState], None]) -> int:
    """Start everything, keep it running until SIGINT or SIGTERM, then stop it in order. Blocks; main thread only.

    on_ready: called once, when every process answers. Raises StartFailed, after which nothing is left running.
    """
    configure_logging("text")
    os.umask(0o077)  # what brokers and databases make as well
    try:
        with _locked(cluster.data_dir):
            return asyncio.run(_Supervisor(cluster).run(on_ready))
    except (KafkaMissing, KafkaStartFailed, OSError, ValueError) as error:
        raise StartFailed(str(error)) from error


class _Supervisor:
    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._dir = cluster.data_dir.absolute()
        self._logs = self._dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._kafka = KafkaCluster(self._dir / "kafka", cluster.brokers)
        self._kafka_restarts = [0] * cluster.brokers
        count = cluster.workers + cluster.gateways + cluster.queries + 1
        self._ports = iter(free_ports(count))
        self._clickhouse = None if cluster.clickhouse_url else self._clickhouse_server()
        self._roles = self._all_roles()
        self._url = ""
        self._stopping = False

    async def run(self, on_ready: Callable[[ClusterState], None]) -> int:
        stop = stop_on_signals()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end_all)
            await asyncio.to_thread(self._kafka.start)
            keeping = asyncio.create_task(self._keep_kafka(stop))
            stack.push_async_callback(asyncio.wait, (keeping,))
            stack.callback(stop.set)
            if self._clickhouse is not None:
                self._clickhouse.start()
                await self._until_ready(self._clickhouse, stop)
            for child in self._roles:
                child.start()
            runner = self._front().runner(self._cluster.limits)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            self._url = await listen(runner, "127.0.0.1", self._cluster.port)
            self._write()
            for child in self._roles:
                await self._until_ready(child, stop)
            if not stop.is_set():
                self._write()
                on_ready(self._state())
            while not stop.is_set():
                self._look()
                await _wait(stop, _LOOK_EVERY_S)
            logger.info("stopping the cluster")
        ClusterState.path(self._dir).unlink(missing_ok=True)
        return 0

    def _look(self) -> None:
        """Start again what died."""
        changed = False
        now_s = time.monotonic()
        for child in self._children():
            if child.process is None or child.alive:
                continue
            if not child.noticed:
                logger.warning("%s %d ended with %s", child.role, child.index, child.process.returncode)
                child.notice_death(now_s)
                changed = True
            if self._cluster.restart and now_s >= child.begin_again_at_s:
                child.start()
                changed = True
        if changed:
            self._write()

    async def _keep_kafka(self, stop: asyncio.Event) -> None:
        """Start again the brokers that died. A task of its own: until a broker answers it takes seconds, in which what
        else died must not stay dead."""
        while not stop.is_set():
            for number, node in enumerate(self._kafka.nodes):
                if not node.alive and self._cluster.restart and not stop.is_set():
                    logger.warning("Kafka node %d ended; starting it again", number)
                    self._kafka_restarts[number] += 1
                    await asyncio.to_thread(self._start_node, number)
                    self._write()
            await _wait(stop, _LOOK_EVERY_S)

    def _start_node(self, number: int) -> None:
        try:
            self._kafka.start_node(number)
        except KafkaStartFailed as error:
            logger.error("Kafka node %d does not come back: %s", number, error)

    async def _until_ready(self, child: Child, stop: asyncio.Event) -> None:
        deadline_s = time.monotonic() + _READY_S
        while not stop.is_set() and not await asyncio.to_thread(child.is_ready):
            if not child.alive and not self._cluster.restart:
                raise StartFailed(f"{child.role} {child.index} ended while it started:\n{child.last_lines()}")
            if time.monotonic() > deadline_s:
                raise StartFailed(f"{child.role} {child.index} is not ready in {_READY_S:.0f} s:\n{child.last_lines()}")
            self._look()
            await _wait(stop, _LOOK_EVERY_S)

    async def _end_all(self) -> None:
        """First who takes in, then who folds and answers, then the engines."""
        by_role = {role: [child for child in self._roles if child.role == role] for role in _ROLES}
        for children in (*by_role.values(), [self._clickhouse] if self._clickhouse else []):
            for child in children:
                child.end(signal.SIGTERM)
            await asyncio.gather(*(asyncio.to_thread(_ended, child) for child in children))
        await asyncio.to_thread(self._kafka.stop)

    def _children(self) -> list[Child]:
        return [*([self._clickhouse] if self._clickhouse else []), *self._roles]

    def _front(self) -> Front:
        addresses = {role: [child.address for child in self._roles if child.role == role] for role in _ROLES}
        return Front(addresses["gateway"], addresses["query-server"], self._cluster.access.trusted_proxies)

    def _state(self) -> ClusterState:
        own = ProcessState.of(SUPERVISOR, 0, os.getpid(), self._url, self._logs)
        nodes = [
            ProcessState.of("kafka", number, node.pid or 0, node.address, node.log_path, self._kafka_restarts[number])
            for number, node in enumerate(self._kafka.nodes)
        ]
        return ClusterState(url=self._url, processes=(own, *nodes, *(child.state() for child in self._children())))

    def _write(self) -> None:
        self._state().write(self._dir)

    def _clickhouse_server(self) -> Child:
        port = next(self._ports)
        return Child(
            role="clickhouse",
            index=0,
            command=[
                *(sys.executable, "-m", "runstream_infra.dev_clickhouse"),
                *("--data-dir", str(self._dir / "clickhouse"), "--port", str(port)),
            ],
            environment={},
            address=f"http://127.0.0.1:{port}",
            log=self._logs / "clickhouse-0.log",
            ready_path="/ping",
        )

    def _all_roles(self) -> list[Child]:
        counts = {
            "gateway": self._cluster.gateways,
            "worker": self._cluster.workers,
            "query-server": self._cluster.queries,
        }
        return [self._role(role, index) for role in _ROLES for index in range(counts[role])]

    def _role(self, role: str, index: int) -> Child:
        port = next(self._ports)
        return Child(
            role=role,
            index=index,
            command=[sys.executable, "-m", "runstream_infra.cli", role, "--port", str(port)],
            environment=self._environment(),
            address=f"http://127.0.0.1:{port}",
            log=self._logs / f"{role}-{index}.log",
        )

    def _environment(self) -> dict[str, str]:
        cluster = self._cluster
        given = {
            "RUNSTREAM_KAFKA_BOOTSTRAP": self._kafka.bootstrap,
            "RUNSTREAM_KAFKA_PARTITIONS": str(cluster.partitions),
            "RUNSTREAM_KAFKA_REPLICATION": str(min(cluster.brokers, 3)),
            "RUNSTREAM_CLICKHOUSE_URL": self._clickhouse.address if self._clickhouse else cluster.clickhouse_url,
            "RUNSTREAM_ASSETS": str(self._dir / "assets"),
            "RUNSTREAM_SECRETS_FILE": str(self._dir / KEY_FILE),
            # Of this cluster alone: what another one's workers died of says nothing about this log.
            "RUNSTREAM_WORKER_STATE_DIR": str(self._dir / "workers"),
            # The front is one; what it was told to trust, stands behind it.
            TRUSTED_VARIABLE: ",".join(["127.0.0.1", *map(str, cluster.access.trusted_proxies.networks)]),
        }
        return given | ({"RUNSTREAM_API_KEYS": ",".join(cluster.api_keys)} if cluster.api_keys else {})


#: In the order in which they are stopped.
_ROLES: Final = ("gateway", "worker", "query-server")


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One supervisor a directory, and nothing that an earlier one left running. Raises StartFailed."""
    make_tight(data_dir)
    with (data_dir / "cluster.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartFailed(
                f"a cluster runs in {data_dir} already: see `runstream cluster status --data-dir {data_dir}`"
            ) from None
        state = ClusterState.read(data_dir)
        if state is not None and state.living:
            left = ", ".join(f"{process.role} {process.index} (pid {process.pid})" for process in state.living)
            raise StartFailed(
                f"the supervisor of {data_dir} died and left {left}: "
                f"`runstream cluster stop --data-dir {data_dir}` ends them"
            )
        yield


def _ended(child: Child) -> None:
    if child.process is not None:
        try:
            child.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            logger.warning("%s %d did not end within %.0f s: killing it", child.role, child.index, _STOP_S)
            child.process.kill()
            child.process.wait()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
