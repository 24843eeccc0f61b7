"""What is on its way to readers: how much all responses hold together, and that nobody waits for ever for a reader.

A reader that takes nothing would keep its response in memory. So large responses and the pieces of streams count
against one budget until they are written, and a write that takes too long ends the connection.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from runstream_query.errors import TooBusy
from runstream_query.settings import QuerySettings
from runstream_service.access import LOCAL, principal_of
from runstream_service.proxies import client_address

#: How often a request that takes long looks whether its client is still there.
_LOOK_EVERY_S: Final = 0.5
#: What is given to the connection at once.
WRITE_BYTES: Final = 262_144


class Outgoing:
    """Belongs to one event loop."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._streams: Counter[str] = Counter()
        self._held_bytes = 0
        self._changed = asyncio.Condition()

    @property
    def held_bytes(self) -> int:
        """What responses hold now."""
        return self._held_bytes

    @contextmanager
    def stream(self, request: web.Request) -> Iterator[None]:
        """A place for a stream. Raises TooBusy if there is none, in all or for this client."""
        client = account_of(request)
        settings = self._settings
        if self._streams.total() >= settings.max_streams:
            raise TooBusy(
                f"{settings.max_streams} streams are open, which is the limit (RUNSTREAM_QUERY_MAX_STREAMS): read one "
                "after the other, or try again later"
            )
        if self._streams[client] >= settings.max_streams_per_client:
            raise TooBusy(
                f"{settings.max_streams_per_client} streams of one client are open, which is the limit "
                "(RUNSTREAM_QUERY_MAX_STREAMS_PER_CLIENT): read one after the other"
            )
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    @asynccontextmanager
    async def holding(self, size_bytes: int) -> AsyncIterator[None]:
        """Count so much as held, once there is room; one that is larger than the whole budget alone. Raises TooBusy if
        there is none for `heavy_wait_s`."""
        async with self._changed:
            try:
                async with asyncio.timeout(self._settings.heavy_wait_s):
                    await self._changed.wait_for(lambda: self._fits(size_bytes))
            except TimeoutError:
                raise TooBusy(
                    f"answers hold {self._held_bytes} bytes that their readers do not take "
                    "(RUNSTREAM_QUERY_MAX_OUTGOING_BYTES): ask for less, or try again later"
                ) from None
            self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes
            # Not under the condition's lock, which a cancelled task could not wait for.
            asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        return not self._held_bytes or self._held_bytes + size_bytes <= self._settings.max_outgoing_bytes

    async def write(self, request: web.Request, response: web.StreamResponse, data: bytes) -> None:
        """Write and wait until the reader has taken it, but for the connection's own buffer. Raises
        ConnectionResetError, and ends the connection, if that takes longer than `stream_write_s`."""
        try:
            async with asyncio.timeout(self._settings.stream_write_s):
                await response.write(data)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(f"the reader took nothing for {self._settings.stream_write_s:g} s") from None


_OUTGOING: Final = web.AppKey("runstream_outgoing", Outgoing)


def outgoing_of(app: web.Application, settings: QuerySettings) -> Outgoing:
    """The one of an application, which all its services that read share."""
    if _OUTGOING not in app:
        app[_OUTGOING] = Outgoing(settings)
    return app[_OUTGOING]


def account_of(request: web.Request) -> str:
    """Whose request it is: the name of its key, or its address, also behind a trusted proxy."""
    principal = principal_of(request)
    return f"address {client_address(request)}" if principal is LOCAL else f"key {principal.name}"


@contextmanager
def ended_with_connection(request: web.Request) -> Iterator[None]:
    """Cancel the current task when the client closes its connection. Only for what changes nothing."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()

    def look() -> None:
        transport = request.transport
        if transport is None or transport.is_closing():
            task.cancel()
        else:
            timers[0] = loop.call_later(_LOOK_EVERY_S, look)

    timers = [loop.call_later(_LOOK_EVERY_S, look)]
    try:
        yield
    finally:
        timers[0].cancel()
