"""Entities and stored bytes in memory, in the place of those of a server, for the handlers of S3."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final
from uuid import uuid4

from runstream.events.moments import micros_of
from runstream_protocols.kit.entities import Entities, Entity, EntityChanged, EntityExists, EntityMissing, Place
from runstream_protocols.sagemaker.s3.names import BUCKET
from runstream_protocols.sagemaker.s3.objects import PLACE

BUCKET_NAME: Final = "bucket"
AT: Final = datetime(2026, 11, 30, tzinfo=UTC)
_Hook = Callable[[Entity], Awaitable[None]]


class Memory(Entities):
    """Entities as the fold keeps them. A hook runs before a deletion, or when an entity was created or replaced."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Entity] = {}
        self.before_delete: _Hook | None = None
        self.after_write: _Hook | None = None

    async def add_bucket(self) -> Entity:
        return await self.create(PLACE, BUCKET, BUCKET_NAME, {"region": "us-east-1"})

    async def find(self, place: Place, kind: str, name: str) -> Entity | None:
        return self.held.get((kind, name))

    async def list(
        self,
        place: Place | None,
        kind: str,
        prefix: str = "",
        *,
        after: tuple[str, str] | None = None,
        limit: int = 10_000,
    ) -> list[Entity]:
        found = [self.held[one] for one in sorted(self.held) if one[0] == kind and one[1].startswith(prefix)]
        return [one for one in found if after is None or (one.name, one.id) > after][:limit]

    async def create(self, place: Place, kind: str, name: str, properties: Mapping[str, Any]) -> Entity:
        if (kind, name) in self.held:
            raise EntityExists(kind, name, self.held[kind, name])
        return await self._written(Entity(*place, kind, name, uuid4().hex, 1, dict(properties), AT, AT))

    async def replace(self, entity: Entity, properties: Mapping[str, Any]) -> Entity:
        self._check(entity)
        return await self._written(
            dataclasses.replace(entity, revision=entity.revision + 1, properties=dict(properties))
        )

    async def delete(self, entity: Entity, *, below: bool = False, below_kind: str | None = None) -> None:
        if self.before_delete is not None:
            await self.before_delete(entity)
        self._check(entity)
        del self.held[entity.kind, entity.name]
        for kind, name in [one for one in self.held if one[1].startswith(f"{entity.name}/")]:
            if below or kind == below_kind:
                del self.held[kind, name]

    async def _written(self, entity: Entity) -> Entity:
        self.held[entity.kind, entity.name] = entity
        if self.after_write is not None:
            await self.after_write(entity)
        return entity

    def _check(self, entity: Entity) -> None:
        there = self.held.get((entity.kind, entity.name))
        if there is None or there.id != entity.id:
            raise EntityMissing(entity.kind, entity.name, there)
        if there.revision != entity.revision:
            raise EntityChanged(entity.kind, entity.name, there)


class MemoryUploads:
    """Stored bytes by their SHA-256. `failing`: those whose removal raises, and what it raises; `most_at_once`: the
    most removals that overlapped."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.at_once = self.most_at_once = 0

    async def remove(self, sha256: str) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if sha256 in self.failing:
            raise self.failing[sha256]
        self.held.discard(sha256)


def side_of(memory: Memory, uploads: MemoryUploads | None = None) -> Any:
    """What the handlers work with; its requests have every right."""

    async def require(key: str) -> None:
        return None

    recorder = SimpleNamespace(require=require, uploads=uploads or MemoryUploads(), now_us=lambda: micros_of(AT))
    return SimpleNamespace(entities=memory, recorder=recorder)
