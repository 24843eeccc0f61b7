"""The GPUs of this machine, through the libraries of their makers: NVML (`nvidia-ml-py`) and AMD SMI (`amdsmi`, which
comes with ROCm). Neither is needed: without a library, a driver or a permission there are no GPUs, and why is told.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_MILLIWATTS_PER_WATT = 1000
#: AMD SMI gives degrees or, in older versions, thousandths of them. No GPU is as hot as this.
_IMPOSSIBLE_C = 1000


class Gpu(Protocol):
    """One GPU. What it cannot tell is left out; both methods may raise when it is lost."""

    def facts(self) -> dict[str, Any]:
        """Return what does not change: its name and memory."""

    def sample(self, pid: int) -> dict[str, float]:
        """Return what it does now, and what the process `pid` has of it as far as the driver knows that id."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs that were found, in the order of their makers' numbers.

    driver: versions by maker's library. notes: why a maker's GPUs are not seen, one line each.
    """

    devices: Sequence[Gpu]
    driver: str
    notes: Sequence[str]


def find_gpus() -> Gpus:
    """Open the libraries that are here. Never raises."""
    devices: list[Gpu] = []
    drivers: list[str] = []
    notes: list[str] = []
    for maker, opened in (("NVIDIA", _nvidia), ("AMD", _amd)):
        try:
            found, driver = opened()
        except ImportError as error:
            notes.append(f"{maker}: {error.name or 'its library'} is not installed")
        except Exception as error:  # no driver, no permission, an older library
            notes.append(f"{maker}: {str(error) or type(error).__name__}")
        else:
            devices += found
            drivers += [driver] if found and driver else []
            if not found:
                notes.append(f"{maker}: the driver shows none")
    return Gpus(devices, ", ".join(drivers), notes)


def _nvidia() -> tuple[Sequence[Gpu], str]:
    import pynvml

    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    driver = ""
    with contextlib.suppress(Exception):
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
    return [_Nvidia(pynvml, handle) for handle in handles], driver


def _amd() -> tuple[Sequence[Gpu], str]:
    import amdsmi

    amdsmi.amdsmi_init()
    handles = list(amdsmi.amdsmi_get_processor_handles())
    driver = ""
    with contextlib.suppress(Exception):
        driver = str(amdsmi.amdsmi_get_gpu_driver_info(handles[0])["driver_version"])
    return [_Amd(amdsmi, handle) for handle in handles], driver


class _Nvidia:
    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def facts(self) -> dict[str, Any]:
        nvml, gpu = self._nvml, self._handle
        return _values(
            name=lambda: _text(nvml.nvmlDeviceGetName(gpu)),
            memory_bytes=lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
        )

    def sample(self, pid: int) -> dict[str, float]:
        nvml, gpu = self._nvml, self._handle
        return _values(
            utilization_percent=lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
            memory_activity_percent=lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).memory,
            memory_used_bytes=lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
            memory_percent=lambda: _percent(nvml.nvmlDeviceGetMemoryInfo(gpu)),
            temperature_c=lambda: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
            power_w=lambda: nvml.nvmlDeviceGetPowerUsage(gpu) / _MILLIWATTS_PER_WATT,
            power_limit_w=lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / _MILLIWATTS_PER_WATT,
            sm_clock_mhz=lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
            memory_clock_mhz=lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
            process_memory_bytes=lambda: self._memory_of(pid),
        )

    def _memory_of(self, pid: int) -> float | None:
        for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle):
            if process.pid == pid:
                return process.usedGpuMemory  # type: ignore[no-any-return]
        return None


class _Amd:
    def __init__(self, smi: Any, handle: Any) -> None:
        self._smi = smi
        self._handle = handle

    def facts(self) -> dict[str, Any]:
        return _values(
            name=lambda: str(self._smi.amdsmi_get_gpu_asic_info(self._handle)["market_name"]),
            memory_bytes=self._memory_total,
        )

    def sample(self, pid: int) -> dict[str, float]:
        smi, gpu = self._smi, self._handle
        return _values(
            utilization_percent=lambda: smi.amdsmi_get_gpu_activity(gpu)["gfx_activity"],
            memory_activity_percent=lambda: smi.amdsmi_get_gpu_activity(gpu)["umc_activity"],
            memory_used_bytes=self._memory_used,
            memory_percent=lambda: 100 * self._memory_used() / self._memory_total(),
            temperature_c=self._temperature_c,
            power_w=lambda: _first_number(
                smi.amdsmi_get_power_info(gpu), "current_socket_power", "average_socket_power"
            ),
            sm_clock_mhz=lambda: _first_number(smi.amdsmi_get_clock_info(gpu, smi.AmdSmiClkType.GFX), "clk", "cur_clk"),
            memory_clock_mhz=lambda: _first_number(
                smi.amdsmi_get_clock_info(gpu, smi.AmdSmiClkType.MEM), "clk", "cur_clk"
            ),
            process_memory_bytes=lambda: self._memory_of(pid),
        )

    def _memory_used(self) -> Any:
        return self._smi.amdsmi_get_gpu_memory_usage(self._handle, self._smi.AmdSmiMemoryType.VRAM)

    def _memory_total(self) -> Any:
        return self._smi.amdsmi_get_gpu_memory_total(self._handle, self._smi.AmdSmiMemoryType.VRAM)

    def _temperature_c(self) -> float | None:
        """Of the edge; the large ones only have the hottest place."""
        kinds, current = self._smi.AmdSmiTemperatureType, self._smi.AmdSmiTemperatureMetric.CURRENT
        for kind in (kinds.EDGE, kinds.HOTSPOT):
            with contextlib.suppress(Exception):
                degrees = float(self._smi.amdsmi_get_temp_metric(self._handle, kind, current))
                return degrees / 1000 if degrees >= _IMPOSSIBLE_C else degrees
        return None

    def _memory_of(self, pid: int) -> float | None:
        for process in self._smi.amdsmi_get_gpu_process_list(self._handle):
            if process["pid"] == pid:
                return process["memory_usage"]["vram_mem"]  # type: ignore[no-any-return]
        return None


def _values(**reads: Callable[[], Any]) -> dict[str, Any]:
    """What could be found out: a number is left out where it raises, is None, or is a text such as `N/A`."""
    found: dict[str, Any] = {}
    for name, read in reads.items():
        with contextlib.suppress(Exception):
            value = read()
            if isinstance(value, int | float) or (name == "name" and value):
                found[name] = value
    return found


def _percent(memory: Any) -> float:
    return 100 * memory.used / memory.total  # type: ignore[no-any-return]


def _first_number(values: Any, *names: str) -> float | None:
    return next((values[name] for name in names if isinstance(values.get(name), int | float)), None)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
