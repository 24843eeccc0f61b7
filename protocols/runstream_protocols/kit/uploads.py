"""Files of requests, streamed into the asset storage whatever their size."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.kit.multipart import Part, boundary_of, malformed, parts_of
from runstream_service.assets import AssetStorage, AssetTooLarge, StagedAsset
from runstream_service.bodies import declared_bytes, too_large, unpacked_chunks

#: What the part with the file is called, whatever the client calls it.
_FILE: Final = "file"


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body. `names`: its parts in their order, the one with the file as `file`; `fields`: all others by
    name. The file is kept by whoever wants it kept; `filename` and `content_type` are what its part says of it."""

    names: Sequence[str]
    fields: Mapping[str, bytes]
    file: StagedAsset | None
    filename: str | None = None
    content_type: str = ""


class Uploads:
    """The asset storage, as the handlers of a protocol use it."""

    def __init__(self, storage: AssetStorage, pressure: Pressure, settings: GatewaySettings) -> None:
        self._storage = storage
        self._pressure = pressure
        self._settings = settings

    @asynccontextmanager
    async def receiving(
        self, request: web.Request, file_parts: Collection[str], max_field_bytes: int
    ) -> AsyncIterator[Form]:
        """Receive a multipart body, of which one of `file_parts` is the file; the block may keep it. Nothing is left
        of a file that was not kept. Raises Problem where the body is malformed or too large, and AssetError."""
        boundary = boundary_of(request.headers.get("Content-Type", ""))
        declared_bytes(request, self._settings.max_asset_bytes)
        chunks = unpacked_chunks(request, self._settings.max_asset_bytes, self._settings.pace)
        names: list[str] = []
        fields: dict[str, bytes] = {}
        file: StagedAsset | None = None
        filename, content_type = None, ""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._pressure.uploading(request))
            async for part in parts_of(chunks, boundary, self._settings.max_parts):
                is_file = part.name in file_parts
                name = _FILE if is_file else part.name
                if name in names:
                    raise malformed(f"it has the part {name[:100]!r} twice")
                names.append(name)
                if is_file:
                    file = await self._stage(part)
                    filename, content_type = part.filename, part.content_type
                    stack.push_async_callback(file.discard)
                else:
                    fields[name] = await part.small(max_field_bytes)
            yield Form(names, fields, file, filename, content_type)

    async def receive(self, request: web.Request) -> StagedAsset:
        """Receive a body that is one file; the caller keeps or discards it. Raises Problem where it is too large or
        comes too slowly, and AssetError."""
        declared_bytes(request, self._settings.max_asset_bytes)
        return await self.take(request, unpacked_chunks(request, self._settings.max_asset_bytes, self._settings.pace))

    async def take(self, request: web.Request, chunks: AsyncIterator[bytes]) -> StagedAsset:
        """Store what `chunks` gives for a request, as one of its uploads; the caller keeps or discards it. Raises
        Problem where it is too large or too many upload, AssetError, and what `chunks` raises."""
        with self._pressure.uploading(request):
            try:
                return await self._storage.receive(chunks, self._settings.max_asset_bytes)
            except AssetTooLarge:
                raise too_large(self._settings.max_asset_bytes) from None

    async def remove(self, sha256: str) -> None:
        """Remove stored bytes that nothing can refer to, because they hold random ones. Raises AssetError."""
        await self._storage.delete(sha256)

    async def store(self, content: bytes) -> tuple[str, int]:
        """Store some bytes. Returns their SHA-256 and how many they are. Raises AssetError."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        staged = await self._storage.receive(chunks(), self._settings.max_asset_bytes)
        try:
            await staged.keep()
        finally:
            await staged.discard()
        return staged.sha256, staged.size_bytes

    async def _stage(self, part: Part) -> StagedAsset:
        try:
            return await self._storage.receive(part.content, self._settings.max_asset_bytes)
        except AssetTooLarge:
            raise too_large(self._settings.max_asset_bytes) from None
