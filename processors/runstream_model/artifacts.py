"""What artifacts and their versions are, folded from their events. All events of an artifact share its key, so they are
in one partition, in order.

The fold is the only one to give numbers and to say whose a name is. What it cannot do it refuses, with a word for
the one who asked; a refused event changes nothing. Metadata and run of a version never change, so they are no part of
the state, only a row that is added once; nor do its files, but of an open version, of which the state has their names
and sizes.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import assert_never

from runstream.events import limits
from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionReserved,
    ArtifactVersionUpdated,
)
from runstream_model.artifact_reservations import Reservation, kept, next_major
from runstream_model.artifact_state import (
    ARTIFACT_FULL,
    NAME_TAKEN,
    NO_SUCH_ARTIFACT,
    NO_SUCH_VERSION,
    TOO_MANY_FILES,
    TOO_MANY_LABELS,
    VERSION_SEALED,
    VERSION_TAKEN,
    ArtifactState,
    Decision,
)
from runstream_model.artifact_versions import REMARK_CHARS, VersionState, total_size
from runstream_model.attributes import json_of


def fold_artifact(state: ArtifactState | None, event: ArtifactEvent) -> Decision:
    """What becomes of the artifact by one more event about it. Pure and total."""
    match event:
        case ArtifactCreated():
            if _is_there(state):
                return Decision(state, NAME_TAKEN)
            return Decision(_created(state, event))
        case ArtifactVersionReserved():
            return _reserve(state, event)
        case ArtifactVersionLogged():
            return _log_version(state, event)
        case (
            ArtifactUpdated()
            | ArtifactDeleted()
            | ArtifactFilesAdded()
            | ArtifactVersionUpdated()
            | ArtifactVersionDeleted()
            | ArtifactVersionRemarked()
        ):
            if state is None or state.deleted:
                return Decision(state, NO_SUCH_ARTIFACT)
        case _:
            assert_never(event)
    match event:
        case ArtifactUpdated():
            return Decision(_updated(state, event))
        case ArtifactDeleted():
            return _delete(state, event)
        case ArtifactFilesAdded():
            return _add_files(state, event)
        case ArtifactVersionUpdated():
            return _update_version(state, event)
        case ArtifactVersionDeleted():
            return _delete_version(state, event)
        case ArtifactVersionRemarked():
            return _remark(state, event)
        case _:
            assert_never(event)


def _is_there(state: ArtifactState | None) -> bool:
    return state is not None and not state.deleted


def _created(
    state: ArtifactState | None, event: ArtifactCreated | ArtifactVersionReserved | ArtifactVersionLogged
) -> ArtifactState:
    """A fresh artifact; of a deleted one it takes over the next number."""
    fresh = ArtifactState(
        event.workspace,
        event.project,
        event.artifact_type,
        event.name,
        event.at_us,
        event.at_us,
        next_ordinal=1 if state is None else state.next_ordinal,
    )
    if not isinstance(event, ArtifactCreated):
        return fresh
    return replace(
        fresh,
        description=event.description,
        notes=event.notes,
        tags=_distinct(event.tags),
        public=event.public,
    )


def _updated(state: ArtifactState, event: ArtifactUpdated) -> ArtifactState:
    after = replace(
        state,
        description=state.description if event.description is None else event.description,
        notes=state.notes if event.notes is None else event.notes,
        tags=state.tags if event.tags is None else _distinct(event.tags),
        public=state.public if event.public is None else event.public,
    )
    return state if after == state else replace(after, updated_at_us=max(state.updated_at_us, event.at_us))


def _delete(state: ArtifactState, event: ArtifactDeleted) -> Decision:
    after = ArtifactState(
        state.workspace,
        state.project,
        state.artifact_type,
        state.name,
        state.created_at_us,
        max(state.updated_at_us, event.at_us),
        deleted=True,
        next_ordinal=state.next_ordinal,
    )
    return Decision(after, removed=tuple(state.versions.values()))


def _reserve(state: ArtifactState | None, event: ArtifactVersionReserved) -> Decision:
    known = state if state is not None and not state.deleted else _created(state, event)
    known = replace(known, reserved=kept(known.reserved, event.at_us))
    ordinal = known.next_ordinal
    announced = (one.version.version for one in known.reserved.values())
    text = next_major((*known.texts, *announced)) if event.version is None else event.version
    holder = known.holder(text)
    if holder is not None:
        return Decision(state, VERSION_TAKEN, holder, text)
    version = VersionState(
        ordinal,
        text,
        event.at_us,
        event.at_us,
        tags=_distinct(event.tags),
        aliases=_distinct(event.aliases),
        run=event.run or "",
    )
    reserved = kept({**known.reserved, ordinal: Reservation(version, json_of(event.metadata))}, event.at_us)
    return Decision(replace(known, next_ordinal=ordinal + 1, reserved=reserved), ordinal=ordinal, version=text)


def _log_version(state: ArtifactState | None, event: ArtifactVersionLogged) -> Decision:
    if event.ordinal is not None:
        return _log_reserved(state, event, event.ordinal)
    known = state if state is not None and not state.deleted else _created(state, event)
    ordinal = known.next_ordinal
    if event.version is None:
        # A number that somebody chose as a text before is passed over: no two versions are called the same.
        while known.holder(str(ordinal)) is not None:
            ordinal += 1
    text = str(ordinal) if event.version is None else event.version
    holder = known.holder(text)
    if holder is not None:
        return Decision(state, VERSION_TAKEN, holder, text)
    version = VersionState(
        ordinal,
        text,
        event.at_us,
        event.at_us,
        event.comment,
        event.status,
        _distinct(event.tags),
        _distinct(event.aliases),
        _distinct(event.stages),
        event.run or "",
        len(event.files),
        _size_of(event),
        added_to=_added_to(event),
    )
    return _logged(state, replace(known, next_ordinal=ordinal + 1), version, event.at_us)


def _log_reserved(state: ArtifactState | None, event: ArtifactVersionLogged, ordinal: int) -> Decision:
    if state is None or state.deleted:
        return Decision(state, NO_SUCH_ARTIFACT)
    if ordinal in state.versions:
        return Decision(state, VERSION_TAKEN, ordinal, state.versions[ordinal].version)
    if ordinal not in state.reserved:
        return Decision(state, NO_SUCH_VERSION, ordinal)
    before = state.reserved[ordinal].version
    version = replace(
        before,
        created_at_us=event.at_us,
        updated_at_us=event.at_us,
        comment=event.comment,
        status=event.status,
        tags=_distinct((*before.tags, *event.tags)),
        aliases=_distinct((*before.aliases, *event.aliases)),
        stages=_distinct(event.stages),
        files=len(event.files),
        size_bytes=_size_of(event),
        added_to=_added_to(event),
    )
    if max(len(version.tags), len(version.aliases)) > limits.MAX_LABELS:
        return Decision(state, TOO_MANY_LABELS, ordinal, version.version)
    return _logged(state, _without_reservation(state, ordinal), version, event.at_us)


def _logged(state: ArtifactState | None, known: ArtifactState, version: VersionState, at_us: int) -> Decision:
    """Return what comes of a version that is to be added to `known`; the state before is what stays if it is full."""
    if known.chars + version.chars > limits.MAX_ARTIFACT_CHARS:
        return Decision(state, ARTIFACT_FULL)
    after, moved = _with_version(known, version, at_us)
    return Decision(after, ordinal=version.ordinal, version=version.version, changed=(*moved, version))


def _size_of(event: ArtifactVersionLogged) -> int:
    return total_size(file.size_bytes for file in event.files)


def _added_to(event: ArtifactVersionLogged) -> dict[str, int] | None:
    return {file.name: file.size_bytes for file in event.files} if event.open else None


def _add_files(state: ArtifactState, event: ArtifactFilesAdded) -> Decision:
    """Add files to an open version. One with the name of another takes its place."""
    before = state.versions.get(event.ordinal)
    if before is None:
        return Decision(state, NO_SUCH_VERSION, event.ordinal)
    after = before.with_files({file.name: file.size_bytes for file in event.files}, event.at_us)
    refused = ""
    if not before.is_open:
        refused = VERSION_SEALED
    elif after.files > limits.MAX_ARTIFACT_FILES:
        refused = TOO_MANY_FILES
    elif after.chars > before.chars and state.chars + after.chars - before.chars > limits.MAX_ARTIFACT_CHARS:
        refused = ARTIFACT_FULL
    if refused:
        return Decision(state, refused, before.ordinal, before.version)
    folded = replace(
        state,
        chars=state.chars + after.chars - before.chars,
        updated_at_us=max(state.updated_at_us, event.at_us),
        versions={**state.versions, after.ordinal: after},
    )
    return Decision(folded, ordinal=after.ordinal, version=after.version, changed=(after,))


def _without_reservation(state: ArtifactState, ordinal: int) -> ArtifactState:
    return replace(state, reserved={number: one for number, one in state.reserved.items() if number != ordinal})


def _update_version(state: ArtifactState, event: ArtifactVersionUpdated) -> Decision:
    reservation = state.reserved.get(event.ordinal)
    before = reservation.version if reservation is not None else state.versions.get(event.ordinal)
    if before is None:
        return Decision(state, NO_SUCH_VERSION, event.ordinal)
    after = replace(
        before,
        comment=before.comment if event.comment is None else event.comment,
        status=before.status if event.status is None else event.status,
        tags=_labels(before.tags, event.tags, event.tags_removed, event.tags_added),
        aliases=_labels(before.aliases, event.aliases, event.aliases_removed, event.aliases_added),
        stages=_labels(before.stages, event.stages, (), ()),
    )
    refused = ""
    if max(len(after.tags), len(after.aliases)) > limits.MAX_LABELS:
        refused = TOO_MANY_LABELS
    elif after.chars > before.chars and state.chars + after.chars - before.chars > limits.MAX_ARTIFACT_CHARS:
        refused = ARTIFACT_FULL
    if refused or after == before:
        return Decision(state, refused, before.ordinal, before.version)
    after = replace(after, updated_at_us=max(before.updated_at_us, event.at_us))
    if reservation is not None:
        reserved = {**state.reserved, event.ordinal: replace(reservation, version=after)}
        return Decision(replace(state, reserved=reserved), ordinal=after.ordinal, version=after.version)
    folded, moved = _with_version(_without_version(state, before), after, event.at_us)
    return Decision(folded, ordinal=after.ordinal, version=after.version, changed=(*moved, after))


def _delete_version(state: ArtifactState, event: ArtifactVersionDeleted) -> Decision:
    if event.ordinal in state.reserved:
        given_up = state.reserved[event.ordinal].version
        return Decision(_without_reservation(state, event.ordinal), ordinal=given_up.ordinal, version=given_up.version)
    gone = state.versions.get(event.ordinal)
    if gone is None:
        return Decision(state, NO_SUCH_VERSION, event.ordinal)
    after = replace(_without_version(state, gone), updated_at_us=max(state.updated_at_us, event.at_us))
    return Decision(after, ordinal=gone.ordinal, version=gone.version, removed=(gone,))


def _remark(state: ArtifactState, event: ArtifactVersionRemarked) -> Decision:
    """Count a remark. Nothing else of the version is another because of it, its times neither."""
    before = state.versions.get(event.ordinal)
    if before is None:
        return Decision(state, NO_SUCH_VERSION, event.ordinal)
    if state.chars + REMARK_CHARS > limits.MAX_ARTIFACT_CHARS:
        return Decision(state, ARTIFACT_FULL, before.ordinal, before.version)
    after = replace(before, remarks=before.remarks + 1)
    versions = {**state.versions, after.ordinal: after}
    remarked = replace(state, chars=state.chars + REMARK_CHARS, versions=versions)
    return Decision(remarked, ordinal=after.ordinal, version=after.version, changed=(after,))


def _with_version(
    state: ArtifactState, version: VersionState, at_us: int
) -> tuple[ArtifactState, tuple[VersionState, ...]]:
    """The artifact with a version more, and the versions that lost an alias to it."""
    losing: dict[int, set[str]] = {}
    for alias in version.aliases:
        if alias in state.aliases:
            losing.setdefault(state.aliases[alias], set()).add(alias)
    moved = []
    for ordinal, aliases in losing.items():
        before = state.versions[ordinal]
        kept = tuple(alias for alias in before.aliases if alias not in aliases)
        moved.append(replace(before, aliases=kept, updated_at_us=max(before.updated_at_us, at_us)))
    replaced = {other.ordinal: other for other in moved}
    freed = sum(state.versions[ordinal].chars - other.chars for ordinal, other in replaced.items())
    after = replace(
        state,
        updated_at_us=max(state.updated_at_us, at_us),
        chars=state.chars + version.chars - freed,
        versions={**state.versions, **replaced, version.ordinal: version},
        texts={**state.texts, version.version: version.ordinal},
        aliases={**state.aliases, **dict.fromkeys(version.aliases, version.ordinal)},
    )
    return after, tuple(moved)


def _without_version(state: ArtifactState, version: VersionState) -> ArtifactState:
    return replace(
        state,
        chars=state.chars - version.chars,
        versions={ordinal: other for ordinal, other in state.versions.items() if ordinal != version.ordinal},
        texts={text: ordinal for text, ordinal in state.texts.items() if ordinal != version.ordinal},
        aliases={alias: ordinal for alias, ordinal in state.aliases.items() if ordinal != version.ordinal},
    )


def _distinct(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


def _labels(
    before: tuple[str, ...], chosen: tuple[str, ...] | None, removed: Collection[str], added: Iterable[str]
) -> tuple[str, ...]:
    kept = (label for label in (before if chosen is None else chosen) if label not in removed)
    return _distinct((*kept, *added))
