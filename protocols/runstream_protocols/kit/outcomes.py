"""Events about artifacts, and what the fold made of them: names and numbers are the fold's to give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from runstream.events import limits
from runstream.events.artifacts import AboutArtifact, ArtifactEvent
from runstream.events.control import encode_event
from runstream.events.positions import Positions
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.statements import Statement, events_frame
from runstream_service.lookup import ArtifactOutcome
from runstream_service.problems import RETRY_AFTER_S, Problem

E = TypeVar("E", bound=AboutArtifact)


@dataclass(frozen=True, slots=True)
class Appended:
    """Events that are in the log, at `positions`. `last` is the number of the last of them, which is about `name`."""

    statement: Statement
    last: int
    name: str
    positions: Positions


async def append_events(
    recorder: Recorder, key: str, content: bytes, stamp: int, events: Sequence[ArtifactEvent]
) -> Appended:
    """Append events about one artifact as one statement."""
    statement = Statement(key, content, stamp, stamped=True)
    positions = await recorder.append(statement, [events_frame(statement, events)], wait=False)
    return Appended(statement, statement.first_seq() + len(events) - 1, events[-1].name, positions)


async def outcome_of(recorder: Recorder, appended: Appended) -> ArtifactOutcome:
    """Return what the fold made of the last of the events. Raises Problem (503) where that cannot be seen yet."""
    statement = appended.statement
    outcome = await recorder.lookup.artifact_outcome(statement.key, statement.writer_id, appended.last)
    if outcome is None:
        raise not_visible(appended.name)
    return outcome


def not_visible(name: str) -> Problem:
    """Return the refusal of a request whose change of what is called `name` is durable, but not folded yet."""
    detail = f"{name}: it is durable, but cannot be read yet: send the request again"
    return Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=RETRY_AFTER_S)


async def append_and_wait(
    recorder: Recorder, key: str, content: bytes, stamp: int, events: Sequence[ArtifactEvent]
) -> ArtifactOutcome:
    """Append events about one artifact, wait, and return what the fold made of the last one. Raises Problem (503)."""
    appended = await append_events(recorder, key, content, stamp, events)
    await recorder.visible(appended.positions)
    return await outcome_of(recorder, appended)


def event_of(kind: type[E], **fields: Any) -> E:
    """Return an event. Raises Refused if a value cannot be in it, or it is too long."""
    try:
        event: Any = kind(**fields)
    except ValidationError as error:
        raise invalid(error) from None
    size = len(encode_event(event))
    if size > limits.MAX_EVENT_BYTES:
        raise Refused(
            f"what is written about {event.name} takes {size} bytes, at most {limits.MAX_EVENT_BYTES} are kept at "
            "once: write less, or pack the files into one archive"
        )
    checked: E = event
    return checked


def invalid(error: ValidationError) -> Problem:
    """Return the refusal of values that an event cannot have."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    return Refused(f"{name[:100]}: {first['msg'][:500]}" if name else first["msg"][:500])
