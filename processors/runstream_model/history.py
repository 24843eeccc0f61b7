"""The record of what came in: every control event as it stands in the log, and what could not be read."""

from collections.abc import Iterable
from typing import Any, Final

from runstream.events.control import AnyEvent, encode_event
from runstream_model.projection import COUNT, NAME, OFFSET, PART, TEXT, TIME, Column, Projection

Row = dict[str, Any]

EVENTS: Final = Projection(
    name="events",
    version=1,
    key=("key", "part", "offset", "seq"),
    columns=(
        Column("key", TEXT, "what the event is about: a run's id, or the key of a project or an artifact"),
        PART,
        OFFSET,
        Column("writer", TEXT, "the whole id of its writer"),
        Column("seq", COUNT, "its sequence number"),
        Column("at", TIME, "when it happened, by its writer's clock"),
        Column("type", NAME, "its versioned tag"),
        Column("body", TEXT, "the event as JSON"),
    ),
)
QUARANTINE: Final = Projection(
    name="quarantine",
    version=1,
    key=("part", "offset", "item"),
    columns=(
        PART,
        OFFSET,
        Column("item", "UInt32", "which part of the record it is; 0: the whole record"),
        Column("key", TEXT, "the record's key"),
        Column("cause", NAME, "why it could not be read"),
        Column("detail", TEXT, "what was wrong with it, and what to do"),
        Column("body", TEXT, "its bytes as they came"),
        Column("at", TIME, "when the log took it in"),
    ),
)


def rows_of_events(
    key: str, writer_id: str, events: Iterable[tuple[int, AnyEvent]], part: int, offset: int
) -> list[Row]:
    """The rows of `events` for the (seq, event) pairs of one frame; times as integers (microseconds since 1970 UTC)."""
    return [
        {
            "key": key,
            "part": part,
            "offset": offset,
            "writer": writer_id,
            "seq": seq,
            "at": event.at_us,
            "type": event.type,
            "body": encode_event(event).decode(),
        }
        for seq, event in events
    ]


def row_of_dead_letter(
    key: bytes, part: int, offset: int, at_us: int, *, item: int, cause: str, detail: str, body: bytes
) -> Row:
    """The row of `quarantine` for a record, or an item of one, that the log took in at `at_us`."""
    return {
        "part": part,
        "offset": offset,
        "item": item,
        "key": key.decode(errors="replace"),
        "cause": cause,
        "detail": detail,
        "body": body,
        "at": at_us,
    }
