"""A faulty network between sender and server: an HTTP proxy that drops, delays, repeats and reorders requests."""

import asyncio
import random
import threading
from collections import Counter
from typing import Self

import aiohttp
from aiohttp import web

from runstream.events.protocol import ASSET_HEADER, PROTOCOL_HEADER

#: Headers of a response that it passes on.
_PASSED = ("Retry-After", PROTOCOL_HEADER, ASSET_HEADER)


class FaultyProxy:
    """Runs in a thread of its own until the `with` block ends. `faults` counts what it did to requests of frames.

    Other requests (assets, reads) pass untouched.
    """

    def __init__(self, upstream: str, seed: int) -> None:
        self._upstream = upstream
        self._source = random.Random(seed)
        self._held: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self.faults: Counter[str] = Counter()
        self.healthy = False
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=32_000_000)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as self._session:
            self._started.set()
            await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if not request.path.endswith("/frames") or self.healthy:
            return await self._forward(request, body)
        fault = self._source.choice(
            ("none", "none", "lost request", "lost answer", "delayed", "repeated", "late repeat", "reordered", "cut")
        )
        self.faults[fault] += 1
        match fault:
            case "lost request":
                return self._hang_up(request)
            case "lost answer":
                await self._forward(request, body)
                return self._hang_up(request)
            case "delayed":
                await asyncio.sleep(self._source.random())
            case "repeated":
                await asyncio.gather(self._forward(request, body), self._forward(request, body))
            case "late repeat":
                self._held.append(body)
            case "reordered":
                # What was held comes before what is newer than it; both come again.
                for held in self._held:
                    await self._forward(request, held)
                self._held.clear()
            case "cut":
                await self._forward(request, body[: len(body) // 2])
                return self._hang_up(request)
        return await self._forward(request, body)

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        kept = {name: value for name, value in request.headers.items() if name.lower() in ("content-type",)}
        url = self._upstream + request.path_qs
        try:
            async with self._session.request(request.method, url, data=body, headers=kept) as response:
                headers = {name: value for name, value in response.headers.items() if name in _PASSED}
                return web.Response(
                    status=response.status,
                    body=await response.read(),
                    content_type=response.content_type,
                    headers=headers,
                )
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))
