"""What reads of the past need: the folds, given by whoever puts the service together.

The query service may not import the processors, and must not have a second opinion on what an event means. So the
composition root hands it an `AsOf`, which is nothing but the processors' own pure functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A control event as the table `events` has it. `writer` is the whole id (hexadecimal), `body` the event's JSON."""

    part: int
    offset: int
    seq: int
    writer: str
    body: str


@dataclass(frozen=True, slots=True)
class FoldedWriter:
    """A writer after some of its events. `ended`: no sign of life was expected of it any more."""

    writer: str
    ended: bool


@dataclass(frozen=True, slots=True)
class FoldedRun:
    """A run after some of its events. Times are integers, microseconds since 1970 UTC.

    `row` has the columns of `run_states`; `attributes` and `assets` those of their tables, only what is not deleted,
    one row a key; `writers` has those of the events, by id.
    """

    row: Mapping[str, Any]
    attributes: Sequence[Mapping[str, Any]] = field(default=())
    assets: Sequence[Mapping[str, Any]] = field(default=())
    writers: Sequence[FoldedWriter] = field(default=())


@dataclass(frozen=True, slots=True)
class FoldedArtifact:
    """An artifact after some of its events. Times are integers, microseconds since 1970 UTC.

    `row` has the columns of `artifact_states`, `versions` those of `artifact_version_states`, only what is there.
    """

    row: Mapping[str, Any]
    versions: Sequence[Mapping[str, Any]] = field(default=())


class AsOf(Protocol):
    """Pure functions; called in a thread, because they may take long."""

    def fold_run(self, run: str, events: Sequence[LoggedEvent]) -> FoldedRun:
        """The run after these events, which are given in the log's order (part, offset, seq); at least one."""

    def changed(self, events: Sequence[LoggedEvent]) -> bool:
        """Whether the last of these events changed what it is about (a run, a project, an experiment, an
        artifact). They are all that were logged about it, in the log's order; at least one."""

    def fold_artifact(self, artifact: str, events: Sequence[LoggedEvent]) -> FoldedArtifact | None:
        """The artifact with this id after the events of its key, in the log's order; those about other things are
        passed over. None if it was not there then."""

    def summarise(self, points: "pa.Table") -> Sequence[Mapping[str, Any]]:
        """Rows with the columns of `summary_states` (part and offset may lack), one a (run, metric) in `points`.

        `points` has run (string), metric (string), step (int64), at (timestamp[us, UTC]) and value (double), ordered
        by run and metric; all points of a (run, metric) are in one call.
        """
