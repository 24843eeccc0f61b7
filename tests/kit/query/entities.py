"""Entities in the tables, folded from events as the worker does."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from kit.query.artifacts import WRITER
from kit.query.service import Service
from runstream.events.control import encode_event
from runstream.events.entities import EntityEvent
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream_model.decoding import decode_events
from runstream_model.entities import EntityRows, ProjectEntities
from runstream_model.source import Source
from runstream_protocols.kit.entities import Entities
from runstream_protocols.kit.statements import Statement
from runstream_query import QuerySettings
from runstream_query.http.context import Context
from runstream_service.access import Scope
from runstream_service.store import QueryClass


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


class FoldingRecorder:
    """Folds what is appended at once, as a worker would; or, with `is_late`, never."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._folded = FoldedEntities(service)
        self._offset = 0
        self.lock = asyncio.Lock()
        self.is_late = False

    def stamp(self) -> int:
        self._offset += 1
        return self._offset

    async def require(self, key: str) -> None:
        """Whoever asks has the right."""

    async def append(self, statement: Statement, frames: Sequence[bytes], *, wait: bool = True) -> Positions:
        async with self.lock:
            for data in frames:
                frame = decode_frame(data)
                ((seq, event),), rejected = decode_events(frame)
                assert not rejected
                if not self.is_late:
                    await self._folded.insert(frame.header.writer_id, seq, cast(Any, event), self.stamp())
        return Positions()

    async def visible(self, positions: Positions) -> bool:
        return not self.is_late


def context_of(recorder: FoldingRecorder, *workspaces: str) -> Context:
    """What a request reads by that may see these workspaces."""
    recorder.lock = asyncio.Lock()  # each test has an event loop of its own
    unused = cast(Any, None)
    context = Context(recorder.service.store, unused, None, unused, QuerySettings(), lambda: 0)
    return context.for_request(QueryClass.LIGHT, Scope(frozenset(workspaces)))


def entities_of(recorder: FoldingRecorder, *workspaces: str) -> Entities:
    """The entities of a request that may see these workspaces."""
    return Entities(cast(Any, recorder), context_of(recorder, *workspaces))


async def insert_entities(service: Service, *events: EntityEvent, first_offset: int = 100) -> None:
    """Fold the events, each a record of its own from `first_offset` on, whose number is its event's too."""
    folded = FoldedEntities(service)
    for offset, event in enumerate(events, start=first_offset):
        await folded.insert(WRITER, offset, event, offset)
