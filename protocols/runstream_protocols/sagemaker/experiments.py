"""Handlers of experiments."""

from typing import Any

from runstream.events.control import ExperimentCreated, ExperimentDeleted, ExperimentUpdated
from runstream.events.names import project_key
from runstream_protocols.sagemaker.errors import invalid
from runstream_protocols.sagemaker.models import (
    CreateExperimentRequest,
    DescribeExperimentResponse,
    ExperimentArn,
    ExperimentReference,
    ListedExperiment,
    ListExperimentsRequest,
    ListExperimentsResponse,
    UpdateExperimentRequest,
)
from runstream_protocols.sagemaker.names import EXPERIMENT, PROJECT, TRIAL, WORKSPACE
from runstream_protocols.sagemaker.paging import page_of
from runstream_protocols.sagemaker.shown import seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import Thing, Things, taken

_KEY = project_key(WORKSPACE, PROJECT)


async def create(side: SagemakerSide, request: CreateExperimentRequest) -> ExperimentArn:
    """Create an experiment. Its name is unique, whatever its case."""
    things, name = Things(side), request.experiment_name
    await side.recorder.require(_KEY)
    found = await things.find(EXPERIMENT, name)
    if found is not None and found.entity is None:
        raise taken(EXPERIMENT, name)
    tags = {tag.key: tag.value for tag in request.tags}
    await things.create(EXPERIMENT, name, {"display_name": request.display_name, "tags": tags})
    created = ExperimentCreated(
        at_us=side.recorder.stamp(),
        workspace=WORKSPACE,
        project=PROJECT,
        experiment=name,
        description=request.description or "",
    )
    await side.recorder.record(_KEY, side.content, [created])
    return ExperimentArn(experiment_arn=side.arn(EXPERIMENT, name))


async def describe(side: SagemakerSide, request: ExperimentReference) -> DescribeExperimentResponse:
    """Return an experiment."""
    found = await Things(side).get(EXPERIMENT, request.experiment_name)
    return DescribeExperimentResponse(**members_of_experiment(side, found))


async def update(side: SagemakerSide, request: UpdateExperimentRequest) -> ExperimentArn:
    """Change how an experiment is shown, or its description; an empty one clears it."""
    things = Things(side)
    await side.recorder.require(_KEY)
    found = await things.get(EXPERIMENT, request.experiment_name)
    changes = {} if request.display_name is None else {"display_name": request.display_name}
    await things.change(found, changes)
    if request.description is not None:
        updated = ExperimentUpdated(
            at_us=side.recorder.stamp(),
            workspace=WORKSPACE,
            project=PROJECT,
            experiment=found.name,
            description=request.description,
        )
        await side.recorder.record(_KEY, side.content, [updated])
    return ExperimentArn(experiment_arn=found.arn(side.region))


async def delete(side: SagemakerSide, request: ExperimentReference) -> ExperimentArn:
    """Delete an experiment that has no trials any more."""
    things = Things(side)
    await side.recorder.require(_KEY)
    found = await things.get(EXPERIMENT, request.experiment_name)
    trials = sum(one.experiment == found.name for one in await things.all(TRIAL))
    if trials:
        raise invalid(f"Experiment {found.name!r} has {trials} trials: delete them first")
    if found.runs:
        raise invalid(
            f"Experiment {found.name!r} has {found.runs} runs that are in no trial: move or delete them first"
        )
    deleted = ExperimentDeleted(
        at_us=side.recorder.stamp(), workspace=WORKSPACE, project=PROJECT, experiment=found.name
    )
    await side.recorder.record(_KEY, side.content, [deleted])
    await things.delete(found)
    return ExperimentArn(experiment_arn=found.arn(side.region))


async def list_experiments(side: SagemakerSide, request: ListExperimentsRequest) -> ListExperimentsResponse:
    """Return a page of experiments."""
    some, token = page_of(await Things(side).all(EXPERIMENT), request)
    listed = [ListedExperiment(**_members(side, one)) for one in some]
    return ListExperimentsResponse(experiment_summaries=listed, next_token=token)


def members_of_experiment(side: SagemakerSide, found: Thing) -> dict[str, Any]:
    """Return what an experiment has in responses."""
    return {**_members(side, found), "description": found.description or None}


def _members(side: SagemakerSide, found: Thing) -> dict[str, Any]:
    return {
        "experiment_name": found.name,
        "experiment_arn": found.arn(side.region),
        "display_name": found.display_name,
        "creation_time": seconds(found.created_at),
        "last_modified_time": seconds(found.updated_at),
    }
