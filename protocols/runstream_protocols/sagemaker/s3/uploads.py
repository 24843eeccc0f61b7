"""Uploads in parts as this server keeps them: an upload is an entity, and so is each part below it.

The bytes of a part are an asset that begins with random ones (the salt), so that no other file is the same asset: it
can be removed when the upload ends.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from runstream.events.moments import moment_of
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing, EntityRefused
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.names import PART, UPLOAD
from runstream_protocols.sagemaker.s3.objects import PLACE
from runstream_protocols.sagemaker.s3.receiving import Body
from runstream_protocols.sagemaker.s3.side import S3Side
from runstream_service.assets import AssetError

logger = logging.getLogger(__name__)

MAX_PARTS: Final = 10_000
#: Open at once in a bucket; each may hold as many parts.
MAX_UPLOADS: Final = 1_000
#: What was begun so long ago is given up.
EXPIRES: Final = timedelta(days=7)
SALT_BYTES: Final = 32
_ID_BYTES: Final = 16
_ATTEMPTS: Final = 10
#: Of those that expired, what one request gives up: it waits for them.
_MAX_GIVEN_UP: Final = 3
#: Parts whose bytes are removed at the same moment.
_AT_ONCE: Final = 16
#: How often parts are looked for that came while others were removed.
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload. `size_bytes`: without the salt."""

    number: int
    sha256: str
    size_bytes: int
    etag: str
    checksums: Mapping[str, str]
    entity: Entity


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload. `algorithm`: of the checksums, in small letters, empty: none; `is_full`: they are of all bytes."""

    id: str
    key: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    algorithm: str
    is_full: bool
    entity: Entity


class PartedUploads:
    """The uploads that one request may see, and changes of them. All methods raise what entities raise."""

    def __init__(self, side: S3Side) -> None:
        self._side = side
        self._entities = side.entities

    async def begin(self, bucket: str, properties: Mapping[str, Any]) -> Upload:
        """Begin an upload, and give up a few of those that expired. Raises S3Error."""
        found = await self._entities.list(PLACE, UPLOAD, f"{bucket}/", limit=MAX_UPLOADS)
        expired = [one for one in found if self._has_expired(one)]
        given_up = await self._give_up(expired[:_MAX_GIVEN_UP])
        if len(found) - given_up >= MAX_UPLOADS:
            detail = f"{MAX_UPLOADS} uploads are open in {bucket!r}: complete or abort some"
            raise S3Error("SlowDown", detail, status=503)
        name = f"{bucket}/{os.urandom(_ID_BYTES).hex()}"
        return _upload(await self._entities.create(PLACE, UPLOAD, name, properties))

    async def all(self, bucket: str) -> list[Upload]:
        """Return the uploads of a bucket."""
        found = await self._entities.list(PLACE, UPLOAD, f"{bucket}/", limit=MAX_UPLOADS)
        return [_upload(one) for one in found if not self._has_expired(one)]

    async def find(self, bucket: str, key: str, upload: str) -> Upload | None:
        """Return an upload of a key; None if there is none."""
        if not _is_id(upload):
            return None
        entity = await self._entities.find(PLACE, UPLOAD, f"{bucket}/{upload}")
        if entity is None or self._has_expired(entity) or entity.properties["key"] != key:
            return None
        return _upload(entity)

    async def get(self, bucket: str, key: str, upload: str) -> Upload:
        """Return an upload of a key. Raises S3Error."""
        found = await self.find(bucket, key, upload)
        if found is None:
            raise S3Error(
                "NoSuchUpload",
                f"there is no upload {upload[:60]!r} of {key[:100]!r}: it was completed or aborted, or is more than "
                f"{EXPIRES.days} days old; begin another one",
            )
        return found

    async def parts(self, upload: Upload) -> list[Part]:
        """Return the parts of an upload in their order."""
        found = await self._entities.list(PLACE, PART, f"{upload.entity.name}/", limit=MAX_PARTS)
        return [_part(one) for one in found]

    async def keep(self, upload: Upload, number: int, body: Body) -> None:
        """Make received bytes, which begin with a salt, a part; of several with one number the last. Raises S3Error."""
        await body.staged.keep()
        try:
            before = await self._place(upload, number, body)
        except S3Error:
            # After any other error the part may be there, and has these bytes.
            await self._discard(body.staged.sha256)
            raise
        if before is not None:
            await self._discard(before)
        # An upload that ended meanwhile has removed the parts that it saw.
        if await self._entities.find(PLACE, UPLOAD, upload.entity.name) is None:
            await self._forget(f"{upload.entity.name}/{number:05}")
            await self._discard(body.staged.sha256)
            raise S3Error("NoSuchUpload", "the upload ended while the part came: begin another one")

    async def end(self, upload: Upload) -> None:
        """Remove an upload with its parts. Raises AssetError; the upload is there then, and can be ended again."""
        await self._remove(upload.entity)

    async def end_all(self, bucket: str) -> None:
        """Remove the uploads of a bucket, also those that expired. Raises as `end`."""
        for one in await self._entities.list(PLACE, UPLOAD, f"{bucket}/", limit=MAX_UPLOADS):
            await self._remove(one)

    async def content_of(self, part: Part) -> AsyncIterator[bytes]:
        """Return the bytes of a part."""
        stream = await self._side.context.assets.open(part.sha256, SALT_BYTES)
        async for chunk in stream.chunks:
            yield chunk

    async def _place(self, upload: Upload, number: int, body: Body) -> str | None:
        """Return the SHA-256 of the bytes that were the part before."""
        name = f"{upload.entity.name}/{number:05}"
        properties = {
            "sha256": body.staged.sha256,
            "size": body.size_bytes,
            "etag": body.etag,
            "checksums": dict(body.checksums),
        }
        there = await self._entities.find(PLACE, PART, name)
        for _ in range(_ATTEMPTS):
            try:
                if there is None:
                    await self._entities.create(PLACE, PART, name, properties)
                    return None
                await self._entities.replace(there, properties)
                return str(there.properties["sha256"])
            except (EntityExists, EntityChanged, EntityMissing) as changed:
                there = changed.entity
        raise S3Error("OperationAborted", f"part {number} is sent by others all the time: try again")

    async def _forget(self, name: str) -> None:
        there = await self._entities.find(PLACE, PART, name)
        if there is not None:
            with contextlib.suppress(EntityRefused):
                await self._entities.delete(there)

    async def _give_up(self, expired: Sequence[Entity]) -> int:
        """Remove uploads that expired. Returns how many; the others are for a later request."""
        for count, one in enumerate(expired):
            try:
                await self._remove(one)
            except AssetError as error:
                logger.warning("the upload %s expired, its parts cannot be removed now: %s", one.name, error)
                return count
        return len(expired)

    async def _remove(self, entity: Entity) -> None:
        """Remove the bytes of the parts, then the entities: while bytes are left, something names them."""
        removed: set[str] = set()
        for _ in range(_ROUNDS):
            left = [part.sha256 for part in await self.parts(_upload(entity)) if part.sha256 not in removed]
            for begin in range(0, len(left), _AT_ONCE):
                await self._remove_bytes(left[begin : begin + _AT_ONCE])
            if not left:
                break
            removed.update(left)
        with contextlib.suppress(EntityRefused):  # another request ended it
            await self._entities.delete(entity, below=True)

    async def _remove_bytes(self, hashes: Sequence[str]) -> None:
        remove = self._side.recorder.uploads.remove
        outcomes = await asyncio.gather(*map(remove, hashes), return_exceptions=True)
        failures = (one for one in outcomes if one is not None)
        if (failure := next(failures, None)) is not None:
            raise failure

    async def _discard(self, sha256: str) -> None:
        """Remove bytes that no part has. They stay where that fails: the outcome of the request is another matter."""
        try:
            await self._side.recorder.uploads.remove(sha256)
        except AssetError as error:
            logger.warning("the bytes %s, which no part has, cannot be removed and stay: %s", sha256, error)

    def _has_expired(self, entity: Entity) -> bool:
        return entity.created_at + EXPIRES < moment_of(self._side.recorder.now_us())


def part_number(text: str) -> int:
    """Return the number of a part. Raises S3Error."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PARTS)) else 0
    if not 1 <= number <= MAX_PARTS:
        raise S3Error("InvalidArgument", f"the part number is {text[:40]!r}: give 1 to {MAX_PARTS}")
    return number


def _is_id(text: str) -> bool:
    return len(text) == 2 * _ID_BYTES and set(text) <= set("0123456789abcdef")


def _upload(entity: Entity) -> Upload:
    properties = entity.properties
    return Upload(
        entity.name.rpartition("/")[2],
        properties["key"],
        properties["headers"],
        properties["metadata"],
        properties["algorithm"],
        properties["is_full"],
        entity,
    )


def _part(entity: Entity) -> Part:
    properties = entity.properties
    return Part(
        int(entity.name.rpartition("/")[2]),
        properties["sha256"],
        properties["size"],
        properties["etag"],
        properties["checksums"],
        entity,
    )
