"""Handlers that write runs, which are requests to UbiOps: each is a run of Runstream in its experiment. It is pending
until an agent or somebody else (`runstream.init(run_id=...)`) takes it on, or somebody cancels it."""

import os
from typing import Any, Final

from runstream.events.control import OthersLogged, ParametersLogged, RunDeleted, RunEvent, RunStarted, RunStatusChanged
from runstream.events.moments import moment_of
from runstream_protocols.kit.attempts import STARTED, attempt_frame, attempt_writer
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import MAX_VALUE_BYTES, bounded, grouped, parameter_name, size_of
from runstream_protocols.ubiops.agents.cancelling import give_up, take_lease
from runstream_protocols.ubiops.found import EXPERIMENT, require_experiment
from runstream_protocols.ubiops.models import Done, RunMade, RunsMade
from runstream_protocols.ubiops.presets import DEFAULT_TIMEOUT_S
from runstream_protocols.ubiops.shown import REQUEST, TIMEOUT, require_run, run_status
from runstream_protocols.ubiops.side import UbiopsSide, place_to_change
from runstream_protocols.ubiops.values import name_of, whole
from runstream_service.routing import Call

#: Of UbiOps, in seconds.
_MAX_TIMEOUT_S: Final = 172_800
#: Of one request, as at UbiOps.
_MAX_RUNS: Final = 250
_MAX_NAME_BYTES: Final = 250
_MEMBERS: Final = ("name", "description", "training_code", "training_data", "parameters")


async def create(side: UbiopsSide, call: Call[object], payload: Payload) -> RunsMade:
    """Create runs, which are pending. Either all of them are as they have to be, or none is created."""
    place = await place_to_change(side, call)
    experiment = (await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))).name
    timeout_s = whole(payload, "timeout", 1, _MAX_TIMEOUT_S) or DEFAULT_TIMEOUT_S
    given = [_request_of(one) for one in payload.listed("items", _MAX_RUNS)]
    if not given:
        raise Refused("the body is an empty list: send an object for each run")
    return RunsMade([await _begin(side, place, experiment, one, timeout_s) for one in given])


async def change(side: UbiopsSide, call: Call[object], payload: Payload) -> Done:
    """Cancel a run that has not ended."""
    place = await place_to_change(side, call)
    found = await require_run(side, place, call)
    if (status := payload.text("status")) != "cancelled":
        raise Refused(f"status is {status[:40]!r}: a run can only be cancelled, give 'cancelled'", name="status")
    now = run_status(found.record, is_pending=found.is_pending)
    if now in ("completed", "failed"):
        raise Refused(f"the run {found.record.run} is {now}: only one that has not ended can be cancelled")
    if now != "cancelled":
        taken = await take_lease(side, place, found.record.run, is_pending=found.is_pending)
        event = RunStatusChanged(at_us=side.recorder.stamp(), status="killed", message="cancelled")
        await side.recorder.record(found.record.run, payload.content, [event])
        if taken is not None:
            await side.recorder.wait_until_visible()
            await give_up(side, taken)
    return Done()


async def delete(side: UbiopsSide, call: Call[object]) -> Done:
    """Delete a run, which Runstream's own interface can bring back."""
    place = await place_to_change(side, call)
    found = await require_run(side, place, call)
    await side.recorder.record(found.record.run, b"deleted", [RunDeleted(at_us=side.recorder.stamp())])
    await side.recorder.wait_until_visible()
    return Done()


def _request_of(given: Any) -> dict[str, Any]:
    """What was said of a run, as it is shown again. Raises Refused."""
    if not isinstance(given, dict):
        raise Refused(f"a run is {type(given).__name__}: send an object with {', '.join(_MEMBERS)}")
    payload = Payload(given, b"")
    name = payload.text("name")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise Refused(f"name has {len(name.encode())} bytes: give at most {_MAX_NAME_BYTES}", name="name")
    parameters = given.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise Refused(f"parameters is {type(parameters).__name__}: give an object with a member for each of them")
    request = {
        "name": name,
        "description": payload.optional("description"),
        "training_code": payload.text("training_code"),
        "training_data": payload.optional("training_data"),
        "parameters": parameters or {},
    }
    if bounded(request) != request:
        raise Refused(
            f"the run {name[:100]!r} takes {size_of(request)} bytes, at most {MAX_VALUE_BYTES} are kept, and lists in "
            "lists no deeper than 20: give long parameters as a file",
            status=413,
        )
    return request


async def _begin(side: UbiopsSide, place: Place, experiment: str, request: dict[str, Any], timeout_s: int) -> RunMade:
    """Append a run with what was said of it, in one statement's frame for its start and others behind it."""
    run = os.urandom(16).hex()
    started = RunStarted(
        at_us=side.recorder.stamp(),
        workspace=place.workspace,
        project=place.project,
        experiment=experiment,
        name=request["name"],
        heartbeats=False,
    )
    frame = attempt_frame(attempt_writer(run, "pending"), run, STARTED, started)
    begun = await side.recorder.append(Statement(run, b"", started.at_us), [frame], wait=False)
    events: list[RunEvent] = [OthersLogged(at_us=side.recorder.stamp(), values={REQUEST: request, TIMEOUT: timeout_s})]
    named = {parameter_name(name): bounded(value) for name, value in request["parameters"].items()}
    events += [ParametersLogged(at_us=side.recorder.stamp(), values=some) for some in grouped(named)]
    said = await side.recorder.record(run, b"requested", events, wait=False)
    await side.require_found(begun.merged(said))
    return RunMade(id=run, version=experiment, time_created=moment_of(started.at_us))
