"""What the client asks, as models. Names that are not known are passed over: newer clients send more."""

from collections.abc import Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from runstream_query.errors import InvalidRequest
from runstream_query.http.requests import check_values, read_bounded


class CometAsked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


A = TypeVar("A", bound=CometAsked)


class AskedNothing(CometAsked):
    pass


class AskedOfExperiment(CometAsked):
    experiment_key: str = Field(min_length=1)


class AskedMetric(AskedOfExperiment):
    metric_name: str


class AskedAssets(AskedOfExperiment):
    type: str = "all"


class AskedAssetByName(AskedOfExperiment):
    asset_name: str
    type: str = "all"


class AskedAsset(CometAsked):
    """Files of registered models need no experiment: their ids say which they are."""

    experiment_key: str = ""
    asset_id: str


class AskedModel(AskedOfExperiment):
    model_name: str


class AskedWorkspace(CometAsked):
    workspace_name: str


class AskedProject(CometAsked):
    """Both names, or the id."""

    workspace_name: str | None = None
    project_name: str | None = None
    project_id: str | None = None


class AskedExperiments(AskedProject):
    """A page counts from 1; without one all experiments are meant."""

    archived: bool = False
    page: int | None = Field(default=None, ge=1)
    size: int | None = Field(default=None, ge=1)
    sort_by: str | None = Field(default=None, pattern="^(startTime|endTime)$")
    sort_order: str | None = Field(default=None, pattern="^(asc|desc)$")


class AskedPredicate(CometAsked):
    source: str
    query: dict[str, Any]
    negated: bool = False


class AskedQuery(AskedProject):
    predicates: list[AskedPredicate] = Field(max_length=1000)
    archived: bool = False


class AskedSearch(CometAsked):
    """`deleted` is what the client sends for archived."""

    project_id: str
    rules_tree: dict[str, Any] | None = None
    limit: int = Field(default=100, ge=1)
    page: int = Field(default=1, ge=1)
    deleted: bool = False


class AskedCharts(CometAsked):
    targeted_experiments: list[str] = Field(max_length=1000)
    metrics: list[str] = Field(default_factory=list, max_length=1000)
    params: list[str] | None = Field(default=None, max_length=1000)
    independent_metrics: bool = True
    fetch_full: bool = False


class AskedRegistered(CometAsked):
    """A registered model."""

    workspace_name: str
    model_name: str


class AskedVersion(AskedRegistered):
    """One version: by its text, else the highest, of those with a tag if `stage` is one."""

    version: str | None = None
    stage: str | None = None


class AskedLatest(AskedRegistered):
    """The highest version: of those with a tag, or with these parts of its number."""

    stage: str | None = None
    version_major: int | None = None
    version_minor: int | None = None


class AskedItems(AskedRegistered):
    version_prefix: str = ""
    status: str | None = None
    tag: str | None = None


class AskedHistory(CometAsked):
    registry_model_item_id: str
    grouped_by: str = Field(default="DAY", pattern="^DAY$")


async def read_asked(model: type[A], request: web.Request, max_bytes: int) -> A:
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
