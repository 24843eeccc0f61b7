"""Requests and responses about artifacts of lineage and what they are associated with."""

from typing import Annotated, Literal

from pydantic import Field

from runstream_protocols.sagemaker.models import AwsRequest, AwsResponse, Reference, SliceRequest, Tags

AssociationType = Literal["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced", "SameAs"]
#: At AWS a name has no dots or spaces, but the client gives those of files and the titles of charts.
ArtifactName = Annotated[str, Field(min_length=1, max_length=500)]
ArtifactType = Annotated[str, Field(max_length=256)]
SourceUri = Annotated[str, Field(min_length=1, max_length=2048)]
PropertyText = Annotated[str, Field(max_length=4096)]
Properties = Annotated[dict[Annotated[str, Field(max_length=2500)], PropertyText], Field(max_length=30)]


class SourceType(AwsResponse):
    """By what a source is told from others at its address."""

    source_id_type: Literal["MD5Hash", "S3ETag", "S3Version", "Custom"]
    value: Annotated[str, Field(max_length=256)]


class ArtifactSource(AwsResponse):
    """Where an artifact is."""

    source_uri: SourceUri
    source_types: list[SourceType] = Field(default_factory=list, max_length=30)


class CreateArtifactRequest(AwsRequest):
    artifact_name: ArtifactName | None = None
    source: ArtifactSource
    artifact_type: ArtifactType
    properties: Properties = Field(default_factory=dict)
    tags: Tags = Field(default_factory=list)


class ArtifactReference(AwsRequest):
    artifact_arn: Reference


class UpdateArtifactRequest(ArtifactReference):
    """What is left out stays as it is."""

    artifact_name: ArtifactName | None = None
    properties: Properties = Field(default_factory=dict)
    properties_to_remove: list[str] = Field(default_factory=list, max_length=30)


class DeleteArtifactRequest(AwsRequest):
    """One of both."""

    artifact_arn: Reference | None = None
    source: ArtifactSource | None = None


class ListArtifactsRequest(SliceRequest):
    source_uri: SourceUri | None = None
    artifact_type: ArtifactType | None = None
    sort_by: Literal["CreationTime"] = "CreationTime"


class ArtifactArn(AwsResponse):
    artifact_arn: str


class ListedArtifact(AwsResponse):
    """An artifact in a list. Times are seconds since 1970 UTC."""

    artifact_arn: str
    artifact_name: str | None = None
    source: ArtifactSource
    artifact_type: str
    creation_time: float
    last_modified_time: float


class DescribeArtifactResponse(ListedArtifact):
    properties: dict[str, str]


class ListArtifactsResponse(AwsResponse):
    artifact_summaries: list[ListedArtifact]
    next_token: str | None = None


class AssociationReference(AwsRequest):
    source_arn: Reference
    destination_arn: Reference


class AddAssociationRequest(AssociationReference):
    association_type: AssociationType | None = None


class ListAssociationsRequest(SliceRequest):
    source_arn: Reference | None = None
    destination_arn: Reference | None = None
    source_type: ArtifactType | None = None
    destination_type: ArtifactType | None = None
    association_type: AssociationType | None = None
    sort_by: Literal["SourceArn", "DestinationArn", "SourceType", "DestinationType", "CreationTime"] = "CreationTime"


class AssociatedArns(AwsResponse):
    source_arn: str
    destination_arn: str


class ListedAssociation(AssociatedArns):
    """An association in a list. The time is seconds since 1970 UTC."""

    source_type: str
    destination_type: str
    association_type: AssociationType | None = None
    source_name: str
    destination_name: str
    creation_time: float


class ListAssociationsResponse(AwsResponse):
    association_summaries: list[ListedAssociation]
    next_token: str | None = None
