"""The agent: leases pending runs of a project, and starts a supervisor for each. What it knows of its runs is what lies
in their folders, so that it can be killed and started again at any time."""

import fcntl
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runstream.agent.environments import tidy_environments
from runstream.agent.folder import RunFolder, folders_in, tidy, write_whole
from runstream.agent.leases import TIMEOUT_S, Granted, Leases
from runstream.agent.limits import RunLimits
from runstream.agent.supervisor import KEY_REFUSED, SETTINGS, SupervisorSettings
from runstream.api import Session
from runstream.errors import Unavailable, Unusable
from runstream.interpreter import interpreter
from runstream.private import make_root, open_own, read_own

logger = logging.getLogger(__name__)

#: How often folders are looked at.
_TICK_S: Final = 0.25
#: A supervisor that ends at once, again and again, is not started more often than this.
_AGAIN_S: Final = 2.0
#: One whose key is refused is followed by another one after twice the time of the last, at most after this.
_LONGEST_AGAIN_S: Final = 300.0
_MAX_NAME_BYTES: Final = 200


class DirectoryInUse(Unusable):
    """Another agent works in the directory. The message names it."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """directory: where the agent keeps its runs and environments. slots: how many runs it executes at once. poll_s: how
    often it asks for work. ttl_s: after so long without a renewal a run that it prepares is another agent's."""

    url: str
    workspace: str
    project: str
    directory: Path
    slots: int = 1
    poll_s: float = 2.0
    ttl_s: int = 60
    limits: RunLimits = field(default_factory=RunLimits)


class Agent:
    """One agent. Used by one thread; `stop` may be set by any, and `begun` read."""

    def __init__(
        self,
        settings: AgentSettings,
        api_key: str | None = None,
        *,
        supervisor: Sequence[str] = ("-m", "runstream.agent.supervisor"),
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """`supervisor`: what Python is given to run one, before the folder. `on_step` is called behind each step."""
        self.stop = threading.Event()
        #: The runs that it got to execute.
        self.begun: list[str] = []
        self._settings = settings
        self._api_key = api_key
        self._supervisor = supervisor
        self._on_step = on_step
        self._leases = Leases(Session(settings.url, api_key, timeout_s=TIMEOUT_S), settings.workspace, settings.project)
        self._host = socket.gethostname()
        self._runs = settings.directory / "runs"
        #: Supervisors by the names of their folders.
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        #: When the supervisor of a folder was started last, and of how many in a row the key was refused.
        self._begun_s: dict[str, float] = {}
        self._refused: dict[str, int] = {}
        self._is_reachable = True

    def run(self, *, until_idle: bool = False) -> None:
        """Execute runs until `stop` is set; with `until_idle` until nothing is pending and nothing executed. Runs that
        are executed go on when this returns. Raises DirectoryInUse, OSError, and Refused where the server does not let
        this agent work."""
        lock = self._open()
        try:
            name = self._name()
            logger.info("agent %s: executes runs of %s/%s", name, self._settings.workspace, self._settings.project)
            next_poll_s = 0.0
            while not self.stop.is_set():
                busy = self._look_after()
                is_idle = busy == 0
                if busy < self._settings.slots and time.monotonic() >= next_poll_s:
                    granted = self._acquired(name)
                    if granted is not None:
                        self._begin(granted)
                        continue
                    next_poll_s = time.monotonic() + self._settings.poll_s
                    if until_idle and is_idle and self._is_reachable:
                        return
                self.stop.wait(_TICK_S)
        finally:
            os.close(lock)

    def _open(self) -> int:
        """Make the directory, and lock it for this process."""
        make_root(self._settings.directory)
        descriptor = open_own(self._settings.directory / "agent.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DirectoryInUse(
                f"another agent works in {self._settings.directory}: give each a directory of its own (--dir)"
            ) from None
        for folder in (self._runs, self._settings.directory / "envs"):
            folder.mkdir(mode=0o700, exist_ok=True)
        tidy(self._runs)
        if not folders_in(self._runs):
            tidy_environments(self._settings.directory / "envs")
        return descriptor

    def _name(self) -> str:
        """What this agent is called: the same after it was started again."""
        path = self._settings.directory / "name"
        if not path.exists():
            write_whole(path, f"{self._host[:100]}-{os.urandom(3).hex()}".encode())
        return read_own(path, _MAX_NAME_BYTES).decode("utf-8", "replace")

    def _acquired(self, name: str) -> Granted | None:
        """A run to execute. None where there is none, and where the server is away."""
        try:
            granted = self._leases.acquire(name, self._host[:250], self._settings.ttl_s)
        except Unavailable as error:
            if self._is_reachable:
                logger.warning("no work can be asked for: %s. The agent goes on trying.", error)
            self._is_reachable = False
            return None
        if not self._is_reachable:
            logger.info("%s responds again", self._settings.url)
        self._is_reachable = True
        if granted is not None:
            self._on_step("leased")
        return granted

    def _begin(self, granted: Granted) -> None:
        folder = RunFolder.create(self._runs, granted)
        self.begun.append(granted.run)
        logger.info("run %s (%s): leased", granted.run, granted.name)
        self._on_step("folder made")
        self._supervise(folder)
        self._on_step("supervisor begun")

    def _look_after(self) -> int:
        """Start supervisors for folders that nobody works on, and return how many folders there are."""
        self._reap()
        folders = folders_in(self._runs)
        for folder in folders:
            name = folder.path.name
            pause_s = again_s(self._refused.get(name, 0))
            if time.monotonic() - self._begun_s.get(name, -pause_s) < pause_s or folder.is_taken:
                continue
            if not (folder.path / "lease.json").exists():
                continue  # it is being removed
            logger.warning("run %s: nobody works on it, a supervisor is started", name)
            self._supervise(folder)
        names = {folder.path.name for folder in folders}
        self._begun_s = {name: at_s for name, at_s in self._begun_s.items() if name in names}
        self._refused = {name: count for name, count in self._refused.items() if name in names}
        return len(folders)

    def _reap(self) -> None:
        """Take in how supervisors ended."""
        ended = [(name, child.returncode) for name, child in self._children if child.poll() is not None]
        self._children = [(name, child) for name, child in self._children if child.returncode is None]
        for name, code in ended:
            self._refused[name] = self._refused.get(name, 0) + 1 if code == KEY_REFUSED else 0

    def _supervise(self, folder: RunFolder) -> None:
        settings = SupervisorSettings(
            self._settings.url, str(self._settings.directory), self._host, self._settings.limits
        )
        key = {} if self._api_key is None else {"RUNSTREAM_API_KEY": self._api_key}
        self._begun_s[folder.path.name] = time.monotonic()
        with (folder.path / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                [interpreter(), *self._supervisor, str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_without_settings() | key | {SETTINGS: settings.to_json()},
                start_new_session=True,
            )
        self._children.append((folder.path.name, child))


def again_s(refused: int) -> float:
    """Return how long after the start of a supervisor another one may follow, where the key of so many in a row was
    refused, in seconds."""
    return min(_AGAIN_S * 2.0 ** min(refused, 30), _LONGEST_AGAIN_S)


def _without_settings() -> dict[str, str]:
    """The environment without what says how Runstream is to be run: a supervisor is told all of it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
