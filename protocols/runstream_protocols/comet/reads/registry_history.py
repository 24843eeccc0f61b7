"""What changed in a version of a registered model: the differences between its states, one event after the other.

The states are those of the model's own fold, so that nothing here has an opinion on which events counted.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, assert_never

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
from runstream.events.control import decode_event
from runstream.events.moments import moment_of
from runstream_model.artifact_state import ArtifactState
from runstream_model.artifact_versions import VersionState
from runstream_model.artifacts import fold_artifact
from runstream_model.upcasting import understood
from runstream_protocols.comet.conventions import (
    NO_STATUS,
    REMARK_CONFIGURATION,
    REMARK_METADATA,
)
from runstream_protocols.comet.reads.registered import Registered
from runstream_query.http.context import Context
from runstream_query.repositories.events import About

_REMARKS: Final = {
    REMARK_METADATA: "MODEL_VERSION_METADATA_CHANGED",
    REMARK_CONFIGURATION: "MODEL_VERSION_STATUS_CONFIGURATION_CHANGED",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. `comment` is the version's, where it came with that."""

    action: str
    at: datetime
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    comment: str | None = None


async def changes_of(context: Context, model: Registered, ordinal: int) -> list[Change]:
    """Return every change of a version, the oldest first. Its time is that of the one who made it."""
    logged = await context.repositories.events.of_key(context.scope, model.key, About("artifact_"))

    def made() -> list[Change]:
        events = (understood(decode_event(one.body)) for one in logged)
        of_model = (one for one in events if isinstance(one, ArtifactEvent) and one.artifact == model.artifact)
        return fold_changes(of_model, ordinal)

    async with context.folding:
        return await asyncio.to_thread(made)


def fold_changes(events: Iterable[ArtifactEvent], ordinal: int) -> list[Change]:
    """Return what the events of a model, all of them and in the log's order, changed in one version. Pure."""
    changes: list[Change] = []
    state: ArtifactState | None = None
    for event in events:
        before = state
        decision = fold_artifact(before, event)
        if decision.state is None or decision.state is before:
            continue
        state = decision.state
        match event:
            case ArtifactVersionRemarked():
                if decision.ordinal == ordinal:
                    changes += _of_remark(event)
            case ArtifactVersionLogged() | ArtifactVersionUpdated():
                if decision.ordinal == ordinal and ordinal in decision.state.versions:
                    known = before.versions.get(ordinal) if before is not None else None
                    changes += _differences(known, decision.state.versions[ordinal], at_us=event.at_us)
            case (
                ArtifactCreated()
                | ArtifactUpdated()
                | ArtifactDeleted()
                | ArtifactVersionReserved()
                | ArtifactFilesAdded()
                | ArtifactVersionDeleted()
            ):
                pass  # Nothing that a version has.
            case _:
                assert_never(event)
    return changes


def _of_remark(event: ArtifactVersionRemarked) -> list[Change]:
    return [
        Change(action, moment_of(event.at_us), after={name: event.remark[name]})
        for name, action in _REMARKS.items()
        if name in event.remark
    ]


def _differences(before: VersionState | None, after: VersionState, at_us: int) -> list[Change]:
    at = moment_of(at_us)
    if before is None:
        return [Change("MODEL_VERSION_CREATED", at, comment=after.comment)]
    changes = []
    if after.status != before.status:
        old, new = ({"registryModelStatus": text or NO_STATUS} for text in (before.status, after.status))
        changes.append(Change("MODEL_VERSION_STATUS_CHANGED", at, old, new))
    if after.comment != before.comment:
        old, new = {"comment": before.comment}, {"comment": after.comment}
        changes.append(Change("MODEL_VERSION_COMMENT_CHANGED", at, old, new, after.comment))
    had, has = (dict.fromkeys((*version.tags, *version.stages)) for version in (before, after))
    changes += [Change("MODEL_VERSION_TAG_REMOVED", at, before={"tag": label}) for label in had if label not in has]
    changes += [Change("MODEL_VERSION_TAG_ADDED", at, after={"tag": label}) for label in has if label not in had]
    return changes
