"""Handlers that give, renew, start and release leases."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from runstream.events.control import RunStarted
from runstream_protocols.kit.attempts import STARTED, alive_frame, attempt_frame
from runstream_protocols.kit.entities import EntityRefused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place
from runstream_protocols.kit.statements import Statement
from runstream_protocols.ubiops.agents.ending import complete, is_lost, record_times, report_lost
from runstream_protocols.ubiops.agents.given import terms_of
from runstream_protocols.ubiops.agents.holding import (
    HeldLease,
    changed,
    parsed,
    project_of,
    replaced,
    require_lease,
    run_of,
    stale,
)
from runstream_protocols.ubiops.agents.leases import LEASE, granted, lease_of, released, renewed, started
from runstream_protocols.ubiops.agents.models import Held, LeaseRequest, LeaseResponse, LeaseState
from runstream_protocols.ubiops.shown import REQUEST, FoundRun, found_runs, run_status
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_query.filters.tree import And, Compare, Field, IsNull
from runstream_query.repositories.runs import RunOrder
from runstream_service.routing import Call

#: Of one request: leases of the project, and pending runs. More than agents have slots, so that one is free.
_MAX_LEASES: Final = 1_000
_MAX_PENDING: Final = 1_000
#: How many runs one request tries to get, where other agents are faster.
_TRIES: Final = 8
#: What a request changes besides the lease, it does itself; after this others do.
_COMPLETED_WITHIN_US: Final = 10_000_000


async def acquire(side: UbiopsSide, call: Call[object], payload: Payload) -> LeaseResponse:
    """Give the oldest pending run to an agent. Ends the runs of agents that were lost first."""
    place, request = await project_of(side, call), parsed(LeaseRequest, payload)
    entities = await side.entities.list(place.pair, LEASE, limit=_MAX_LEASES)
    leases = {one.name: HeldLease(one, lease_of(one.properties)) for one in entities}
    now_us = side.recorder.now_us()
    for held in leases.values():
        if held.lease.state != "leased":
            await _look_after(side, held, now_us)
    pending = await _pending(side, place)
    await _forget(side, leases, pending, now_us)
    for held in (leases[run] for run in pending if run in leases):
        # The gateway died between the two things that a start is. Without the second one the run is never silent.
        if held.lease.state == "started" and now_us - (held.lease.started_at_us or 0) > _COMPLETED_WITHIN_US:
            await _record_start(side, held)
    free = [run for run in pending if run not in leases or leases[run].lease.is_free(now_us)]
    for run in free[:_TRIES]:
        mine = await _granted(side, place, run, leases.get(run), request)
        # Whoever cancelled the run removed its lease when that was visible: this look sees it.
        if mine is not None and (found := await _found(side, place, run)) is not None:
            return LeaseResponse(granted=await terms_of(side, mine, found))
    return LeaseResponse()


async def renew(side: UbiopsSide, call: Call[object], payload: Payload) -> LeaseState:
    """Keep a lease, and tell whether its run was cancelled. Writes nothing while half of its time is left."""
    shown = parsed(Held, payload)
    held = await changed(side, call, shown, lambda lease: renewed(lease, side.recorder.now_us()))
    return await _state(side, held)


async def start(side: UbiopsSide, call: Call[object], payload: Payload) -> LeaseState:
    """Note that a run is executed from now on: nobody else ever will. Again it changes nothing."""
    shown = parsed(Held, payload)
    held = await require_lease(side, call, shown)
    if held.lease.state == "leased" and await _found(side, held.place, held.run) is None:
        raise stale(held.run, "the run was cancelled, deleted or taken on by somebody else")
    held = await changed(side, call, shown, lambda lease: started(lease, side.recorder.now_us()), held)
    await _record_start(side, held)
    return await _state(side, held)


async def release(side: UbiopsSide, call: Call[object], payload: Payload) -> LeaseState:
    """Give a lease back that was not started: other agents may have it at once."""
    shown = parsed(Held, payload)
    held = await changed(side, call, shown, lambda lease: released(lease, side.recorder.now_us()))
    return LeaseState(state=held.lease.state)


async def _pending(side: UbiopsSide, place: Place) -> list[str]:
    """The runs of this client that nobody took on, the oldest first."""
    conditions = (
        Compare(Field("workspace"), "=", place.workspace),
        Compare(Field("project"), "=", place.project),
        Compare(Field("deleted"), "=", False),
        Compare(Field("status"), "=", "running"),
        Compare(Field("host"), "=", ""),
        IsNull(Field("other", REQUEST), negated=True),
    )
    context = side.context
    runs = context.repositories.runs
    return await runs.matching(context.scope, And(conditions), context.clock(), RunOrder("created"), _MAX_PENDING)


async def _found(side: UbiopsSide, place: Place, run: str) -> FoundRun | None:
    """The run, if it is pending."""
    for found in await found_runs(side, [run]):
        is_here = (found.record.workspace, found.record.project) == place.pair
        if is_here and found.is_pending and run_status(found.record, is_pending=True) == "pending":
            return found
    return None


async def _granted(
    side: UbiopsSide, place: Place, run: str, before: HeldLease | None, request: LeaseRequest
) -> HeldLease | None:
    """The lease of the run for the agent; None if another one was faster."""
    now_us = side.recorder.now_us()
    lease = granted(before.lease if before else None, request.agent, request.host, request.ttl_s, now_us)
    try:
        if before is None:
            return HeldLease(await side.entities.create(place.pair, LEASE, run, lease.to_json()), lease)
        return await replaced(side, before, lease)
    except EntityRefused:
        return None


async def _forget(side: UbiopsSide, leases: Mapping[str, HeldLease], pending: Sequence[str], now_us: int) -> None:
    """Delete leases that nobody has of runs that are not pending any more: cancelled, deleted, taken on by others."""
    if len(pending) == _MAX_PENDING:
        return
    gone = [held for run, held in leases.items() if held.lease.is_free(now_us) and run not in set(pending)]
    for held in gone[:_TRIES]:
        with contextlib.suppress(EntityRefused):
            await side.entities.delete(held.entity)


async def _look_after(side: UbiopsSide, held: HeldLease, now_us: int) -> None:
    """Complete what was left over: an end whose gateway died, a run whose agent was lost."""
    lease = held.lease
    if lease.state == "ending":
        if now_us - (lease.ended_at_us or 0) > _COMPLETED_WITHIN_US:
            await complete(side, held)
    elif await is_lost(side, held, now_us):
        await report_lost(side, held)


async def _record_start(side: UbiopsSide, held: HeldLease) -> None:
    """Append that the run has begun, on the agent's machine. Its silence tells from here on that the agent was lost."""
    lease, place = held.lease, held.place
    at_us = lease.started_at_us or 0
    begun = RunStarted(at_us=at_us, workspace=place.workspace, project=place.project, host=lease.host)
    frame = attempt_frame(held.writer, held.run, STARTED, begun)
    statement = Statement(held.run, b"begun", at_us)
    positions = await side.recorder.append(statement, [frame], wait=False)
    await side.require_found(positions.merged(await record_times(side, held)))


async def _state(side: UbiopsSide, held: HeldLease) -> LeaseState:
    lease, found = held.lease, await run_of(side, held)
    cancelled = lease.cancelled or found is None or found.record.status == "killed"
    if lease.state == "started" and found is not None and found.record.status == "crashed":
        # The supervisor's own writer is silent, because the supervisor was killed and another one goes on: it lives.
        statement = Statement(held.run, b"alive", side.recorder.stamp(), stamped=True)
        await side.recorder.append(statement, [alive_frame(held.writer, held.run)], wait=False)
    return LeaseState(state=lease.state, cancelled=cancelled)
