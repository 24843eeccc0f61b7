"""Requests about leases, to the routes below `/agents/v1` of a gateway."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import quote

from runstream.api import Refused, Session
from runstream.errors import Unavailable
from runstream.sender.backoff import Backoff

EndStatus = Literal["finished", "failed", "killed"]
T = TypeVar("T")
_CONFLICT: Final = 409
#: Of keys that are unknown, and of those without the right.
_FOR_KEYS: Final = (401, 403)
#: No request of an agent takes longer, or its response is lost.
TIMEOUT_S: Final = 60.0


class Stale(Exception):
    """The lease is not ours any more, says the server."""


class KeyRefused(Exception):
    """The server does not take the key now: it was replaced, or has lost its rights. Nothing is lost, the same request
    works with another key. The message has what the server says."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease with what there is to execute, as the server gave it."""

    lease: str
    token: int
    ttl_s: int
    run: str
    workspace: str
    project: str
    experiment: str
    name: str
    environment: str | None
    python: str | None
    instance_type: str
    memory_mb: int | None
    timeout_s: int
    parameters: dict[str, Any]
    code: str
    data: str | None

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """Read a response; members of newer servers are passed over. Raises KeyError."""
        return cls(**{one.name: members[one.name] for one in fields(cls)})

    @classmethod
    def of_json(cls, data: bytes) -> Self:
        return cls.of(json.loads(data))


@dataclass(frozen=True, slots=True)
class LeaseState:
    """`state`: leased, started or ending. `cancelled`: the run is to be ended."""

    state: str
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    value: str
    secret: bool

    def __repr__(self) -> str:
        return f"Variable({self.name!r})"


class Leases:
    """The leases of one project. Methods raise what Session raises, Stale and, about a lease,
    KeyRefused. Threads may share it."""

    def __init__(self, session: Session, workspace: str, project: str) -> None:
        self._session = session
        self._path = f"/agents/v1/projects/{quote(f'{workspace}:{project}', safe='')}/leases"

    def acquire(self, agent: str, host: str, ttl_s: int) -> Granted | None:
        """Return the lease of a pending run; None if there is none."""
        granted = self._session.post(self._path, {"agent": agent, "host": host, "ttl_s": ttl_s})["granted"]
        return None if granted is None else Granted.of(granted)

    def renew(self, granted: Granted) -> LeaseState:
        return _state(self._tell(granted, "renew"))

    def start(self, granted: Granted) -> LeaseState:
        """Have it noted that the run is executed from now on."""
        return _state(self._tell(granted, "start"))

    def release(self, granted: Granted) -> None:
        """Give the lease back, which was not started."""
        self._tell(granted, "release")

    def url_to_read(self, granted: Granted, what: Literal["code", "data"]) -> str:
        return str(self._tell(granted, "file", read=what)["url"])

    def url_to_write(self, granted: Granted, name: str) -> str:
        return str(self._tell(granted, "file", write=name)["url"])

    def variables(self, granted: Granted) -> list[Variable]:
        """Return the environment of the code, secrets in clear."""
        return [
            Variable(str(one["name"]), str(one["value"]), bool(one["secret"]))
            for one in self._tell(granted, "variables")["variables"]
        ]

    def end(self, granted: Granted, status: EndStatus, message: str, result: Mapping[str, Any] | None) -> str:
        """Report how the run ended, and return how it did: killed where it had been cancelled."""
        return str(self._tell(granted, "end", status=status, message=message, result=result)["status"])

    def _tell(self, granted: Granted, what: str, **further: Any) -> Any:
        path = f"{self._path}/{quote(granted.run, safe='')}/{what}"
        try:
            return self._session.post(path, {"lease": granted.lease, "token": granted.token, **further})
        except Refused as error:
            if error.problem.get("status") == _CONFLICT:
                raise Stale(str(error)) from None
            if error.problem.get("status") in _FOR_KEYS:
                raise KeyRefused(str(error)) from None
            raise


def patiently(request: Callable[[], T], goes_on: Callable[[], bool] = lambda: True) -> T:
    """Return the response to a request, tried again as long as the server is away and `goes_on` says so. Only for what
    may be repeated. Raises what it raises in the end."""
    backoff = Backoff(random.random)
    while True:
        try:
            return request()
        except Unavailable:
            if not goes_on():
                raise
            time.sleep(backoff.next_wait_s())


def _state(members: Mapping[str, Any]) -> LeaseState:
    return LeaseState(str(members["state"]), bool(members["cancelled"]))
