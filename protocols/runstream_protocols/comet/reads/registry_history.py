"""What changed in a version of a registered model: a fold of the events about it.

The fold of artifacts wrote down what came of each event, so that this one has no opinion of its own on which of them
counted; it only says what they changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from runstream.events.artifacts import ArtifactVersionLogged, ArtifactVersionUpdated
from runstream.events.control import AnyEvent, decode_event
from runstream_protocols.comet.conventions import (
    NO_STATUS,
    REMARK_CONFIGURATION,
    REMARK_METADATA,
    REMARK_OF,
    REMARKS_TYPE,
    remarks_id,
)
from runstream_protocols.comet.reads.registered import Registered
from runstream_query.http.context import Context
from runstream_query.repositories.statements.parameters import Parameters

_REMARKS: Final = {
    REMARK_METADATA: "MODEL_VERSION_METADATA_CHANGED",
    REMARK_CONFIGURATION: "MODEL_VERSION_STATUS_CONFIGURATION_CHANGED",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. `comment` is the version's, where that was said with it."""

    action: str
    at: datetime
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    comment: str | None = None


async def changes_of(context: Context, model: Registered, ordinal: int) -> list[Change]:
    """Every change of a version, the oldest first. Its time is that of the one who said it."""
    parameters = Parameters()
    artifacts = parameters.texts([model.artifact, remarks_id(model.workspace, model.name)])
    sql = (
        "SELECT e.at AS at, e.body AS body, o.ordinal AS ordinal FROM events AS e INNER JOIN "
        f"(SELECT part, offset, seq, ordinal FROM artifact_outcomes WHERE artifact IN {artifacts} AND changed) AS o "
        "ON e.part = o.part AND e.offset = o.offset AND e.seq = o.seq "
        f"WHERE e.key = {parameters.text(model.key)} AND startsWith(e.type, 'artifact_version_') "
        "ORDER BY e.part, e.offset, e.seq"
    )
    rows = await context.rows(sql, parameters)
    return fold_changes(((row["at"], row["ordinal"], decode_event(row["body"])) for row in rows), ordinal)


def fold_changes(events: Iterable[tuple[datetime, int, AnyEvent]], ordinal: int) -> list[Change]:
    """What the events changed in one version: (time, number of the version that it was about, event), in the log's
    order, only those that changed something. Pure."""
    changes: list[Change] = []
    version = _Version()
    for at, of, event in events:
        match event:
            case ArtifactVersionLogged(artifact_type=kind) if kind == REMARKS_TYPE:
                if event.metadata.get(REMARK_OF) == ordinal:
                    changes += [
                        Change(action, at, after={name: event.metadata[name]})
                        for name, action in _REMARKS.items()
                        if name in event.metadata
                    ]
            case ArtifactVersionLogged() if of == ordinal:
                version = _Version(event.status, event.comment, event.tags, event.stages)
                changes.append(Change("MODEL_VERSION_CREATED", at, comment=event.comment))
            case ArtifactVersionUpdated() if of == ordinal:
                changes += version.updated(at, event)
            case _:
                pass
    return changes


class _Version:
    """What the events said of a version so far."""

    def __init__(
        self, status: str = "", comment: str = "", tags: Sequence[str] = (), stages: Sequence[str] = ()
    ) -> None:
        self._status, self._comment, self._tags, self._stages = status, comment, tags, stages

    def updated(self, at: datetime, event: ArtifactVersionUpdated) -> list[Change]:
        changes = []
        if event.status is not None and event.status != self._status:
            before, after = ({"registryModelStatus": text or NO_STATUS} for text in (self._status, event.status))
            changes.append(Change("MODEL_VERSION_STATUS_CHANGED", at, before, after))
            self._status = event.status
        if event.comment is not None and event.comment != self._comment:
            before, after = {"comment": self._comment}, {"comment": event.comment}
            changes.append(Change("MODEL_VERSION_COMMENT_CHANGED", at, before, after, event.comment))
            self._comment = event.comment
        return changes + self._labelled(at, event)

    def _labelled(self, at: datetime, event: ArtifactVersionUpdated) -> list[Change]:
        before = self._labels()
        tags = self._tags if event.tags is None else event.tags
        self._tags = [tag for tag in tags if tag not in event.tags_removed] + list(event.tags_added)
        self._stages = self._stages if event.stages is None else event.stages
        after = self._labels()
        removed = [
            Change("MODEL_VERSION_TAG_REMOVED", at, before={"tag": label}) for label in before if label not in after
        ]
        added = [Change("MODEL_VERSION_TAG_ADDED", at, after={"tag": label}) for label in after if label not in before]
        return removed + added

    def _labels(self) -> dict[str, None]:
        return dict.fromkeys((*self._tags, *self._stages))
