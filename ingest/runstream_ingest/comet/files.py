"""Bytes that Comet's client sends, into the asset storage: whole multipart bodies, whatever their size."""

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Any, Final, cast

from aiohttp import BodyPartReader, MultipartReader, web

from runstream.service.assets import AssetStorage, AssetTooLarge
from runstream_ingest.comet.refusals import refused
from runstream_ingest.comet.values import bounded, size_of
from runstream_ingest.gateway.bodies import declared_bytes, too_large
from runstream_ingest.gateway.settings import GatewaySettings

#: Small files never touch the disk on their way.
_IN_MEMORY_BYTES: Final = 1_000_000
_CHUNK_BYTES: Final = 1 << 18
#: Metadata stand in an event.
_MAX_METADATA_BYTES: Final = 100_000


@dataclass(slots=True)
class Upload:
    """What a multipart body had. `link`: where the file is instead; its bytes are then the link's."""

    sha256: str = ""
    size_bytes: int = 0
    link: str = ""
    metadata: dict[str, Any] | None = None
    #: The members of `requestParams`.
    parameters: dict[str, Any] | None = None


class Files:
    """The storage, as the handlers use it."""

    def __init__(self, storage: AssetStorage, settings: GatewaySettings) -> None:
        self._storage = storage
        self._max_bytes = settings.max_asset_bytes

    async def received(self, request: web.Request) -> Upload:
        """Store the file of a multipart body and read the rest. Raises Problem, AssetError."""
        declared_bytes(request, self._max_bytes)
        if not request.content_type.startswith("multipart/"):
            raise refused(f"the body is {request.content_type}: send multipart/form-data with a part `file`")
        upload = Upload()
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            if isinstance(part, MultipartReader):
                raise refused("a part of the body has parts of its own")
            match part.name:
                case "file" | "assetItemContent" | "thumbnail":
                    upload.sha256, upload.size_bytes = await self._stored(part)
                case "link":
                    content = await _small(part)
                    upload.link = content.decode(errors="replace")
                    upload.sha256, upload.size_bytes = await self.kept(content)
                case "metadata":
                    upload.metadata = object_of(await _small(part))
                case "requestParams":
                    upload.parameters = object_of(await _small(part))
        if not upload.sha256:
            raise refused("the body has no part `file`")
        return upload

    async def kept(self, content: bytes) -> tuple[str, int]:
        """Store some bytes; their SHA-256 and how many they are. Raises AssetError."""
        sha256 = hashlib.sha256(content).hexdigest()

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        await self._storage.write(sha256, chunks(), self._max_bytes)
        return sha256, len(content)

    async def _stored(self, part: BodyPartReader) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spooled:
            held = cast("IO[bytes]", spooled)
            while chunk := await part.read_chunk(_CHUNK_BYTES):
                size += len(chunk)
                if size > self._max_bytes:
                    raise too_large(self._max_bytes)
                digest.update(chunk)
                held.write(chunk)
            sha256 = digest.hexdigest()
            if await self._storage.size_of(sha256) is None:
                try:
                    await self._storage.write(sha256, _chunks(held), self._max_bytes)
                except AssetTooLarge:
                    raise too_large(self._max_bytes) from None
        return sha256, size


async def _chunks(held: IO[bytes]) -> AsyncIterator[bytes]:
    held.seek(0)
    while chunk := held.read(_CHUNK_BYTES):
        yield chunk


async def _small(part: BodyPartReader) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        content += chunk
        if len(content) > _MAX_METADATA_BYTES:
            raise refused(f"the part {part.name!r} has more than {_MAX_METADATA_BYTES} bytes: log it as an asset")
    return bytes(content)


def object_of(content: Any) -> dict[str, Any]:
    """A JSON object, also one within a JSON text, each member `bounded`; empty for anything else, because no file is
    refused for it."""
    for _ in range(2):
        if isinstance(content, bytes | str):
            try:
                content = json.loads(content)
            except (ValueError, RecursionError):
                return {}
    return {name: bounded(value) for name, value in content.items()} if isinstance(content, dict) else {}


def metadata_of(content: Any) -> dict[str, Any]:
    """`object_of` of what did not come as a part of its own. Raises Problem where it is too large for an event."""
    found = object_of(content)
    if size_of(found) > _MAX_METADATA_BYTES:
        raise refused(f"metadata have more than {_MAX_METADATA_BYTES} bytes: log them as an asset", name="metadata")
    return found
