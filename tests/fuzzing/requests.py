"""An HTTP request as bytes that can be saved and made smaller, and a response as a client sees it.

    METHOD TARGET
    Name: value

    body

Content-Length and Host are added when it is sent; `Fuzz-Chunked: SIZE` sends the body in chunks of that size instead.
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from fuzzing.cases import Fault

_CHUNKED: Final = "fuzz-chunked"
#: A header that shows a program: what a page of another site cannot set.
PROGRAM: Final = ("Runstream-Client", "fuzz")
#: A part of a path that stands in a table of routes, and is no id.
_WORD: Final = re.compile(r"(?!(?:fuzz|x\b))[A-Za-z0-9_.\-]{0,24}")
_MAX_RESPONSE_BYTES: Final = 200_000_000
#: What any request may be answered with. Never 500, nor what only proxies say.
ALLOWED: Final = frozenset(
    (
        200,
        201,
        202,
        204,
        206,
        301,
        302,
        303,
        304,
        307,
        308,
        400,
        401,
        403,
        404,
        405,
        406,
        408,
        409,
        410,
        411,
        412,
        413,
        414,
        415,
        416,
        417,
        421,
        422,
        425,
        426,
        428,
        429,
        431,
        503,
    )
)


@dataclass(slots=True)
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def packed(self) -> bytes:
        """As an input of a case."""
        lines = [f"{self.method} {self.target}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n\n" + self.body

    @classmethod
    def unpacked(cls, data: bytes) -> "Request":
        """Whatever the bytes are: what is missing is empty."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.decode("utf-8", "surrogateescape").split("\n")
        method, _, target = first.partition(" ")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines) if name]
        return cls(method or "GET", target or "/", headers, body)

    def wire(self, host: str) -> bytes:
        """The bytes that are sent."""
        named = [(name, value) for name, value in self.headers if name.lower() != _CHUNKED]
        chunk = next((value for name, value in self.headers if name.lower() == _CHUNKED), "")
        body, size = self.body, int(chunk) if chunk.isdigit() else 0
        if size:
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            named.append(("Transfer-Encoding", "chunked"))
        elif self.method not in ("GET", "HEAD") or body:
            named.append(("Content-Length", str(len(body))))
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            f"Host: {host}",
            *(f"{name}: {value}" for name, value in named),
        ]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Reply:
    """A response. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection that is kept alive, and opened again where the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: Request, timeout_s: float) -> Reply:
        """Send and read the response. Raises Fault where there is none, OSError where nobody listens."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            await self.close()
            raise Fault("no answer", f"{request.method} {request.target[:200]} within {timeout_s:g} s") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, request: Request) -> Reply:
        data = request.wire(f"{self._host}:{self._port}")
        for attempt in (0, 1):
            fresh = self._streams is None
            reader, writer = self._streams = self._streams or await asyncio.open_connection(
                self._host, self._port, limit=1 << 20
            )
            try:
                writer.write(data)
                await self._drained(writer)
                reply, closes = await _read(reader, request.method)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                await self.close()
                if fresh or attempt:
                    raise Fault(
                        "connection closed without an answer", f"{request.method} {request.target[:200]}: {error}"
                    ) from None
                continue  # it was idle for too long
            if closes:
                await self.close()
            return reply
        raise AssertionError

    async def _drained(self, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.drain()
        except ConnectionError:
            return  # it answered before it had read all of the body: the response counts


async def _read(reader: asyncio.StreamReader, method: str) -> tuple[Reply, bool]:
    """A response, and whether its connection is closed behind it."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip("\r\n").split("\r\n")
        status = int(first.split(" ", 2)[1])
        if status != 100:
            break
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    closes = headers.get("connection", "").lower() == "close"
    if method == "HEAD" or status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunked(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(min(int(headers["content-length"]), _MAX_RESPONSE_BYTES))
    else:
        body, closes = await reader.read(_MAX_RESPONSE_BYTES), True
    return Reply(status, headers, body), closes


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        piece = await reader.readexactly(size + 2)
        if not size:
            return b"".join(pieces)
        pieces.append(piece[:-2])


def check_reply(request: Request, reply: Reply) -> None:
    """Raises Fault for a response that no request may get."""
    what = f"{request.method} {request.target[:200]}: {reply.status} {reply.body[:300]!r}"
    if reply.status == 504 and b"problem:not-visible" in reply.body:
        return  # a position that is waited for and does not come
    if reply.status not in ALLOWED:
        raise Fault(f"status {reply.status} of {route_of(request)}", what)
    if reply.status < 400 or request.method == "HEAD":
        return
    if not reply.headers.get("content-type", "").startswith("application/problem+json"):
        raise Fault(f"status {reply.status} without a problem", what)
    try:
        problem = reply.json()
    except ValueError:
        raise Fault("a problem that is no JSON", what) from None
    if problem.get("status") != reply.status or not problem.get("title") or not problem.get("type"):
        raise Fault("a problem without its members", what)
    if b"Traceback" in reply.body:
        raise Fault("a traceback in an answer", what)
    if reply.status in (429, 503) and "retry-after" not in reply.headers and "not-visible" not in str(problem["type"]):
        raise Fault(f"{reply.status} without Retry-After", what)


def route_of(request: Request) -> str:
    """Method and path, its variable parts left out, so that faults of one route are one kind."""
    path = request.target.partition("?")[0]
    return f"{request.method} " + "/".join(part if _WORD.fullmatch(part) else "*" for part in path.split("/")[:12])
