"""The state of an artifact that its fold goes on from, what the fold may decide, and the state as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import TypeAdapter

from runstream_model.artifact_reservations import Reservation
from runstream_model.artifact_versions import VersionState

NAME_TAKEN: Final = "name taken"
VERSION_TAKEN: Final = "version taken"
NO_SUCH_ARTIFACT: Final = "no such artifact"
NO_SUCH_VERSION: Final = "no such version"
TOO_MANY_LABELS: Final = "too many labels"
TOO_MANY_FILES: Final = "too many files"
#: Files are added to open versions alone.
VERSION_SEALED: Final = "version sealed"
ARTIFACT_FULL: Final = "artifact full"


@dataclass(frozen=True, slots=True)
class ArtifactState:
    """An artifact with the versions that are there, by number. Times: us since 1970 UTC. A deleted one keeps its next
    number, nothing else."""

    workspace: str
    project: str | None
    artifact_type: str
    name: str
    created_at_us: int
    updated_at_us: int
    description: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    public: bool = False
    deleted: bool = False
    next_ordinal: int = 1
    chars: int = 0
    versions: Mapping[int, VersionState] = field(default_factory=dict)
    #: Which version a text or an alias belongs to: `versions` the other way round.
    texts: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    #: Versions that were announced and not logged yet, by number.
    reserved: Mapping[int, Reservation] = field(default_factory=dict)

    def holder(self, text: str) -> int | None:
        """Return the number of the version that is called so, announced ones too; None if none is."""
        if text in self.texts:
            return self.texts[text]
        return next((ordinal for ordinal, one in self.reserved.items() if one.version.version == text), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """The artifact after one more event, and what came of the event.

    `state` is the one before, itself, if nothing changed (None if there was none); `refused` says why, empty where the
    event only had nothing to change. `ordinal` and `version` are those of the version that it is about (0 and "":
    of none). `changed` are the versions whose state is another now, `removed` those that are gone.
    """

    state: ArtifactState | None
    refused: str = ""
    ordinal: int = 0
    version: str = ""
    changed: tuple[VersionState, ...] = ()
    removed: tuple[VersionState, ...] = ()


_STATE: Final[TypeAdapter[ArtifactState]] = TypeAdapter(ArtifactState)


def to_json(state: ArtifactState) -> str:
    """The whole state as JSON: the `state` column. `from_json` gives back an equal state."""
    return _STATE.dump_json(state, exclude={"chars", "texts", "aliases"}, exclude_defaults=True).decode()


def from_json(text: str | bytes) -> ArtifactState:
    """The state that `to_json` of this or an earlier build wrote: fields that it lacks get their defaults, fields that
    this build does not know are left out. Raises pydantic.ValidationError (a ValueError) if it is no state at all."""
    stored = _STATE.validate_json(text)
    return replace(
        stored,
        chars=sum(version.chars for version in stored.versions.values()),
        texts={version.version: ordinal for ordinal, version in stored.versions.items()},
        aliases={alias: ordinal for ordinal, version in stored.versions.items() for alias in version.aliases},
    )
