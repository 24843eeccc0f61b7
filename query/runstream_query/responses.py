"""Every response of the API as a model, and the one encoder of JSON.

NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity" everywhere in this API: JSON has no word
for them, and null would lose which it was. Times are ISO 8601 in UTC with microseconds.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from runstream.events.limits import CLOCK_SKEW_S
from runstream_model.projection import COUNT, FLAG, INTEGER, NUMBER, TEXT, TEXTS, TIME, Column, Projection
from runstream_model.run_state import RUN_STATES
from runstream_model.statistics import SUMMARY_STATES

_NON_FINITE: Final = ["NaN", "Infinity", "-Infinity"]
Number = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": _NON_FINITE}]})]
#: A logged value: any JSON, numbers that are not finite as above.
Logged = Annotated[Any, WithJsonSchema({"description": "any JSON value; NaN and the infinities as strings"})]
#: How far a writer's clock is from the log's.
ClockAhead = Annotated[
    float | None,
    Field(
        description="by how many seconds at least the writer's clock runs ahead of the server's; negative: behind; "
        f"null: within {CLOCK_SKEW_S} s, or not to be told"
    ),
]


class ResponseModel(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


def encode_json(response: BaseModel, *, by_alias: bool = False) -> bytes:
    """The response as UTF-8 JSON without NaN or Infinity in it. The only way that this service writes JSON."""
    return response.model_dump_json(by_alias=by_alias).encode()


Model = TypeVar("Model", bound=ResponseModel)
#: What a column of a read model is in a response.
_MEMBER_TYPES: Final[Mapping[str, Any]] = {
    TEXT: str,
    TEXTS: list[str],
    NUMBER: Number,
    INTEGER: int,
    COUNT: int,
    FLAG: bool,
    TIME: datetime,
}


def shows(projection: Projection) -> Callable[[type[Model]], type[Model]]:
    """Return a decorator that gives a model a member for each column of `projection` that responses show, in their
    order. A member that the model declares itself stays what it declares; others than columns stand behind them."""

    def decorate(model: type[Model]) -> type[Model]:
        declared = {name: (member.annotation, member) for name, member in model.model_fields.items()}
        members = {column.name: _member(column) for column in projection.visible} | declared
        made = create_model(
            model.__name__, __base__=ResponseModel, __doc__=model.__doc__, __module__=model.__module__, **members
        )
        return cast(type[Model], made)

    return decorate


def _member(column: Column) -> tuple[Any, Any]:
    kind = _MEMBER_TYPES[column.kind]
    return kind | None if column.nullable else kind, Field(description=column.meaning)


#: Sentences about names that the request has and nothing there has. They are no errors: what is missing may come.
Unknown = Annotated[
    list[str], Field(description="names in the request that nothing has, with the nearest one; on a first page")
]


class Workspace(ResponseModel):
    workspace: str
    projects: int
    runs: int


class Workspaces(ResponseModel):
    workspaces: list[Workspace]


class Project(ResponseModel):
    workspace: str
    project: str
    description: str
    notes: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None


class Projects(ResponseModel):
    projects: list[Project]
    unknown: Unknown = []


class Experiment(ResponseModel):
    workspace: str
    project: str
    experiment: str
    description: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None


class Experiments(ResponseModel):
    experiments: list[Experiment]
    unknown: Unknown = []


@shows(RUN_STATES)
class RunRow(ResponseModel):
    """A run as lists show it. `status` is the shown one: crashed for a running run whose writers fell silent."""

    duration_s: float
    #: The values of the columns that were asked for, by column; a run without such a value has no entry.
    columns: dict[str, Logged] = {}


class Runs(ResponseModel):
    """One page. `next_cursor` gives the next one; null on the last. `total` only where it was asked for."""

    runs: list[RunRow]
    next_cursor: str | None
    total: int | None = None
    as_of: str | None = Field(default=None, description="the position of the log that the page is as of")
    unknown: Unknown = []


class Writer(ResponseModel):
    """`ended`: it ended, or, where it sends no heartbeats, its run did; so of whoever only sent commands about the run.
    `last_seen_at` is the log's clock; null only as of a moment whose records the log keeps no longer."""

    writer: str
    ended: bool
    last_seen_at: datetime | None
    clock_ahead_s: ClockAhead = None
    #: Which of the run's processes it is, as that said; null where it did not.
    rank: int | None = None


class RunDetail(ResponseModel):
    """`clock_ahead_s` is that of the writer whose clock is furthest off."""

    run: RunRow
    clock_ahead_s: ClockAhead = None
    writers: list[Writer]
    metrics: int
    parameters: int
    assets: int
    #: The highest step of its metrics; those of the system count steps of their own.
    last_step: int | None = None


class OddClock(ResponseModel):
    run: str
    name: str
    #: Negative: behind.
    clock_ahead_s: float


class OddClocks(ResponseModel):
    """Running runs of which a writer's clock is far from the server's."""

    runs: list[OddClock]


class Attribute(ResponseModel):
    name: str
    value: Logged
    at: datetime


class Attributes(ResponseModel):
    """Parameters, other values or the environment of a run, by name."""

    run: str
    values: list[Attribute]


@shows(SUMMARY_STATES)
class Summary(ResponseModel):
    """Over all points of a (run, metric). See the page on the architecture for ties and NaN."""

    run: str
    metric: str


class Summaries(ResponseModel):
    summaries: list[Summary]
    unknown: Unknown = []


class Curve(ResponseModel):
    """All points of one run and metric, ordered by (step, at). The lists have the same length."""

    run: str
    metric: str
    steps: list[int]
    at: list[datetime]
    values: list[Number]
    #: Which writer wrote the point: the first 64 bits of its id, as 16 hexadecimal digits.
    writers: list[str]
    #: The epoch that each point was logged in, null where it has none. Only if they were asked for.
    epochs: list[int | None] | None = None


class Envelope(ResponseModel):
    """One run and metric in buckets, ordered by step (or time). All lists have the same length. `min`, `max` and
    `mean` leave NaN out and are NaN where a bucket holds nothing else."""

    run: str
    metric: str
    first_step: list[int]
    last_step: list[int]
    first_at: list[datetime] | None = None
    last_at: list[datetime] | None = None
    count: list[int]
    nan_count: list[int]
    min: list[Number]
    max: list[Number]
    mean: list[Number]


class Series(ResponseModel):
    """Either all points (`curves`) or, with max_points, buckets (`envelopes`, each `width` steps or microseconds)."""

    curves: list[Curve] | None = None
    envelopes: list[Envelope] | None = None
    width: int | None = None
    unknown: Unknown = []


class Asset(ResponseModel):
    run: str
    asset: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    content_type: str
    step: int | None
    metadata: Logged
    at: datetime
    #: The part of the run that logged it (such as `train`), if its client tells them apart.
    context: str | None = None
    #: What it is to the run (code, graph, patch or page), where it is more than a file.
    role: str | None = None
    #: Where it is, if it is elsewhere: its bytes are this address then.
    location: str | None = None
    #: The model that it is a file of, where that is not the folder in its name.
    model: str | None = None


class Assets(ResponseModel):
    assets: list[Asset]


class OutputPiece(ResponseModel):
    writer: str
    seq: int
    at: datetime
    stream: str
    text: str


class Output(ResponseModel):
    pieces: list[OutputPiece]
    next_cursor: str | None


class HistoryEvent(ResponseModel):
    position: str
    writer: str
    seq: int
    at: datetime
    type: str
    event: Logged


class History(ResponseModel):
    events: list[HistoryEvent]
    next_cursor: str | None


class CommandOutcome(ResponseModel):
    """`changed`: whether it had an effect. A `project_created` of a name that was there already has none.

    Of a command about an artifact also: `refused`, why it could not be done (name taken, version taken, no such
    artifact, no such version, too many labels, artifact full), empty if it was done or there was nothing to do; and the
    version that it gave, changed or (version taken) found in its way.
    """

    command: str
    key: str
    type: str
    position: str
    changed: bool
    refused: str = ""
    artifact: str | None = None
    ordinal: int | None = None
    version: str | None = None
