"""What a run is, folded from its control events: place, status, tags, times (docs/architecture.md, "Status of a run").

`fold` is total: every event in any order gives a state. It returns the very same object where an event leaves the
state as it is (parameters, assets and output live in tables of their own), so `is` tells whether a row is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, assert_never

from pydantic import TypeAdapter

from runstream.events import limits
from runstream.events.control import (
    AssetDeleted,
    AssetLogged,
    EnvironmentCaptured,
    OthersLogged,
    OutputAppended,
    ParametersDeleted,
    ParametersLogged,
    PointsDropped,
    RunArchived,
    RunDeleted,
    RunEvent,
    RunFinished,
    RunLinked,
    RunMoved,
    RunNotesSet,
    RunRenamed,
    RunRestored,
    RunStarted,
    RunStatusChanged,
    RunTimesSet,
    RunUnlinked,
    TagsAdded,
    TagsRemoved,
    WriterLost,
)
from runstream.events.names import project_key
from runstream_model.projection import COUNT, FLAG, NAME, NUMBER, POSITION, TEXT, TEXTS, TIME, Column, Projection
from runstream_model.run_writers import Ending, WriterState, superseded

Status = Literal["running", "finished", "failed", "killed", "crashed"]

#: Where a run stands whose events came before (or without) its first `run_started`.
PLACEHOLDER_WORKSPACE: Final = "default"
PLACEHOLDER_PROJECT: Final = "default"

#: Which ending decides when all writers have ended, the strongest first, and what the run's status is called then.
_STATUS_OF_ENDING: Final[Mapping[Ending, Status]] = {
    "failed": "failed",
    "lost": "crashed",
    "killed": "killed",
    "finished": "finished",
}
_MAX_UINT64: Final = 2**64 - 1
#: The section of the environment that says whose machine it is.
_HOST_SECTION: Final = "host"

RUN_STATES: Final = Projection(
    name="run_states",
    version=4,
    key=("run",),
    view="runs",
    columns=(
        Column("run", TEXT, "the run's id", field="id"),
        Column("workspace", NAME, "the workspace that it is in", field="workspace"),
        Column("project", NAME, "the project that it is in", field="project"),
        Column("experiment", NAME, "the experiment that it is in; empty: in none", field="experiment"),
        Column("name", TEXT, "its name; its id where nobody gave it one", field="name"),
        Column("status", NAME, "running, finished, failed, killed or crashed", field="status"),
        Column("message", TEXT, "the message that came with the status", field="message"),
        Column("user", NAME, "who started it", field="user"),
        Column("host", NAME, "the machine that it was started on", field="host"),
        Column("notes", TEXT, "what people wrote about it", field="notes"),
        Column("tags", TEXTS, "its tags, in the order in which they were added", field="tag"),
        Column("created_at", TIME, "when the first event of it was written", field="created"),
        Column("started_at", TIME, "when it began", field="started"),
        Column("ended_at", f"Nullable({TIME})", "when it ended; NULL while it runs", field="ended"),
        Column("updated_at", TIME, "when it last changed", field="updated"),
        Column("duration_s", NUMBER, "how many seconds it took, or has taken so far", field="duration", computed=True),
        Column("archived", FLAG, "whether it was put out of sight", field="archived"),
        Column("deleted", FLAG, "whether it was deleted", field="deleted"),
        Column("points_dropped", COUNT, "how many points its clients had to give up"),
        Column("state", TEXT, "the whole folded state as JSON: what the fold goes on from", internal=True),
        *POSITION,
        # Of version 2, and in rows of version 1 as well: no event that made those could say either, so empty is true.
        Column("group", NAME, "the runs that it belongs with, by its last start; empty: none", field="group"),
        Column("job_type", NAME, "its part in the group, such as train or evaluate; empty: none", field="job_type"),
        # Of version 3: rows of an earlier version lack the links that were made before it.
        Column("links", TEXTS, "the other projects that it is shown in, as WORKSPACE/PROJECT"),
        Column("set_running", FLAG, "whether somebody set it running: silence ends it no more", internal=True, since=4),
    ),
)


@dataclass(frozen=True, slots=True)
class Resume:
    """A resumed attempt: its writer, when it began, and the step that it goes on from, if it names one."""

    writer_id: str
    at_us: int
    step: int | None = None


@dataclass(frozen=True, slots=True)
class StatusSet:
    """A status that somebody set by hand."""

    status: Literal["running", "finished", "failed", "killed"]
    message: str
    at_us: int


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that a row of `run_states` needs and that the fold has to remember. Times: us since 1970 UTC.

    Fields are only added, with a default: `from_json` reads what every earlier build wrote.
    """

    workspace: str = PLACEHOLDER_WORKSPACE
    project: str = PLACEHOLDER_PROJECT
    experiment: str | None = None
    #: Whether a `run_started` or `run_moved` has named the place; later starts leave it alone.
    placed: bool = False
    name: str = ""
    #: By writer id, in the order of their starts; a writer moves to the end of the order when it ends.
    writers: dict[str, WriterState] = field(default_factory=dict)
    status_set: StatusSet | None = None
    #: Times that somebody set by hand.
    started_set_us: int | None = None
    ended_set_us: int | None = None
    #: The time of the first event, whatever it was.
    created_at_us: int = 0
    #: The latest time of any event that changed this state.
    updated_at_us: int = 0
    #: In the order in which they were first added; the first MAX_RUN_TAGS.
    tags: tuple[str, ...] = ()
    archived: bool = False
    deleted: bool = False
    notes: str = ""
    user: str = ""
    host: str = ""
    points_dropped: int = 0
    resumes: tuple[Resume, ...] = ()
    #: Of the last start that named one.
    group: str = ""
    job_type: str = ""
    #: Keys of projects, in the order in which the run was linked to them; the first MAX_RUN_LINKS.
    links: tuple[str, ...] = ()
    #: What the environment says of a run whose starts named none: some clients say it so.
    captured_user: str = ""
    captured_host: str = ""


_STATE: Final = TypeAdapter(RunState)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's status with the message that goes with it, and when it ended (None while it runs)."""

    status: Status
    message: str
    ended_at_us: int | None


def placeholder(at_us: int) -> RunState:
    """Return the state of a run whose first record came at `at_us` and that is not started yet: its points are kept, it
    is shown as running in workspace "default", project "default", and its first `run_started` puts it where it belongs.
    """
    return RunState(created_at_us=at_us, updated_at_us=at_us)


def fold(state: RunState | None, event: RunEvent, writer_id: str) -> RunState:
    """The state after one more event of the run, which `writer_id` wrote. Pure, and defined for every event in any
    order; returns `state` itself if the event is none of the state's business. Where a run is shown besides, and what
    the environment says, is no change of the run: `updated_at_us` stays."""
    known = placeholder(event.at_us) if state is None else state
    changed = _changed(known, event, writer_id)
    if changed is known or isinstance(event, RunLinked | RunUnlinked | EnvironmentCaptured):
        return changed
    return replace(changed, updated_at_us=max(known.updated_at_us, event.at_us))


def _changed(state: RunState, event: RunEvent, writer_id: str) -> RunState:
    match event:
        case RunStarted():
            return _started(state, event, writer_id)
        case RunFinished():
            return _ended(state, writer_id, event.status, event.at_us, event.message)
        case WriterLost():
            return _ended(state, writer_id, "lost", event.at_us, event.reason)
        case RunStatusChanged():
            return replace(state, status_set=StatusSet(event.status, event.message or "", event.at_us))
        case RunTimesSet():
            return _times_set(state, event)
        case TagsAdded():
            if len(state.tags) >= limits.MAX_RUN_TAGS:
                return state
            return replace(state, tags=tuple(dict.fromkeys((*state.tags, *event.tags)))[: limits.MAX_RUN_TAGS])
        case TagsRemoved():
            gone = frozenset(event.tags)
            return replace(state, tags=tuple(tag for tag in state.tags if tag not in gone))
        case PointsDropped():
            return replace(state, points_dropped=state.points_dropped + event.count)
        case RunRenamed():
            return replace(state, name=event.name)
        case RunMoved():
            return replace(
                state, workspace=event.workspace, project=event.project, experiment=event.experiment, placed=True
            )
        case RunLinked():
            return _linked(state, project_key(event.workspace, event.project))
        case RunUnlinked():
            return _unlinked(state, project_key(event.workspace, event.project))
        case RunNotesSet():
            return replace(state, notes=event.notes)
        case RunArchived():
            return replace(state, archived=True)
        case RunRestored():
            return replace(state, archived=False, deleted=False)
        case RunDeleted():
            return replace(state, deleted=True)
        case ParametersLogged() | ParametersDeleted() | OthersLogged():
            return state  # attribute_states
        case EnvironmentCaptured():
            return _captured(state, event)  # and attribute_states
        case AssetLogged() | AssetDeleted():
            return state  # asset_states
        case OutputAppended():
            return state  # output
        case _:
            assert_never(event)


def _times_set(state: RunState, event: RunTimesSet) -> RunState:
    """A run that was set running by hand ends when somebody sets its end."""
    status_set = state.status_set
    if event.ended_at_us is not None and is_set_running(state):
        status_set = StatusSet("finished", "", event.ended_at_us)
    return replace(
        state,
        started_set_us=state.started_set_us if event.started_at_us is None else event.started_at_us,
        ended_set_us=state.ended_set_us if event.ended_at_us is None else event.ended_at_us,
        status_set=status_set,
    )


def _captured(state: RunState, event: EnvironmentCaptured) -> RunState:
    """The newest user and host of the environment, where no start named them."""
    if event.section != _HOST_SECTION:
        return state
    user = state.captured_user if state.user else _text_in(event, "user", state.captured_user)
    host = state.captured_host if state.host else _text_in(event, "hostname", state.captured_host)
    if (user, host) == (state.captured_user, state.captured_host):
        return state
    return replace(state, captured_user=user, captured_host=host)


def _text_in(event: EnvironmentCaptured, name: str, otherwise: str) -> str:
    value = event.values.get(name)
    return value[: limits.MAX_NAME_CHARS] if isinstance(value, str) else otherwise


def _linked(state: RunState, project: str) -> RunState:
    if project in state.links or len(state.links) >= limits.MAX_RUN_LINKS:
        return state
    return replace(state, links=(*state.links, project))


def _unlinked(state: RunState, project: str) -> RunState:
    if project not in state.links:
        return state
    return replace(state, links=tuple(link for link in state.links if link != project))


def _started(state: RunState, event: RunStarted, writer_id: str) -> RunState:
    writers = superseded(state.writers, event, writer_id) if event.resumed else dict(state.writers)
    before = writers.pop(writer_id, None)
    first_at_us = event.at_us if before is None or before.started_at_us is None else before.started_at_us
    writers[writer_id] = WriterState(
        rank=event.rank, started_at_us=min(first_at_us, event.at_us), heartbeats=event.heartbeats is not False
    )
    started = replace(
        state,
        writers=writers,
        status_set=None,
        ended_set_us=None,
        name=state.name or event.name or "",
        user=state.user or event.user or "",
        host=state.host or event.host or "",
        group=event.group or state.group,
        job_type=event.job_type or state.job_type,
    )
    if event.resumed:
        resume = Resume(writer_id, event.at_us, event.resumed_at_step)
        started = replace(started, resumes=(*started.resumes, resume)[-limits.MAX_RUN_RESUMES :])
    if state.placed:
        return started
    return replace(started, workspace=event.workspace, project=event.project, experiment=event.experiment, placed=True)


def _ended(state: RunState, writer_id: str, ending: Ending, at_us: int, message: str | None) -> RunState:
    before = state.writers.get(writer_id, WriterState())
    if ending == "lost" and before.ending is not None:
        # A writer whose end is recorded did not get lost: its process went away afterwards.
        return state
    # A writer that ends by itself after the attempt that was to replace it began was never gone: it counts again.
    lived_on = ending != "lost" and before.superseded_at_us is not None and at_us > before.superseded_at_us
    after = replace(
        before,
        ending=ending,
        ended_at_us=at_us,
        message=message or "",
        superseded_at_us=None if lived_on else before.superseded_at_us,
    )
    writers = dict(state.writers)
    writers.pop(writer_id, None)
    writers[writer_id] = after
    status_set = state.status_set
    if ending != "lost" and is_set_running(state):
        # A writer that ends by itself knows better than whoever took the run for running before.
        status_set = None
    return replace(state, writers=writers, status_set=status_set)


def is_set_running(state: RunState) -> bool:
    """Return whether somebody set the run running: it is until it is ended, however long its writers are silent."""
    return state.status_set is not None and state.status_set.status == "running"


def open_writers(state: RunState) -> list[str]:
    """Return the ids of the writers that started, have not ended since and send heartbeats, as
    `writer_marks.has_ended` says it of the events of one."""
    return [writer_id for writer_id, writer in state.writers.items() if writer.ending is None and writer.heartbeats]


def outcome(state: RunState) -> Outcome:
    """The run's status: what was set by hand, else what its writers make of it. Silence is not an event: that a
    running run's writers are all silent is for reads to see."""
    if state.status_set is not None:
        chosen = state.status_set
        return Outcome(chosen.status, chosen.message, None if chosen.status == "running" else chosen.at_us)
    counting = [writer for writer in state.writers.values() if writer.superseded_at_us is None]
    watched = [writer for writer in counting if writer.ending is not None or writer.heartbeats]
    if counting and not watched and state.ended_set_us is not None:
        return Outcome("finished", "", state.ended_set_us)
    counting = watched or counting
    if all(writer.ending is not None for writer in counting):
        ended_at_us = max((writer.ended_at_us or 0 for writer in counting), default=None)
        for ending, status in _STATUS_OF_ENDING.items():
            for writer in counting:
                if writer.ending == ending:
                    return Outcome(status, writer.message, ended_at_us)
    return Outcome("running", "", None)


def started_at_us(state: RunState) -> int:
    """When the run began: the time set by hand, else of its earliest writer's start, else of its first event."""
    if state.started_set_us is not None:
        return state.started_set_us
    starts = [writer.started_at_us for writer in state.writers.values() if writer.started_at_us is not None]
    return min(starts, default=state.created_at_us)


def row_from_state(run_id: str, state: RunState, part: int, offset: int) -> dict[str, Any]:
    """The row of `run_states`: column name to value, times as integers (microseconds since 1970 UTC). `part` and
    `offset` are those of the last record that was folded. A run without a name is shown under its id."""
    result = outcome(state)
    ended_at_us = result.ended_at_us if state.ended_set_us is None else state.ended_set_us
    return {
        "run": run_id,
        "workspace": state.workspace,
        "project": state.project,
        "experiment": state.experiment or "",
        "name": state.name or run_id,
        "status": result.status,
        "message": result.message,
        "user": state.user or state.captured_user,
        "host": state.host or state.captured_host,
        "notes": state.notes,
        "tags": list(state.tags),
        "created_at": state.created_at_us,
        "started_at": started_at_us(state),
        "ended_at": ended_at_us,
        "updated_at": state.updated_at_us,
        "archived": state.archived,
        "deleted": state.deleted,
        "points_dropped": min(state.points_dropped, _MAX_UINT64),
        "state": to_json(state),
        "part": part,
        "offset": offset,
        "group": state.group,
        "job_type": state.job_type,
        "links": list(state.links),
        "set_running": is_set_running(state),
    }


def to_json(state: RunState) -> str:
    """The whole state as JSON: the `state` column. `from_json` gives back an equal state."""
    return _STATE.dump_json(state).decode()


def from_json(text: str | bytes) -> RunState:
    """The state that `to_json` of this or an earlier build wrote: fields that it lacks get their defaults, fields that
    this build does not know are left out. Raises pydantic.ValidationError (a ValueError) if it is no state at all."""
    return _STATE.validate_json(text)
