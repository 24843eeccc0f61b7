"""aiohttp's protocol of one connection, with bounds: see `runstream_service.connections`.

What is no HTTP gets a problem as its response, and a client that leaves one debug line. It relies on these parts
of aiohttp's class: `_messages`, `_current_request`, `_reading_paused`, `_buffer_paused`, `_max_msg_queue_size`,
`_msg_queue_resume_size`, `handle_error`, `log_exception`, `finish_response`. A test holds that they are there.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Iterator
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import Payload
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

from runstream_service.connections import Address, Connections
from runstream_service.problems import ClientLeft, Problem, client_left, problem_of_http

logger = logging.getLogger(__name__)

#: Larger bodies are written in pieces of this size, each when the one before is taken: as a whole they would be copied
#: into the connection's buffer, three times in between.
_PIECE_BYTES: Final = 262_144
#: Of the kernel, which takes twice as much: its own notes count.
_EVENTS_BUFFER_BYTES: Final = 65_536


class GuardedHandler(RequestHandler):
    """One connection. Made by `runstream_service.listening`, in the event loop."""

    __slots__ = ("_channel", "_connections", "_opening", "_payload", "address", "head_bytes", "is_gone", "since_s")

    since_s: float
    head_bytes: int
    address: Address
    is_gone: bool

    def __init__(self, manager: web.Server, connections: Connections, address: Address, **options: Any) -> None:
        super().__init__(manager, **options)
        settings = connections.settings
        self._max_msg_queue_size = settings.max_pipelined
        self._msg_queue_resume_size = settings.max_pipelined // 2
        self._connections = connections
        #: The body of the newest request; only that can be incomplete.
        self._payload: StreamReader | None = None
        #: As `transport`, which aiohttp forgets when it closes it.
        self._channel: asyncio.Transport | None = None
        #: The socket, as long as TLS has no transport for it.
        self._opening: socket.socket | None = None
        connections.add(self, address)

    @contextlib.contextmanager
    def opening(self, accepted: socket.socket) -> Iterator[None]:
        """Let `abort` end the TLS handshake on the socket, within the block."""
        self._opening = accepted
        try:
            yield
        finally:
            self._opening = None

    # What `Connections` asks and orders

    def is_waiting(self) -> bool:
        waiter = self._waiter
        if waiter is None:
            # Accepted a moment ago: many are at once, before the loop comes to the first of them.
            return self._request_count == 0 and self._current_request is None and not self._messages
        return not waiter.done() and not self._messages

    def is_new(self) -> bool:
        return self._request_count == 0

    def is_ending(self) -> bool:
        return self._channel is not None and self._channel.is_closing()

    def unsent_bytes(self) -> int:
        return self._channel.get_write_buffer_size() if self._channel is not None else 0

    def is_reading_paused(self) -> bool:
        return self._reading_paused or self._buffer_paused

    def end(self) -> None:
        # A transport with something in its buffer stays open until that is taken.
        if self.unsent_bytes() or self._opening is not None:
            self.abort()
        else:
            self.force_close()

    def abort(self) -> None:
        # Before aiohttp closes it: a TLS transport that was closed twice can no longer be cut off.
        if self._channel is not None:
            self._channel.abort()
        elif self._opening is not None:
            with contextlib.suppress(OSError):
                self._opening.shutdown(socket.SHUT_RDWR)
        self.force_close()

    def refuse_body(self) -> bool:
        payload, settings = self._payload, self._connections.settings
        if payload is None or payload.is_eof() or self._current_request is None:
            return False
        detail = (
            f"Less than {settings.min_body_bytes_per_s} bytes a second came for {settings.body_window_s:g} s; nothing "
            "of the request was taken. Send it again."
        )
        payload.set_exception(
            Problem(408, "slow-body", "The body did not come", detail, headers={"Connection": "close"})
        )
        self.close()
        return True

    # What happens

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._channel = cast(asyncio.Transport, transport)
        if self.is_gone:  # there was no room any more
            self._channel.abort()
        else:
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # This is done for every request: with every state that is noted here it would take a tenth longer.
        super().data_received(data)
        connections = self._connections
        if self._messages:
            self._payload = self._messages[-1][1]
            self.since_s = connections.now_s
            if self.head_bytes:
                connections.head_ended(self)
        elif self._waiter is not None and data and not self.is_gone:
            if not connections.head_grew(self, len(data)):
                self._refuse_head()
            return
        if self._payload is not EMPTY_PAYLOAD:
            self._body_grew(len(data))

    def _body_grew(self, size: int) -> None:
        payload = self._payload
        if payload is None:
            return
        if payload.is_eof():
            self._payload = None
            self._connections.body_ended(self)
        else:
            self._connections.body_grew(self, size)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connections.paused(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.resumed(self)

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        if type(resp) is web.Response:
            body = resp._body
            if type(body) is bytes and len(body) > _PIECE_BYTES and not resp.prepared and not resp.compression:
                return self._finish_large(request, resp, body, start_time)
        elif isinstance(resp, web.HTTPException) and resp.status >= 400:  # raised before any middleware: `Expect`
            resp = problem_of_http(resp, request).response()
        if request.writer.output_size and not resp.prepared:
            return self._cut_short(resp)
        return super().finish_response(request, resp, start_time)

    async def _finish_large(
        self, request: web.BaseRequest, resp: web.Response, body: bytes, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        with self._connections.holding(self, len(body)) as has_room:
            resp._body = _Pieces(body) if has_room else None
            del body
            return await super().finish_response(request, resp if has_room else _busy(), start_time)

    async def _cut_short(self, resp: web.StreamResponse) -> tuple[web.StreamResponse, bool]:
        """Another response broke off in its middle: a second head would be read as a part of it."""
        self.abort()
        return resp, True

    # What goes wrong

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to what no middleware saw, or could respond to."""
        if exc is not None and client_left(request, exc):
            raise ClientLeft from exc
        if request.writer.output_size > 0:
            raise ConnectionResetError("the response broke off in its middle") from exc
        if isinstance(exc, HttpProcessingError):
            self._connections.unreadable += 1
            logger.debug("a request of %s cannot be read: %s", request.remote, exc)
            # Behind the first line aiohttp shows what it read.
            detail = f"{exc.message.partition(chr(10))[0][:200].strip().rstrip(':.')}: send HTTP/1.1 (RFC 9112)."
            problem = Problem(400, "unreadable-request", "The request is no valid HTTP", detail)
        elif status == 504:
            problem = Problem(504, "timeout", "The request took too long", "Try again later.", retry_after_s=1)
        else:
            self.log_exception("Error handling request", exc_info=exc)
            problem = Problem(500, "internal", "Something is wrong in the server", "The server's log says more.")
        response = problem.response()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        error = kw.get("exc_info")
        if isinstance(error, ConnectionError | Problem | HttpProcessingError | web.RequestPayloadError):
            # Within a body that nobody reads any more.
            logger.debug("a connection ends: %s", error)
        else:
            super().log_exception(*args, **kw)

    def _refuse_head(self) -> None:
        connections = self._connections
        connections.closed["head_too_large"] += 1
        if self.transport is not None:
            limit = connections.settings.max_head_bytes
            detail = f"A request's line and headers may have {limit} bytes together."
            self.transport.write(
                raw_response(
                    Problem(431, "too-large", "The headers are too large", detail), "Request Header Fields Too Large"
                )
            )
        self.end()


class _Pieces(Payload):
    """A body that is written piece by piece."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    async def write(self, writer: AbstractStreamWriter) -> None:
        view = memoryview(self._value)
        for begin in range(0, len(view), _PIECE_BYTES):
            await writer.write(view[begin : begin + _PIECE_BYTES])

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        text: str = self._value.decode(encoding, errors)
        return text


def keep_little_unsent(request: web.BaseRequest, size_bytes: int = _EVENTS_BUFFER_BYTES) -> None:
    """For a response without an end, of which a reader that stops is to hold little of the kernel's memory: twice
    `size_bytes` instead of what the connection needs for a large response (up to 4 MB)."""
    channel = request.transport.get_extra_info("socket") if request.transport is not None else None
    if channel is not None:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)


def raw_response(problem: Problem, reason: str) -> bytes:
    """A problem as the bytes of a whole response, where aiohttp has no request to respond to."""
    body = problem.response().body
    assert isinstance(body, bytes)
    headers = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **problem.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {problem.status} {reason}\r\n{head}\r\n".encode() + body


def _busy() -> web.Response:
    detail = "Other clients take their responses too slowly. Try again, or ask for less at once."
    return Problem(503, "busy", "The server holds too many responses", detail, retry_after_s=1).response()
