"""SageMaker's requests and responses, as its service model has them. Members that are not known are passed over."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
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
#: How a thing is shown; what another client gave comes back as it was.
ShownName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Description = Annotated[str, Field(max_length=3072)]
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
    display_name: ShownName | None = None
    parameters_to_remove: Annotated[list[str], Field(max_length=300)] = []
    input_artifacts_to_remove: Annotated[list[str], Field(max_length=60)] = []
    output_artifacts_to_remove: Annotated[list[str], Field(max_length=60)] = []


class ComponentReference(AwsRequest):
    trial_component_name: Reference


class SliceRequest(AwsRequest):
    """Which part of a list. Both times are exclusive."""

    created_after: Moment | None = None
    created_before: Moment | None = None
    sort_order: SortOrder = "Descending"
    max_results: Annotated[int, Field(ge=1, le=100)] = DEFAULT_PAGE
    next_token: Annotated[str, Field(max_length=8192)] | None = None


class PageRequest(SliceRequest):
    """The same of a list that is ordered by names or times."""

    sort_by: SortBy = "CreationTime"


class ListTrialComponentsRequest(PageRequest):
    experiment_name: Reference | None = None
    trial_name: Reference | None = None
    source_arn: Reference | None = None


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


class CreateExperimentRequest(AwsRequest):
    experiment_name: NewName
    display_name: NewName | None = None
    description: Description | None = None
    tags: Tags = []


class ExperimentReference(AwsRequest):
    experiment_name: Reference


class UpdateExperimentRequest(ExperimentReference):
    """What is left out stays as it is."""

    display_name: ShownName | None = None
    description: Description | None = None


class ListExperimentsRequest(PageRequest):
    """All experiments."""


class ExperimentArn(AwsResponse):
    experiment_arn: str


class ListedExperiment(AwsResponse):
    """An experiment in a list. Times are seconds since 1970 UTC."""

    experiment_name: str
    experiment_arn: str
    display_name: str
    creation_time: float
    last_modified_time: float


class DescribeExperimentResponse(ListedExperiment):
    description: str | None = None


class ListExperimentsResponse(AwsResponse):
    experiment_summaries: list[ListedExperiment]
    next_token: str | None = None


class CreateTrialRequest(AwsRequest):
    trial_name: NewName
    experiment_name: Reference
    display_name: NewName | None = None
    tags: Tags = []


class TrialReference(AwsRequest):
    trial_name: Reference


class UpdateTrialRequest(TrialReference):
    """What is left out stays as it is."""

    display_name: ShownName | None = None


class ListTrialsRequest(PageRequest):
    experiment_name: Reference | None = None
    trial_component_name: Reference | None = None


class TrialArn(AwsResponse):
    trial_arn: str


class ListedTrial(AwsResponse):
    """A trial in a list. Times are seconds since 1970 UTC."""

    trial_name: str
    trial_arn: str
    display_name: str
    creation_time: float
    last_modified_time: float


class DescribeTrialResponse(ListedTrial):
    experiment_name: str


class ListTrialsResponse(AwsResponse):
    trial_summaries: list[ListedTrial]
    next_token: str | None = None


class Association(AwsRequest):
    """A trial, and a component that is or is to be in it."""

    trial_name: Reference
    trial_component_name: Reference


class AssociationArns(AwsResponse):
    trial_arn: str
    trial_component_arn: str


class AddTagsRequest(AwsRequest):
    resource_arn: Reference
    tags: Tags


class DeleteTagsRequest(AwsRequest):
    resource_arn: Reference
    tag_keys: Annotated[list[str], Field(min_length=1, max_length=50)]


class ListTagsRequest(AwsRequest):
    """All tags come at once."""

    resource_arn: Reference
    max_results: Annotated[int, Field(ge=50)] | None = None
    next_token: Annotated[str, Field(max_length=8192)] | None = None


class TagsResponse(AwsResponse):
    tags: list[Tag]


class Nothing(AwsResponse):
    """The client reads nothing of it."""


class MetricPoint(AwsRequest):
    metric_name: Annotated[str, Field(min_length=1, max_length=255)]
    timestamp: Moment
    step: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    value: float


class BatchPutMetricsRequest(AwsRequest):
    trial_component_name: Reference
    metric_data: Annotated[list[MetricPoint], Field(min_length=1, max_length=10)]


class MetricError(AwsResponse):
    """Why a point was not taken."""

    code: Literal["METRIC_LIMIT_EXCEEDED", "INTERNAL_ERROR", "VALIDATION_ERROR", "CONFLICT_ERROR"]
    metric_index: int


class BatchPutMetricsResponse(AwsResponse):
    """Empty: of points that cannot be taken the whole request is refused."""

    errors: list[MetricError]
