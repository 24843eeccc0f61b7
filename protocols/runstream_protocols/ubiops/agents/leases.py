"""What a lease is, and what becomes of it. Pure.

A lease says which agent may execute a run. It is the entity of the kind `lease` with the run's id as its name. Whoever
changes it names the revision that it has read, so that the fold decides among those who change it at once. Its token
grows with each agent that gets it: whoever shows an earlier one is refused.

    leased --start--> started --end--> ending, then deleted
      |  |                                ^
      |  +-------------end----------------+      it could not be prepared, or was cancelled
      +--expired, released--> leased, with the next token

A run is started once: from `started` no way leads back.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import TypeAdapter

State = Literal["leased", "started", "ending"]
EndStatus = Literal["finished", "failed", "killed"]

#: The kind of the entities.
LEASE: Final = "lease"
#: Of a lease that nobody may have: a run is being cancelled.
NOBODY: Final = ""
#: How long a cancellation may take to reach the run. After it the run, if it is still pending, was not cancelled.
CANCELLING_S: Final = 60
CANCELLED: Final = "cancelled"
_US: Final = 1_000_000


class Stale(Exception):
    """The lease is not the caller's any more, or is beyond what it asks for. The message says which."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `result`: JSON of what its code returned, None if it returned nothing."""

    status: EndStatus
    message: str = ""
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may execute a run. Times: us since 1970 UTC, by the gateway's clock. `ttl_s`: for how long it is renewed."""

    token: int
    agent: str
    host: str
    ttl_s: int
    expires_at_us: int
    state: State = "leased"
    started_at_us: int | None = None
    cancelled: bool = False
    ended_at_us: int | None = None
    ending: Ending | None = None

    def is_free(self, now_us: int) -> bool:
        """Whether another agent may get it: it was never started, and its time is over."""
        return self.state == "leased" and self.expires_at_us <= now_us

    def to_json(self) -> Mapping[str, Any]:
        """Return the properties of the entity."""
        found: Mapping[str, Any] = _LEASE.dump_python(self, mode="json")
        return found


_LEASE: Final = TypeAdapter(Lease)


def lease_of(properties: Mapping[str, Any]) -> Lease:
    """Return the lease that an entity's properties hold. Raises pydantic.ValidationError."""
    return _LEASE.validate_python(properties)


def granted(before: Lease | None, agent: str, host: str, ttl_s: int, now_us: int) -> Lease:
    """Return the lease of an agent, behind the one that was there. Raises Stale if that one is not free."""
    if before is not None and not before.is_free(now_us):
        raise Stale(f"the agent {before.agent!r} has it")
    token = 1 if before is None else before.token + 1
    return Lease(token, agent, host, ttl_s, now_us + ttl_s * _US)


def renewed(lease: Lease, now_us: int) -> Lease:
    """Return the lease with its whole time before it; itself while half of that is left, and once it was started: then
    the run's own heartbeats tell that the agent lives."""
    if lease.state != "leased" or lease.expires_at_us - now_us > lease.ttl_s * _US // 2:
        return lease
    return dataclasses.replace(lease, expires_at_us=now_us + lease.ttl_s * _US)


def released(lease: Lease, now_us: int) -> Lease:
    """Return the lease with its time over. Raises Stale once it was started."""
    if lease.state != "leased":
        raise Stale("the run was started: report its end")
    return dataclasses.replace(lease, expires_at_us=min(lease.expires_at_us, now_us))


def started(lease: Lease, now_us: int) -> Lease:
    """Return the lease of a run that is executed from now on; itself if it was before: the response may have been lost.
    Raises Stale for one that ends, and for one whose time is over: another agent may be getting it."""
    match lease.state:
        case "leased" if lease.is_free(now_us):
            raise Stale("its time is over: renew it first, or ask for another run")
        case "leased":
            return dataclasses.replace(lease, state="started", started_at_us=now_us)
        case "started":
            return lease
        case "ending":
            raise Stale("the run has ended")


def ended(lease: Lease, ending: Ending, now_us: int) -> Lease:
    """Return the lease of a run that ended so; itself if it ended before. A run that was cancelled before its end was
    reported is cancelled, whatever it came to."""
    if lease.state == "ending":
        return lease
    if lease.cancelled:
        ending = dataclasses.replace(ending, status="killed", message=CANCELLED, result=None)
    return dataclasses.replace(lease, state="ending", ended_at_us=now_us, ending=ending)


def cancelled(before: Lease | None, now_us: int) -> Lease:
    """Return the lease of a run that is cancelled: nobody's if it was not started, so that nobody starts it. Raises
    Stale for one that ends."""
    if before is None or before.state == "leased":
        token = 1 if before is None else before.token + 1
        return Lease(token, NOBODY, "", CANCELLING_S, now_us + CANCELLING_S * _US, cancelled=True)
    if before.state == "ending":
        raise Stale("the run has ended")
    return dataclasses.replace(before, cancelled=True)
