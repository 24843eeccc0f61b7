"""Leases without a server, and supervisors that use them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runstream.agent.folder import RunFolder, folders_in
from runstream.agent.leases import EndStatus, Granted, Leases, LeaseState, Variable
from runstream.agent.limits import RunLimits
from runstream.agent.supervisor import Supervisor, SupervisorSettings
from runstream.api import Session

#: Nothing listens there.
URL: Final = "http://127.0.0.1:9"
GRANTED: Final = Granted(
    lease="0" * 32,
    token=1,
    ttl_s=3_600,
    run="r",
    workspace="w",
    project="p",
    experiment="e",
    name="n",
    environment=None,
    python=None,
    instance_type="x",
    memory_mb=None,
    timeout_s=60,
    parameters={},
    code="train.py",
    data=None,
)


class KeptLeases(Leases):
    """Leases that note what they are told. A request raises the error that `refusing` has for it."""

    def __init__(self, state: str = "leased") -> None:
        super().__init__(Session(URL), "w", "p")
        self.state = state
        self.refusing: dict[str, Exception] = {}
        #: What `variables` returns.
        self.given: list[Variable] = []
        #: Statuses and messages.
        self.ends: list[tuple[str, str]] = []
        #: Names of all requests.
        self.requests: list[str] = []

    def renew(self, granted: Granted) -> LeaseState:
        self._note("renew")
        return LeaseState(self.state, cancelled=False)

    def start(self, granted: Granted) -> LeaseState:
        self._note("start")
        return LeaseState("started", cancelled=False)

    def release(self, granted: Granted) -> None:
        self._note("release")

    def url_to_write(self, granted: Granted, name: str) -> str:
        self._note("file")
        return f"{URL}/{name}"

    def variables(self, granted: Granted) -> list[Variable]:
        self._note("variables")
        return self.given

    def end(self, granted: Granted, status: EndStatus, message: str, result: Mapping[str, Any] | None) -> str:
        self._note("end")
        self.ends.append((status, message))
        return status

    def _note(self, what: str) -> None:
        self.requests.append(what)
        if what in self.refusing:
            raise self.refusing[what]


def supervisor_of(directory: Path, leases: Leases, api_key: str | None = None) -> Supervisor:
    """Return a supervisor of the only run in the directory of an agent, which is made where it is not there."""
    for name in ("runs", "envs", "spool"):
        (directory / name).mkdir(mode=0o700, exist_ok=True)
    folders = folders_in(directory / "runs") or [RunFolder.create(directory / "runs", GRANTED)]
    settings = SupervisorSettings(URL, str(directory), "host", RunLimits())
    return Supervisor(folders[0], settings, api_key, leases=leases)
