"""What the writing side has to ask the read models now and then: is there such a run, which project is meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from runstream.events.artifacts import ArtifactFile
from runstream_model.artifact_state import ArtifactState


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as the read models have it. `writers`: ids of those that ever started it. `heard_at_us`: when the last sign
    of life came of those that have not ended, by the log's clock; None if all have."""

    workspace: str
    project: str
    name: str
    writers: frozenset[str]
    heard_at_us: int | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class ProjectTexts:
    """What people wrote about a project."""

    description: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file of a run, without its content. `model`: the one that it says it is of; empty if it says none."""

    run: str
    name: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file of a run. `location`: where it is, empty if its bytes are here; `model`: the one that it says it is of,
    empty if it says none; `asset`: its id."""

    name: str
    sha256: str
    size_bytes: int
    content_type: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""
    model: str = ""
    asset: str = ""


@dataclass(frozen=True, slots=True)
class KnownArtifact:
    """An artifact as the read models have it. `project` is None for one of a whole workspace."""

    artifact: str
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    created_at_us: int
    description: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    public: bool = False


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version of an artifact as the read models have it, with all that is known of it."""

    ordinal: int
    version: str
    created_at_us: int
    comment: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    run: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[ArtifactFile, ...] = ()


class RecordPlace(NamedTuple):
    """Where a record stands in the log."""

    part: int
    offset: int


@dataclass(frozen=True, slots=True)
class KnownRemark:
    """A remark on the version of an artifact with this number."""

    ordinal: int
    at_us: int
    remark: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArtifactOutcome:
    """What the fold made of an event of an artifact: `refused` says why it could not be done, empty if it was done or
    there was nothing to do. `ordinal` and `version` are those of the version that it is about (0, "": of none).
    `place`: of the record in which it counted, which is where it came first."""

    refused: str
    ordinal: int
    version: str
    place: RecordPlace


class Lookup(Protocol):
    """Coroutines, for one event loop. Each raises StoreUnavailable if nobody can tell at the moment."""

    async def run(self, run_id: str) -> KnownRun | None:
        """The run, deleted ones too; None if no event names it."""

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        """Ids of the run's assets with that name that are not deleted."""

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        """What was written about a project; empty texts of one that is not there."""

    async def project_exists(self, workspace: str, project: str) -> bool:
        """Whether it was created, or runs are in it."""

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        """Workspace and project with an id of `runstream.events.names.project_id`; None if there is none."""

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        """Ids of the project's runs, archived ones too, deleted ones not."""

    async def run_files(self, run_id: str, kind: str) -> Sequence[KnownFile]:
        """Return the run's files of one kind that are not deleted, by name; of several with one name, newest last."""

    async def files_of_kind(self, kind: str) -> Sequence[NamedFile]:
        """Return the files of one kind of all runs that are not deleted, each name once: a look through all of them."""

    async def artifact(self, artifact_id: str) -> KnownArtifact | None:
        """The artifact with this id; None if it is not there."""

    async def artifacts_named(self, workspace: str, name: str) -> Sequence[KnownArtifact]:
        """The artifacts of a workspace with this name, of all projects and types."""

    async def artifact_state(self, artifact_id: str) -> ArtifactState | None:
        """What the fold knows of an artifact that is there, its announced versions too; None if it is not."""

    async def artifact_ordinals(self, artifact_id: str, removed_at: RecordPlace | None = None) -> Sequence[int]:
        """The numbers of an artifact's versions that are there, ascending; or of those that the record at `removed_at`
        removed."""

    async def artifact_versions(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownVersion]:
        """The versions of these numbers as they are, or as they were when they were removed, by number. Their files
        stand in memory: ask for some at a time."""

    async def artifact_remarks(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownRemark]:
        """Return the remarks on the versions of these numbers, removed ones too, in the log's order."""

    async def artifact_outcome(self, key: str, writer: str, seq: int) -> ArtifactOutcome | None:
        """What came of an event of an artifact, by the key of its record and its identity; None if that cannot be
        seen yet."""
