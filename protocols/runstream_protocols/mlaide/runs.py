"""Handlers that write runs."""

import os
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from runstream.capture.masking import Masking
from runstream.display_names import display_name
from runstream.events.control import (
    EnvironmentCaptured,
    ParametersLogged,
    RunEvent,
    RunRenamed,
    RunStarted,
    RunStatusChanged,
)
from runstream.events.moments import moment_of
from runstream_protocols.kit.attempts import STARTED, attempt_frame, attempt_writer
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, checked, place_of
from runstream_protocols.kit.points import Value, values_frames
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import bounded, fitted, grouped, metric_name, number_of, parameter_name
from runstream_protocols.mlaide.keys import id_of_new_run, number_of_run
from runstream_protocols.mlaide.models import ArtifactReference, Done, ExperimentReference, Git, ShownRun
from runstream_protocols.mlaide.projects import require_experiment
from runstream_protocols.mlaide.shown import STATUSES, Settable, run_status
from runstream_protocols.mlaide.side import MlaideSide
from runstream_protocols.mlaide.used import record_used, versions_used
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.routing import Call
from runstream_service.turns import in_turns, worked

_NAME_BYTES: Final = 250
#: Drawn until one is free, which the first is.
_DRAWS: Final = 5
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100
#: Members of a commit, and what the SDK calls them.
_GIT: Final = {"commitHash": "commit", "commitTime": "commit_time", "isDirty": "dirty", "repositoryUri": "remote"}


async def start(side: MlaideSide, call: Call[object], payload: Payload) -> ShownRun:
    """Start a run, in the experiment that the request names, or in one that is made for it. It is running until a
    request says that it ended."""
    place = place_of(call.path["project_key"])
    await side.recorder.require(place.record_key)
    status: Settable = _status_of(payload) or "running"
    name = payload.optional("name")
    experiment = _experiment_of(payload)
    if experiment is not None:
        await require_experiment(side, place, experiment)
    used = await versions_used(side, place, payload)
    run = await _free_id(side)
    if experiment is None:
        experiment = f"{display_name(None, run)}-{run[:8]}"
    started = RunStarted(
        at_us=side.recorder.stamp(),
        workspace=place.workspace,
        project=place.project,
        experiment=experiment,
        name=fitted(name, _NAME_BYTES) if name else None,
        heartbeats=False,
    )
    await _begin(side, place, run, started)
    await record_used(side, place, run, used)
    parameters, metrics = _members(payload, "parameters"), _members(payload, "metrics")
    await _log_parameters(side, run, payload, parameters)
    await _log_metrics(side, run, payload, metrics)
    await _record(side, run, payload, _commit(side, payload))
    if status != "running":
        await _record(side, run, payload, [RunStatusChanged(at_us=side.recorder.stamp(), status=status)])
    at = moment_of(started.at_us)
    return ShownRun(
        key=number_of_run(run),
        name=display_name(started.name, run),
        status=STATUSES[status],
        experiment_refs=[ExperimentReference(experiment_key=experiment)],
        created_at=at,
        start_time=at,
        end_time=None if status == "running" else at,
        metrics=metrics,
        parameters=parameters,
        used_artifacts=[ArtifactReference(name=one.artifact.name, version=one.version.ordinal) for one in used],
    )


async def change(side: MlaideSide, call: Call[object], payload: Payload) -> Done:
    """End a run, or have it run again; give it another name."""
    run = await side.run_in(place_of(call.path["project_key"]), call.path["run_key"])
    status, name = _status_of(payload), payload.optional("name")
    if status is None and name is None:
        raise Refused("nothing is changed: give status or name")
    events: list[RunEvent] = []
    if name is not None:
        events.append(RunRenamed(at_us=side.recorder.stamp(), name=fitted(name, _NAME_BYTES)))
    if status is not None:
        events.append(RunStatusChanged(at_us=side.recorder.stamp(), status=status))
    await _record(side, run, payload, events)
    return Done()


async def log_metrics(side: MlaideSide, call: Call[object], payload: Payload) -> Done:
    """Log the next value of each metric: numbers are points of its curve, all else is kept under its name."""
    run = await side.run_in(place_of(call.path["project_key"]), call.path["run_key"])
    await _log_metrics(side, run, payload, _few(payload, payload.fields))
    return Done()


async def log_parameters(side: MlaideSide, call: Call[object], payload: Payload) -> Done:
    """Log parameters, each in the place of an earlier one of its name."""
    run = await side.run_in(place_of(call.path["project_key"]), call.path["run_key"])
    await _log_parameters(side, run, payload, _few(payload, payload.fields))
    return Done()


async def _free_id(side: MlaideSide) -> str:
    for _ in range(_DRAWS):
        run = id_of_new_run(os.urandom(8))
        if await side.recorder.lookup.run(run) is None:
            return run
    detail = "no free key was found for the run: send the request again"
    raise Problem(503, "no-free-key", "No free key", detail, retry_after_s=RETRY_AFTER_S)


async def _begin(side: MlaideSide, place: Place, run: str, started: RunStarted) -> None:
    """Append the start. Its response is sent when requests about the run find it, at whichever gateway."""
    frame = attempt_frame(attempt_writer(run, "started"), run, STARTED, started)
    positions = await side.recorder.append(Statement(run, b"", started.at_us), [frame], wait=False)
    await side.require_found(positions)
    side.runs.add(place, run)


async def _log_metrics(side: MlaideSide, run: str, payload: Payload, values: Mapping[str, Any]) -> None:
    """Not waited for: a loop that logs would wait for each value. Reads of this gateway wait instead."""
    found = [_value(name, value) async for name, value in in_turns(values.items())]
    if not found:
        return
    statement = side.recorder.statement(run, b"metrics " + payload.content, None)
    await side.recorder.append(statement, await worked(len(found), values_frames, statement, found), wait=False)


def _value(name: str, value: Any) -> Value:
    """A text stays one, also where it reads as a number: what is logged is what is read."""
    number = number_of(value) if isinstance(value, int | float) else None
    return Value(metric_name(name), bounded(value), number, None, None, None)


async def _log_parameters(side: MlaideSide, run: str, payload: Payload, values: Mapping[str, Any]) -> None:
    kept = {parameter_name(name): bounded(value) async for name, value in in_turns(values.items())}
    groups = await worked(len(kept), _groups, kept)
    events = [ParametersLogged(at_us=side.recorder.stamp(), values=some) for some in groups]
    if events:
        await side.recorder.record(run, b"parameters " + payload.content, events, wait=False)


def _groups(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(grouped(values))


async def _record(side: MlaideSide, run: str, payload: Payload, events: list[RunEvent]) -> None:
    if events:
        await side.recorder.record(run, b"events " + payload.content, events)


def _commit(side: MlaideSide, payload: Payload) -> list[RunEvent]:
    """The commit that a run was started from, as if the SDK had found it."""
    given = payload.fields.get("git")
    if given is None:
        return []
    if not isinstance(given, dict):
        raise Refused(f"git is {_BRIEF.repr(given)}: give an object with {', '.join(Git.model_fields)}")
    facts = {ours: bounded(given[name]) for name, ours in _GIT.items() if given.get(name) is not None}
    if isinstance(remote := facts.get("remote"), str):
        facts["remote"] = Masking(environ={}).remote(remote)
    return [EnvironmentCaptured(at_us=side.recorder.stamp(), section="git", values=facts)] if facts else []


def _status_of(payload: Payload) -> Settable | None:
    """Our word for the status in a request; None if it has none. Raises Refused."""
    given = payload.optional("status")
    if given is None:
        return None
    status = run_status(given)
    if status is None:
        raise Refused(f"status is {given[:100]!r}: give one of {', '.join(STATUSES.values())}")
    return status


def _experiment_of(payload: Payload) -> str | None:
    given = payload.fields.get("experimentRefs")
    if given is None or given == []:
        return None
    references = payload.listed("experimentRefs")
    if len(references) > 1:
        raise Refused(f"experimentRefs has {len(references)} items: a run is in one experiment here, give one")
    (one,) = references
    if not isinstance(one, dict):
        raise Refused(f"experimentRefs has {_BRIEF.repr(one)}: give an object with experimentKey")
    return checked("experiment", Payload(one, b"").text("experimentKey"))


def _members(payload: Payload, name: str) -> Mapping[str, Any]:
    given = payload.fields.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Refused(f"{name} is {_BRIEF.repr(given)}: give an object with a member for each of them")
    return _few(payload, given)


def _few(payload: Payload, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(values) > payload.max_items:
        detail = (
            f"{len(values)} values are given, at most {payload.max_items} can be at once: send them in several requests"
        )
        raise Refused(detail, status=413)
    return values
