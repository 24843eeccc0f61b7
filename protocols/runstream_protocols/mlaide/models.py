"""ML Aide's requests and responses. Members that are not known are passed over: newer clients send more."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from runstream_query.responses import Logged, ResponseModel

RunStatus = Literal["RUNNING", "COMPLETED", "FAILED"]
#: The one status that experiments have here: nobody ends one.
IN_PROGRESS: Final = "IN_PROGRESS"


class MlaideRequest(BaseModel):
    """What a request may have; handlers read the members one by one."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True)


class NewProject(MlaideRequest):
    """A project to create. A `name` that is not the key becomes its description."""

    key: str
    name: str | None = None


class NewExperiment(MlaideRequest):
    """An experiment to create; one that is there stays as it is. It is called as its key."""

    key: str
    name: str | None = None
    status: Literal["IN_PROGRESS"] = IN_PROGRESS


class ExperimentReference(ResponseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    experiment_key: str


class Git(ResponseModel):
    """The commit that a run was started from."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    commit_hash: str | None = None
    commit_time: str | None = None
    is_dirty: bool | None = None
    repository_uri: str | None = None


class ArtifactReference(ResponseModel):
    """A version of an artifact of the project."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    name: str
    version: int


class NewRun(MlaideRequest):
    """A run to start, in one experiment; without one, in a new one."""

    name: str | None = None
    status: RunStatus = "RUNNING"
    experiment_refs: list[ExperimentReference] | None = None
    used_artifacts: list[Any] | None = None
    metrics: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    git: Git | None = None


class RunChanges(MlaideRequest):
    """What is changed of a run: at least one of them."""

    status: RunStatus | None = None
    name: str | None = None


class LoggedValues(MlaideRequest):
    """Values by name, each any JSON; the last of a name counts."""


class RunsQuery(BaseModel):
    """Which runs of a project are listed."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    experiment_key: str | None = None
    run_keys: str | None = None


class MlaideResponse(ResponseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ShownProject(MlaideResponse):
    key: str
    name: str
    created_at: datetime | None = None


class ShownProjects(MlaideResponse):
    items: list[ShownProject]


class ShownExperiment(MlaideResponse):
    key: str
    name: str
    status: Literal["IN_PROGRESS"] = IN_PROGRESS
    tags: list[str] = Field(default=[], description="none: experiments have no tags here")
    created_at: datetime | None = None


class ShownExperiments(MlaideResponse):
    items: list[ShownExperiment]


class ListedRun(MlaideResponse):
    """A run in a list. `key` is made of its id: a number below 2**53 if the client started it."""

    key: int
    name: str
    status: RunStatus
    experiment_refs: list[ExperimentReference]
    created_at: datetime
    start_time: datetime
    end_time: datetime | None = None


class ListedRuns(MlaideResponse):
    items: list[ListedRun]


class ShownRun(ListedRun):
    """A run, with the last value of each metric, and other values where no metric has the name. `artifacts` and
    `usedArtifacts`: the versions of artifacts of its project that it made, and those that it used."""

    metrics: dict[str, Logged]
    parameters: dict[str, Logged]
    git: Git | None = None
    artifacts: list[ArtifactReference] = Field(default=[])
    used_artifacts: list[ArtifactReference] = Field(default=[])


class Done(MlaideResponse):
    """The client reads nothing of it."""
