"""The operations of SageMaker that are there: what each does, its models and its handler."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker import (
    artifacts,
    associations,
    components,
    experiments,
    metrics,
    searching,
    shown,
    tags,
    trials,
)
from runstream_protocols.sagemaker import lineage_models as li
from runstream_protocols.sagemaker import models as m
from runstream_protocols.sagemaker import search_models as s
from runstream_protocols.sagemaker.access import TARGET
from runstream_protocols.sagemaker.errors import AwsError
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_service.access import Action

_PREFIX: Final = "SageMaker."


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request does whose header X-Amz-Target names it."""

    name: str
    action: Action
    request: type[m.AwsRequest]
    response: type[m.AwsResponse]
    handler: Callable[[SagemakerSide, Any], Awaitable[m.AwsResponse]]


OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation("Search", Action.READ, s.SearchRequest, s.SearchResponse, searching.search),
        Operation("AddTags", Action.LOG, m.AddTagsRequest, m.TagsResponse, tags.add),
        Operation("DeleteTags", Action.LOG, m.DeleteTagsRequest, m.Nothing, tags.remove),
        Operation("ListTags", Action.READ, m.ListTagsRequest, m.TagsResponse, tags.list_tags),
        Operation("CreateExperiment", Action.LOG, m.CreateExperimentRequest, m.ExperimentArn, experiments.create),
        Operation(
            "DescribeExperiment", Action.READ, m.ExperimentReference, m.DescribeExperimentResponse, experiments.describe
        ),
        Operation("UpdateExperiment", Action.LOG, m.UpdateExperimentRequest, m.ExperimentArn, experiments.update),
        Operation("DeleteExperiment", Action.EDIT, m.ExperimentReference, m.ExperimentArn, experiments.delete),
        Operation(
            "ListExperiments",
            Action.READ,
            m.ListExperimentsRequest,
            m.ListExperimentsResponse,
            experiments.list_experiments,
        ),
        Operation("CreateTrial", Action.LOG, m.CreateTrialRequest, m.TrialArn, trials.create),
        Operation("DescribeTrial", Action.READ, m.TrialReference, m.DescribeTrialResponse, trials.describe),
        Operation("UpdateTrial", Action.LOG, m.UpdateTrialRequest, m.TrialArn, trials.update),
        Operation("DeleteTrial", Action.EDIT, m.TrialReference, m.TrialArn, trials.delete),
        Operation("ListTrials", Action.READ, m.ListTrialsRequest, m.ListTrialsResponse, trials.list_trials),
        Operation("AssociateTrialComponent", Action.LOG, m.Association, m.AssociationArns, trials.associate),
        Operation("DisassociateTrialComponent", Action.LOG, m.Association, m.AssociationArns, trials.disassociate),
        Operation("CreateTrialComponent", Action.LOG, m.CreateTrialComponentRequest, m.ComponentArn, components.create),
        Operation(
            "DescribeTrialComponent",
            Action.READ,
            m.ComponentReference,
            m.DescribeTrialComponentResponse,
            shown.describe,
        ),
        Operation("UpdateTrialComponent", Action.LOG, m.UpdateTrialComponentRequest, m.ComponentArn, components.update),
        Operation("DeleteTrialComponent", Action.EDIT, m.ComponentReference, m.ComponentArn, components.delete),
        Operation(
            "ListTrialComponents",
            Action.READ,
            m.ListTrialComponentsRequest,
            m.ListTrialComponentsResponse,
            shown.list_components,
        ),
        Operation("CreateArtifact", Action.LOG, li.CreateArtifactRequest, li.ArtifactArn, artifacts.create),
        Operation(
            "DescribeArtifact", Action.READ, li.ArtifactReference, li.DescribeArtifactResponse, artifacts.describe
        ),
        Operation("UpdateArtifact", Action.LOG, li.UpdateArtifactRequest, li.ArtifactArn, artifacts.update),
        Operation("DeleteArtifact", Action.EDIT, li.DeleteArtifactRequest, li.ArtifactArn, artifacts.delete),
        Operation(
            "ListArtifacts", Action.READ, li.ListArtifactsRequest, li.ListArtifactsResponse, artifacts.list_artifacts
        ),
        Operation("AddAssociation", Action.LOG, li.AddAssociationRequest, li.AssociatedArns, associations.add),
        Operation("DeleteAssociation", Action.EDIT, li.AssociationReference, li.AssociatedArns, associations.delete),
        Operation(
            "ListAssociations",
            Action.READ,
            li.ListAssociationsRequest,
            li.ListAssociationsResponse,
            associations.list_associations,
        ),
    )
}


#: It has a path of its own.
PUT_METRICS: Final = Operation(
    "BatchPutMetrics", Action.LOG, m.BatchPutMetricsRequest, m.BatchPutMetricsResponse, metrics.put
)


def operation_of(request: web.Request) -> Operation:
    """Return the operation that a request names. Raises AwsError."""
    target = request.headers.get(TARGET, "")
    operation = OPERATIONS.get(target.removeprefix(_PREFIX))
    if operation is None or not target.startswith(_PREFIX):
        raise AwsError(
            "UnknownOperationException",
            f"the operation {target[:100]!r} is not kept here; {', '.join(sorted(OPERATIONS))} are",
        )
    return operation


def action_of(request: web.Request) -> Action | None:
    """Return what a request does; None where it names no operation of ours."""
    operation = OPERATIONS.get(request.headers.get(TARGET, "").removeprefix(_PREFIX))
    return None if operation is None else operation.action
