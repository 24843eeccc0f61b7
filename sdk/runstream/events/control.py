"""Control events: one immutable, past-tense model per fact, told apart by a versioned tag.

Identity of an event is (writer_id, seq), which the frame that carries it holds; the model holds what happened.
`at_us` is the writer's clock: microseconds since 1970 UTC. Order between events is the log's, never the clock's.

Adding a field with a default is compatible. Anything else is a new tag (`run_started.v2`) and a pure function
that turns the old one into it (`runstream.events.upcast`).

Every number that ends in a typed column of the store is bounded here, so that no event which decodes can break an
insert later on.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from runstream.events import limits
from runstream.events.artifacts import ArtifactEvent
from runstream.events.base import AtUs, Count, Event, Experiment, Name, Project, Step, Tags, Values, Workspace
from runstream.events.entities import EntityEvent
from runstream.events.names import project_key
from runstream.events.upcast import UPCASTS, Upcast, upcast

EndStatus = Literal["finished", "failed", "killed"]
#: What a run is sorted by: as long as a name, or empty for none.
Label = Annotated[str, Field(max_length=limits.MAX_NAME_CHARS)]


class RunStarted(Event):
    """A writer began to write a run. The first one names the run's place.

    With `resumed` it begins a new attempt: it takes the place of the writer with its rank, and of all writers if none
    runs any more, so that how those ended no longer decides the run's status.
    """

    type: Literal["run_started.v1"] = "run_started.v1"
    workspace: Workspace
    project: Project
    experiment: Experiment | None = None
    name: Name | None = None
    #: The runs that it belongs with, and its part among them. None or empty leaves what an earlier start said.
    group: Label | None = None
    job_type: Label | None = None
    rank: int | None = None
    resumed: bool = False
    #: The step from which a resumed attempt goes on, where its writer said so.
    resumed_at_step: Step | None = None
    #: False: its writer sends none, as a program that writes by REST alone. Its silence says nothing.
    heartbeats: bool | None = None
    user: str | None = None
    host: str | None = None
    pid: int | None = None
    sdk_version: str | None = None


class RunFinished(Event):
    """A writer ended its part of the run. The run ends with its last writer."""

    type: Literal["run_finished.v1"] = "run_finished.v1"
    status: EndStatus = "finished"
    message: str | None = None
    traceback: str | None = None


class WriterLost(Event):
    """The sender saw that a writer's process is gone and that it never finished."""

    type: Literal["writer_lost.v1"] = "writer_lost.v1"
    reason: str


class RunStatusChanged(Event):
    """Somebody set the run's status by hand; it holds until a writer starts again."""

    type: Literal["run_status_changed.v1"] = "run_status_changed.v1"
    status: Literal["running", "finished", "failed", "killed"]
    message: str | None = None


class RunTimesSet(Event):
    """Somebody set when the run began or ended, because it was recorded after the fact. None stays as it is; a set end
    holds until a writer starts again."""

    type: Literal["run_times_set.v1"] = "run_times_set.v1"
    started_at_us: AtUs | None = None
    ended_at_us: AtUs | None = None


class ParametersLogged(Event):
    """Hyper-parameters by (dotted) name. A later value of a name replaces the earlier one."""

    type: Literal["parameters_logged.v1"] = "parameters_logged.v1"
    values: Values


class ParametersDeleted(Event):
    """Parameters were taken away, by the (dotted) names that they were logged under."""

    type: Literal["parameters_deleted.v1"] = "parameters_deleted.v1"
    names: Annotated[tuple[str, ...], Field(fail_fast=True)]


class OthersLogged(Event):
    """Single values that are no parameters: a note, a data set's version, a final score."""

    type: Literal["others_logged.v1"] = "others_logged.v1"
    values: Values


class EnvironmentCaptured(Event):
    """What the run ran on, by section: `git`, `packages`, `host`, `command`, `python`, `gpu`."""

    type: Literal["environment_captured.v1"] = "environment_captured.v1"
    section: str = Field(min_length=1, max_length=100)
    values: dict[str, Any]


class TagsAdded(Event):
    """Tags were added to the run, in this order, behind those that it had; one that it had stays where it is."""

    type: Literal["tags_added.v1"] = "tags_added.v1"
    tags: Tags


class TagsRemoved(Event):
    """Tags were taken away; one that the run does not have is no mistake."""

    type: Literal["tags_removed.v1"] = "tags_removed.v1"
    tags: Tags


class AssetLogged(Event):
    """A file of the run. Its bytes are stored under their SHA-256 before this event is accepted.

    context: the part of the run that logged it (such as `train` or `validate`), if its client tells them apart.
    role: what it is to the run (`runstream.events.roles`), where it is more than a file.
    location: where it is, if it is elsewhere; the bytes that are stored are this address then.
    model: the model that it is a file of, where that is not the folder in its name.
    """

    type: Literal["asset_logged.v1"] = "asset_logged.v1"
    asset_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=1000)
    kind: str = Field(default="asset", min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: Count
    content_type: str = "application/octet-stream"
    step: Step | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    context: str | None = Field(default=None, min_length=1, max_length=100)
    role: str | None = Field(default=None, min_length=1, max_length=100)
    location: str | None = Field(default=None, min_length=1)
    model: str | None = Field(default=None, min_length=1)


class AssetDeleted(Event):
    """A file of the run was deleted. Its bytes go when nothing refers to them any more."""

    type: Literal["asset_deleted.v1"] = "asset_deleted.v1"
    asset_id: str


class OutputAppended(Event):
    """A piece of what the run printed."""

    type: Literal["output_appended.v1"] = "output_appended.v1"
    stream: Literal["stdout", "stderr"]
    text: str = Field(max_length=limits.MAX_OUTPUT_CHARS)


class PointsDropped(Event):
    """The client had to give up points (the disk was full and its memory bound reached). Never silent."""

    type: Literal["points_dropped.v1"] = "points_dropped.v1"
    count: Annotated[Count, Field(ge=1)]
    reason: str


class RunRenamed(Event):
    """Somebody gave the run another name."""

    type: Literal["run_renamed.v1"] = "run_renamed.v1"
    name: Name


class RunMoved(Event):
    """Somebody moved the run to another project or experiment; `experiment` None takes it out of its experiment."""

    type: Literal["run_moved.v1"] = "run_moved.v1"
    workspace: Workspace
    project: Project
    experiment: Experiment | None = None


class RunLinked(Event):
    """The run was linked to a project: it is shown in that one too, and stays where it is."""

    type: Literal["run_linked.v1"] = "run_linked.v1"
    workspace: Workspace
    project: Project


class RunUnlinked(Event):
    """The run's link to a project was taken away; one that it does not have is no mistake."""

    type: Literal["run_unlinked.v1"] = "run_unlinked.v1"
    workspace: Workspace
    project: Project


class RunNotesSet(Event):
    """Somebody wrote the run's notes, which replace the earlier ones."""

    type: Literal["run_notes_set.v1"] = "run_notes_set.v1"
    notes: str


class RunArchived(Event):
    """The run was put out of sight; nothing of it is lost."""

    type: Literal["run_archived.v1"] = "run_archived.v1"


class RunRestored(Event):
    """Undoes an archiving or a deletion."""

    type: Literal["run_restored.v1"] = "run_restored.v1"


class RunDeleted(Event):
    """The run was deleted: reads no longer show it, until it is restored."""

    type: Literal["run_deleted.v1"] = "run_deleted.v1"


class ProjectCreated(Event):
    """A project was created. Where it is there already, this changes nothing."""

    type: Literal["project_created.v1"] = "project_created.v1"
    workspace: Workspace
    project: Project
    description: str = ""


class ProjectUpdated(Event):
    """Fields that are None stay as they are."""

    type: Literal["project_updated.v1"] = "project_updated.v1"
    workspace: Workspace
    project: Project
    description: str | None = None
    notes: str | None = None


class ProjectDeleted(Event):
    """A project was deleted; its name is free again."""

    type: Literal["project_deleted.v1"] = "project_deleted.v1"
    workspace: Workspace
    project: Project


class ExperimentCreated(Event):
    """An experiment was created. Where it is there already, this changes nothing."""

    type: Literal["experiment_created.v1"] = "experiment_created.v1"
    workspace: Workspace
    project: Project
    experiment: Experiment
    description: str = ""


class ExperimentUpdated(Event):
    """Fields that are None stay as they are."""

    type: Literal["experiment_updated.v1"] = "experiment_updated.v1"
    workspace: Workspace
    project: Project
    experiment: Experiment
    description: str | None = None


class ExperimentDeleted(Event):
    """An experiment was deleted; its name is free again. Its runs stay."""

    type: Literal["experiment_deleted.v1"] = "experiment_deleted.v1"
    workspace: Workspace
    project: Project
    experiment: Experiment


RunEvent = (
    RunStarted
    | RunFinished
    | WriterLost
    | RunStatusChanged
    | RunTimesSet
    | ParametersLogged
    | ParametersDeleted
    | OthersLogged
    | EnvironmentCaptured
    | TagsAdded
    | TagsRemoved
    | AssetLogged
    | AssetDeleted
    | OutputAppended
    | PointsDropped
    | RunRenamed
    | RunMoved
    | RunLinked
    | RunUnlinked
    | RunNotesSet
    | RunArchived
    | RunRestored
    | RunDeleted
)
ProjectEvent = (
    ProjectCreated | ProjectUpdated | ProjectDeleted | ExperimentCreated | ExperimentUpdated | ExperimentDeleted
)
#: Every event, of whichever family: of a run, of a project and its experiments, of an artifact, of an entity.
AnyEvent = RunEvent | ProjectEvent | ArtifactEvent | EntityEvent
ControlEvent = Annotated[AnyEvent, Field(discriminator="type")]

CONTROL_EVENT: Final[TypeAdapter[AnyEvent]] = TypeAdapter(ControlEvent)

#: Every event by the tag that it has today.
EVENT_TYPES: Final[Mapping[str, type[AnyEvent]]] = {
    model.model_fields["type"].default: model for model in get_args(AnyEvent)
}


def key_of(event: ProjectEvent | ArtifactEvent | EntityEvent) -> str:
    """The key of the record that an event of a project, an experiment, an artifact or an entity stands in."""
    return event.key if isinstance(event, ArtifactEvent | EntityEvent) else project_key(event.workspace, event.project)


def encode_event(event: AnyEvent) -> bytes:
    """The event as compact JSON, the same bytes for an equal event; fields that are None are left out.

    NaN and the infinities stand in it as the constants that Python's json writes, because a parameter may be one and
    JSON has no word for them; `decode_event` reads them. Never for browsers. Half of a surrogate pair (part of a file
    name that is no UTF-8) becomes "?". Raises TypeError or ValueError if a value is not made of what JSON knows.
    """
    text = json.dumps(event.model_dump(exclude_none=True), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def decode_event(data: bytes | str, upcasts: Mapping[str, Upcast] = UPCASTS) -> AnyEvent:
    """The event in a JSON text, a retired version turned into today's. Raises pydantic.ValidationError; an unknown tag
    is one (`union_tag_invalid`)."""
    try:
        return CONTROL_EVENT.validate_json(data)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "union_tag_invalid":
            raise
        fields = json.loads(data)
        present = upcast(fields, upcasts)
        if present is fields:
            raise
        return CONTROL_EVENT.validate_python(present)
