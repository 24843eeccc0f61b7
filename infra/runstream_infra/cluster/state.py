"""What runs in a cluster's directory, for other processes to read: `runstream cluster status` and `stop`."""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict

_POLL_S: Final = 0.1
#: What the supervisor may take to end everything in order, before its processes are ended one by one.
_STOP_S: Final = 60.0


class ProcessState(BaseModel):
    """One process. `born_s` (seconds since 1970) tells it from a later one with the same pid."""

    model_config = ConfigDict(frozen=True)

    role: str
    index: int
    pid: int
    born_s: float
    address: str
    log: str
    restarts: int = 0

    @property
    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.born_s) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @classmethod
    def of(cls, role: str, index: int, pid: int, address: str, log: Path, restarts: int = 0) -> "ProcessState":
        """The state of a process that runs now."""
        try:
            born_s = psutil.Process(pid).create_time()
        except psutil.Error:
            born_s = 0.0  # it has ended already
        return cls(role=role, index=index, pid=pid, born_s=born_s, address=address, log=str(log), restarts=restarts)


class ClusterState(BaseModel):
    """`url`: the address for clients. `processes` begins with the supervisor."""

    model_config = ConfigDict(frozen=True)

    url: str
    processes: tuple[ProcessState, ...]

    @staticmethod
    def path(data_dir: Path) -> Path:
        return data_dir / "cluster.json"

    @classmethod
    def read(cls, data_dir: Path) -> "ClusterState | None":
        """None where no cluster was ever started, or where it was stopped in order."""
        try:
            return cls.model_validate_json(cls.path(data_dir).read_text())
        except FileNotFoundError:
            return None

    def write(self, data_dir: Path) -> None:
        path = self.path(data_dir)
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(self.model_dump(), indent=1) + "\n")
        fresh.replace(path)

    @property
    def living(self) -> Sequence[ProcessState]:
        return [process for process in self.processes if process.alive]


def stop_cluster(state: ClusterState, data_dir: Path, stop_s: float = _STOP_S) -> None:
    """End what lives of a cluster: its supervisor, which ends the others; else each by itself. Blocks."""
    supervisor = state.processes[0]
    if supervisor.alive:
        os.kill(supervisor.pid, signal.SIGTERM)
        _wait_for_end(state, stop_s)
    for number in (signal.SIGTERM, signal.SIGKILL):
        living = state.living
        for process in living:
            os.kill(process.pid, number)
        if living:
            _wait_for_end(state, 20.0)
    ClusterState.path(data_dir).unlink(missing_ok=True)


def _wait_for_end(state: ClusterState, seconds: float) -> None:
    deadline_s = time.monotonic() + seconds
    while state.living and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
