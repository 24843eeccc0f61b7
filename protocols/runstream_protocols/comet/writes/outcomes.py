"""What the fold made of events about artifacts, with refusals in words that the client shows."""

from collections.abc import Mapping, Sequence
from typing import Final

from runstream.events import limits
from runstream.events.artifacts import ArtifactEvent
from runstream_protocols.comet.errors import refused
from runstream_protocols.kit import outcomes
from runstream_protocols.kit.outcomes import Appended
from runstream_protocols.kit.recorder import Recorder
from runstream_service.lookup import ArtifactOutcome

#: The fold's words for what it refuses, as sentences that say what to do.
REFUSALS: Final[Mapping[str, str]] = {
    "name taken": "there is a {kind} {name} already: give another name",
    "version taken": "there is a version {version} of {name} already: give another version",
    "no such artifact": "there is no {kind} {name}: somebody deleted it",
    "no such version": "the version of {name} is not there any more: somebody deleted it",
    "too many labels": f"a version has at most {limits.MAX_LABELS} tags: delete some",
    "too many files": f"a version has at most {limits.MAX_ARTIFACT_FILES} files: log another version of {{name}}",
    "version sealed": "the files of version {version} of {name} never change: log another version",
    "artifact full": "{name} has no room for more versions or longer comments: delete old versions",
}
#: What the client calls artifacts of its registry, and the others.
MODEL: Final = "registered model"
ARTIFACT: Final = "artifact"


async def outcome_of(recorder: Recorder, appended: Appended) -> ArtifactOutcome:
    """Return what the fold made of the last of the events about a registered model. Raises Problem where it refused,
    and where it cannot be seen yet."""
    return _accepted(await outcomes.outcome_of(recorder, appended), appended.name, MODEL)


async def append_and_wait(
    recorder: Recorder, key: str, content: bytes, stamp: int, events: Sequence[ArtifactEvent], kind: str = MODEL
) -> ArtifactOutcome:
    """Append events about one artifact and return what the fold made of the last one. Raises Problem."""
    outcome = await outcomes.append_and_wait(recorder, key, content, stamp, events)
    return _accepted(outcome, events[-1].name, kind)


def _accepted(outcome: ArtifactOutcome, name: str, kind: str) -> ArtifactOutcome:
    if outcome.refused:
        text = REFUSALS.get(outcome.refused, "{name}: " + outcome.refused)
        raise refused(text.format(name=name, version=outcome.version, kind=kind))
    return outcome
