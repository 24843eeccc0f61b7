"""Requests and responses of Search."""

from typing import Annotated, Literal

from pydantic import Field

from runstream_protocols.sagemaker.errors import invalid
from runstream_protocols.sagemaker.models import (
    DEFAULT_PAGE,
    AwsRequest,
    AwsResponse,
    DescribeExperimentResponse,
    DescribeTrialComponentResponse,
    DescribeTrialResponse,
    SortOrder,
    Tag,
)

Operator = Literal[
    "Equals",
    "NotEquals",
    "GreaterThan",
    "GreaterThanOrEqualTo",
    "LessThan",
    "LessThanOrEqualTo",
    "Contains",
    "Exists",
    "NotExists",
    "In",
]
#: All that AWS can search; of the others there are none here.
Resource = Literal[
    "TrainingJob",
    "Experiment",
    "ExperimentTrial",
    "ExperimentTrialComponent",
    "Endpoint",
    "Model",
    "ModelPackage",
    "ModelPackageGroup",
    "Pipeline",
    "PipelineExecution",
    "FeatureGroup",
    "FeatureMetadata",
    "Image",
    "ImageVersion",
    "Project",
    "HyperParameterTuningJob",
    "ModelCard",
    "PipelineVersion",
    "Job",
    "HubContent",
]


class Filter(AwsRequest):
    """A test of a property. `value` is a text, whatever the property is."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    operator: Operator = "Equals"
    value: Annotated[str, Field(max_length=1024)] | None = None

    @property
    def text(self) -> str:
        """Return the value. Raises AwsError where there is none."""
        if self.value is None:
            raise invalid(f"the filter of {self.name[:100]!r} has no Value: give one, or the operator Exists")
        return self.value


class NestedFilters(AwsRequest):
    nested_property_name: Annotated[str, Field(min_length=1, max_length=255)]
    filters: Annotated[list[Filter], Field(min_length=1, max_length=20)]


class SearchExpression(AwsRequest):
    filters: Annotated[tuple[Filter, ...], Field(max_length=20)] = ()
    nested_filters: Annotated[tuple[NestedFilters, ...], Field(max_length=20)] = ()
    sub_expressions: Annotated[tuple["SearchExpression", ...], Field(max_length=20)] = ()
    operator: Literal["And", "Or"] = "And"


class SearchRequest(AwsRequest):
    resource: Resource
    search_expression: SearchExpression | None = None
    sort_by: Annotated[str, Field(min_length=1, max_length=255)] = "LastModifiedTime"
    sort_order: SortOrder = "Descending"
    max_results: Annotated[int, Field(ge=1, le=100)] = DEFAULT_PAGE
    next_token: Annotated[str, Field(max_length=8192)] | None = None


class Parent(AwsResponse):
    """A trial that a component is in."""

    trial_name: str
    experiment_name: str


class SimpleComponent(AwsResponse):
    """A component of a trial that was found."""

    trial_component_name: str
    trial_component_arn: str
    creation_time: float


class FoundExperiment(DescribeExperimentResponse):
    tags: list[Tag]


class FoundTrial(DescribeTrialResponse):
    tags: list[Tag]
    trial_component_summaries: list[SimpleComponent]


class FoundComponent(DescribeTrialComponentResponse):
    tags: list[Tag]
    parents: list[Parent]


class SearchRecord(AwsResponse):
    """One thing, under the name of its kind; the other kinds are null, which the client takes for left out."""

    experiment: FoundExperiment | None = None
    trial: FoundTrial | None = None
    trial_component: FoundComponent | None = None


class SearchResponse(AwsResponse):
    results: list[SearchRecord]
    next_token: str | None = None
