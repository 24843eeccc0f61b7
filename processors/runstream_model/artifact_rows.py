"""Rows of the tables of artifacts, collected while events are folded."""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final, assert_never

from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFile,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionReserved,
    ArtifactVersionUpdated,
    artifact_id,
    artifact_key,
)
from runstream_model.artifact_state import ArtifactState, Decision, to_json
from runstream_model.artifact_versions import VersionState
from runstream_model.artifacts import fold_artifact
from runstream_model.attributes import json_of
from runstream_model.projection import COUNT, FLAG, NAME, POSITION, TEXT, TEXTS, TIME, Column, Projection
from runstream_model.source import Source

Row = dict[str, Any]

OUTCOMES: Final = "artifact_outcomes"
CONTENTS: Final = "artifact_contents"
FILES: Final = "artifact_files"
REMARKS: Final = "artifact_remarks"
VERSIONS: Final = "artifact_version_states"
#: Holds all that the fold goes on from, so it must be written behind the others: what it includes is not folded
#: again, and they would never get their rows.
ARTIFACTS: Final = "artifact_states"

#: A list for each, with a member for each file.
_FILE_LISTS: Final = (
    Column("file_names", TEXTS, "the name of each of its files"),
    Column("file_sha256s", TEXTS, "the hash that each file's bytes are kept under; empty: they are elsewhere"),
    Column("file_sizes", f"Array({COUNT})", "how many bytes each file has"),
    Column("file_types", TEXTS, "the media type of each file"),
    Column("file_links", TEXTS, "where each file is; empty: its bytes are here"),
)
ARTIFACT_STATES: Final = Projection(
    name=ARTIFACTS,
    version=2,
    key=("key", "artifact"),
    view="artifacts",
    columns=(
        Column("key", TEXT, "the key of its records: WORKSPACE/PROJECT, or WORKSPACE/NAME", internal=True),
        Column("artifact", TEXT, "its id"),
        Column("workspace", NAME, "the workspace that it is in"),
        Column("project", TEXT, "the project that it is in; empty: it is of the whole workspace"),
        Column("artifact_type", NAME, "what it is, such as model or data set"),
        Column("name", TEXT, "its name"),
        Column("description", TEXT, "what it is about"),
        Column("notes", TEXT, "what people wrote about it"),
        Column("tags", TEXTS, "its tags"),
        Column("public", FLAG, "whether everybody may see it"),
        Column("created_at", TIME, "when it was created"),
        Column("updated_at", TIME, "when it last changed"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        Column("versions", COUNT, "how many versions are there"),
        Column("latest_ordinal", COUNT, "the highest number of a version; 0: there is none"),
        Column("latest_version", TEXT, "what people call that version; empty: there is none"),
        Column("state", TEXT, "the whole folded state as JSON: what the fold goes on from", internal=True),
        *POSITION,
    ),
)
ARTIFACT_VERSION_STATES: Final = Projection(
    name=VERSIONS,
    version=2,
    key=("artifact", "ordinal"),
    view="artifact_versions",
    columns=(
        Column("artifact", TEXT, "the id of its artifact"),
        Column("ordinal", COUNT, "its number, given once and for all"),
        Column("version", TEXT, "what people call it"),
        Column("comment", TEXT, "the comment that came with it"),
        Column("status", NAME, "its status, such as production"),
        Column("tags", TEXTS, "its tags"),
        Column("aliases", TEXTS, "names that only one version of the artifact has at a time"),
        Column("stages", TEXTS, "the stages that it is in"),
        Column("run", TEXT, "the run that it came from; empty: none"),
        Column("files", COUNT, "how many files it has"),
        Column("size_bytes", COUNT, "how many bytes these have together"),
        Column("created_at", TIME, "when it was logged"),
        Column("updated_at", TIME, "when it last changed"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        *POSITION,
        # Of version 2: rows of version 1 count none.
        Column("remarks", COUNT, "how many remarks there are on it"),
        # Of no version of its own: no event before it made an open version.
        Column("open", FLAG, "whether files can still be added to it"),
    ),
)
ARTIFACT_CONTENTS: Final = Projection(
    name=CONTENTS,
    version=2,
    key=("artifact", "ordinal"),
    columns=(
        Column("artifact", TEXT, "the id of the version's artifact"),
        Column("ordinal", COUNT, "the version's number"),
        Column("metadata", TEXT, "its metadata, as JSON"),
        *_FILE_LISTS,
        Column("at", TIME, "when it was logged"),
        *POSITION,
    ),
)
ARTIFACT_FILES: Final = Projection(
    name=FILES,
    version=1,
    key=("artifact", "ordinal", "part", "offset", "seq"),
    columns=(
        Column("artifact", TEXT, "the id of the version's artifact"),
        Column("ordinal", COUNT, "the number of the version that the files were added to"),
        *POSITION,
        Column("seq", COUNT, "the event's sequence number", internal=True),
        Column("at", TIME, "when they were added"),
        *_FILE_LISTS,
    ),
)
ARTIFACT_REMARKS: Final = Projection(
    name=REMARKS,
    version=1,
    key=("artifact", "ordinal", "part", "offset", "seq"),
    columns=(
        Column("artifact", TEXT, "the id of the version's artifact"),
        Column("ordinal", COUNT, "the version's number"),
        *POSITION,
        Column("seq", COUNT, "the event's sequence number", internal=True),
        Column("at", TIME, "when it was written"),
        Column("remark", TEXT, "what was written, as a JSON object"),
    ),
)
ARTIFACT_OUTCOMES: Final = Projection(
    name=OUTCOMES,
    version=2,
    key=("part", "offset", "seq"),
    columns=(
        Column("artifact", TEXT, "the id of the artifact that the event was about"),
        Column("writer", TEXT, "the id of the event's writer"),
        Column("seq", COUNT, "the event's sequence number"),
        Column("changed", FLAG, "whether it had an effect"),
        Column("refused", NAME, "why it could not be done; empty: it was done, or there was nothing to do"),
        Column("ordinal", COUNT, "the number of the version that it was about; 0: of none"),
        Column("version", TEXT, "what people call that version"),
        *POSITION,
    ),
)


def row_from_artifact(state: ArtifactState, part: int, offset: int) -> Row:
    """The row of `artifact_states`: column name to value, times as integers (microseconds since 1970 UTC)."""
    latest = state.versions[max(state.versions)] if state.versions else None
    return {
        "key": artifact_key(state.workspace, state.project, state.name),
        "artifact": artifact_id(state.workspace, state.project, state.artifact_type, state.name),
        "workspace": state.workspace,
        "project": state.project or "",
        "artifact_type": state.artifact_type,
        "name": state.name,
        "description": state.description,
        "notes": state.notes,
        "tags": list(state.tags),
        "public": state.public,
        "created_at": state.created_at_us,
        "updated_at": state.updated_at_us,
        "deleted": state.deleted,
        "versions": len(state.versions),
        "latest_ordinal": latest.ordinal if latest else 0,
        "latest_version": latest.version if latest else "",
        "state": to_json(state),
        "part": part,
        "offset": offset,
    }


def row_from_version(artifact: str, state: VersionState, deleted: bool, part: int, offset: int) -> Row:
    """The row of `artifact_version_states`; times as integers (microseconds since 1970 UTC)."""
    return {
        "artifact": artifact,
        "ordinal": state.ordinal,
        "version": state.version,
        "comment": state.comment,
        "status": state.status,
        "tags": list(state.tags),
        "aliases": list(state.aliases),
        "stages": list(state.stages),
        "run": state.run,
        "files": state.files,
        "size_bytes": state.size_bytes,
        "created_at": state.created_at_us,
        "updated_at": state.updated_at_us,
        "deleted": deleted,
        "part": part,
        "offset": offset,
        "remarks": state.remarks,
        "open": state.is_open,
    }


def rows_of_contents(event: ArtifactEvent, ordinal: int, part: int, offset: int) -> list[Row]:
    """Return the rows of `artifact_contents` for an event that counted: one for a version that was logged."""
    match event:
        case ArtifactVersionLogged():
            return [row_of_contents(event, ordinal, part, offset)]
        case (
            ArtifactCreated()
            | ArtifactUpdated()
            | ArtifactDeleted()
            | ArtifactVersionReserved()
            | ArtifactFilesAdded()
            | ArtifactVersionUpdated()
            | ArtifactVersionDeleted()
            | ArtifactVersionRemarked()
        ):
            return []
        case _:
            assert_never(event)


def row_of_contents(event: ArtifactVersionLogged, ordinal: int, part: int, offset: int) -> Row:
    """The row of `artifact_contents`."""
    return {
        "artifact": event.artifact,
        "ordinal": ordinal,
        "metadata": json_of(event.metadata),
        **_file_lists(event.files),
        "at": event.at_us,
        "part": part,
        "offset": offset,
    }


def row_of_files(event: ArtifactFilesAdded, seq: int, part: int, offset: int) -> Row:
    """Return the row of `artifact_files` for an event that counted; of several files with one name it has the last."""
    return {
        "artifact": event.artifact,
        "ordinal": event.ordinal,
        "part": part,
        "offset": offset,
        "seq": seq,
        "at": event.at_us,
        **_file_lists([*{file.name: file for file in event.files}.values()]),
    }


def _file_lists(files: Sequence[ArtifactFile]) -> Row:
    """The lists of files; one without a sha256 (or link) has an empty one."""
    return {
        "file_names": [file.name for file in files],
        "file_sha256s": [file.sha256 or "" for file in files],
        "file_sizes": [file.size_bytes for file in files],
        "file_types": [file.content_type for file in files],
        "file_links": [file.link or "" for file in files],
    }


def row_of_remark(event: ArtifactVersionRemarked, seq: int, part: int, offset: int) -> Row:
    """Return the row of `artifact_remarks` for an event that counted."""
    return {
        "artifact": event.artifact,
        "ordinal": event.ordinal,
        "part": part,
        "offset": offset,
        "seq": seq,
        "at": event.at_us,
        "remark": json_of(event.remark),
    }


class ArtifactRows:
    """Folds events and keeps what changed until it is taken. One thread at a time."""

    def __init__(self) -> None:
        self._outcomes: list[Row] = []
        self._contents: list[Row] = []
        self._files: list[Row] = []
        self._remarks: list[Row] = []
        self._versions: dict[tuple[str, int], Row] = {}
        self._artifacts: dict[str, tuple[ArtifactState, int, int]] = {}

    def fold(
        self,
        known: MutableMapping[str, ArtifactState],
        event: ArtifactEvent,
        source: Source,
        is_beyond: Callable[[str], bool],
    ) -> None:
        """Fold one event into `known`, the artifacts of its key by id. `is_beyond` says whether a table lacks the rows
        of its record; if `artifact_states` does not, `known` includes the event, and nothing is left to do."""
        if not is_beyond(ARTIFACTS):
            return
        artifact = event.artifact
        before = known.get(artifact)
        decision = fold_artifact(before, event)
        changed = decision.state is not before
        if decision.state is not None and changed:
            known[artifact] = decision.state
            self._artifacts[artifact] = (decision.state, source.part, source.offset)
        if is_beyond(OUTCOMES):
            self._outcomes.append(_row_of_outcome(artifact, decision, changed, source))
        if is_beyond(CONTENTS) and changed:
            self._contents += rows_of_contents(event, decision.ordinal, source.part, source.offset)
        if isinstance(event, ArtifactFilesAdded) and is_beyond(FILES) and changed:
            self._files.append(row_of_files(event, source.seq, source.part, source.offset))
        if isinstance(event, ArtifactVersionRemarked) and is_beyond(REMARKS) and changed:
            self._remarks.append(row_of_remark(event, source.seq, source.part, source.offset))
        if is_beyond(VERSIONS):
            for versions, deleted in ((decision.changed, False), (decision.removed, True)):
                for version in versions:
                    row = row_from_version(artifact, version, deleted, source.part, source.offset)
                    self._versions[artifact, version.ordinal] = row

    def take(self) -> dict[str, list[Row]]:
        """The rows of each table since the last call; of tables of states one a key, under the position of the last
        record that changed it."""
        taken = {
            OUTCOMES: self._outcomes,
            CONTENTS: self._contents,
            FILES: self._files,
            REMARKS: self._remarks,
            VERSIONS: list(self._versions.values()),
            ARTIFACTS: [row_from_artifact(*changed) for changed in self._artifacts.values()],
        }
        self._outcomes, self._contents, self._files, self._remarks = [], [], [], []
        self._versions, self._artifacts = {}, {}
        return taken


def _row_of_outcome(artifact: str, decision: Decision, changed: bool, source: Source) -> Row:
    return {
        "artifact": artifact,
        "writer": source.writer,
        "seq": source.seq,
        "changed": changed,
        "refused": decision.refused,
        "ordinal": decision.ordinal,
        "version": decision.version,
        "part": source.part,
        "offset": source.offset,
    }
