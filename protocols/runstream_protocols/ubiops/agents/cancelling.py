"""What a cancellation does to the lease of a run, so that the fold decides between it and a start."""

from typing import Final

from runstream_protocols.kit.entities import EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.agents.holding import HeldLease, lease_of_run, replaced
from runstream_protocols.ubiops.agents.leases import LEASE, Stale, cancelled
from runstream_protocols.ubiops.side import UbiopsSide

#: How often it begins again that others came before.
_ATTEMPTS: Final = 5


async def take_lease(side: UbiopsSide, place: Place, run: str, *, is_pending: bool) -> HeldLease | None:
    """Take the lease of a run away before its cancellation is appended, or note in it that its agent has to end it.
    Returns the lease that `give_up` deletes; None where no agent can have the run. Raises Refused where it has
    ended."""
    for _ in range(_ATTEMPTS):
        held = await lease_of_run(side, place, run)
        if held is None and not is_pending:
            return None
        now_us = side.recorder.now_us()
        try:
            after = cancelled(held.lease if held else None, now_us)
        except Stale as error:
            raise Refused(f"the run {run[:128]}: {error}, only one that has not ended can be cancelled") from None
        try:
            if held is None:
                taken = HeldLease(await side.entities.create(place.pair, LEASE, run, after.to_json()), after)
            else:
                taken = await replaced(side, held, after)
        except EntityRefused:
            continue
        return taken if after.state == "leased" else None
    raise Refused(f"the lease of the run {run[:128]} is changed by others all the time: try again", status=409)


async def give_up(side: UbiopsSide, held: HeldLease) -> None:
    """Delete a lease that was taken away, once everybody sees that the run is cancelled."""
    try:
        await side.entities.delete(held.entity)
    except EntityRefused:
        return
