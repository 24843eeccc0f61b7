"""What the client asks, as models. Names that are not known are passed over: newer clients send more."""

from collections.abc import Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from runstream_query.errors import InvalidRequest
from runstream_query.http.requests import check_values, read_bounded


class CometRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


A = TypeVar("A", bound=CometRequest)


class EmptyRequest(CometRequest):
    pass


class ExperimentRequest(CometRequest):
    experiment_key: str = Field(min_length=1)


class MetricRequest(ExperimentRequest):
    metric_name: str


class AssetsRequest(ExperimentRequest):
    type: str = "all"


class AssetByNameRequest(ExperimentRequest):
    asset_name: str
    type: str = "all"


class AssetRequest(CometRequest):
    """Files of registered models need no experiment: their ids say which they are."""

    experiment_key: str = ""
    asset_id: str


class ModelRequest(ExperimentRequest):
    model_name: str


class WorkspaceRequest(CometRequest):
    workspace_name: str


class ProjectRequest(CometRequest):
    """Both names, or the id."""

    workspace_name: str | None = None
    project_name: str | None = None
    project_id: str | None = None


class ExperimentsRequest(ProjectRequest):
    """A page counts from 1; without one all experiments are meant."""

    archived: bool = False
    page: int | None = Field(default=None, ge=1)
    size: int | None = Field(default=None, ge=1)
    sort_by: str | None = Field(default=None, pattern="^(startTime|endTime)$")
    sort_order: str | None = Field(default=None, pattern="^(asc|desc)$")


class PredicateRequest(CometRequest):
    source: str
    query: dict[str, Any]
    negated: bool = False


class QueryRequest(ProjectRequest):
    predicates: list[PredicateRequest] = Field(max_length=1000)
    archived: bool = False


class SearchRequest(CometRequest):
    """`deleted` is what the client sends for archived."""

    project_id: str
    rules_tree: dict[str, Any] | None = None
    limit: int = Field(default=100, ge=1)
    page: int = Field(default=1, ge=1)
    deleted: bool = False


class ChartsRequest(CometRequest):
    targeted_experiments: list[str] = Field(max_length=1000)
    metrics: list[str] = Field(default_factory=list, max_length=1000)
    params: list[str] | None = Field(default=None, max_length=1000)
    independent_metrics: bool = True
    fetch_full: bool = False


class ArtifactsRequest(CometRequest):
    """Those of a workspace, of one type if one is given."""

    workspace: str
    type: str | None = None


class ArtifactRequest(CometRequest):
    """The id, or both names. The client writes `artifact_id` as it stands here, and quotes the name twice."""

    artifact_id: str | None = Field(default=None, alias="artifact_id")
    workspace: str | None = None
    artifact_name: str | None = None


class ArtifactFilesRequest(ArtifactRequest):
    """A version by its text or its alias, else the newest."""

    version: str | None = None
    alias: str | None = None


class LineageRequest(ExperimentRequest):
    filter: str = Field(default="all", pattern="^(all|output|input)$")


class RegisteredModelRequest(CometRequest):
    """A registered model."""

    workspace_name: str
    model_name: str


class VersionRequest(RegisteredModelRequest):
    """One version: by its text, else the highest, of those with a tag if `stage` is one."""

    version: str | None = None
    stage: str | None = None


class LatestRequest(RegisteredModelRequest):
    """The highest version: of those with a tag, or with these parts of its number."""

    stage: str | None = None
    version_major: int | None = None
    version_minor: int | None = None


class ItemsRequest(RegisteredModelRequest):
    version_prefix: str = ""
    status: str | None = None
    tag: str | None = None


class HistoryRequest(CometRequest):
    registry_model_item_id: str
    grouped_by: str = Field(default="DAY", pattern="^DAY$")


async def read_request(model: type[A], request: web.Request, max_bytes: int) -> A:
    """The question of a request: the query string of a GET, the JSON body of a POST. Raises InvalidRequest."""
    if request.method == "GET":
        return _validated(model, dict(request.query))
    return _read(model, await read_bounded(request, max_bytes))


def _read(model: type[A], body: bytes) -> A:
    check_values(body)
    try:
        # Bare NaN and Infinity are read as what they are: the client writes them.
        fields = from_json(body)
    except ValueError as error:
        raise InvalidRequest(f"the body is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest(f"the body is {type(fields).__name__}: send a JSON object")
    return _validated(model, fields)


def _validated(model: type[A], fields: Mapping[str, Any]) -> A:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidRequest(f"{name}: {first['msg']}", name=name) from None
