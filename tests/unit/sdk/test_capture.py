"""What a run captures by itself."""

import io
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.capture import environment, system
from runstream.capture.console import ConsoleCapture
from runstream.capture.lines import LineCollapser
from runstream.client.background import Background
from runstream.clock import SYSTEM_CLOCK
from runstream.events.limits import MAX_OUTPUT_CHARS


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        (["a\nb\n"], "a\nb\n", ""),
        (["a", "b", "\n"], "ab\n", ""),
        (["a\r\nb\r", "\n"], "a\nb\n", ""),
        (["10%\r20%\r", "100%\n", "done\n"], "100%\ndone\n", ""),
        (["10%\r", "20%\r"], "", "20%"),
        (["\r10%", "\r20%"], "", "20%"),
        (["no end"], "", "no end"),
        (["\n\n"], "\n\n", ""),
    ],
)
def test_lines_that_are_drawn_again_collapse(pieces: list[str], lines: str, rest: str) -> None:
    collapser = LineCollapser()
    assert "".join(collapser.feed(piece) for piece in pieces) == lines
    assert collapser.rest() == rest
    assert collapser.rest() == ""


def test_a_line_without_an_end_is_handed_over() -> None:
    collapser = LineCollapser()
    text = "".join(collapser.feed("x" * 1000) for _ in range(100)) + collapser.rest()
    assert text == "x" * 100_000


@pytest.fixture
def take_streams(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Puts streams of ours in the place of stdout and stderr; called in the test, after pytest has put its own."""

    def take() -> Any:
        made = [io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", made[0])
        monkeypatch.setattr(sys, "stderr", made[1])
        return made

    return take


def test_printing_is_copied_and_goes_on(take_streams: Any) -> None:
    streams = take_streams()
    seen: list[tuple[str, str]] = []
    capture = ConsoleCapture(lambda name, text: seen.append((name, text)))
    held = sys.stdout
    capture.install()
    assert sys.stdout is held
    print("one", 1)
    print("two", file=sys.stderr)
    sys.stdout.writelines(["three\n", "fo"])
    capture.flush()
    assert seen == [("stdout", "one 1\n"), ("stderr", "two\n"), ("stdout", "three\n")]
    capture.remove()
    print("ur")
    capture.flush(last=True)
    assert seen[3:] == [("stdout", "fo")]
    assert streams[0].buffer.getvalue() == b"one 1\nthree\nfour\n"
    assert "write" not in vars(streams[0])


def test_somebody_elses_wrapper_stays(take_streams: Any) -> None:
    streams = take_streams()
    seen: list[str] = []
    capture = ConsoleCapture(lambda _, text: seen.append(text))
    capture.install()
    ours = sys.stdout.write
    theirs: list[str] = []

    def write(text: str) -> int:
        theirs.append(text)
        return ours(text)

    sys.stdout.write = write  # type: ignore[method-assign]
    capture.remove()
    print("x")
    capture.flush(last=True)
    assert (theirs, seen) == (["x", "\n"], [])
    assert streams[0].buffer.getvalue() == b"x\n"


def test_a_stream_that_fails_fails_as_before(take_streams: Any) -> None:
    streams = take_streams()
    capture = ConsoleCapture(lambda *_: None)
    capture.install()
    streams[0].close()
    with pytest.raises(ValueError, match="closed"):
        print("x")
    capture.remove()


def test_streams_that_cannot_be_extended_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace())
    capture = ConsoleCapture(lambda *_: None)
    capture.install()
    capture.remove()


def test_a_flood_is_bounded_and_says_so(take_streams: Any) -> None:
    take_streams()
    seen: list[tuple[str, str]] = []
    capture = ConsoleCapture(lambda name, text: seen.append((name, text)))
    capture.install()
    for _ in range(60):
        sys.stdout.write("y" * 99_999 + "\n")
    capture.remove()
    capture.flush(last=True)
    kept = "".join(text for name, text in seen if name == "stdout")
    assert len(kept) == 4_000_000
    assert max(len(text) for _, text in seen) <= MAX_OUTPUT_CHARS
    assert "left out 2000000 characters" in seen[-1][1]


def test_the_command_line_without_secrets() -> None:
    argv = [
        "train.py",
        "--lr",
        "1",
        "--api-key",
        "s1",
        "--token=s2",
        "-p",
        "x",
        "--password",
        "--other",
        "DB_SECRET=s3",
    ]
    shown = environment.redacted(argv)
    assert shown == [
        "train.py",
        "--lr",
        "1",
        "--api-key",
        "(hidden)",
        "--token=(hidden)",
        "-p",
        "x",
        "--password",
        "--other",
        "DB_SECRET=(hidden)",
    ]


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://user:token@host/x.git", "https://host/x.git"),
        ("https://host:8443/x.git", "https://host:8443/x.git"),
        ("git@host:x.git", "git@host:x.git"),
    ],
)
def test_remotes_without_credentials(remote: str, shown: str) -> None:
    assert environment.without_credentials(remote) == shown


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    (path / "train.py").write_text("lr = 1\n")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "first"],
        ["remote", "add", "origin", "https://user:token@host/x.git"],
    ):
        subprocess.run(["git", *command], cwd=path, check=True)
    return path


def test_git(repository: Path) -> None:
    git = environment.git_in(repository)
    clean = environment.git_facts(git)
    assert clean is not None
    assert len(clean["commit"]) == 40
    assert (clean["branch"], clean["dirty"], clean["remote"]) == ("main", False, "https://host/x.git")
    (repository / "train.py").write_text("lr = 2\n")
    facts = environment.git_facts(git)
    assert facts is not None
    assert facts["dirty"] is True
    diff, cut = environment.git_diff(git)
    assert b"-lr = 1\n+lr = 2\n" in diff
    assert not cut


def test_a_huge_difference_is_cut(repository: Path) -> None:
    (repository / "train.py").write_text("x = 1\n" * 500_000)
    diff, cut = environment.git_diff(environment.git_in(repository))
    assert (len(diff), cut) == (environment.MAX_DIFF_BYTES, True)


def test_no_repository_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.git_facts(environment.git_in(tmp_path / "nowhere")) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_facts(environment.git_in(tmp_path)) is None


def test_sections_are_plain_json_and_survive_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = dict(environment.environment_sections())
    assert list(sections) == ["command", "python", "host", "packages"]
    assert sections["packages"]["pytest"]
    assert sections["python"]["version"].startswith("3.")
    assert sections["host"]["memory_bytes"] > 0

    def broken() -> dict[str, Any]:
        raise RuntimeError

    monkeypatch.setattr(environment, "host", broken)
    assert "host" not in dict(environment.environment_sections())


def test_what_is_not_wanted_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(name: str) -> dict[str, Any]:
        looked.append(name)
        return {}

    for name in ("packages", "host"):
        monkeypatch.setattr(environment, name, partial(look, name))
    assert list(dict(environment.environment_sections(with_code=False))) == ["python", "host"]
    assert looked == ["host"]


class _FakeGpus(types.ModuleType):
    """As much of pynvml as is used; the second GPU cannot tell its power, and knows nothing of processes."""

    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2

    def nvmlInit(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, gpu: int) -> bytes:
        return f"GPU {gpu}".encode()

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570"

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> Any:
        return types.SimpleNamespace(gpu=50 + gpu, memory=30 + gpu)

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> Any:
        return types.SimpleNamespace(used=1000 + gpu, total=5000)

    def nvmlDeviceGetTemperature(self, gpu: int, _: int) -> int:
        return 40 + gpu

    def nvmlDeviceGetPowerUsage(self, gpu: int) -> int:
        if gpu:
            raise RuntimeError("not supported")
        return 70_500

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: int) -> int:
        return 400_000

    def nvmlDeviceGetClockInfo(self, gpu: int, of: int) -> int:
        return 1000 * of + gpu

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: int) -> list[Any]:
        own = [] if gpu else [types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=900)]
        return [types.SimpleNamespace(pid=1, usedGpuMemory=None), *own]


class _FakeAmd(types.ModuleType):
    """As much of amdsmi as is used."""

    AmdSmiClkType = types.SimpleNamespace(GFX="gfx", MEM="mem")
    AmdSmiMemoryType = types.SimpleNamespace(VRAM="vram")
    AmdSmiTemperatureType = types.SimpleNamespace(EDGE="edge", HOTSPOT="hotspot")
    AmdSmiTemperatureMetric = types.SimpleNamespace(CURRENT="current")

    def amdsmi_init(self) -> None: ...
    def amdsmi_get_processor_handles(self) -> list[str]:
        return ["a"]

    def amdsmi_get_gpu_driver_info(self, _: str) -> dict[str, str]:
        return {"driver_version": "6.8"}

    def amdsmi_get_gpu_asic_info(self, _: str) -> dict[str, str]:
        return {"market_name": "MI300X"}

    def amdsmi_get_gpu_activity(self, _: str) -> dict[str, Any]:
        return {"gfx_activity": 87, "umc_activity": "N/A"}

    def amdsmi_get_gpu_memory_usage(self, _: str, kind: str) -> int:
        return 48_000

    def amdsmi_get_gpu_memory_total(self, _: str, kind: str) -> int:
        return 192_000

    def amdsmi_get_temp_metric(self, _: str, kind: str, metric: str) -> int:
        if kind == "edge":
            raise RuntimeError("not supported")
        return 61_000

    def amdsmi_get_power_info(self, _: str) -> dict[str, Any]:
        return {"current_socket_power": "N/A", "average_socket_power": 501}

    def amdsmi_get_clock_info(self, _: str, kind: str) -> dict[str, int]:
        return {"clk": 2100} if kind == "gfx" else {"cur_clk": 1300}

    def amdsmi_get_gpu_process_list(self, _: str) -> list[dict[str, Any]]:
        return [{"pid": os.getpid(), "memory_usage": {"vram_mem": 47_000}}]


def test_system_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _FakeGpus("pynvml"))
    monkeypatch.setitem(sys.modules, "amdsmi", _FakeAmd("amdsmi"))
    sampler = system.SystemSampler()
    sample = sampler.sample()
    assert 0 <= sample["system/cpu_percent"] <= 100
    assert sample["system/memory_used_bytes"] > 0
    assert sample["system/process/memory_bytes"] > 0
    gpus = {name.removeprefix("system/"): value for name, value in sample.items() if name.startswith("system/gpu")}
    assert gpus == {
        "gpu0/utilization_percent": 50, "gpu0/memory_activity_percent": 30, "gpu0/memory_used_bytes": 1000,
        "gpu0/memory_percent": 20, "gpu0/temperature_c": 40, "gpu0/power_w": 70.5, "gpu0/power_limit_w": 400,
        "gpu0/sm_clock_mhz": 1000, "gpu0/memory_clock_mhz": 2000, "gpu0/process_memory_bytes": 900,
        "gpu1/utilization_percent": 51, "gpu1/memory_activity_percent": 31, "gpu1/memory_used_bytes": 1001,
        "gpu1/memory_percent": 20.02, "gpu1/temperature_c": 41, "gpu1/power_limit_w": 400,
        "gpu1/sm_clock_mhz": 1001, "gpu1/memory_clock_mhz": 2001,
        "gpu2/utilization_percent": 87, "gpu2/memory_used_bytes": 48_000, "gpu2/memory_percent": 25,
        "gpu2/temperature_c": 61, "gpu2/power_w": 501, "gpu2/sm_clock_mhz": 2100, "gpu2/memory_clock_mhz": 1300,
        "gpu2/process_memory_bytes": 47_000,
    }  # fmt: skip
    assert sampler.gpus() == {
        "gpu0": {"name": "GPU 0", "memory_bytes": 5000},
        "gpu1": {"name": "GPU 1", "memory_bytes": 5000},
        "gpu2": {"name": "MI300X", "memory_bytes": 192_000},
        "driver": "570, 6.8",
    }
    assert sampler.notes() == []


def test_why_there_are_no_gpus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutDriver(types.ModuleType):
        def nvmlInit(self) -> None:
            raise RuntimeError("NVML Shared Library Not Found")

    monkeypatch.setitem(sys.modules, "pynvml", WithoutDriver("pynvml"))
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    sampler = system.SystemSampler()
    assert not [name for name in sampler.sample() if "gpu" in name]
    assert sampler.gpus() == {}
    assert sampler.notes() == ["NVIDIA: NVML Shared Library Not Found", "AMD: amdsmi is not installed"]


def test_the_base_install_sees_nvidias_gpus() -> None:
    """Its package is there, so only a driver can be missing."""
    assert not [note for note in system.SystemSampler().notes() if note.startswith("NVIDIA: pynvml is not")]


def test_a_machine_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    sampler = system.SystemSampler()

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(name)

    monkeypatch.setattr(sampler, "_psutil", Broken())
    monkeypatch.setattr(sampler, "_process", Broken())
    assert sampler.sample() == {}
    assert sampler.gpus() == {}


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait for the thread of a run; fails the test after a long while."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s, "the thread of the run did not get there"
        time.sleep(0.01)


def test_a_run_captures(
    tmp_path: Path, repository: Path, read: Any, monkeypatch: pytest.MonkeyPatch, take_streams: Any
) -> None:
    take_streams()
    monkeypatch.chdir(repository)
    (repository / "train.py").write_text("lr = 2\n")
    monkeypatch.setattr(sys, "argv", ["train.py", "--token=s"])
    run = rs.init(mode="offline", dir=tmp_path / "spool", system_metrics_s=0.05)
    folder = run.spool_folder
    assert folder is not None
    run.log({"a": 1}, step=7)
    print("hello\nbar 1\rbar 2")
    _wait_for(lambda: len(read(folder).values("system/cpu_percent")) >= 3)
    run.log({"a": 2})
    run.finish()
    found = read(folder)
    sections = {event["section"]: event["values"] for event in found.of_type("environment_captured.v1")}
    assert set(sections) >= {"command", "python", "host", "packages", "git"}
    assert sections["command"]["argv"] == ["train.py", "--token=(hidden)"]
    assert sections["git"]["dirty"] is True
    (asset,) = found.of_type("asset_logged.v1")
    assert (asset["name"], asset["kind"]) == ("git.diff", "text")
    assert b"+lr = 2" in (folder / "assets" / asset["sha256"]).read_bytes()
    output = "".join(event["text"] for event in found.of_type("output_appended.v1") if event["stream"] == "stdout")
    assert output == "hello\nbar 2\n"
    steps = [step for _, values, step, _ in found.rows if "system/cpu_percent" in values]
    assert steps == list(range(len(steps)))
    assert [step for _, values, step, _ in found.rows if "a" in values] == [7, 8]
    assert found.events[-1][1]["type"] == "run_finished.v1"


def test_ranks_have_system_metrics_of_their_own(tmp_path: Path, read: Any) -> None:
    run = rs.init(
        mode="offline", dir=tmp_path / "spool", system_metrics_s=60, capture_console=False, capture_code=False, rank=2
    )
    folder = run.spool_folder
    assert folder is not None
    run.finish()
    assert len(read(folder).values("system/rank2/cpu_percent")) == 1


def test_the_background_survives_what_raises() -> None:
    calls: list[str] = []

    def broken() -> None:
        calls.append("broken")
        raise RuntimeError

    background = Background(SYSTEM_CLOCK)
    background.on_tick(lambda: calls.append("tick"))
    background.at_first(broken)
    background.at_first(lambda: calls.append("second"))
    background.every(3600, broken)
    background.start()
    assert background.stop(30)
    assert calls.count("broken") == 2
    assert "second" in calls, "what was to be done once is done before it stops"
    assert calls.count("tick") >= 1


def test_waking_ticks_soon() -> None:
    import threading

    ticks = threading.Semaphore(0)
    background = Background(SYSTEM_CLOCK)
    background.on_tick(ticks.release)
    background.start()
    for _ in range(5):
        assert ticks.acquire(timeout=120)
        background.wake()
    assert background.stop(30)
