"""What a run may take."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from runstream.errors import Invalid

#: What a file about a control group may hold.
_MAX_BYTES: Final = 64 << 10


def ram_mb(root: Path = Path("/")) -> int:
    """Return the memory that this process may take: that of the machine, or of its container, if that is less. MiB.
    `root`: where /proc and /sys are."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((machine, *_limits(root))) >> 20


def _limits(root: Path) -> Iterator[int]:
    """The limits of the control groups of this process, and of those above them, in bytes. Without a limit, the first
    version gives a number beyond all machines, the second one a word."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, group = (*line.split(":", 2), "", "")[:3]
        if kinds in ("", "memory"):
            mount = root / ("sys/fs/cgroup" if kinds == "" else "sys/fs/cgroup/memory")
            name = "memory.max" if kinds == "" else "memory.limit_in_bytes"
            # Within a container the path may be that of the host: what is not there is passed over.
            inside = PurePosixPath(group.lstrip("/"))
            for folder in (inside, *inside.parents):
                with contextlib.suppress(ValueError):
                    yield int(_text(mount / folder / name))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """memory_mb: MiB of all processes of a run together, and of the data of each, where its instance type does not say
    it. max_memory_mb: whatever its instance type says. processes: at once. open_files: of each process. file_mb: the
    largest file that it may write, MiB. output_chars: of stdout and stderr together; what is beyond is left out.
    unpacked_mb: of an archive with code, MiB. build_s: seconds in which an environment has to be built."""

    memory_mb: int = 2_048
    max_memory_mb: int = field(default_factory=ram_mb)
    processes: int = 256
    open_files: int = 1_024
    file_mb: int = 20_480
    output_chars: int = 20_000_000
    unpacked_mb: int = 2_048
    build_s: float = 1_800.0

    def __post_init__(self) -> None:
        for name, least in (
            ("memory_mb", 64),
            ("max_memory_mb", 64),
            ("processes", 1),
            ("open_files", 16),
            ("file_mb", 1),
        ):
            if (value := getattr(self, name)) < least:
                raise Invalid(f"{name} of an agent is {value}: give at least {least}")

    def memory_of(self, wanted_mb: int | None) -> tuple[int, str]:
        """Return the MiB of a run whose instance type says so much, and a sentence where it gets less."""
        named_mb = wanted_mb or self.memory_mb
        if named_mb <= self.max_memory_mb:
            return max(named_mb, 64), ""
        return self.max_memory_mb, f"the run wants {named_mb} MiB of memory: this agent gives {self.max_memory_mb} MiB"
