"""What a frame loads: passed on to the panel's process, over its socket, and back.

Responses carry a policy that gives the document no origin (`sandbox` without `allow-same-origin`), also where it is
opened outside of a frame. So it can read neither the storage of this server's pages nor any response of the API, and
connects to nothing but its own address.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web

from runstream.panels.folder import FRAME_HEADER
from runstream_infra.panels.assets import ASSETS_PATH, with_shared_assets
from runstream_infra.panels.host import Frame, PanelHost, Running
from runstream_service.auth import FRAME_PATH
from runstream_service.problems import Problem
from runstream_service.routing import Call

#: What a page gives its frame (`sandbox`), and what responses say as well.
SANDBOX: Final = "allow-scripts allow-forms allow-downloads allow-modals allow-popups allow-popups-to-escape-sandbox"
_REQUEST_HEADERS: Final = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "content-length", "content-type", "if-modified-since"),
        *("if-none-match", "range", "user-agent"),
    }
)
_RESPONSE_HEADERS: Final = frozenset(
    {
        *("accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-length"),
        *("content-range", "content-type", "etag", "last-modified"),
    }
)
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
#: Of requests that a whole response of now is to answer.
_OF_COPIES: Final = frozenset({"accept-encoding", "if-modified-since", "if-none-match", "range"})
_MAX_PAGE_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 1 << 16
_HEARTBEAT_S: Final = 20.0
_CONNECT_S: Final = 10.0
#: Of a response of the panel's process, from one piece to the next.
_READ_S: Final = 300.0


async def pass_on(host: PanelHost, call: Call[None]) -> web.StreamResponse:
    """Pass a request of a frame on to its panel. Raises Problem (404) where the address is of no frame."""
    request = call.request
    frame = host.find(call.path["frame"], token=call.path["token"])
    if frame is None:
        detail = "This address of a panel is of no frame that is open: open the panel anew from its page."
        raise Problem(404, "no-such-frame", "There is no such frame", detail)
    is_load = request.method == "GET" and request.path == address_of(frame)
    running = await host.ready(frame, is_load=is_load)
    frame.seen_s = running.seen_s = time.monotonic()
    assert running.served is not None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_READ_S)
    connector = aiohttp.UnixConnector(running.served.address)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await _socket(host, frame, running, session, request)
            return await _plain(host, frame, session, request, is_page=is_load)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        detail = f"The panel's process does not answer ({type(error).__name__}): load the panel again."
        raise Problem(502, "panel-away", "The panel does not answer", detail) from error


async def _plain(
    host: PanelHost, frame: Frame, session: aiohttp.ClientSession, request: web.Request, *, is_page: bool
) -> web.StreamResponse:
    headers = {name: value for name, value in request.headers.items() if name.lower() in _REQUEST_HEADERS}
    if is_page:
        headers = {name: value for name, value in headers.items() if name.lower() not in _OF_COPIES}
    body = _limited(request, host.settings.max_message_bytes) if request.body_exists else None
    async with session.request(
        request.method,
        _inner(frame, request),
        headers={**headers, FRAME_HEADER: frame.id},
        data=body,
        allow_redirects=False,
    ) as found:
        kept = {name: value for name, value in found.headers.items() if name.lower() in _RESPONSE_HEADERS}
        if is_page and found.status == web.HTTPOk.status_code:
            page = with_shared_assets(await found.content.read(_MAX_PAGE_BYTES))
            shown = {"Content-Type": kept.get("Content-Type", "text/html"), **policy(frame, request, is_page=True)}
            return web.Response(body=page, headers=shown)
        response = web.StreamResponse(status=found.status, headers={**kept, **policy(frame, request, is_page=is_page)})
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in found.content.iter_chunked(_PIECE_BYTES):
                await response.write(piece)
        await response.write_eof()
        return response


async def _limited(request: web.Request, limit_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.content.iter_chunked(_PIECE_BYTES):
        size += len(piece)
        if size > limit_bytes:
            detail = f"At most {limit_bytes} bytes are passed on to a panel."
            raise Problem(413, "too-large", "The upload is too large", detail)
        yield piece


async def _socket(
    host: PanelHost, frame: Frame, running: Running, session: aiohttp.ClientSession, request: web.Request
) -> web.StreamResponse:
    if frame.sockets >= host.settings.max_frame_sockets:
        raise Problem(503, "panels-busy", "The frame has too many connections", "Load the panel again.")
    largest = host.settings.max_message_bytes
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = [one.strip() for one in offered.split(",") if one.strip()][:8]
    near = web.WebSocketResponse(protocols=protocols, max_msg_size=largest, heartbeat=_HEARTBEAT_S)
    names = ("User-Agent", "Accept-Language")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    frame.sockets += 1
    running.viewers += 1
    try:
        async with session.ws_connect(
            _inner(frame, request),
            protocols=protocols,
            max_msg_size=largest,
            headers={**headers, FRAME_HEADER: frame.id},
        ) as far:
            await near.prepare(request)
            ways = [asyncio.create_task(_copy(near, far)), asyncio.create_task(_copy(far, near))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await near.close()
    finally:
        frame.sockets -= 1
        running.viewers -= 1
        frame.seen_s = running.seen_s = time.monotonic()
    return near


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _copy(source: Socket, target: Socket) -> None:
    """Pass messages on, each when the one before it is taken, until a side closes."""
    async for message in source:
        if message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            await target.send_str(message.data)


def address_of(frame: Frame) -> str:
    """Return the path of a frame's address."""
    return f"{FRAME_PATH}{frame.id}/{frame.token}/"


def _inner(frame: Frame, request: web.Request) -> str:
    """The same request at the panel's process."""
    return "http://panel/" + request.rel_url.raw_path_qs.removeprefix(address_of(frame))


def policy(frame: Frame, request: web.Request, *, is_page: bool) -> dict[str, str]:
    """Return what responses say of the document in a frame: it has no origin, and its own address is all that it may
    load from and connect to, but for images and media. `is_page`: it is the panel's own page, and none within it."""
    host = request.headers.get("Host", "")
    own = f"//{host}{address_of(frame)}" if _HOST.fullmatch(host) else ""
    shared = f"//{host}{ASSETS_PATH}"
    near = f"http:{own} https:{own} http:{shared} https:{shared}" if own else "'self'"
    sockets = f"ws:{own} wss:{own}" if own else "'self'"
    parts = (
        f"sandbox {SANDBOX}",
        "default-src 'none'",
        f"script-src {near} 'unsafe-inline' 'unsafe-eval' blob:",
        f"style-src {near} 'unsafe-inline'",
        f"font-src {near} data:",
        f"img-src {near} https: data: blob:",
        f"media-src {near} https: data: blob:",
        f"connect-src {near} {sockets} data: blob:",
        f"worker-src {near} blob: data:",
        f"frame-src {near} data: blob:",
        f"manifest-src {near}",
        "form-action 'none'",
        "base-uri 'none'",
        # The page of a component stands in the panel's, which has no origin that could be named.
        *(("frame-ancestors 'self'",) if is_page else ()),
    )
    return {
        "Content-Security-Policy": "; ".join(parts),
        # To itself a document without an origin is another site's. Whoever has the address has the token.
        "Access-Control-Allow-Origin": "null",
        "Access-Control-Allow-Headers": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
    }
