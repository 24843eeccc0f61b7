"""All requests and responses of the one route, for its OpenAPI document."""

from pydantic import RootModel

from runstream_protocols.sagemaker.lineage_models import (
    AddAssociationRequest,
    ArtifactArn,
    ArtifactReference,
    AssociatedArns,
    AssociationReference,
    CreateArtifactRequest,
    DeleteArtifactRequest,
    DescribeArtifactResponse,
    ListArtifactsRequest,
    ListArtifactsResponse,
    ListAssociationsRequest,
    ListAssociationsResponse,
    UpdateArtifactRequest,
)
from runstream_protocols.sagemaker.models import (
    AddTagsRequest,
    Association,
    AssociationArns,
    ComponentArn,
    ComponentReference,
    CreateExperimentRequest,
    CreateTrialComponentRequest,
    CreateTrialRequest,
    DeleteTagsRequest,
    DescribeExperimentResponse,
    DescribeTrialComponentResponse,
    DescribeTrialResponse,
    ExperimentArn,
    ExperimentReference,
    ListExperimentsRequest,
    ListExperimentsResponse,
    ListTagsRequest,
    ListTrialComponentsRequest,
    ListTrialComponentsResponse,
    ListTrialsRequest,
    ListTrialsResponse,
    Nothing,
    TagsResponse,
    TrialArn,
    TrialReference,
    UpdateExperimentRequest,
    UpdateTrialComponentRequest,
    UpdateTrialRequest,
)
from runstream_protocols.sagemaker.search_models import SearchRequest, SearchResponse


class AnyRequest(
    RootModel[
        CreateTrialComponentRequest
        | UpdateTrialComponentRequest
        | ListTrialComponentsRequest
        | ComponentReference
        | CreateExperimentRequest
        | UpdateExperimentRequest
        | ListExperimentsRequest
        | ExperimentReference
        | CreateTrialRequest
        | UpdateTrialRequest
        | ListTrialsRequest
        | TrialReference
        | Association
        | AddTagsRequest
        | DeleteTagsRequest
        | ListTagsRequest
        | SearchRequest
        | CreateArtifactRequest
        | ArtifactReference
        | UpdateArtifactRequest
        | DeleteArtifactRequest
        | ListArtifactsRequest
        | AddAssociationRequest
        | AssociationReference
        | ListAssociationsRequest
    ]
):
    """What a request has is told by its header X-Amz-Target."""


class AnyResponse(
    RootModel[
        DescribeTrialComponentResponse
        | ListTrialComponentsResponse
        | ComponentArn
        | DescribeExperimentResponse
        | ListExperimentsResponse
        | ExperimentArn
        | DescribeTrialResponse
        | ListTrialsResponse
        | TrialArn
        | AssociationArns
        | TagsResponse
        | SearchResponse
        | DescribeArtifactResponse
        | ListArtifactsResponse
        | ArtifactArn
        | ListAssociationsResponse
        | AssociatedArns
        | Nothing
    ]
):
    """What a response has is told by the request."""
