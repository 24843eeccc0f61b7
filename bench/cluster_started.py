"""A cluster that `runstream cluster up` started, for the benchmarks of it."""

import contextlib
import json
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect

from bench.ingest import fresh
from bench.processes import Child, cpu_s


class Cluster:
    """`runstream cluster up` while a block runs."""

    def __init__(self, base: Path, workers: int) -> None:
        self.data_dir = base / "data"
        command = [sys.executable, "-m", "runstream_infra.cli", "cluster", "up", "--json", "--port", "0"]
        self._process = Child(
            [*command, "--workers", str(workers), "--data-dir", str(self.data_dir)], log=base / "cluster.log"
        )
        self.url = str(self._process.response()["url"])

    def processes(self) -> list[dict[str, Any]]:
        """As `runstream cluster status --json` shows them."""
        state: dict[str, Any] = json.loads((self.data_dir / "cluster.json").read_text())
        return list(state["processes"])

    def pids(self, role: str) -> list[int]:
        return [process["pid"] for process in self.processes() if process["role"] == role]

    def cpu_s(self) -> dict[str, float]:
        """CPU so far, by role."""
        used: dict[str, float] = {}
        for process in self.processes():
            used[process["role"]] = used.get(process["role"], 0.0) + cpu_s(process["pid"])
        return used

    def clickhouse(self) -> Any:
        """A client of the server behind it."""
        [address] = [process["address"] for process in self.processes() if process["role"] == "clickhouse"]
        parts = urlsplit(address)
        return clickhouse_connect.get_client(host=parts.hostname, port=parts.port, database="runstream")

    def points(self) -> int:
        client = self.clickhouse()
        try:
            return int(client.query("SELECT count() FROM points").result_rows[0][0])
        finally:
            client.close()

    def lag_records(self) -> int:
        with urllib.request.urlopen(f"{self.url}/api/v1/server", timeout=60) as response:
            return int(json.load(response)["lag_records"])

    def end(self) -> None:
        self._process.end(signal.SIGTERM, 120.0)


@contextlib.contextmanager
def running(base: Path, workers: int) -> Iterator[Cluster]:
    found = Cluster(fresh(base), workers)
    try:
        yield found
    finally:
        found.end()
