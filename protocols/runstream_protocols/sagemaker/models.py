"""SageMaker's requests and responses, as its service model has them. Members that are not known are passed over."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_pascal

from runstream.events.limits import MAX_AT_US, MAX_NAME_CHARS, MAX_PARAMETER_NAME_CHARS
from runstream.events.moments import micros_of
from runstream_protocols.sagemaker.names import NAME
from runstream_query.responses import Number, ResponseModel

PrimaryStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
SortBy = Literal["Name", "CreationTime"]
SortOrder = Literal["Ascending", "Descending"]
#: A page where the request names no size.
DEFAULT_PAGE: Final = 10
MAX_STRING_CHARS: Final = 2_500
MAX_MESSAGE_CHARS: Final = 1_024


def _within_time(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not 0 <= micros_of(aware) <= MAX_AT_US:
        raise ValueError("Member must be a moment between the years 1970 and 2299")
    return aware


#: The name of a new thing.
NewName = Annotated[str, Field(pattern=NAME)]
#: The name of a thing that may have been begun by another client, or its ARN.
Reference = Annotated[str, Field(min_length=1, max_length=256)]
#: Seconds since 1970 UTC, or ISO 8601.
Moment = Annotated[datetime, AfterValidator(_within_time)]
#: As long as another client's, which this client sends back when it saves what it loaded.
ParameterKey = Annotated[str, Field(min_length=1, max_length=MAX_PARAMETER_NAME_CHARS)]
ArtifactKey = Annotated[str, Field(min_length=1, max_length=128)]


class AwsRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)


class AwsResponse(ResponseModel):
    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)


class Status(AwsResponse):
    primary_status: PrimaryStatus | None = None
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARS)] | None = None


class ParameterValue(AwsResponse):
    """A text or a number."""

    string_value: Annotated[str, Field(max_length=MAX_STRING_CHARS)] | None = None
    number_value: Number | None = None


class Artifact(AwsResponse):
    value: Annotated[str, Field(max_length=2048)]
    media_type: Annotated[str, Field(max_length=64)] | None = None


class Tag(AwsResponse):
    key: Annotated[str, Field(min_length=1, max_length=128)]
    value: Annotated[str, Field(max_length=256)]


#: More than AWS takes, for the same reason.
Parameters = Annotated[dict[ParameterKey, ParameterValue], Field(max_length=10_000)]
Artifacts = Annotated[dict[ArtifactKey, Artifact], Field(max_length=60)]
Tags = Annotated[list[Tag], Field(max_length=50)]


class ComponentMembers(AwsRequest):
    """What a request may say of a trial component."""

    display_name: NewName | None = None
    status: Status | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    parameters: Parameters = {}
    input_artifacts: Artifacts = {}
    output_artifacts: Artifacts = {}


class CreateTrialComponentRequest(ComponentMembers):
    trial_component_name: NewName
    tags: Tags = []


class UpdateTrialComponentRequest(ComponentMembers):
    """Maps are merged by their keys; what is left out stays as it is."""

    trial_component_name: Reference
    # A name that another client gave comes back as it was shown.
    display_name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] | None = None
    parameters_to_remove: Annotated[list[str], Field(max_length=300)] = []
    input_artifacts_to_remove: Annotated[list[str], Field(max_length=60)] = []
    output_artifacts_to_remove: Annotated[list[str], Field(max_length=60)] = []


class ComponentReference(AwsRequest):
    trial_component_name: Reference


class ListTrialComponentsRequest(AwsRequest):
    experiment_name: Reference | None = None
    trial_name: Reference | None = None
    source_arn: Reference | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    sort_by: SortBy = "CreationTime"
    sort_order: SortOrder = "Descending"
    max_results: Annotated[int, Field(ge=1, le=100)] = DEFAULT_PAGE
    next_token: Annotated[str, Field(max_length=8192)] | None = None


class ComponentArn(AwsResponse):
    trial_component_arn: str


class Source(AwsResponse):
    source_arn: str


class MetricSummary(AwsResponse):
    """Of all points of a metric."""

    metric_name: str
    source_arn: str
    time_stamp: float
    max: Number
    min: Number
    last: Number
    count: int
    avg: Number
    std_dev: Number | None = None


class ComponentSummary(AwsResponse):
    """A trial component in a list. Times are seconds since 1970 UTC."""

    trial_component_name: str
    trial_component_arn: str
    display_name: str
    status: Status
    start_time: float
    end_time: float | None = None
    creation_time: float
    last_modified_time: float


class ListedComponent(ComponentSummary):
    trial_component_source: Source | None = None


class DescribeTrialComponentResponse(ComponentSummary):
    source: Source | None = None
    parameters: dict[str, ParameterValue]
    input_artifacts: dict[str, Artifact]
    output_artifacts: dict[str, Artifact]
    metrics: list[MetricSummary]


class ListTrialComponentsResponse(AwsResponse):
    trial_component_summaries: list[ListedComponent]
    next_token: str | None = None


class AnyRequest(
    RootModel[
        CreateTrialComponentRequest | UpdateTrialComponentRequest | ListTrialComponentsRequest | ComponentReference
    ]
):
    """What a request has is told by its header X-Amz-Target."""


class AnyResponse(RootModel[DescribeTrialComponentResponse | ListTrialComponentsResponse | ComponentArn]):
    """What a response has is told by the request."""
