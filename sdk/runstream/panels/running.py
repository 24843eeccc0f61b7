"""Running a panel in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runstream.api.panel_context import VARIABLE, PanelContext
from runstream.errors import Invalid
from runstream.panels.contents import Item
from runstream.panels.folder import CONTEXT, END, ITEMS, LIMITS, SOURCE, STDERR, STDOUT
from runstream.panels.results import MAX_PRINTED_BYTES, PanelResult, Status

#: What the panel's process is given of this process's environment: where programs, texts and certificates are, and no
#: secret.
_PASSED_ON: Final = (
    "PATH",
    "PYTHONPATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
)
#: Any one file that a panel writes, what it displays among them: some figures of 5 MB.
_MAX_FILE_BYTES: Final = 64 << 20
_MAX_FILES: Final = 256


@dataclass(frozen=True, slots=True)
class PanelLimits:
    """Seconds on the clock until the panel is killed, and how much memory (MiB of address space; Python with pandas and
    matplotlib takes 700) each of its processes may take."""

    timeout_s: float = 60.0
    memory_mb: int = 2_048

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise Invalid(f"timeout_s is {self.timeout_s}: give a number of seconds above 0")
        if self.memory_mb < 64:
            raise Invalid(f"memory_mb is {self.memory_mb}: Python alone takes 64")


def run_panel(
    source: str, context: PanelContext, *, url: str, read_key: str | None = None, limits: PanelLimits | None = None
) -> PanelResult:
    """Run the Python of a panel and wait for its end. Blocks; any thread.

    `read_key` is the only key that it gets (see docs/panels.md: a key that only reads); None for a server without keys.
    The process has an empty home and working directory and nothing else of this one's environment, and takes on its
    limits before it runs the panel; when it has ended, or its time has, all processes of its group are killed. It is
    no sandbox: it runs as this user, and can read what this user can.
    """
    limits = limits or PanelLimits()
    with tempfile.TemporaryDirectory(prefix="runstream-panel-") as made:
        folder = Path(made)
        (folder / "home").mkdir()
        (folder / SOURCE).write_text(source, encoding="utf-8")
        (folder / CONTEXT).write_text(context.to_json(), encoding="utf-8")
        (folder / LIMITS).write_text(json.dumps(_resource_limits(limits)))
        begun = time.monotonic()
        code = _run(folder, _environment(folder, os.environ, url, read_key), limits.timeout_s)
        wall_s = time.monotonic() - begun
        status, error = _ending(folder, code, limits)
        return PanelResult(status, error, _items(folder), _printed(folder / STDOUT), _printed(folder / STDERR), wall_s)


def _resource_limits(limits: PanelLimits) -> dict[str, int]:
    return {
        "RLIMIT_AS": limits.memory_mb << 20,
        "RLIMIT_FSIZE": _MAX_FILE_BYTES,
        "RLIMIT_NOFILE": _MAX_FILES,
        "RLIMIT_CORE": 0,
    }


def _environment(folder: Path, environ: Mapping[str, str], url: str, read_key: str | None) -> dict[str, str]:
    """The whole environment of the panel's process."""
    home = str(folder / "home")
    passed = {name: environ[name] for name in _PASSED_ON if name in environ}
    key = {} if read_key is None else {"RUNSTREAM_API_KEY": read_key}
    return (
        passed
        | key
        | {
            "RUNSTREAM_URL": url,
            VARIABLE: str(folder / CONTEXT),
            "HOME": home,
            "TMPDIR": home,
            "MPLBACKEND": "Agg",
            # Each of its threads would take address space.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
    )


def _run(folder: Path, environment: Mapping[str, str], timeout_s: float) -> int | None:
    """The exit code; None if the time was over first."""
    command = [sys.executable, "-P", "-B", "-m", "runstream.panels.process", str(folder)]
    with (folder / STDOUT).open("wb") as out, (folder / STDERR).open("wb") as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(environment),
            cwd=folder / "home",
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill_group(process.pid)
            process.wait()


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of them have ended


def _ending(folder: Path, code: int | None, limits: PanelLimits) -> tuple[Status, str]:
    if code is None:
        return "timeout", f"The panel was stopped after {limits.timeout_s:g} s: make it do less, or give it more time."
    try:
        ended = json.loads((folder / END).read_text())
    except (OSError, ValueError):
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return "killed", f"The panel's process ended with {how} before the panel did."
    error = ended["error"]
    if ended["status"] == "memory":
        error += f"\nThe panel may take {limits.memory_mb} MiB: make it read less, or give it more memory."
    return ended["status"], error


def _items(folder: Path) -> list[Item]:
    """What was displayed. A last line that is cut off is left out: the process was killed while it wrote."""
    path = folder / ITEMS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    return [item for line in lines if (item := _item(line)) is not None]


def _item(line: str) -> Item | None:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _printed(path: Path) -> str:
    with path.open("rb") as file:
        kept = file.read(MAX_PRINTED_BYTES + 1)
    text = kept[:MAX_PRINTED_BYTES].decode(errors="replace")
    return text if len(kept) <= MAX_PRINTED_BYTES else f"{text}\n[more than {MAX_PRINTED_BYTES} bytes: cut off here]"
