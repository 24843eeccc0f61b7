"""Entities in the tables, folded from events as the worker does."""

from kit.query.artifacts import WRITER
from kit.query.service import Service
from runstream.events.control import encode_event
from runstream.events.entities import EntityEvent
from runstream_model.entities import EntityRows, ProjectEntities
from runstream_model.source import Source


class FoldedEntities:
    """Folds events about entities and puts all their rows into the tables of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rows = EntityRows()
        self._known: dict[str, ProjectEntities] = {}

    async def insert(self, writer: str, seq: int, event: EntityEvent, offset: int) -> None:
        """Fold one event, in a record of its own at `offset`."""
        known = self._known.setdefault(event.key, ProjectEntities())
        self._rows.fold(known, event, Source(writer, seq, 0, offset), lambda table: True)
        logged = {"key": event.key, "part": 0, "offset": offset, "writer": writer, "seq": seq, "at": event.at_us}
        await self._service.insert("events", logged | {"type": event.type, "body": encode_event(event).decode()})
        for table, found in self._rows.take().items():
            if found:
                await self._service.insert(table, *found)
        self._service.advance(offset)


async def insert_entities(service: Service, *events: EntityEvent, first_offset: int = 100) -> None:
    """Fold the events, each a record of its own from `first_offset` on, whose number is its event's too."""
    folded = FoldedEntities(service)
    for offset, event in enumerate(events, start=first_offset):
        await folded.insert(WRITER, offset, event, offset)
