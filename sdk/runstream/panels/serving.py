"""A live panel: its process, which serves it by Streamlit, from whoever starts it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from runstream.errors import Invalid, Unusable
from runstream.panel_context import PanelContext
from runstream.panels.folder import CONTEXT, FRAMES, INSTALL, LIMITS, LIVE, SOURCE, STDERR, STDOUT
from runstream.panels.preparing import prepared
from runstream.panels.running import (
    MAX_FILE_BYTES,
    MAX_FILES,
    end_all,
    panel_environment,
    read_panel_file,
    supervised,
    supervisor_command,
)

#: Longer paths are no addresses of sockets (Linux 107 bytes, macOS 103).
_MAX_SOCKET_BYTES: Final = 100
_END_S: Final = 10.0
#: Variables of whoever runs the panel that pip needs, and the panel does not get.
_OF_PIP: Final = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_TICK_S: Final = 0.05
_TOLD_BYTES: Final = 8_000
_TERMINAL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: Of Streamlit: its configuration in the panel's home.
_CONFIG: Final = """\
[global]
developmentMode = false
[browser]
gatherUsageStats = false
[client]
toolbarMode = "minimal"
[server]
headless = true
maxUploadSize = 32
maxMessageSize = 64
disconnectedSessionTTL = 30
"""
#: Behind a proxy that asks for a token in each path. A frame without an origin has no cookies and sends `Origin: null`.
_BEHIND_TOKEN: Final = 'enableCORS = false\nenableXsrfProtection = false\nfileWatcherType = "none"\n'
#: On a machine where somebody may be writing the panel.
_BY_ITSELF: Final = 'fileWatcherType = "poll"\nrunOnSave = true\naddress = "127.0.0.1"\n'


@dataclass(frozen=True, slots=True)
class Confine:
    """What a panel is left with on Linux (`landlock`): TCP connections to these ports, its own folder, and reading of
    programs. `required`: it does not run where the kernel cannot do that."""

    ports: tuple[int, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What a live panel may take: memory (MiB of address space of each process; Streamlit with pandas, matplotlib and
    plotly takes 1,500), seconds of CPU of each process, and seconds on the clock until it is ended in any case."""

    memory_mb: int = 4_096
    cpu_s: int = 3_600
    life_s: float = 86_400.0

    def __post_init__(self) -> None:
        if self.memory_mb < 512 or self.cpu_s < 1 or self.life_s <= 0:
            raise Invalid(f"{self}: give a live panel 512 MiB, a second of CPU and some time, or more")


class ServedPanel:
    """A panel that runs until `end`, or until its limits or a fault of it end it. Used by one thread at a time."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], address: str) -> None:
        self.folder = folder
        #: The path of its socket, or its address for a browser.
        self.address = address
        self._process = process
        self._leader: int | None = None
        #: Those that were written.
        self._contexts: dict[str, PanelContext] = {}

    @classmethod
    def start(
        cls,
        source: str,
        context: PanelContext,
        *,
        url: str,
        read_key: str | None,
        limits: LiveLimits,
        listen: tuple[str, int] | None = None,
        confine: Confine | None = None,
        packages: Path | None = None,
    ) -> Self:
        """Start the process of a panel that is to read from the server at `url` with `read_key`. It listens at a socket
        in its folder, or at `listen`, and is ready when `is_ready` says so. Nothing of the source is looked at
        here. With `packages`, a folder, what the panel's lines install is installed into a folder of it, once. Raises
        Unusable."""
        folder = Path(tempfile.mkdtemp(prefix="rs-panel-"))
        try:
            place: dict[str, Any] = (
                {"socket": str(folder / "socket")} if listen is None else {"host": listen[0], "port": listen[1]}
            )
            if confine is not None:
                place["confine"] = asdict(confine)
            if listen is None and len(os.fsencode(folder / "socket")) > _MAX_SOCKET_BYTES:
                raise Unusable(f"{folder} is too long a path for a socket: set TMPDIR to a shorter one, such as /tmp")
            for name in ("home", FRAMES):
                (folder / name).mkdir()
            (folder / SOURCE).write_bytes(source.encode("utf-8", "replace"))
            (folder / CONTEXT).write_text(context.to_json(), encoding="utf-8")
            (folder / LIVE).write_text(json.dumps(place))
            if packages is not None:
                pip = {name: value for name, value in os.environ.items() if name.startswith(_OF_PIP)}
                (folder / INSTALL).write_text(json.dumps({"cache": str(packages.absolute()), "environ": pip}))
            (folder / LIMITS).write_text(json.dumps(_resource_limits(limits)))
            configured = folder / "home" / ".streamlit"
            configured.mkdir()
            (configured / "config.toml").write_text(_CONFIG + (_BEHIND_TOKEN if listen is None else _BY_ITSELF))
            environment = panel_environment(folder, os.environ, url, read_key)
            command = supervisor_command(folder, limits.life_s, "runstream.panels.streamlit_process")
            address = place["socket"] if listen is None else f"http://{listen[0]}:{listen[1]}"
            return cls(folder, supervised(command, environment), str(address))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @property
    def is_alive(self) -> bool:
        """Whether its process has not ended yet."""
        return self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        family, where = self._place()
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(where)
            except OSError:
                return False
            return True

    def _place(self) -> tuple[int, str | tuple[str, int]]:
        place: Mapping[str, str | int] = json.loads((self.folder / LIVE).read_text())
        if "socket" in place:
            return socket.AF_UNIX, str(place["socket"])
        return socket.AF_INET, (str(place["host"]), int(place["port"]))

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Wait until it takes connections. False: it ended before, or the time is over."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s and self.is_alive:
            if self.is_ready():
                return True
            time.sleep(_TICK_S)
        return False

    def set_source(self, source: str) -> None:
        """Replace the panel's file: pages that are open run it. For panels that listen at a port. Raises Invalid."""
        part = self.folder / f"{SOURCE}.{secrets.token_hex(4)}"
        part.write_bytes(prepared(source).source.encode("utf-8", "replace"))
        part.replace(self.folder / SOURCE)

    def set_context(self, frame: str, context: PanelContext) -> None:
        """Give the viewer of a frame this context: the panel runs again for it. Raises OSError."""
        if self._contexts.get(frame) == context:
            return
        self._contexts[frame] = context
        path = self.folder / FRAMES / f"{frame}.json"
        part = path.with_suffix(f".{secrets.token_hex(4)}")
        part.write_text(context.to_json(), encoding="utf-8")
        part.replace(path)

    def forget(self, frame: str) -> None:
        """Remove the context of a frame that is gone."""
        self._contexts.pop(frame, None)
        with contextlib.suppress(OSError):
            (self.folder / FRAMES / f"{frame}.json").unlink()

    def printed(self) -> str:
        """The end of what it printed, errors last."""
        parts = []
        for name in (STDOUT, STDERR):
            with contextlib.suppress(OSError):
                parts.append(read_panel_file(self.folder / name, MAX_FILE_BYTES)[-_TOLD_BYTES:])
        return _TERMINAL.sub("", b"".join(parts).decode(errors="replace"))[-_TOLD_BYTES:]

    def end(self) -> None:
        """End all its processes, and remove its folder. Blocks for a moment, at most some seconds."""
        try:
            if self._process.stdout is not None and self._leader is None:
                os.set_blocking(self._process.stdout.fileno(), False)
                told = self._process.stdout.readline().removeprefix("pid ").strip()
                self._leader = int(told) if told.isdigit() else None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=_END_S)  # the end of its stdin has it kill all
        finally:
            self._process.kill()
            self._process.wait()
            end_all(self._leader, self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)


def _resource_limits(limits: LiveLimits) -> dict[str, int]:
    return {
        "RLIMIT_AS": limits.memory_mb << 20,
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_FSIZE": MAX_FILE_BYTES,
        "RLIMIT_NOFILE": MAX_FILES * 4,
        "RLIMIT_CORE": 0,
    }
