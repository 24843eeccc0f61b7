"""Requests and responses of sweeps."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from runstream_query.responses import ResponseModel


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectRequest(_Request):
    """Which project."""

    workspace: str = "default"
    project: str = Field(min_length=1)


class SweepRequest(ProjectRequest):
    """Which sweep."""

    name: str = Field(min_length=1)


class OpenRequest(SweepRequest):
    """A sweep to open. config: what it is created with where it is not there: `space` and `metric`, and as far as they
    are to differ from the defaults `goal`, `method`, `max_trials`, `seed`, `startup_trials`, `retries`, `early_stop`.
    Without it, it has to be there."""

    config: dict[str, Any] | None = None


class AskRequest(SweepRequest):
    """A trial that is wanted. token: any text of the client's; sent again with the same one, a request gets the trial
    that it took."""

    token: str = Field(min_length=8, max_length=64)


class StopRequest(SweepRequest):
    """Which trial, and its run."""

    number: int = Field(ge=0)
    run: str = Field(min_length=1, max_length=200)


class ShownSweep(ResponseModel):
    """A sweep. size: how many different trials its space has, null without an end; limit: how many it makes."""

    workspace: str
    project: str
    name: str
    config: dict[str, Any]
    size: int | None
    limit: int


class ShownSweeps(ResponseModel):
    """Sweeps of a project, by name."""

    sweeps: list[ShownSweep]


class DeletedSweep(ResponseModel):
    """Whether the sweep was there."""

    deleted: bool


class ShownTrial(ResponseModel):
    """A trial. status: given (its run has not begun), running, finished, failed, or lost (its run crashed, was killed
    or never began); value: the last one of the metric; attempt: how often it was given; lost_runs: those before."""

    number: int
    parameters: dict[str, Any]
    run: str
    status: str
    value: float | None
    attempt: int
    lost_runs: list[str]


class NextTrial(ResponseModel):
    """The next trial; null where none is left. given: how many trials were made by then; open: those of them that are
    not over; repeatable: where none is left, those of the open ones that are given again if their run is lost;
    repeatable_runs: their runs."""

    trial: ShownTrial | None
    given: int
    open: int
    repeatable: int
    repeatable_runs: list[str]


class ShownTrials(ResponseModel):
    """A sweep with its trials, in their order, and the best of those that finished."""

    sweep: ShownSweep
    trials: list[ShownTrial]
    best: ShownTrial | None


class Stop(ResponseModel):
    """Whether a trial is to end now, and why."""

    stop: bool
    reason: str
