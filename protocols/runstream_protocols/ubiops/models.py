"""UbiOps' requests and responses. Members that are not known are passed over: newer clients send more."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel

from runstream_protocols.ubiops.presets import DEPLOYMENT, ENVIRONMENT_TAG, RETENTION_S
from runstream_query.responses import Logged, ResponseModel

RunStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]
M = TypeVar("M", bound=ResponseModel)


class ListResponse(RootModel[list[M]], Generic[M]):
    """A JSON list."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class UbiopsRequest(BaseModel):
    """What a request may have; handlers read the members one by one."""

    model_config = ConfigDict(frozen=True, extra="allow")


class NewProject(UbiopsRequest):
    name: str


class NewDeployment(UbiopsRequest):
    """The deployment of trainings, which every project has."""

    name: Literal["training-base-deployment"] = DEPLOYMENT


class NewExperiment(UbiopsRequest):
    """An experiment to create: `version` is its name, `environment` the older word for `environment_name`."""

    version: str
    environment_name: str | None = None
    environment: str | None = None
    instance_type: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    request_retention_time: int | None = None
    request_retention_mode: Literal["full", "metadata", "none"] = "full"


class ExperimentChanges(UbiopsRequest):
    """What is changed of an experiment; labels replace those that it has."""

    version: str | None = None
    environment_name: str | None = None
    environment: str | None = None
    instance_type: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    request_retention_time: int | None = None
    request_retention_mode: Literal["full", "metadata", "none"] | None = None


class NewBucket(UbiopsRequest):
    name: str
    description: str | None = None
    labels: dict[str, str] | None = None


class NewVariable(UbiopsRequest):
    """A variable to create, or what a variable becomes. The value of a secret one is never shown again."""

    name: str
    value: str
    secret: bool


class VariablesToCopy(UbiopsRequest):
    """The experiment that variables are copied from."""

    source_deployment: Literal["training-base-deployment"] = DEPLOYMENT
    source_version: str


class ExperimentsQuery(BaseModel):
    """Which experiments are listed: those with all of these labels, `KEY:VALUE` with commas between them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    labels: str | None = None


class ShownProject(ResponseModel):
    id: str
    name: str
    creation_date: datetime | None = None
    labels: dict[str, str] = Field(default={})


class Template(ResponseModel):
    """What `initialize` makes a deployment of."""

    id: str
    details: dict[str, str]


class Deployment(ResponseModel):
    id: str
    name: str = DEPLOYMENT
    project: str
    description: str = "Experiments of trainings"
    input_type: str = "structured"
    output_type: str = "structured"
    labels: dict[str, str] = Field(default={})
    default_version: str | None = None


class Environment(ResponseModel):
    """An environment; all of them are the system's, and ready."""

    id: str
    name: str
    display_name: str
    project: str | None = None
    system: bool = True
    status: str = "available"
    labels: dict[str, str] = Field(default={})


class EnvironmentTag(ResponseModel):
    id: str
    environment: str
    name: str = ENVIRONMENT_TAG
    status: str = "available"


class Bucket(ResponseModel):
    id: str
    name: str
    project: str
    provider: str = "ubiops"
    description: str = ""
    labels: dict[str, str] = Field(default={})
    creation_date: datetime | None = None


class ShownExperiment(ResponseModel):
    """An experiment. What stands behind `last_updated` is the same for all of them: nothing is deployed."""

    id: str
    deployment: str = DEPLOYMENT
    version: str
    description: str
    environment_name: str | None
    environment_tag: str | None = None
    instance_type: str
    labels: dict[str, str]
    request_retention_time: int = RETENTION_S
    request_retention_mode: str = "full"
    active_revision: str
    latest_revision: str
    creation_date: datetime
    last_updated: datetime
    status: Literal["available"] = "available"
    maximum_instances: int = 1
    minimum_instances: int = 0
    maximum_idle_time: int = 300
    maximum_queue_size: int = 100_000
    instance_type_group_id: str | None = None
    instance_type_group_name: str | None = None
    has_request_method: bool = True
    has_requests_method: bool = False
    restart_request_interruption: bool = False
    last_file_upload: datetime | None = None
    ports: list[int] = Field(default=[])


class RevisionMade(ResponseModel):
    success: bool = True
    revision: str


class Revision(ResponseModel):
    """The one revision that an experiment has."""

    id: str
    version: str
    creation_date: datetime
    status: Literal["available"] = "available"
    error_message: str | None = None


class Variable(ResponseModel):
    id: str
    name: str
    value: str | None = Field(description="null for a secret one")
    secret: bool


class InheritedVariable(Variable):
    """A variable of an experiment, or one of its project that no own one shadows."""

    inheritance_type: Literal["project"] | None = None
    inheritance_name: str | None = None


class Done(ResponseModel):
    """The client reads nothing of it."""


class Projects(ListResponse[ShownProject]):
    """Several of them."""


class Templates(ListResponse[Template]):
    """Several of them."""


class Environments(ListResponse[Environment]):
    """Several of them."""


class EnvironmentTags(ListResponse[EnvironmentTag]):
    """Several of them."""


class Buckets(ListResponse[Bucket]):
    """Several of them."""


class Experiments(ListResponse[ShownExperiment]):
    """Several of them."""


class Variables(ListResponse[Variable]):
    """Several of them."""


class InheritedVariables(ListResponse[InheritedVariable]):
    """Several of them."""


class NewRun(UbiopsRequest):
    """A run to create; `training_code` and `training_data` are names of files, `ubiops-file://BUCKET/FILE`."""

    name: str
    description: str | None = None
    training_code: str
    training_data: str | None = None
    parameters: dict[str, Any] | None = None


class NewRuns(RootModel[list[NewRun]]):
    """Runs to create."""


class RunChanges(UbiopsRequest):
    """A run can only be cancelled."""

    status: Literal["cancelled"]


class RunsQuery(BaseModel):
    """Which runs of an experiment are listed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: str | None = None
    limit: int | None = Field(default=None, ge=1)
    offset: int = Field(default=0, ge=0)
    start_date: str | None = None
    end_date: str | None = None
    search_id: str | None = Field(default=None, description="what the id begins with")


class FilesQuery(BaseModel):
    """Which files of a bucket are listed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prefix: str | None = None
    continuation_token: str | None = None
    limit: int = Field(default=1_000, ge=1, le=1_000)


class NewFile(UbiopsRequest):
    """Nothing: the path says which file is sent. An empty body will do."""


class RunMade(ResponseModel):
    id: str
    deployment: str = DEPLOYMENT
    version: str
    status: RunStatus = "pending"
    time_created: datetime


class ListedRun(RunMade):
    """A run in a list. `time_started` is null as long as nobody took it on."""

    success: bool | None = None
    time_started: datetime | None = None
    time_completed: datetime | None = None
    input_size: int | None = None
    output_size: int | None = None


class ShownRun(ListedRun):
    """A run. `request_data` and `timeout` are of those that this client created."""

    error_message: str | None = None
    timeout: int | None = None
    request_data: dict[str, Logged] | None = None
    result: Logged = None
    origin: dict[str, str] = Field(default={})


class FileUrl(ResponseModel):
    """Where bytes are sent to, or come from, for an hour, without a key."""

    url: str
    provider: str = "runstream"


class ShownFile(ResponseModel):
    file: str
    size: int
    time_created: datetime


class ShownFiles(ResponseModel):
    files: list[ShownFile]
    prefixes: list[str] = Field(default=[], description="none: nothing is gathered by a delimiter")
    continuation_token: str | None = None


class RunsMade(ListResponse[RunMade]):
    """Several of them."""


class ListedRuns(ListResponse[ListedRun]):
    """Several of them."""
