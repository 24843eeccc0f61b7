"""Requests and responses of Comet's Optimizer, as its client has them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from runstream_query.responses import ResponseModel


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class _Response(ResponseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", alias_generator=to_camel, populate_by_name=True)


class SpecRequest(_Request):
    """Which algorithm's options are wanted."""

    algorithm_name: str = Field(max_length=1_000)


class OptimizerRequest(_Request):
    """Which optimizer: the id that its creation gave."""

    id: str = Field(max_length=1_000)


class NoRequest(_Request):
    """Nothing."""


class NewOptimizer(BaseModel):
    """An optimizer. `name`: NAME, PROJECT/NAME or WORKSPACE/PROJECT/NAME."""

    model_config = ConfigDict(extra="allow")

    algorithm: str
    parameters: dict[str, Any]
    spec: dict[str, Any]
    trials: int = 1
    name: str | None = None


class Update(BaseModel):
    """What became of an assignment. `status`: completed, aborted, or any other of one that goes on."""

    model_config = ConfigDict(extra="allow")

    id: str
    pid: str
    trial: int
    status: str | None = None
    score: float | None = None
    epoch: int | None = None
    metadata: dict[str, Any] | None = None


class Option(_Response):
    """An option of an algorithm."""

    name: str
    type: str
    default: Any
    description: str


class Algorithms(_Response):
    """What an optimizer may search by."""

    algorithms: list[str]


class Refusal(_Response):
    """What cannot be done: not 200, and why. The client shows the text of a response with the status 200 only."""

    code: int
    message: str


class Created(_Response):
    """An optimizer that was created, or deleted."""

    code: int = 200
    id: str


class Updated(_Response):
    """A result that was taken in."""

    code: int = 200


class Given(_Response):
    """Values to try. `pid`: of this set of values; `trial`: which of its trials; `count`: of all assignments so far."""

    parameters: dict[str, Any]
    pid: str
    trial: int
    count: int
    tries: int


class Next(_Response):
    """The next assignment; without one, code is not 200."""

    code: int
    parameters: Given | None = None
    message: str = ""


class Status(_Response):
    """An optimizer as it was created, and how far it is. Times: ms since 1970 UTC."""

    id: str
    name: str | None
    algorithm: str
    parameters: dict[str, Any]
    spec: dict[str, Any]
    trials: int
    status: str
    combo_count: int | None
    config_space_size: int
    max_combo: int
    retry_count: int
    start_time: int
    last_update_time: int | None
    end_time: int | None
    state: dict[str, int | None]
    version: str


class AnyStatus(RootModel[Status | Refusal]):
    """The status of an optimizer, or why there is none."""


class AnyOptions(RootModel[list[Option] | Refusal]):
    """Options, or why there are none."""


class AnyDeleted(RootModel[Created | Refusal]):
    """The optimizer that was deleted, or why there is none."""


class AnyCreated(RootModel[Created | Refusal]):
    """A new optimizer, or why there is none."""
