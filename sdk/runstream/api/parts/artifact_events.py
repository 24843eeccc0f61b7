"""Control events about artifacts: made of what a caller gives, and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from runstream.api.errors import NameTaken, NotFound, Refused, VersionTaken
from runstream.api.session import CommandOutcome
from runstream.errors import Invalid
from runstream.events import limits
from runstream.events.artifacts import ArtifactEvent
from runstream.events.control import encode_event


def refusal(event: ArtifactEvent, outcome: CommandOutcome) -> Refused:
    """Make the error that a refused command about an artifact means."""
    problem = asdict(outcome)
    what = f"{event.artifact_type} {event.name!r} in {event.key!r}"
    match outcome.refused:
        case "version taken":
            taken = f"{what} has a version {outcome.version!r} already, its number {outcome.ordinal}"
            return VersionTaken(f"{taken}: give another version, or none", problem)
        case "name taken":
            return NameTaken(f"there is a {what} already: give another name, or exist_ok=True", problem)
        case "no such artifact":
            return NotFound(f"there is no {what}: artifacts() lists those that there are", problem)
        case "no such version":
            return NotFound(f"{what} has no version {outcome.ordinal}: versions() lists those it has", problem)
        case "too many labels":
            return Refused(f"a version of {what} may have {limits.MAX_LABELS} tags and as many aliases", problem)
        case "too many files":
            return Refused(f"a version of {what} may have {limits.MAX_ARTIFACT_FILES} files: begin another", problem)
        case "version sealed":
            return Refused(f"the files of version {outcome.version!r} of {what} never change: log another", problem)
        case "artifact full":
            return Refused(f"{what} has so many versions that it is full: delete some, or begin another one", problem)
        case other:
            return Refused(f"the server refused the {event.type} of {what}: {other}", problem)


def event_of(kind: type[ArtifactEvent], fields: Mapping[str, Any]) -> ArtifactEvent:
    """Make an event, checked as the server checks it. Raises Invalid."""
    try:
        event = kind(at_us=0, **fields)
        size = len(encode_event(event))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{place or 'the artifact'}: {first['msg'].removeprefix('Value error, ')}") from None
    except (TypeError, ValueError) as error:
        raise Invalid(f"the metadata cannot be written as JSON: {error}") from None
    if size > limits.MAX_EVENT_BYTES:
        raise Invalid(
            f"what is said about the version has {size} bytes, at most {limits.MAX_EVENT_BYTES} are allowed: put large "
            "metadata into a file, and many files into an archive"
        )
    return event


def labels_of(labels: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return labels as an event has them: one text is one label."""
    if labels is None:
        return None
    return (labels,) if isinstance(labels, str) else tuple(labels)
