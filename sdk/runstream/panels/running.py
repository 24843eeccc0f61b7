"""Running a panel in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runstream._version import VERSION
from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.panels import supervisor
from runstream.panels.checking import MAX_ITEMS, checked
from runstream.panels.contents import Item
from runstream.panels.folder import CONTEXT, END, ITEMS, LIMITS, SOURCE, STDERR, STDOUT
from runstream.panels.preparing import prepared
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
MAX_FILE_BYTES: Final = 64 << 20
MAX_FILES: Final = 256
#: How a panel ended: its traceback, which `process` cuts at a tenth of this.
MAX_END_BYTES: Final = 1 << 20
_MAX_TOLD: Final = 20
#: Beyond the panel's time, for the supervisor to start and to end what the panel started.
_SUPERVISOR_S: Final = 15.0


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
    limits before it runs the panel; when it has ended, or its time has, all processes that came of it are killed, those
    that left its group as well (Linux). It is no sandbox: it runs as this user, and can read what this user can.
    """
    limits = limits or PanelLimits()
    with tempfile.TemporaryDirectory(prefix="runstream-panel-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        (folder / "home").mkdir()
        (folder / SOURCE).write_bytes(_python_of(source).encode("utf-8", "replace"))
        (folder / CONTEXT).write_text(context.to_json(), encoding="utf-8")
        (folder / LIMITS).write_text(json.dumps(_resource_limits(limits)))
        begun = time.monotonic()
        code = _run(folder, panel_environment(folder, os.environ, url, read_key), limits.timeout_s)
        wall_s = time.monotonic() - begun
        status, error = _ending(folder, code, limits)
        items = _items(folder)
        if status == "ok" and (bad := [str(item["text"]) for item in items if item["kind"] == "error"]):
            status, error = "failed", "\n".join(bad[:_MAX_TOLD])
        return PanelResult(status, error, items, _printed(folder / STDOUT), _printed(folder / STDERR), wall_s)


def _python_of(source: str) -> str:
    """The panel without lines that install packages. One that installs something else fails where it stands."""
    try:
        return prepared(source).source
    except Invalid:
        return source


def _resource_limits(limits: PanelLimits) -> dict[str, int]:
    return {
        "RLIMIT_AS": limits.memory_mb << 20,
        "RLIMIT_FSIZE": MAX_FILE_BYTES,
        "RLIMIT_NOFILE": MAX_FILES,
        "RLIMIT_CORE": 0,
    }


def panel_environment(folder: Path, environ: Mapping[str, str], url: str, read_key: str | None) -> dict[str, str]:
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
            # What panels look for that were written for another engine.
            "ENGINE_VERSION": f"runstream {VERSION}",
            # Each of its threads would take address space.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
    )


def _run(folder: Path, environment: Mapping[str, str], timeout_s: float) -> int | None:
    """The exit code; None if the time was over first. All processes of the panel have ended after it."""
    command = supervisor_command(folder, timeout_s, "runstream.panels.process")
    process = supervised(command, environment)
    leader: int | None = None
    try:
        leader, ending = _told(process, timeout_s + _SUPERVISOR_S)
        return None if ending == "timeout" else int(ending.removeprefix("exit "))
    except ValueError:  # the supervisor was killed or stopped, by the panel most likely
        return -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()
        end_all(leader, folder)


def supervisor_command(folder: Path, timeout_s: float, module: str) -> list[str]:
    """Return the command of a supervisor that runs a module of ours with the folder of a panel, for so long."""
    panel = [sys.executable, "-P", "-B", "-m", module, str(folder)]
    return [sys.executable, "-I", "-S", "-B", supervisor.__file__, str(timeout_s), str(folder), *panel]


def supervised(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a supervisor. It ends what it started when its stdin is closed, as it is when this process ends."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
        text=True,
    )


def end_all(leader: int | None, folder: Path) -> None:
    """Kill what a supervisor that is gone may have left: the group of the panel, and what has its environment."""
    if leader is not None:
        _kill_group(leader)
    _kill_marked(f"{VARIABLE}={folder / CONTEXT}".encode())


def _told(process: subprocess.Popen[str], timeout_s: float) -> tuple[int | None, str]:
    """The panel's process id and how it ended, as the supervisor says it. Waits no longer than `timeout_s`."""
    limit = threading.Timer(timeout_s, process.kill)
    limit.start()
    try:
        assert process.stdout is not None
        first = process.stdout.readline().removeprefix("pid ").strip()
        return (int(first) if first.isdigit() else None), process.stdout.readline().strip()
    finally:
        limit.cancel()


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_marked(marker: bytes) -> None:
    """What the supervisor did not get: found by the environment in which it was started."""
    until_s = time.monotonic() + _SUPERVISOR_S
    while (found := supervisor.marked(marker)) and time.monotonic() < until_s:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _ending(folder: Path, code: int | None, limits: PanelLimits) -> tuple[Status, str]:
    if code is None:
        return "timeout", f"The panel was stopped after {limits.timeout_s:g} s: make it do less, or give it more time."
    try:
        ended = json.loads(read_panel_file(folder / END, MAX_END_BYTES))
        status, error = ended["status"], ended["error"]
        if status not in ("ok", "failed", "memory") or not isinstance(error, str):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        how = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        return "killed", f"The panel's process ended with {how} before the panel did."
    if status == "memory":
        error += f"\nThe panel may take {limits.memory_mb} MiB: make it read less, or give it more memory."
    return status, error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _items(folder: Path) -> list[Item]:
    """What was displayed. A last line that is cut off is left out: the process was killed while it wrote. What cannot
    be shown is an item of the kind `error`."""
    try:
        text = read_panel_file(folder / ITEMS, MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    lines = text.split("\n")[:-1]
    items = [checked(_parsed(line), number) for number, line in enumerate(lines[:MAX_ITEMS], start=1)]
    if len(lines) > MAX_ITEMS:
        items.append(
            {"kind": "error", "text": f"{len(lines) - MAX_ITEMS} more items are not shown: at most {MAX_ITEMS}"}
        )
    return items


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line[:100]


def read_panel_file(path: Path, max_bytes: int) -> bytes:
    """The beginning of a file of the panel's folder, where the panel may have put anything. Raises OSError for what is
    no file."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        return file.read(max_bytes)


def _printed(path: Path) -> str:
    try:
        kept = read_panel_file(path, MAX_PRINTED_BYTES + 1)
    except OSError:
        return ""
    text = kept[:MAX_PRINTED_BYTES].decode(errors="replace")
    return text if len(kept) <= MAX_PRINTED_BYTES else f"{text}\n[more than {MAX_PRINTED_BYTES} bytes: cut off here]"
