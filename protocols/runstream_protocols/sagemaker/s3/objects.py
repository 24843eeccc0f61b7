"""Buckets and objects as this server keeps them: entities of the client's project, and assets."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstream.events.names import project_key
from runstream_protocols.kit.entities import Entities, Entity, EntityChanged, EntityExists, EntityMissing, EntityRefused
from runstream_protocols.sagemaker.names import PROJECT, WORKSPACE
from runstream_protocols.sagemaker.s3.errors import S3Error, no_bucket, no_key
from runstream_protocols.sagemaker.s3.names import BUCKET, OBJECT, key_of, name_of

PLACE: Final = (WORKSPACE, PROJECT)
#: What a request has to have the right to write to.
KEY: Final = project_key(*PLACE)
#: How often a change begins again that others came before.
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Stored:
    """An object. `etag`: without quotes; `headers`: those of its responses, `metadata` the user's; `checksums`: base64
    by algorithm, of all bytes unless they end with the number of parts."""

    key: str
    sha256: str
    size_bytes: int
    etag: str
    modified_at: datetime
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    checksums: Mapping[str, str]
    entity: Entity

    @property
    def quoted_etag(self) -> str:
        """The ETag as headers and lists have it."""
        return f'"{self.etag}"'


@dataclass(frozen=True, slots=True)
class Content:
    """What an object is made of: stored bytes, and what is known of them. `upload`: the one in parts that made it."""

    sha256: str
    size_bytes: int
    etag: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    checksums: Mapping[str, str]
    upload: str = ""

    def properties(self) -> dict[str, Any]:
        """Return what its entity holds."""
        members: dict[str, Any] = {"sha256": self.sha256, "size": self.size_bytes, "etag": self.etag}
        further = {"headers": self.headers, "metadata": self.metadata, "checksums": self.checksums}
        members |= {name: dict(values) for name, values in further.items() if values}
        return members | ({"upload": self.upload} if self.upload else {})


@dataclass(frozen=True, slots=True)
class Conditions:
    """What has to be true of the object that is replaced or deleted. `absent`: there is none; `etags`: it has one
    of them."""

    absent: bool = False
    etags: tuple[str, ...] = ()

    def check(self, there: Entity | None) -> None:
        """Raises S3Error."""
        if self.absent and there is not None:
            raise S3Error("PreconditionFailed", "the object exists, and If-None-Match is *: take another key")
        if self.etags and (there is None or not {"*", there.properties["etag"]} & set(self.etags)):
            raise S3Error("PreconditionFailed", "the object has another ETag than If-Match: look at it again")


class Objects:
    """The buckets and objects that one request may see, and changes of them. All methods raise what entities raise."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    async def require_bucket(self, bucket: str) -> Entity:
        """Return a bucket. Raises S3Error."""
        found = await self._entities.find(PLACE, BUCKET, bucket)
        if found is None:
            raise no_bucket(bucket)
        return found

    async def buckets(self) -> list[Entity]:
        """Return all buckets by name."""
        return await self._entities.list(PLACE, BUCKET)

    async def find(self, bucket: str, key: str) -> Stored | None:
        """Return an object; None if there is none."""
        found = await self._entities.find(PLACE, OBJECT, name_of(bucket, key))
        return None if found is None else stored(found)

    async def get(self, bucket: str, key: str) -> Stored:
        """Return an object. Raises S3Error."""
        found = await self.find(bucket, key)
        if found is None:
            await self.require_bucket(bucket)
            raise no_key(bucket, key)
        return found

    async def page(self, bucket: str, prefix: str, after: tuple[str, str] | None, limit: int) -> list[Stored]:
        """Return the first objects by key that begin with the prefix, behind a name and an id of an entity."""
        found = await self._entities.list(PLACE, OBJECT, name_of(bucket, prefix), after=after, limit=limit)
        return [stored(one) for one in found]

    async def put(self, bucket: str, key: str, content: Content, conditions: Conditions) -> Stored:
        """Give stored bytes their key; of several under one key the last. Raises S3Error."""
        name, properties = name_of(bucket, key), content.properties()
        there = await self._entities.find(PLACE, OBJECT, name)
        for _ in range(_ATTEMPTS):
            conditions.check(there)
            try:
                if there is None:
                    made = await self._entities.create(PLACE, OBJECT, name, properties)
                else:
                    made = await self._entities.replace(there, properties)
            except (EntityExists, EntityChanged, EntityMissing) as changed:
                there = changed.entity
            else:
                await self._check_bucket(bucket, made)
                return stored(made)
        raise _contended(key)

    async def delete(self, bucket: str, key: str, conditions: Conditions) -> None:
        """Delete an object, if it is there. Raises S3Error."""
        there = await self._entities.find(PLACE, OBJECT, name_of(bucket, key))
        for _ in range(_ATTEMPTS):
            conditions.check(there)
            if there is None:
                return
            try:
                await self._entities.delete(there)
            except (EntityChanged, EntityMissing) as changed:
                there = changed.entity
            else:
                return
        raise _contended(key)

    async def _check_bucket(self, bucket: str, made: Entity) -> None:
        """Take an object back whose bucket was deleted while its bytes came. Raises S3Error."""
        if await self._entities.find(PLACE, BUCKET, bucket) is None:
            with contextlib.suppress(EntityRefused):
                await self._entities.delete(made)
            raise no_bucket(bucket)


def stored(entity: Entity) -> Stored:
    """Return the object that an entity holds."""
    properties = entity.properties
    return Stored(
        key_of(entity.name),
        properties["sha256"],
        properties["size"],
        properties["etag"],
        entity.updated_at,
        properties.get("headers", {}),
        properties.get("metadata", {}),
        properties.get("checksums", {}),
        entity,
    )


def _contended(key: str) -> S3Error:
    return S3Error("OperationAborted", f"the object {key[:100]!r} is changed by others all the time: try again")
