"""How a run ends that an agent executes: by the agent's report, or because the agent was lost.

The end is noted in the lease first, then appended to the run, and then the lease is deleted. A gateway that dies in
between leaves a lease that ends; whoever asks for work next completes it, with the same events.
"""

import math
from typing import Any, Final

from runstream.events.control import OthersLogged, RunFinished, RunStatusChanged, RunTimesSet
from runstream.events.positions import Positions
from runstream_protocols.kit.attempts import ENDED, attempt_frame
from runstream_protocols.kit.entities import EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.points import Value, values_frames
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import bounded
from runstream_protocols.ubiops.agents.given import output_file
from runstream_protocols.ubiops.agents.holding import HeldLease, changed, parsed, replaced, require_lease, run_of
from runstream_protocols.ubiops.agents.leases import Ending, ended
from runstream_protocols.ubiops.agents.models import EndRequest, Result, RunEnded
from runstream_protocols.ubiops.shown import RESULT
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_service.routing import Call

#: After so many times the silence by which a run is shown as crashed, its agent is lost for good.
_SILENCES: Final = 4
_MAX_METRICS: Final = 1_000
_MAX_METRIC_BYTES: Final = 500
#: How JSON has floats that it cannot hold.
_SPECIAL: Final = ("nan", "inf", "-inf")


async def end(side: UbiopsSide, call: Call[object], payload: Payload) -> RunEnded:
    """End a run as its agent reports it. Again it changes nothing."""
    shown = parsed(EndRequest, payload)
    held = await require_lease(side, call, shown)
    result = None if shown.result is None else await _result(side, held, shown.result)
    ending = Ending(shown.status, shown.message, result)
    held = await changed(side, call, shown, lambda lease: ended(lease, ending, side.recorder.now_us()), held)
    await complete(side, held)
    assert held.lease.ending is not None
    return RunEnded(status=held.lease.ending.status)


async def is_lost(side: UbiopsSide, held: HeldLease, now_us: int) -> bool:
    """Return whether the agent that executes the run is gone: nothing came of it for long. Right after a start of this
    gateway nobody is: agents could not reach it before."""
    lost_us = round(_SILENCES * side.context.settings.silence_s * 1_000_000)
    if now_us - max(held.lease.started_at_us or 0, side.began_us) < lost_us:
        return False
    found = await run_of(side, held)
    if found is None or found.record.status != "crashed":
        return found is None or found.record.status == "killed"
    seen_us = round(found.record.started_at.timestamp() * 1e6 + found.record.duration_s * 1e6)
    return now_us - seen_us >= lost_us


async def record_times(side: UbiopsSide, held: HeldLease) -> Positions:
    """Append when the run began, and return where. What was appended before is the same, and counts once."""
    at_us = held.lease.started_at_us or 0
    times = RunTimesSet(at_us=at_us, started_at_us=at_us)
    return await side.recorder.record(held.run, b"started", [times], at_us=at_us, wait=False)


async def report_lost(side: UbiopsSide, held: HeldLease) -> None:
    """End a run whose agent was lost. Does nothing where the agent came back meanwhile, nor where that cannot be told,
    because what came of it is not folded yet."""
    lease = held.lease
    if not await side.recorder.visible(await record_times(side, held)):
        return
    if not await is_lost(side, held, side.recorder.now_us()):
        return
    message = (
        f"the agent {lease.agent} on {lease.host}, which executed the run, was lost: nothing came from it for "
        f"{_SILENCES * side.context.settings.silence_s:g} s. The run may have been executed in part; create another one"
    )
    try:
        held = await replaced(side, held, ended(lease, Ending("failed", message), side.recorder.now_us()))
    except EntityRefused:
        return
    await complete(side, held)


async def complete(side: UbiopsSide, held: HeldLease) -> None:
    """Append the end that a lease holds to its run, and delete the lease. What was appended before is the same."""
    lease, ending = held.lease, held.lease.ending
    assert ending is not None
    assert lease.ended_at_us is not None
    recorder, run, at_us = side.recorder, held.run, lease.ended_at_us
    if ending.result is not None:
        others = OthersLogged(at_us=at_us, values={RESULT: ending.result})
        await recorder.record(run, b"result", [others], at_us=at_us, wait=False)
        if values := _points(ending.result.get("metrics") or {}, at_us):
            statement = Statement(run, b"metrics", at_us)
            await recorder.append(statement, values_frames(statement, values), wait=False)
    finished = RunFinished(at_us=at_us, status=ending.status, message=ending.message or None)
    statement = Statement(run, b"ended", at_us)
    frame = attempt_frame(held.writer, run, ENDED, finished)
    positions = await recorder.append(statement, [frame], wait=False)
    # What was reported counts, whatever becomes of the supervisor's own writer: it may be killed behind its report.
    told = RunStatusChanged(at_us=at_us, status=ending.status, message=ending.message or None)
    positions = positions.merged(await recorder.record(run, b"told", [told], at_us=at_us, wait=False))
    await side.require_found(positions)
    try:
        await side.entities.delete(held.entity)
    except EntityRefused:
        return  # somebody else completed it


async def _result(side: UbiopsSide, held: HeldLease, result: Result) -> dict[str, Any]:
    """What the client reads as the result: files by their addresses. Raises Refused."""
    if held.lease.ending is not None:
        return {}
    found = await run_of(side, held)
    experiment = "" if found is None else str(found.record.columns["experiment"])

    async def uri(name: str | None) -> str | None:
        if name is None:
            return None
        bucket, file = await output_file(side, held, experiment, name)
        return f"ubiops-file://{bucket}/{file}"

    kept = {
        "artifact": await uri(result.artifact),
        "metadata": result.metadata,
        "metrics": result.metrics or {},
        "additional_output_files": [await uri(name) for name in result.files],
    }
    shown = bounded(kept)
    if shown != kept:
        raise Refused(
            "the metadata and metrics that the code returned are too large or too deep: write them to a file and "
            "return it in additional_output_files",
            status=413,
        )
    return kept


def _points(metrics: dict[str, Any], at_us: int) -> list[Value]:
    """Metrics that are numbers, as points without a step; texts of special floats too."""
    points = []
    for name, raw in list(metrics.items())[:_MAX_METRICS]:
        number = _number(raw)
        if number is not None and name and len(name.encode()) <= _MAX_METRIC_BYTES:
            points.append(Value(name, raw, number, None, None, at_us))
    return points


def _number(raw: Any) -> float | None:
    if raw in _SPECIAL:
        return float(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return float(raw)
    except OverflowError:
        return math.copysign(math.inf, raw)
