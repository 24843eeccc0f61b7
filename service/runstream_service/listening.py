"""Running an application behind bounds: accepting connections, and aiohttp's runner for `GuardedHandler`."""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from typing import Any, Final, cast

from aiohttp import web

from runstream_service.connections import Connections
from runstream_service.problems import Problem
from runstream_service.protocol import GuardedHandler, raw_response

logger = logging.getLogger(__name__)

#: Connections that wait to be accepted: when a server starts again all training nodes come at once.
_BACKLOG: Final = 4096
#: Accepted in a row, about 40 us each, before others have their turn.
_AT_ONCE: Final = 64
_PAUSE_S: Final = 0.5
#: How long a connection with TLS that is closed waits until the other side says so too.
_GOODBYE_S: Final = 5.0
_NO_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class GuardedRunner(web.AppRunner):
    """aiohttp's runner of an application whose connections are bounded. Its only site is `listen`'s."""

    def __init__(self, app: web.Application, connections: Connections, **options: Any) -> None:
        """options: of aiohttp's runner and protocol, `auto_decompress` for example."""
        super().__init__(app, access_log=None, **options)
        self.connections = connections
        self._watch: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        self._watch = asyncio.create_task(self.connections.run())
        return server

    async def _cleanup_server(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await super()._cleanup_server()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Begin to accept connections, with TLS if a context is given. Call `setup` before. Raises OSError."""
        site = _Site(self, host, port, ssl_context=tls)
        await site.start()


class _Site(web.TCPSite):
    __slots__ = ()

    async def start(self) -> None:
        runner = self._runner
        assert isinstance(runner, GuardedRunner)
        await super(web.TCPSite, self).start()
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        # asyncio finds the addresses and binds; accepting is ours, because asyncio's way without a file left is to log
        # a traceback for each of the backlog, many times a second.
        bound = await loop.create_server(runner.server, self._host, self._port, start_serving=False)
        try:
            sockets = [_copy(each) for each in bound.sockets]
            self._server = cast(
                asyncio.AbstractServer, _Acceptor(runner.server, runner.connections, sockets, self._ssl_context)
            )
        finally:
            bound.close()


def _copy(bound: Any) -> socket.socket:
    return socket.socket(fileno=socket.dup(bound.fileno()))


class _Acceptor:
    """Accepts connections of listening sockets, which it closes. As much of asyncio's server as aiohttp uses."""

    def __init__(
        self,
        server: web.Server,
        connections: Connections,
        sockets: list[socket.socket],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.sockets = sockets
        self._server = server
        self._connections = connections
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        for listener in sockets:
            listener.setblocking(False)
            # What is accepted has it from the listener.
            if hasattr(socket, "TCP_NOTSENT_LOWAT") and listener.family != socket.AF_UNIX:
                unsent = connections.settings.kernel_unsent_bytes
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent)
            listener.listen(_BACKLOG)
            self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        for listener in self.sockets:
            self._loop.remove_reader(listener)
            listener.close()
        self.sockets = []

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(listener, error)
                return
            accepted.setblocking(False)
            address = self._connections.admit(str(peer[0]) if peer else "")
            if address is None:
                self._turn_away(accepted)
                continue
            handler = GuardedHandler(self._server, self._connections, address, loop=self._loop, **self._server._kwargs)
            task = self._loop.create_task(self._open(handler, accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, handler: GuardedHandler, accepted: socket.socket) -> None:
        try:
            if self._tls is None:
                await self._loop.connect_accepted_socket(lambda: handler, accepted)
            else:
                await self._shake_hands(handler, accepted, self._tls)
        except OSError as error:
            logger.debug("a connection ended before it began: %s", error)
            self._connections.remove(handler)
            accepted.close()

    async def _shake_hands(self, handler: GuardedHandler, accepted: socket.socket, tls: ssl.SSLContext) -> None:
        settings = self._connections.settings
        with handler.opening(accepted):
            await self._loop.connect_accepted_socket(
                lambda: handler,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=settings.head_s,
                ssl_shutdown_timeout=_GOODBYE_S,
            )

    def _turn_away(self, accepted: socket.socket) -> None:
        if self._tls is None:  # within TLS nothing can be said before the handshake
            with contextlib.suppress(OSError):
                accepted.send(_FULL)
        accepted.close()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        if error.errno in _NO_ROOM:
            self._connections.out_of_files()
        else:
            logger.warning("connections cannot be accepted: %s", error)
        self._loop.remove_reader(listener)
        self._loop.call_later(_PAUSE_S, self._go_on, listener)

    def _go_on(self, listener: socket.socket) -> None:
        if listener in self.sockets:
            self._loop.add_reader(listener, self._accept, listener)


_FULL: Final = raw_response(
    Problem(
        503,
        "too-many-connections",
        "The server has too many connections",
        "Try again later; RUNSTREAM_CONNECTIONS_MAX_CONNECTIONS and the process's file limit (ulimit -n) bound them.",
        retry_after_s=1,
    ),
    "Service Unavailable",
)
