"""How far each writer is folded, when its last record came, and whether it has ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never

from runstream.events import artifacts, control, entities
from runstream.events.control import AnyEvent
from runstream_model.projection import COUNT, FLAG, NAME, POSITION, TEXT, TIME, Column, Projection
from runstream_model.seen import Seen

WATERMARK_STATES: Final = Projection(
    name="watermark_states",
    version=1,
    key=("key", "writer", "part"),
    view="watermarks",
    # The others are the commit rows, one a partition: they say up to where every table holds everything.
    view_where="NOT (s.key = '' AND s.writer = '')",
    columns=(
        Column("key", TEXT, "what the writer writes about; empty with `writer`: a commit row"),
        Column("writer", TEXT, "the whole id of the writer"),
        Column("seen", f"Array({COUNT})", "the sequence numbers that are folded, as pairs [begin, end)"),
        Column("last_seen_at", TIME, "when its last record came"),
        Column("ended", FLAG, "whether no heartbeat is expected of it"),
        *POSITION,
        Column(
            "tails",
            f"Map({NAME}, {COUNT})",
            "commit rows: the last offset with rows in each table",
            internal=True,
            in_view=False,
            blank={},
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class WriterMark:
    """How far a writer is folded, and when its last record came. `ended`: no heartbeat is expected of it, because
    it has ended or, as a gateway that writes commands, never started the run."""

    seen: Seen = field(default_factory=Seen)
    last_seen_at_us: int = 0
    ended: bool = True


def has_ended(ended: bool, events: Iterable[AnyEvent]) -> bool:
    """Return whether a writer has ended after these events of its, given whether it had before them (True for one that
    no record came of: who never started the run owes no heartbeat)."""
    for event in events:
        says = says_of_its_writer(event)
        ended = ended if says is None else says == "ended" or owes_no_heartbeat(event)
    return ended


def owes_no_heartbeat(event: AnyEvent) -> bool:
    """Return whether a start says that its writer sends no heartbeats: nobody waits for one."""
    return isinstance(event, control.RunStarted) and event.heartbeats is False


def says_of_its_writer(event: AnyEvent) -> Literal["started", "ended"] | None:
    """Return what an event says of the one who wrote it: that it started or ended its part of a run, or nothing."""
    match event:
        case control.RunStarted():
            return "started"
        case control.RunFinished() | control.WriterLost():
            return "ended"
        case (
            control.RunStatusChanged()
            | control.RunTimesSet()
            | control.ParametersLogged()
            | control.ParametersDeleted()
            | control.OthersLogged()
            | control.EnvironmentCaptured()
            | control.TagsAdded()
            | control.TagsRemoved()
            | control.AssetLogged()
            | control.AssetDeleted()
            | control.OutputAppended()
            | control.PointsDropped()
            | control.RunRenamed()
            | control.RunMoved()
            | control.RunLinked()
            | control.RunUnlinked()
            | control.RunNotesSet()
            | control.RunArchived()
            | control.RunRestored()
            | control.RunDeleted()
        ):
            return None
        case (
            control.ProjectCreated()
            | control.ProjectUpdated()
            | control.ProjectDeleted()
            | control.ExperimentCreated()
            | control.ExperimentUpdated()
            | control.ExperimentDeleted()
        ):
            return None
        case (
            artifacts.ArtifactCreated()
            | artifacts.ArtifactUpdated()
            | artifacts.ArtifactDeleted()
            | artifacts.ArtifactVersionReserved()
            | artifacts.ArtifactVersionLogged()
            | artifacts.ArtifactFilesAdded()
            | artifacts.ArtifactVersionUpdated()
            | artifacts.ArtifactVersionDeleted()
            | artifacts.ArtifactVersionRemarked()
        ):
            return None
        case entities.EntityCreated() | entities.EntityReplaced() | entities.EntityDeleted():
            return None
        case _:
            assert_never(event)


def row_from_mark(key: str, writer_id: str, mark: WriterMark, part: int, offset: int) -> dict[str, Any]:
    """The row of `watermark_states`; times as integers (microseconds since 1970 UTC)."""
    return {
        "key": key,
        "writer": writer_id,
        "seen": mark.seen.to_flat(),
        "last_seen_at": mark.last_seen_at_us,
        "ended": mark.ended,
        "part": part,
        "offset": offset,
    }


def row_of_commit(part: int, next_offset: int, tails: dict[str, int]) -> dict[str, Any]:
    """The commit row of a partition: every table holds every record before `next_offset`, and `tails` has the last
    offset with rows in each. As all rows it has the place of a record: the last one that is folded."""
    return row_from_mark("", "", WriterMark(), part, next_offset - 1) | {"tails": tails}
