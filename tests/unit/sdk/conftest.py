"""What the client's tests share: a reader of spools that knows the layout from the document alone, and a clean home."""

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runstream.clock import Clock
from runstream.notices import Notices
from runstream.spool.format import WriterInfo
from runstream.spool.writer import SpoolWriter

RUN_ID = "0190aaaa"


@dataclass
class Written:
    """Everything that is committed in a writer's folder, in order."""

    rows: list[tuple[int, dict[str, float], int, int]] = field(default_factory=list)  # seq, values, step, at_ns
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    next_seq: int = 0
    #: Bytes other than zero behind the last committed record of the last segment.
    dirt: bytes = b""
    segments: int = 0

    def values(self, metric: str) -> list[float]:
        return [values[metric] for _, values, _, _ in self.rows if metric in values]

    def of_type(self, tag: str) -> list[dict[str, Any]]:
        return [event for _, event in self.events if event["type"] == tag]

    @property
    def seqs(self) -> list[int]:
        return sorted([row[0] for row in self.rows] + [event[0] for event in self.events])


def read_folder(folder: Path) -> Written:
    """Read a writer's folder by the words of docs/design/spool.md, with none of the package's code."""
    written = Written()
    paths = sorted(folder.glob("*.rows"))
    for number, path in enumerate(paths):
        data = path.read_bytes()
        assert path.name == f"{number:08d}.rows"
        magic, version, first_seq, writer, _, crc = struct.unpack_from("<4sIQ16sqI", data)
        assert (magic, version, writer.hex(), first_seq) == (b"RSPL", 1, folder.name, written.next_seq)
        assert crc == zlib.crc32(data[:40])
        end = _read_segment(data, written)
        written.dirt = data[end:].strip(b"\0")
        assert not written.dirt or path == paths[-1], "a segment that is full has nothing behind its last record"
    written.segments = len(paths)
    return written


def _read_segment(data: bytes, written: Written) -> int:
    at = 64
    schemas: dict[int, list[str]] = {}
    while at + 4 <= len(data):
        (kind,) = struct.unpack_from("<I", data, at)
        if kind == 0:
            return at
        if kind >= 0x10000:
            names = schemas[kind - 0x10000]
            body_end = at + 4 + 16 + 8 * len(names)
        else:
            assert kind in (1, 2)
            body_end = at + 8 + struct.unpack_from("<I", data, at + 4)[0]
        if data[body_end : body_end + 4] != b"\xee\xff\xc0\x5a":
            return at
        if kind == 1:
            (number,) = struct.unpack_from("<I", data, at + 8)
            schemas[number] = data[at + 12 : body_end].decode().split("\n")
        elif kind == 2:
            written.events.append((written.next_seq, json.loads(data[at + 8 : body_end])))
            written.next_seq += 1
        else:
            step, at_ns, *values = struct.unpack_from(f"<qq{len(names)}d", data, at + 4)
            written.rows.append((written.next_seq, dict(zip(names, values, strict=True)), step, at_ns))
            written.next_seq += 1
        at = body_end + 4
    return at


class ListNotices(Notices):
    """Keeps what would be printed."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []
        self.lines: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def line(self, message: str) -> None:
        self.lines.append(message)


class StepClock:
    """A clock that goes on by one microsecond with every look at it, and can be moved."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_000_000_000
        self.s = 100.0

    def time_ns(self) -> int:
        self.ns += 1000
        return self.ns

    def monotonic_s(self) -> float:
        return self.s

    def clock(self) -> Clock:
        return Clock(self.time_ns, self.monotonic_s)


@pytest.fixture(autouse=True)
def clean_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No setting of the machine reaches a test, and no run of a test is left behind."""
    for name in [name for name in os.environ if name.startswith("RUNSTREAM_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    yield home
    from runstream import active_run

    while (run := active_run()) is not None:
        run.finish(timeout_s=0)
        assert active_run() is not run


@pytest.fixture
def read() -> Callable[[Path], Written]:
    return read_folder


@pytest.fixture
def notices() -> ListNotices:
    return ListNotices()


@pytest.fixture
def step_clock() -> StepClock:
    return StepClock()


@pytest.fixture
def make_writer(tmp_path: Path, notices: ListNotices, step_clock: StepClock) -> Iterator[Callable[..., SpoolWriter]]:
    made: list[SpoolWriter] = []

    def make(**options: Any) -> SpoolWriter:
        info = WriterInfo(
            writer_id=f"{len(made) + 1:032x}",
            run_id=RUN_ID,
            workspace="w",
            project="p",
            rank=None,
            pid=os.getpid(),
            process_started_s=1.0,
            url="http://127.0.0.1:1",
            api_key="secret",
            mode="offline",
            created_us=1,
            sdk_version="0",
        )
        writer = SpoolWriter(tmp_path / "spool", info, clock=step_clock.clock(), notices=notices, **options)
        made.append(writer)
        return writer

    yield make
    for writer in made:
        writer.close()


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program as a process of its own, offline, with a spool under tmp_path / "spool"."""

    def start(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        path.write_text(code)
        return subprocess.run(
            [sys.executable, str(path)],
            env=script_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            **options,
        )

    return start


def script_environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "RUNSTREAM_DIR": str(tmp_path / "spool"),
        "RUNSTREAM_MODE": "offline",
        "RUNSTREAM_SYSTEM_METRICS_S": "0",
        "RUNSTREAM_CAPTURE_CODE": "0",
        "RUNSTREAM_CAPTURE_CONSOLE": "0",
    }


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return script_environment(tmp_path)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], list[Path]]:
    """The writers' folders in that spool, oldest first."""
    return lambda: sorted((tmp_path / "spool" / "writers").iterdir())
