"""Artifacts in the tables, folded from events as the worker does."""

from collections.abc import Collection

from kit.query.service import Service
from runstream.events.artifacts import ArtifactEvent
from runstream.events.control import encode_event
from runstream_model.artifact_rows import ArtifactRows
from runstream_model.artifact_state import ArtifactState
from runstream_model.source import Source

WRITER = "c" * 32


async def insert_artifacts(
    service: Service, *events: ArtifactEvent, first_offset: int = 100, late: Collection[str] = ()
) -> None:
    """Fold the events, each a record of its own from `first_offset` on, and put all their rows into the tables, but for
    those of tables that are `late`."""
    rows = ArtifactRows()
    known: dict[str, dict[str, ArtifactState]] = {}
    for offset, event in enumerate(events, start=first_offset):
        artifacts = known.setdefault(event.key, {})
        rows.fold(artifacts, event, Source(WRITER, offset, 0, offset), lambda table: True)
        logged = {"key": event.key, "part": 0, "offset": offset, "writer": WRITER, "seq": offset, "at": event.at_us}
        await service.insert("events", logged | {"type": event.type, "body": encode_event(event).decode()})
    for table, found in rows.take().items():
        if table in late:
            continue
        await service.insert(table, *found)
    service.advance(first_offset + len(events) - 1)
