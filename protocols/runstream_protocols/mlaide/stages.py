"""Stages of models, which are stages of versions, and their revisions, which are remarks on these.

A version is a model where one of its stages is a stage of ML Aide's, in whatever case: `production`, as somebody wrote
it with the SDK, is PRODUCTION.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final, get_args

from runstream.events.artifacts import ArtifactEvent, ArtifactVersionRemarked, ArtifactVersionUpdated
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import event_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.mlaide.artifact_models import Revision, Stage
from runstream_protocols.mlaide.finding import append, version_to_change
from runstream_protocols.mlaide.models import Done
from runstream_protocols.mlaide.side import MlaideSide
from runstream_query.repositories.artifacts import RemarkRecord
from runstream_service.routing import Call

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
#: The stage of a model that nobody gave one.
NO_STAGE: Final[Stage] = "NONE"
#: Members of a remark that records a change of the stage.
_STAGE: Final = "stage"
_NOTE: Final = "note"


def stage_named(text: object) -> Stage | None:
    """Return the stage of this name, in whatever case; None if there is none."""
    return next((one for one in STAGES if isinstance(text, str) and one == text.upper()), None)


def stage_of(stages: Sequence[str]) -> Stage | None:
    """Return the stage of a version with these stages; None if it is no model."""
    return next((found for one in stages if (found := stage_named(one)) is not None), None)


def revisions_of(remarks: Sequence[RemarkRecord]) -> Iterator[Revision]:
    """Iterate over the changes of a model's stage that remarks on it record, which are given in the log's order."""
    before: Stage = NO_STAGE
    for one in remarks:
        remark = json.loads(one.remark)
        if (stage := stage_named(remark.get(_STAGE))) is not None:
            note = remark.get(_NOTE)
            yield Revision(
                created_at=one.at, old_stage=before, new_stage=stage, note=note if isinstance(note, str) else None
            )
            before = stage


async def set_model(side: MlaideSide, call: Call[object], payload: Payload) -> Done:
    """Make a version a model, or give the model another stage. A model without either stays as it is."""
    meant = await version_to_change(side, call)
    given, note = payload.optional("stage"), payload.optional("note")
    wanted = stage_named(given)
    if given is not None and wanted is None:
        raise Refused(f"stage is {given[:100]!r}: give one of {', '.join(STAGES)}")
    before = stage_of(meant.version.stages)
    stage = wanted or before or NO_STAGE
    about = {**meant.about, "at_us": side.recorder.stamp(), "ordinal": meant.version.ordinal}
    events: list[ArtifactEvent] = []
    if stage != before:
        others = (one for one in meant.version.stages if stage_named(one) is None)
        events.append(event_of(ArtifactVersionUpdated, **about, stages=(*others, stage)))
    if stage != (before or NO_STAGE) or note is not None:
        remark = {_STAGE: stage} | ({_NOTE: note} if note is not None else {})
        events.append(event_of(ArtifactVersionRemarked, **about, remark=remark))
    if events:
        await append(side, meant.place, events)
    return Done()
