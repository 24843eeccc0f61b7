"""Saying something about artifacts, and reading back what the fold made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from runstream.events import limits
from runstream.events.artifacts import AboutArtifact, ArtifactEvent
from runstream.events.control import encode_event
from runstream.events.positions import Positions
from runstream_protocols.comet.writes.frames import Statement, events_frame
from runstream_protocols.comet.writes.recording import Recorder
from runstream_protocols.comet.writes.refusals import refused
from runstream_service.lookup import ArtifactOutcome
from runstream_service.problems import Problem

E = TypeVar("E", bound=AboutArtifact)

#: The fold's words for what it refuses, as sentences that say what to do.
REFUSALS: Final[Mapping[str, str]] = {
    "name taken": "there is a registered model {name} already: give another name",
    "version taken": "there is a version {version} of {name} already: give another version",
    "no such artifact": "there is no registered model {name}: somebody deleted it",
    "no such version": "the version of {name} is not there any more: somebody deleted it",
    "too many labels": f"a version has at most {limits.MAX_LABELS} tags: delete some",
    "artifact full": "{name} has no room for more versions or longer comments: delete old versions",
}
_RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Events that are in the log, at `positions`. `last` is the number of the last of them, which `name` is in."""

    statement: Statement
    last: int
    name: str
    positions: Positions


async def asked(recorder: Recorder, key: str, words: bytes, stamp: int, events: Sequence[ArtifactEvent]) -> Asked:
    """Append events about one artifact as one statement."""
    statement = Statement(key, words, stamp, stamped=True)
    positions = await recorder.append(statement, [events_frame(statement, events)], wait=False)
    return Asked(statement, statement.first_seq() + len(events) - 1, events[-1].name, positions)


async def outcome_of(recorder: Recorder, what: Asked) -> ArtifactOutcome:
    """What the fold made of the last of the events. Raises Problem where it refused, and (503) where that cannot be
    seen yet."""
    outcome = await recorder.lookup.artifact_outcome(what.statement.key, what.statement.writer_id, what.last)
    if outcome is None:
        detail = f"{what.name}: it is written down, but cannot be read yet: ask again"
        raise Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=_RETRY_AFTER_S, msg=detail)
    if outcome.refused:
        text = REFUSALS.get(outcome.refused, "{name}: " + outcome.refused)
        raise refused(text.format(name=what.name, version=outcome.version))
    return outcome


async def decided(
    recorder: Recorder, key: str, words: bytes, stamp: int, events: Sequence[ArtifactEvent]
) -> ArtifactOutcome:
    """Both, with the wait between them."""
    appended = await asked(recorder, key, words, stamp, events)
    await recorder.visible(appended.positions)
    return await outcome_of(recorder, appended)


def made(kind: type[E], **fields: Any) -> E:
    """An event. Raises Problem if a value cannot be in it, or it is too long."""
    try:
        event: Any = kind(**fields)
    except ValidationError as error:
        raise invalid(error) from None
    size = len(encode_event(event))
    if size > limits.MAX_EVENT_BYTES:
        raise refused(
            f"what is said about {event.name} takes {size} bytes, at most {limits.MAX_EVENT_BYTES} are kept at once: "
            "say less, or pack the model's files into one archive"
        )
    checked: E = event
    return checked


def invalid(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    return refused(f"{name[:100]}: {first['msg'][:500]}" if name else first["msg"][:500])
