"""The lease of a request: found, checked against what its holder shows, and replaced."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from runstream_protocols.kit.attempts import attempt_writer
from runstream_protocols.kit.entities import Entity, EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import invalid
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, place_of
from runstream_protocols.ubiops.agents.leases import LEASE, Lease, Stale, lease_of
from runstream_protocols.ubiops.agents.models import AgentRequest, Held
from runstream_protocols.ubiops.shown import FoundRun, found_runs
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_service.routing import Call

R = TypeVar("R", bound=AgentRequest)

#: How often a change begins again that others came before.
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease as it was read, with the entity that holds it."""

    entity: Entity
    lease: Lease

    @property
    def run(self) -> str:
        """The id of the run that it is for."""
        return self.entity.name

    @property
    def writer(self) -> str:
        """The id of the writer that says that the run began and ended under this lease."""
        return attempt_writer(self.run, f"lease {self.entity.id}")

    @property
    def place(self) -> Place:
        """The project of the run."""
        return Place(self.entity.workspace, self.entity.project)


async def project_of(side: UbiopsSide, call: Call[Any]) -> Place:
    """Return the project of a request, which its principal may change. Raises Refused, Problem (403)."""
    place = place_of(call.path["project"])
    await side.recorder.require(place.record_key)
    return place


def parsed(model: type[R], payload: Payload) -> R:
    """Return what an agent sent. Raises Problem (400)."""
    try:
        return model.model_validate(payload.fields)
    except ValidationError as error:
        raise invalid(error) from None


async def lease_of_run(side: UbiopsSide, place: Place, run: str) -> HeldLease | None:
    """Return the lease of a run; None if there is none."""
    entity = await side.entities.find(place.pair, LEASE, run)
    return None if entity is None else HeldLease(entity, lease_of(entity.properties))


async def require_lease(side: UbiopsSide, call: Call[Any], shown: Held) -> HeldLease:
    """Return the lease that a request's sender shows. Raises Refused (409) where it is not its any more."""
    place, run = await project_of(side, call), call.path["run"]
    held = await lease_of_run(side, place, run)
    if held is None or held.entity.id != shown.lease:
        raise stale(run, "it is over: the run has ended, or was given to another agent")
    if held.lease.token != shown.token:
        raise stale(run, f"its token is {held.lease.token}, not {shown.token}: another agent has it")
    return held


async def run_of(side: UbiopsSide, held: HeldLease) -> FoundRun | None:
    """Return the run of a lease, also of one that was moved: a started one is executed wherever it is, a pending one is
    another project's to lease. None if it was deleted, or is pending in another project."""
    for found in await found_runs(side, [held.run]):
        if held.lease.state != "leased" or (found.record.workspace, found.record.project) == held.place.pair:
            return found
    return None


async def replaced(side: UbiopsSide, held: HeldLease, lease: Lease) -> HeldLease:
    """Return the lease with its next revision. Raises EntityRefused where somebody else changed it meanwhile."""
    if lease == held.lease:
        return held
    return HeldLease(await side.entities.replace(held.entity, lease.to_json()), lease)


async def changed(
    side: UbiopsSide, call: Call[Any], shown: Held, change: Callable[[Lease], Lease], held: HeldLease | None = None
) -> HeldLease:
    """Change the lease that a request's sender shows, again where somebody else changed it meanwhile. Raises Refused:
    409 for one whose lease it is not, 503 where others were faster each time."""
    held = held or await require_lease(side, call, shown)
    for _ in range(_ATTEMPTS):
        try:
            return await replaced(side, held, change(held.lease))
        except Stale as error:
            raise stale(held.run, str(error)) from None
        except EntityRefused:
            held = await require_lease(side, call, shown)
    busy = f"the lease of the run {held.run!r} is changed by others all the time: send the request again"
    raise Refused(busy, status=503)


def stale(run: str, why: str) -> Refused:
    """Return the refusal of a holder whose lease is over."""
    return Refused(f"the lease of the run {run[:128]!r} is not this agent's: {why}", status=409)
