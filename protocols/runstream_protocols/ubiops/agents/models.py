"""Requests and responses of agents."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runstream_protocols.ubiops.agents.leases import EndStatus, State
from runstream_query.responses import Logged, ResponseModel

Name = Annotated[str, Field(min_length=1, max_length=250)]
#: Of a lease that is not started: so long an agent may be silent.
TtlS = Annotated[int, Field(ge=2, le=3_600)]


class AgentRequest(BaseModel):
    """What an agent sends. Members that are not known are passed over: newer agents send more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class LeaseRequest(AgentRequest):
    """A run to execute. `agent`: the name of the agent; `host`: of its machine."""

    agent: Name
    host: Name
    ttl_s: TtlS = 60


class Held(AgentRequest):
    """The lease that its holder shows: the id and the token that it got."""

    lease: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    token: Annotated[int, Field(ge=1, lt=2**53)]


class FileRequest(Held):
    """A file whose URL is wanted: `read` names one of the run's request, `write` one of its output."""

    read: Literal["code", "data"] | None = None
    write: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Result(AgentRequest):
    """What the code returned. `artifact` and `files`: names of the files that were uploaded."""

    artifact: Annotated[str, Field(max_length=255)] | None = None
    files: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=100)] = []
    metadata: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None


class EndRequest(Held):
    """How the run ended."""

    status: EndStatus
    message: Annotated[str, Field(max_length=20_000)] = ""
    result: Result | None = None


class Granted(ResponseModel):
    """A lease with what there is to execute. `python`: the version that its environment names, such as 3.11.
    `memory_mb`: of its instance type, None where that says nothing."""

    lease: str
    token: int
    ttl_s: int
    run: str
    workspace: str
    project: str
    experiment: str
    name: str
    environment: str | None
    python: str | None
    instance_type: str
    memory_mb: int | None
    timeout_s: int
    parameters: dict[str, Logged]
    code: str = Field(description="the name of the file with the code")
    data: str | None = Field(description="the name of the file with the training data")


class LeaseResponse(ResponseModel):
    """The lease of a run; null where there is nothing to execute."""

    granted: Granted | None = None


class LeaseState(ResponseModel):
    """A lease that is still its holder's. `cancelled`: the run is to be ended."""

    state: State
    cancelled: bool = False


class UrlOfFile(ResponseModel):
    """Where the bytes of a file come from, or are sent to, for an hour, without a key."""

    url: str


class RunVariable(ResponseModel):
    name: str
    value: str
    secret: bool


class RunVariables(ResponseModel):
    """The environment of the code, secrets in clear."""

    variables: list[RunVariable]


class RunEnded(ResponseModel):
    """How the run ended: another way than was reported where it had been cancelled before."""

    status: EndStatus
