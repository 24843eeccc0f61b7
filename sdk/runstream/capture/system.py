"""Metrics of the machine and of this process, as `system/...`. Called by one thread; slow look-ups are fine here."""

import contextlib
from typing import Any

from runstream.capture.gpus import find_gpus
from runstream.events.names import SYSTEM_METRICS


class SystemSampler:
    """Takes samples. The first one of rates (CPU) covers the time since this was made. Never raises."""

    def __init__(self, prefix: str = SYSTEM_METRICS) -> None:
        import psutil

        self._prefix = prefix
        self._psutil = psutil
        self._process = psutil.Process()
        self._gpus = find_gpus()
        # psutil counts from the last call on.
        psutil.cpu_percent(None)
        self._process.cpu_percent(None)

    def sample(self) -> dict[str, float]:
        """Metric name to number; what this machine cannot tell is left out."""
        values: dict[str, float] = {}
        with contextlib.suppress(Exception):
            values["cpu_percent"] = self._psutil.cpu_percent(None)
            memory = self._psutil.virtual_memory()
            values["memory_used_bytes"] = memory.total - memory.available
            values["memory_percent"] = memory.percent
        with contextlib.suppress(Exception), self._process.oneshot():
            values["process/cpu_percent"] = self._process.cpu_percent(None)
            values["process/memory_bytes"] = self._process.memory_info().rss
            values["process/threads"] = self._process.num_threads()
        with contextlib.suppress(Exception):
            disk = self._psutil.disk_io_counters()
            if disk is not None:
                values["disk_read_bytes"] = disk.read_bytes
                values["disk_written_bytes"] = disk.write_bytes
        with contextlib.suppress(Exception):
            network = self._psutil.net_io_counters()
            values["network_received_bytes"] = network.bytes_recv
            values["network_sent_bytes"] = network.bytes_sent
        for index, gpu in enumerate(self._gpus.devices):
            with contextlib.suppress(Exception):
                values |= {f"gpu{index}/{name}": value for name, value in gpu.sample(self._process.pid).items()}
        return {self._prefix + name: float(value) for name, value in values.items()}

    def gpus(self) -> dict[str, Any]:
        """Facts about the GPUs, for the environment; empty where there are none."""
        facts: dict[str, Any] = {}
        for index, gpu in enumerate(self._gpus.devices):
            with contextlib.suppress(Exception):
                facts[f"gpu{index}"] = gpu.facts()
        if facts and self._gpus.driver:
            facts["driver"] = self._gpus.driver
        return facts

    def notes(self) -> list[str]:
        """Why GPUs of a maker are not seen, one line each."""
        return list(self._gpus.notes)
