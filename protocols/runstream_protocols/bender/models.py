"""Bender's requests and responses. Members that are not known are passed over."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from runstream_model.search.suggesting import Method
from runstream_query.responses import Logged, ResponseModel


class BenderRequest(BaseModel):
    """What a request may have; handlers read the members one by one."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Credentials(BenderRequest):
    """password: a key of this server. email: any; what stands before the @ is the name of the user."""

    email: str
    password: str


class Metric(BenderRequest):
    """A loss is the better the less it is, a reward the more."""

    metric_name: str
    type: Literal["loss", "reward"]


class NewExperiment(BenderRequest):
    """name: EXPERIMENT, PROJECT/EXPERIMENT or WORKSPACE/PROJECT/EXPERIMENT."""

    name: str
    metrics: list[Metric]
    description: str | None = None
    dataset: str | None = None
    dataset_parameters: Any = None


class Hyperparameter(BenderRequest):
    """search_space: what docs/bender.md says of the category; a descriptive one has none."""

    name: str
    category: str | None = None
    search_space: dict[str, Any] | None = None


class NewAlgo(BenderRequest):
    """experiment: the id of one."""

    name: str
    experiment: str
    parameters: list[Hyperparameter]
    description: str | None = None


class NewTrial(BenderRequest):
    """algo: the id of one. parameters: a value of each of its hyperparameters; results: of each metric."""

    algo: str
    parameters: dict[str, Any]
    results: dict[str, Any]
    weight: float = 1
    comment: str | None = None


class Wish(BenderRequest):
    """metric: by which trials are compared. minimum_observations: with fewer trials, values are drawn at random."""

    metric: str
    optimizer: Method = "parzen_estimator"
    minimum_observations: int = Field(default=30, ge=1, le=1000)


class ListQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ExperimentsQuery(ListQuery):
    """name: exactly that one."""

    name: str | None = None


class AlgosQuery(ListQuery):
    """Those of one experiment, by its id. name: exactly that one."""

    experiment: str = ""
    name: str | None = None


class TrialsQuery(ListQuery):
    """Those of one algorithm, by its id, the newest first; with `k_best` the best by `metric`, the best first."""

    algo: str = ""
    limit: int = Field(default=1000, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=10_000_000)
    k_best: int | None = Field(default=None, ge=1, le=1000)
    metric: str | None = None


class ShownUser(ResponseModel):
    pk: str
    username: str
    email: str


class LoggedIn(ResponseModel):
    """The token stands behind `JWT` in the header Authorization of all other requests."""

    token: str
    user: ShownUser


class ShownExperiment(ResponseModel):
    id: str
    name: str
    description: str | None
    metrics: list[Logged]
    owner: str
    dataset: str | None
    dataset_parameters: Logged
    created: datetime
    modified: datetime


class ShownAlgo(ResponseModel):
    """is_search_space_defined: whether something can be suggested for it."""

    id: str
    name: str
    experiment: str
    description: str | None
    parameters: list[Logged]
    is_search_space_defined: bool
    owner: str
    created: datetime
    modified: datetime


class ShownTrial(ResponseModel):
    """A run. results: the last value of each metric, null where it has none."""

    id: str
    algo: str
    algo_name: str
    experiment: str
    owner: str
    parameters: dict[str, Logged]
    results: dict[str, float | None]
    weight: Logged
    comment: Logged
    created: datetime
    modified: datetime


class Page(ResponseModel):
    """count: how many there are; next, previous: addresses of other pages."""

    count: int
    next: str | None = None
    previous: str | None = None


class ShownExperiments(Page):
    results: list[ShownExperiment]


class ShownAlgos(Page):
    results: list[ShownAlgo]


class ShownTrials(Page):
    results: list[ShownTrial]


class Suggestion(RootModel[dict[str, Logged]]):
    """A value of each hyperparameter that is not descriptive."""


class Gone(ResponseModel):
    """Nothing is sent."""
