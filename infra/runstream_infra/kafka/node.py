"""One node of a local Kafka: broker and controller in one process."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

#: A controlled shutdown moves leaders away and closes the log: about a second.
_STOP_S: Final = 20.0

#: What suits one machine. The broker's session is short so that a broker that was killed loses its partitions after 3 s
#: instead of 9; groups may have sessions as short as workers want them.
_PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
}
_INTERNAL_TOPICS: Final = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")


@dataclass
class KafkaNode:
    """One process. `directory` holds its configuration, its data and `broker.log`."""

    node_id: int
    port: int
    controller_port: int
    directory: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    #: Where in `broker.log` the lines of that process begin.
    _log_offset: int = field(default=0, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the process that was started last; None before the first start."""
        return None if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def config_path(self) -> Path:
        return self.directory / "server.properties"

    @property
    def log_path(self) -> Path:
        return self.directory / "broker.log"

    @property
    def _pid_path(self) -> Path:
        return self.directory / "broker.pid"

    def write_config(self, voters: str, brokers: int, extra: Mapping[str, str]) -> None:
        """Write the properties file. `voters` names every node's controller, `extra` overrides what stands here."""
        self.directory.mkdir(parents=True, exist_ok=True)
        replicas = min(3, brokers)
        properties = {
            **_PROPERTIES,
            "node.id": str(self.node_id),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.directory / "data"),
        }
        for topic in _INTERNAL_TOPICS:
            properties[f"{topic}.replication.factor"] = str(replicas)
            if topic != "offsets.topic":  # it has no such setting
                properties[f"{topic}.min.isr"] = str(max(1, replicas - 1))
        properties.update(extra)
        self.config_path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def format_command(self, java: Path, libs: Path, cluster_id: str) -> list[str]:
        """What prepares the data directory, once."""
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.config_path)]
        return [str(java), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", *tool]

    def spawn(self, java: Path, libs: Path, heap_mb: int) -> None:
        """Start the process; it answers some seconds later. It leads a session of its own, so that Ctrl-C at a terminal
        does not reach it before who uses it has ended."""
        command = [str(java), f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
        command += ["-cp", f"{libs}/*", "kafka.Kafka", str(self.config_path)]
        with self.log_path.open("ab") as log:
            self._log_offset = log.tell()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._pid_path.write_text(str(self.process.pid))

    def end_leftover(self) -> None:
        """SIGKILL the node's process of an earlier owner that died without stopping it. The caller holds the directory,
        so nobody owns such a process; one that was given the number since is told by its command line."""
        try:
            process = psutil.Process(int(self._pid_path.read_text()))
            if str(self.config_path) in process.cmdline():
                process.kill()
                # A zombie holds no port and no file, and is its new parent's to bury.
                while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.02)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. Its data and ports stay for another start."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: a controlled shutdown; SIGKILL if that takes longer than 20 s."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP, and wait until the process stands still. Its connections stay open."""
        self._signal(signal.SIGSTOP)
        if self.process is not None:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def last_lines(self, count: int = 8) -> str:
        """What the log says about the last start, if that failed: its last errors and their causes, else its end."""
        try:
            lines = self.log_path.read_bytes()[self._log_offset :].decode(errors="replace").splitlines()
        except FileNotFoundError:
            return "(it wrote nothing)"
        errors = [line for line in lines if " ERROR " in line or line.startswith("Caused by: ")]
        return "\n".join((errors or lines)[-count:])

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        if self.process is None:
            return
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
