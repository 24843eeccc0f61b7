"""One or several nodes as one cluster."""

import asyncio
import base64
import fcntl
import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runstream_infra.kafka.libs import find_java, find_libs
from runstream_infra.kafka.node import KafkaNode
from runstream_infra.ports import free_ports

_LOOK_AGAIN_S: Final = 0.1
_FORMAT_TIMEOUT_S: Final = 180
#: A broker takes 3 s on an idle machine and a minute on one that has ten times as much to do as it can.
_START_S: Final = 180.0


class KafkaStartFailed(RuntimeError):
    """A node ended or did not answer in time. The message holds the end of its log."""


class KafkaCluster:
    """A local Kafka of `brokers` nodes (1 or 3 make sense) in `directory`, which keeps it: opened again, it goes on
    with the same ports and data.

    Every method blocks (use `asyncio.to_thread` from a coroutine) and is to be called by one thread at a time. Nodes
    are numbered from 0 here; Kafka's own ids begin at 1. A node is child of this process and ends with `stop`, not by
    itself; the next start ends those that an owner which was killed left behind.
    """

    def __init__(
        self,
        directory: Path,
        brokers: int = 1,
        *,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        client: Mapping[str, object] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Nothing happens yet. `properties` go into every node's configuration; `client` is what aiokafka's clients
        need where these ask for encryption or a password. Raises KafkaMissing, ValueError (the directory holds a
        cluster of another size)."""
        if brokers < 1:
            raise ValueError(f"a cluster needs at least 1 broker, asked for were {brokers}")
        self._java, self._libs = find_java(environ), find_libs(environ)
        self._directory = directory.absolute()
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._client = dict(client or {})
        self._lock: int | None = None
        self._cluster_id, ports = self._shape(brokers)
        self.nodes = [
            KafkaNode(number + 1, port, controller_port, self._directory / f"node-{number + 1}")
            for number, (port, controller_port) in enumerate(ports)
        ]

    @property
    def bootstrap(self) -> str:
        """Addresses of all nodes, as clients take them."""
        return ",".join(node.address for node in self.nodes)

    def start(self, timeout_s: float = _START_S) -> None:
        """Format what is new, start every node, and return when all of them answer and know each other.

        Raises KafkaStartFailed; then no node is left running."""
        self._take_directory()
        voters = ",".join(f"{node.node_id}@127.0.0.1:{node.controller_port}" for node in self.nodes)
        for node in self.nodes:
            node.write_config(voters, len(self.nodes), self._properties)
        try:
            for node in self.nodes:
                if not node.alive:
                    node.end_leftover()
            self._format(node for node in self.nodes if not (node.directory / "data" / "meta.properties").exists())
            for node in self.nodes:
                if not node.alive:
                    node.spawn(self._java, self._libs, self._heap_mb)
            self._wait(self.nodes, timeout_s)
        except BaseException:
            self.kill()
            raise

    def start_node(self, number: int, timeout_s: float = _START_S) -> None:
        """Start a node that was killed or stopped, on its ports and data, and wait until it answers and knows the
        others that live. Raises KafkaStartFailed."""
        node = self.nodes[number]
        if not node.alive:
            node.spawn(self._java, self._libs, self._heap_mb)
        self._wait([node], timeout_s)

    def kill_node(self, number: int) -> None:
        """SIGKILL one node and wait until it is gone."""
        self.nodes[number].kill()

    def stop(self) -> None:
        """End all nodes in order, at once. Their data stays."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(KafkaNode.stop, self.nodes))
        self._release_directory()

    def kill(self) -> None:
        """SIGKILL all nodes. Their data stays."""
        for node in self.nodes:
            node.kill()
        self._release_directory()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_directory(self) -> None:
        """Hold the directory until `stop` or `kill`; the system lets go of it if this process dies."""
        if self._lock is not None:
            return
        lock = os.open(self._directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise KafkaStartFailed(
                f"another process runs the Kafka in {self._directory}: stop it, or use another directory"
            ) from None
        self._lock = lock

    def _release_directory(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _shape(self, brokers: int) -> tuple[str, list[tuple[int, int]]]:
        """The cluster's id and its nodes' ports: those that the directory keeps, else new ones."""
        path = self._directory / "cluster.json"
        try:
            kept = json.loads(path.read_text())
        except FileNotFoundError:
            self._directory.mkdir(parents=True, exist_ok=True)
            numbers = free_ports(2 * brokers)
            kept = {"id": _new_cluster_id(), "ports": list(zip(numbers[::2], numbers[1::2], strict=True))}
            path.write_text(json.dumps(kept))
        if len(kept["ports"]) != brokers:
            raise ValueError(
                f"{self._directory} holds a Kafka of {len(kept['ports'])} brokers, asked for were {brokers}: use "
                "another directory, or ask for as many as it has"
            )
        return str(kept["id"]), [(int(port), int(controller_port)) for port, controller_port in kept["ports"]]

    def _format(self, nodes: Iterable[KafkaNode]) -> None:
        tools = [
            (node, subprocess.Popen(
                node.format_command(self._java, self._libs, self._cluster_id),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            ))
            for node in nodes
        ]  # fmt: skip
        for node, tool in tools:
            output, _ = tool.communicate(timeout=_FORMAT_TIMEOUT_S)
            if tool.returncode:
                raise KafkaStartFailed(f"{node.directory} cannot be formatted: {output.decode(errors='replace')[:600]}")

    def _wait(self, nodes: Iterable[KafkaNode], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        expected = {node.node_id for node in self.nodes if node.alive}
        for node in nodes:
            while not (_listens(node.port) and expected <= _brokers_known_to(node.address, self._client)):
                if not node.alive:
                    raise KafkaStartFailed(f"node {node.node_id} of Kafka ended while it started:\n{node.last_lines()}")
                if time.monotonic() > deadline:
                    raise KafkaStartFailed(
                        f"node {node.node_id} of Kafka did not answer within {timeout_s:g} s:\n{node.last_lines()}"
                    )
                time.sleep(_LOOK_AGAIN_S)


def _new_cluster_id() -> str:
    """A UUID as Kafka writes it: 22 characters of base64. A dash in front would be an option to Kafka's tools."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _brokers_known_to(address: str, client: Mapping[str, object]) -> set[int]:
    """The ids that a broker answers with; none if it does not answer. In a thread, because the caller's may have a loop
    running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _ask_for_brokers(address, client)).result()


async def _ask_for_brokers(address: str, client: Mapping[str, object]) -> set[int]:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000, **client)
    try:
        await admin.start()
        return {int(broker["node_id"]) for broker in (await admin.describe_cluster())["brokers"]}
    except (KafkaError, OSError, TimeoutError):
        return set()
    finally:
        await admin.close()
