"""Bytes that Comet's client sends, into the asset storage: whole multipart bodies, whatever their size."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.comet.writes.bodies import cleaned
from runstream_protocols.comet.writes.multipart import Part, boundary_of, malformed, parts_of
from runstream_protocols.comet.writes.refusals import refused
from runstream_protocols.comet.writes.values import bounded, size_of
from runstream_service.assets import AssetStorage, AssetTooLarge, StagedAsset
from runstream_service.bodies import declared_bytes, too_large, unpacked_chunks

#: What the client calls the part with the file.
_FILE_PARTS: Final = frozenset(("file", "assetItemContent", "thumbnail"))
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

    def __init__(self, storage: AssetStorage, pressure: Pressure, settings: GatewaySettings) -> None:
        self._storage = storage
        self._pressure = pressure
        self._settings = settings

    async def received(self, request: web.Request) -> Upload:
        """Store the file of a multipart body and read the rest. Nothing is kept of a body that is malformed. Raises
        Problem, AssetError."""
        boundary = boundary_of(request.headers.get("Content-Type", ""))
        declared_bytes(request, self._settings.max_asset_bytes)
        upload, names = Upload(), set[str]()
        chunks = unpacked_chunks(request, self._settings.max_asset_bytes, self._settings.pace)
        async with AsyncExitStack() as stack:
            staged: StagedAsset | None = None
            is_link = False
            with self._pressure.uploading(request):
                async for part in parts_of(chunks, boundary, self._settings.max_parts):
                    name = "file" if part.name in _FILE_PARTS else part.name
                    if name in names:
                        raise malformed(f"it has the part {name[:100]!r} twice")
                    names.add(name)
                    match name:
                        case "file":
                            staged = await self._staged(part)
                            stack.push_async_callback(staged.discard)
                            is_link = False
                        case "link":
                            upload.link = (await part.small(_MAX_METADATA_BYTES)).decode(errors="replace")
                            is_link = True
                        case "metadata":
                            upload.metadata = await _object(part)
                        case "requestParams":
                            upload.parameters = await _object(part)
                        case _:
                            await part.small(_MAX_METADATA_BYTES)
                if is_link:
                    upload.sha256, upload.size_bytes = await self.kept(upload.link.encode(errors="replace"))
                elif staged is not None:
                    await staged.keep()
                    upload.sha256, upload.size_bytes = staged.sha256, staged.size_bytes
                else:
                    raise refused("the body has no part `file`")
        return upload

    async def kept(self, content: bytes) -> tuple[str, int]:
        """Store some bytes; their SHA-256 and how many they are. Raises AssetError."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        staged = await self._storage.receive(chunks(), self._settings.max_asset_bytes)
        try:
            await staged.keep()
        finally:
            await staged.discard()
        return staged.sha256, staged.size_bytes

    async def _staged(self, part: Part) -> StagedAsset:
        try:
            return await self._storage.receive(part.content, self._settings.max_asset_bytes)
        except AssetTooLarge:
            raise too_large(self._settings.max_asset_bytes) from None


async def _object(part: Part) -> dict[str, Any]:
    return object_of(await part.small(_MAX_METADATA_BYTES))


def object_of(content: Any) -> dict[str, Any]:
    """A JSON object, also one within a JSON text, each member `bounded`; empty for anything else, because no file is
    refused for it."""
    for _ in range(2):
        if isinstance(content, bytes | str):
            try:
                content = cleaned(json.loads(content))
            except (ValueError, RecursionError):
                return {}
    return {name: bounded(value) for name, value in content.items()} if isinstance(content, dict) else {}


def metadata_of(content: Any) -> dict[str, Any]:
    """`object_of` of what did not come as a part of its own. Raises Problem where it is too large for an event."""
    found = object_of(content)
    if size_of(found) > _MAX_METADATA_BYTES:
        raise refused(f"metadata have more than {_MAX_METADATA_BYTES} bytes: log them as an asset", name="metadata")
    return found
