"""A proxy that forgets to answer: it passes each request on, and the first time tells nobody what became of it."""

import asyncio
import threading
from collections import Counter
from typing import Self

import aiohttp
from aiohttp import web

_LARGEST_BYTES = 1 << 26
_OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


class ForgetfulProxy:
    """In front of `url`, in a thread of its own. The first POST or PUT with some path, query and body is done and then
    answered with 502, or not at all (the connection is cut), in turns; the same one again is answered as it is.

    `done` counts, by path, the requests that were passed on; `forgotten` those whose response was lost.
    """

    def __init__(self, url: str) -> None:
        self.address = ""
        self.done: Counter[str] = Counter()
        self.forgotten: Counter[str] = Counter()
        self._url = url
        self._seen: set[tuple[str, bytes]] = set()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(120)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=_LARGEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=1)
        async with aiohttp.ClientSession(auto_decompress=False) as self._client:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        async with self._client.request(
            request.method, f"{self._url}{request.raw_path}", data=body, headers=headers
        ) as response:
            content = await response.read()
            kept = {name: value for name, value in response.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        self.done[request.path] += 1
        # The client makes the boundaries of a form anew each time; which file it is stands in the query.
        sent = (request.raw_path, b"" if request.content_type.startswith("multipart/") else body)
        if request.method in ("POST", "PUT") and sent not in self._seen and not _is_sign_of_life(request.path):
            self._seen.add(sent)
            self.forgotten[request.path] += 1
            if self.forgotten.total() % 2:
                return web.Response(status=502, text="nobody knows")
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=response.status, body=content, headers=kept)


def _is_sign_of_life(path: str) -> bool:
    """What may be lost."""
    return "notification" in path or "3d-limits" in path
