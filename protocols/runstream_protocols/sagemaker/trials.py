"""Handlers of trials, and of which components are in them."""

from collections.abc import Iterable
from typing import Any

from runstream.events.control import RunEvent, RunMoved, TagsAdded, TagsRemoved
from runstream.events.names import project_key
from runstream_protocols.sagemaker.errors import NOT_FOUND, AwsError, invalid
from runstream_protocols.sagemaker.models import (
    Association,
    AssociationArns,
    CreateTrialRequest,
    DescribeTrialResponse,
    ListedTrial,
    ListTrialsRequest,
    ListTrialsResponse,
    TrialArn,
    TrialReference,
    UpdateTrialRequest,
)
from runstream_protocols.sagemaker.names import EXPERIMENT, PROJECT, TRIAL, WORKSPACE, component_of_run
from runstream_protocols.sagemaker.paging import page_of
from runstream_protocols.sagemaker.shown import seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import PLACE, Thing, Things, tag_of, trials_in
from runstream_query.filters.tree import And, Compare, Field

_KEY = project_key(WORKSPACE, PROJECT)


async def create(side: SagemakerSide, request: CreateTrialRequest) -> TrialArn:
    """Create a trial in an experiment. Its name is unique, whatever its case, and whatever its experiment."""
    things = Things(side)
    await side.recorder.require(_KEY)
    experiment = await things.get(EXPERIMENT, request.experiment_name)
    properties = {
        "display_name": request.display_name,
        "experiment": experiment.name,
        "tags": {tag.key: tag.value for tag in request.tags},
    }
    await things.create(TRIAL, request.trial_name, properties)
    return TrialArn(trial_arn=side.arn(TRIAL, request.trial_name))


async def describe(side: SagemakerSide, request: TrialReference) -> DescribeTrialResponse:
    """Return a trial."""
    found = await Things(side).get(TRIAL, request.trial_name)
    return DescribeTrialResponse(**members_of_trial(side, found))


async def update(side: SagemakerSide, request: UpdateTrialRequest) -> TrialArn:
    """Change how a trial is shown."""
    things = Things(side)
    await side.recorder.require(_KEY)
    found = await things.get(TRIAL, request.trial_name)
    await things.change(found, {} if request.display_name is None else {"display_name": request.display_name})
    return TrialArn(trial_arn=found.arn(side.region))


async def delete(side: SagemakerSide, request: TrialReference) -> TrialArn:
    """Delete a trial that no component is in any more."""
    things, context = Things(side), side.context
    await side.recorder.require(_KEY)
    found = await things.get(TRIAL, request.trial_name)
    inside = And((Compare(Field("tag"), "=", tag_of(found)), Compare(Field("deleted"), "=", False)))
    count = await context.repositories.runs.count(context.scope, inside, context.clock())
    if count:
        raise invalid(f"Trial {found.name!r} has {count} trial components: disassociate them first")
    await things.delete(found)
    return TrialArn(trial_arn=found.arn(side.region))


async def list_trials(side: SagemakerSide, request: ListTrialsRequest) -> ListTrialsResponse:
    """Return a page of trials: of all, of an experiment's, or of those that a component is in."""
    things = Things(side)
    found = await things.all(TRIAL)
    if request.experiment_name is not None:
        experiment = await things.get(EXPERIMENT, request.experiment_name)
        found = [one for one in found if one.experiment == experiment.name]
    if request.trial_component_name is not None:
        component = await side.component(request.trial_component_name)
        names = frozenset(trials_in(component.tags))
        found = [one for one in found if one.name.lower() in names]
    some, token = page_of(found, request)
    listed = [ListedTrial(**_members(side, one)) for one in some]
    return ListTrialsResponse(trial_summaries=listed, next_token=token)


async def associate(side: SagemakerSide, request: Association) -> AssociationArns:
    """Take a component into a trial. A run of this client that is in no experiment is in the trial's from then on."""
    trial = await Things(side).get(TRIAL, request.trial_name)
    component = await side.component(request.trial_component_name)
    await side.recorder.require(component.run)
    stamp = side.recorder.stamp
    events: list[RunEvent] = [TagsAdded(at_us=stamp(), tags=(tag_of(trial),))]
    if (component.workspace, component.project) == PLACE and not component.columns["experiment"]:
        events.append(_moved(side, trial.experiment))
    await side.recorder.record(component.run, side.content, events)
    return _arns(side, trial, component.run)


async def disassociate(side: SagemakerSide, request: Association) -> AssociationArns:
    """Take a component out of a trial, and out of its experiment where no other trial holds it there."""
    things = Things(side)
    trial = await things.get(TRIAL, request.trial_name)
    component = await side.component(request.trial_component_name)
    await side.recorder.require(component.run)
    if tag_of(trial) not in component.tags:
        name = component_of_run(component.run)
        raise AwsError(NOT_FOUND, f"Trial component {name!r} is not associated with trial {trial.name!r}")
    events: list[RunEvent] = [TagsRemoved(at_us=side.recorder.stamp(), tags=(tag_of(trial),))]
    is_there = (component.workspace, component.project, component.columns["experiment"]) == (*PLACE, trial.experiment)
    if is_there and not await _is_held(things, trial, component.tags):
        events.append(_moved(side, None))
    await side.recorder.record(component.run, side.content, events)
    return _arns(side, trial, component.run)


async def _is_held(things: Things, trial: Thing, tags: Iterable[str]) -> bool:
    """Whether a run with these tags is in another trial of the same experiment."""
    others = [await things.find(TRIAL, name) for name in trials_in(tags) if name != trial.name.lower()]
    return any(one is not None and one.experiment == trial.experiment for one in others)


def _moved(side: SagemakerSide, experiment: str | None) -> RunMoved:
    return RunMoved(at_us=side.recorder.stamp(), workspace=WORKSPACE, project=PROJECT, experiment=experiment)


def _arns(side: SagemakerSide, trial: Thing, run: str) -> AssociationArns:
    return AssociationArns(trial_arn=trial.arn(side.region), trial_component_arn=side.component_arn(run))


def members_of_trial(side: SagemakerSide, found: Thing) -> dict[str, Any]:
    """Return what a trial has in responses."""
    return {**_members(side, found), "experiment_name": found.experiment}


def _members(side: SagemakerSide, found: Thing) -> dict[str, Any]:
    return {
        "trial_name": found.name,
        "trial_arn": found.arn(side.region),
        "display_name": found.display_name,
        "creation_time": seconds(found.created_at),
        "last_modified_time": seconds(found.updated_at),
    }
