"""HEAD and PUT /ingest/v1/assets/{sha256}: files of runs, streamed into the storage."""

from collections.abc import AsyncIterator

from aiohttp import web

from runstream.events.protocol import ACKNOWLEDGES, ASSET_HEADER, asset_mark
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_service.assets import AssetStorage, AssetTooLarge, check_sha256
from runstream_service.bodies import declared_bytes, too_large, unpacked_chunks


class AssetsHandler:
    """Both handlers."""

    def __init__(
        self, storage: AssetStorage, pressure: Pressure, settings: GatewaySettings, metrics: GatewayMetrics
    ) -> None:
        self._storage = storage
        self._pressure = pressure
        self._settings = settings
        self._metrics = metrics

    async def head(self, request: web.Request) -> web.Response:
        """200 with its size as Content-Length, and both in ASSET_HEADER, if the asset is there, else 404: what a sender
        asks before it sends."""
        sha256 = check_sha256(request.match_info["sha256"])
        size = await self._storage.size_of(sha256)
        if size is None:
            return web.Response(status=404)
        headers = {
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            ASSET_HEADER: asset_mark(sha256, size),
        }
        return web.Response(headers=headers)

    async def put(self, request: web.Request) -> web.Response:
        """201 when the bytes are stored, 200 when they were before."""
        sha256 = check_sha256(request.match_info["sha256"])
        limit = self._settings.max_asset_bytes
        declared_bytes(request, limit)
        size = await self._storage.size_of(sha256)
        if size is not None:
            return web.json_response({**ACKNOWLEDGES, "sha256": sha256, "size_bytes": size})
        try:
            with self._pressure.uploading(request):
                size = await self._storage.write(sha256, self._chunks(request), limit)
        except AssetTooLarge:
            raise too_large(limit) from None
        return web.json_response({**ACKNOWLEDGES, "sha256": sha256, "size_bytes": size}, status=201)

    async def _chunks(self, request: web.Request) -> AsyncIterator[bytes]:
        async for chunk in unpacked_chunks(request, self._settings.max_asset_bytes, self._settings.pace):
            self._metrics.received_bytes.labels("assets").inc(len(chunk))
            yield chunk
