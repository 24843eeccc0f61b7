"""Handlers that write trial components, each of which is a run."""

import os
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeVar

from runstream.events.control import (
    AssetDeleted,
    ParametersDeleted,
    ParametersLogged,
    RunDeleted,
    RunEvent,
    RunRenamed,
    RunStarted,
    RunStatusChanged,
    RunTimesSet,
    TagsAdded,
)
from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_protocols.kit.attempts import STARTED, attempt_frame, attempt_writer
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import grouped, parameter_name
from runstream_protocols.sagemaker.addresses import INPUT, MEDIA_TYPE, OUTPUT, asset_id, asset_of
from runstream_protocols.sagemaker.errors import AwsError, invalid
from runstream_protocols.sagemaker.models import (
    ComponentArn,
    ComponentMembers,
    ComponentReference,
    CreateTrialComponentRequest,
    DescribeTrialComponentResponse,
    ParameterValue,
    PrimaryStatus,
    UpdateTrialComponentRequest,
)
from runstream_protocols.sagemaker.names import PROJECT, TRIAL, WORKSPACE, run_anew
from runstream_protocols.sagemaker.shown import described, seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.tags import text_of
from runstream_protocols.sagemaker.things import Things, trials_in
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.turns import worked

T = TypeVar("T")
Settable = Literal["running", "finished", "failed", "killed"]
#: What a status is to a run: one that is stopping still runs.
_STATUSES: Final[Mapping[PrimaryStatus, Settable]] = {
    "InProgress": "running",
    "Stopping": "running",
    "Completed": "finished",
    "Failed": "failed",
    "Stopped": "killed",
}
#: Drawn until one is free, which the first is.
_DRAWS: Final = 5


async def create(side: SagemakerSide, request: CreateTrialComponentRequest) -> ComponentArn:
    """Create a component: begin a run. It is running until a request says that it ended. One call of the client's
    creates one, however often it is sent."""
    name = request.trial_component_name
    await side.recorder.require(project_key(WORKSPACE, PROJECT))
    tags = tuple(text_of(tag.key, tag.value) for tag in request.tags)
    found = await side.find_component(name)
    if found is None:
        run = await _free_id(side, name)
        await _begin(side, run, request)
    elif await _is_repeated(side, found.run):
        run = found.run
    else:
        raise _taken(name)
    events = [*_progress(side, request), *await _values(side, run, request)]
    if tags:
        events.append(TagsAdded(at_us=side.recorder.stamp(), tags=tags))
    await _record(side, run, events)
    return ComponentArn(trial_component_arn=side.component_arn(run))


async def _is_repeated(side: SagemakerSide, run: str) -> bool:
    """Whether this very call of the client's has begun the run."""
    known = await side.recorder.lookup.run(run)
    return bool(side.invocation) and known is not None and _writer(side, run) in known.writers


async def _begin(side: SagemakerSide, run: str, request: CreateTrialComponentRequest) -> None:
    """Append the start. Where others begin the same run at the same moment, it is whose start is the first."""
    name = request.trial_component_name
    started = RunStarted(
        at_us=side.recorder.stamp(),
        workspace=WORKSPACE,
        project=PROJECT,
        name=request.display_name or name,
        heartbeats=False,
    )
    frame = attempt_frame(_writer(side, run), run, STARTED, started)
    positions = await side.recorder.append(Statement(run, b"", started.at_us), [frame], wait=False)
    await side.require_found(positions)
    begun = await side.find_component(name)
    if begun is not None and micros_of(begun.created_at) != started.at_us:
        raise _taken(name)


def _writer(side: SagemakerSide, run: str) -> str:
    return attempt_writer(run, side.invocation or f"{side.recorder.stamp()}")


def _taken(name: str) -> AwsError:
    return invalid(f"Trial component {name!r} already exists: give another name, or load it")


async def update(side: SagemakerSide, request: UpdateTrialComponentRequest) -> ComponentArn:
    """Change what differs from what is there. The client sends back all that it loaded, in its own types: what is as it
    was shown stays as another client logged it."""
    found = await side.component(request.trial_component_name)
    await side.recorder.require(found.run)
    shown = await described(side, found)
    changed = await worked(len(request.parameters), _changes, request, shown)
    events: list[RunEvent] = []
    if changed.display_name is not None:
        events.append(RunRenamed(at_us=side.recorder.stamp(), name=changed.display_name))
    events += _progress(side, changed)
    events += _removals(side, found.run, request)
    events += await _values(side, found.run, changed)
    await _record(side, found.run, events)
    return ComponentArn(trial_component_arn=shown.trial_component_arn)


async def delete(side: SagemakerSide, request: ComponentReference) -> ComponentArn:
    """Delete a component: the run is shown nowhere any more, until runstream restores it."""
    found = await side.component(request.trial_component_name)
    await side.recorder.require(found.run)
    things = Things(side)
    held = [name for name in trials_in(found.tags) if await things.find(TRIAL, name) is not None]
    if held:
        shown = f"Trial component {request.trial_component_name!r} is in the trials {', '.join(held[:5])}"
        raise invalid(f"{shown}: disassociate it first")
    await _record(side, found.run, [RunDeleted(at_us=side.recorder.stamp())])
    return ComponentArn(trial_component_arn=side.component_arn(found.run))


async def _free_id(side: SagemakerSide, name: str) -> str:
    """Return the id of a new run: the name, or where a run that is deleted has it, one that is made of it."""
    for run in (name, *(run_anew(name, os.urandom(2)) for _ in range(_DRAWS))):
        known = await side.recorder.lookup.run(run)
        if known is None:
            return run
        if not known.deleted and (known.workspace, known.project) == (WORKSPACE, PROJECT):
            raise _taken(name)  # begun since it was looked for
    detail = "no free id was found for the component: send the request again"
    raise Problem(503, "no-free-id", "No free id", detail, retry_after_s=RETRY_AFTER_S)


def _changes(request: UpdateTrialComponentRequest, shown: DescribeTrialComponentResponse) -> ComponentMembers:
    """Return what of a request is not as it was shown."""
    same_start = request.start_time is not None and seconds(request.start_time) == shown.start_time
    same_end = request.end_time is not None and seconds(request.end_time) == shown.end_time
    return request.model_copy(
        update={
            "display_name": None if request.display_name == shown.display_name else request.display_name,
            "status": None if request.status == shown.status else request.status,
            "start_time": None if same_start else request.start_time,
            "end_time": None if same_end else request.end_time,
            "parameters": _new(request.parameters, shown.parameters),
            "input_artifacts": _new(request.input_artifacts, shown.input_artifacts),
            "output_artifacts": _new(request.output_artifacts, shown.output_artifacts),
        }
    )


def _new(given: Mapping[str, T], shown: Mapping[str, T]) -> dict[str, T]:
    return {name: value for name, value in given.items() if shown.get(parameter_name(name)) != value}


def _progress(side: SagemakerSide, request: ComponentMembers) -> Iterable[RunEvent]:
    """The times come first: the status that comes with an end is not the one that the end alone would give."""
    if request.start_time is not None or request.end_time is not None:
        started_at_us = None if request.start_time is None else micros_of(request.start_time)
        ended_at_us = None if request.end_time is None else micros_of(request.end_time)
        yield RunTimesSet(at_us=side.recorder.stamp(), started_at_us=started_at_us, ended_at_us=ended_at_us)
    if request.status is not None and request.status.primary_status is not None:
        status = _STATUSES[request.status.primary_status]
        yield RunStatusChanged(at_us=side.recorder.stamp(), status=status, message=request.status.message)


async def _values(side: SagemakerSide, run: str, request: ComponentMembers) -> list[RunEvent]:
    groups = await worked(len(request.parameters), _groups, request.parameters)
    events: list[RunEvent] = [ParametersLogged(at_us=side.recorder.stamp(), values=some) for some in groups]
    for kind, artifacts in ((INPUT, request.input_artifacts), (OUTPUT, request.output_artifacts)):
        for name, artifact in artifacts.items():
            about = {} if artifact.media_type is None else {MEDIA_TYPE: artifact.media_type}
            events.append(await asset_of(side, run, kind, name, artifact.value, about))
    return events


def _groups(parameters: Mapping[str, ParameterValue]) -> list[dict[str, str | float]]:
    return list(grouped({parameter_name(name): _parameter(name, value) for name, value in parameters.items()}))


def _parameter(name: str, value: ParameterValue) -> str | float:
    given = [one for one in (value.string_value, value.number_value) if one is not None]
    if len(given) != 1:
        raise invalid(f"the parameter {name[:100]!r} has {len(given)} values: give StringValue or NumberValue")
    (one,) = given
    return one


def _removals(side: SagemakerSide, run: str, request: UpdateTrialComponentRequest) -> Iterable[RunEvent]:
    if request.parameters_to_remove:
        names = tuple(parameter_name(name) for name in request.parameters_to_remove)
        yield ParametersDeleted(at_us=side.recorder.stamp(), names=names)
    removed = ((INPUT, request.input_artifacts_to_remove), (OUTPUT, request.output_artifacts_to_remove))
    for kind, names_of_kind in removed:
        for name in names_of_kind:
            yield AssetDeleted(at_us=side.recorder.stamp(), asset_id=asset_id(run, kind, name))


async def _record(side: SagemakerSide, run: str, events: list[RunEvent]) -> None:
    if events:
        await side.recorder.record(run, side.content, events)
