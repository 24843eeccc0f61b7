"""Metrics of the machine and of this process, as `system/...`. Called by one thread; slow look-ups are fine here."""

import contextlib
from typing import Any, Final

from runstream.events.names import SYSTEM_METRICS

_MILLIWATTS_PER_WATT: Final = 1000


class SystemSampler:
    """Takes samples. The first one of rates (CPU) covers the time since this was made. Never raises."""

    def __init__(self, prefix: str = SYSTEM_METRICS) -> None:
        import psutil

        self._prefix = prefix
        self._psutil = psutil
        self._process = psutil.Process()
        self._nvml, self._gpus = _open_gpus()
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
        for index, gpu in enumerate(self._gpus):
            self._sample_gpu(f"gpu{index}/", gpu, values)
        return {self._prefix + name: float(value) for name, value in values.items()}

    def gpus(self) -> dict[str, Any]:
        """Facts about the GPUs, for the environment; empty where there are none."""
        facts: dict[str, Any] = {}
        for index, gpu in enumerate(self._gpus):
            with contextlib.suppress(Exception):
                facts[f"gpu{index}"] = {
                    "name": _text(self._nvml.nvmlDeviceGetName(gpu)),
                    "memory_bytes": self._nvml.nvmlDeviceGetMemoryInfo(gpu).total,
                }
        if facts:
            with contextlib.suppress(Exception):
                facts["driver"] = _text(self._nvml.nvmlSystemGetDriverVersion())
        return facts

    def _sample_gpu(self, name: str, gpu: Any, values: dict[str, float]) -> None:
        nvml = self._nvml
        with contextlib.suppress(Exception):
            used = nvml.nvmlDeviceGetUtilizationRates(gpu)
            values[f"{name}utilization_percent"] = used.gpu
        with contextlib.suppress(Exception):
            memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
            values[f"{name}memory_used_bytes"] = memory.used
        with contextlib.suppress(Exception):
            values[f"{name}temperature_c"] = nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)
        with contextlib.suppress(Exception):
            values[f"{name}power_w"] = nvml.nvmlDeviceGetPowerUsage(gpu) / _MILLIWATTS_PER_WATT


def _open_gpus() -> tuple[Any, list[Any]]:
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # not installed, no driver, no permission: a machine without GPUs, as far as we can tell
        return None, []


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
