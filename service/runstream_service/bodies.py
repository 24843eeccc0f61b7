"""Bodies of requests: read no slower than a bound, unpacked within a bound, and measured before they are parsed.

Servers switch off aiohttp's own unpacking (`auto_decompress=False`), which knows no bound of what a body unpacks to.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from pydantic_core import from_json

from runstream_service.problems import Problem
from runstream_service.turns import Turns

#: What is unpacked at once: 0.3 to 1 ms of work.
_PIECE_BYTES: Final = 1 << 18
#: Members of a gzip body. Clients send one; each costs as much as a new decompressor (about 10 us).
_MAX_MEMBERS: Final = 64
#: What of a JSON text is measured at once: 0.2 to 2 ms of work.
_WINDOW_BYTES: Final = 1 << 18
#: Beyond, a text is parsed in a thread: 64 kB of dense JSON take the parser about 1 ms.
_THREAD_BYTES: Final = 1 << 16
#: The content codings that can be unpacked, with zlib's number for each.
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come. Only the time counts in which the server waits for the client.

    silence_s: nothing may come for so long. least_bytes_per_s: in every `window_s` of waiting the client has to send as
    much. 1 kB/s is a tenth of the slowest mobile network; a byte every few seconds is nobody's network.
    """

    silence_s: float = 10.0
    least_bytes_per_s: int = 1000
    window_s: float = 10.0


def declared_bytes(request: web.Request, limit_bytes: int) -> int | None:
    """The size that the request declares for its body; None if it declares none. Raises Problem (413)."""
    size = request.content_length
    if size is not None and size > limit_bytes:
        raise too_large(limit_bytes)
    return size


async def read_body(
    request: web.Request, limit_bytes: int, pace: Pace = Pace(), hold: Callable[[int], None] = lambda size: None
) -> bytes:
    """The whole body, unpacked. `hold` is called with the size of each piece before it is kept, and may raise.

    Raises Problem: 400 if it cannot be unpacked, 408 if it comes too slowly, 413 if it is larger than the limit, packed
    or unpacked, 415 if its Content-Encoding is none of gzip, deflate and identity.
    """
    declared_bytes(request, limit_bytes)
    parts: list[bytes] = []
    if _coding(request) == "identity":
        received = _Received(request, limit_bytes, pace)
        while chunk := await received.next():
            hold(len(chunk))
            parts.append(chunk)
    else:
        async for chunk in unpacked_chunks(request, limit_bytes, pace):
            hold(len(chunk))
            parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def unpacked_chunks(request: web.Request, limit_bytes: int, pace: Pace = Pace()) -> AsyncIterator[bytes]:
    """The body in pieces, unpacked, as it comes. Raises as `read_body` does."""
    coding = _coding(request)
    received = packed_chunks(request, limit_bytes, pace)
    if coding == "identity":
        async for chunk in received:
            yield chunk
        return
    size = 0
    async for piece in _unpacked(received, coding):
        size += len(piece)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        yield piece


async def packed_chunks(request: web.Request, limit_bytes: int, pace: Pace = Pace()) -> AsyncIterator[bytes]:
    """The body in pieces as it comes. Raises Problem (408, 413)."""
    received = _Received(request, limit_bytes, pace)
    while chunk := await received.next():
        yield chunk


class _Received:
    """The body of a request as it comes."""

    def __init__(self, request: web.Request, limit_bytes: int, pace: Pace) -> None:
        self._content = request.content
        self._limit_bytes = limit_bytes
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._bytes = self._window_bytes = 0
        self._waited_s = 0.0

    async def next(self) -> bytes:
        """What came next; nothing at its end. Raises Problem (408, 413)."""
        content = self._content
        # What is there already needs no timer: of most bodies that is all.
        chunk = content.read_nowait()
        waited_s = 0.0
        if not chunk and not content.at_eof():
            began_s = self._loop.time()
            try:
                async with asyncio.timeout(self._pace.silence_s):
                    chunk = await content.readany()
            except TimeoutError:
                raise _too_slow(f"Nothing of the body came for {self._pace.silence_s:g} s") from None
            waited_s = self._loop.time() - began_s
        if not chunk:
            return b""
        self._bytes += len(chunk)
        if self._bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        self._check_pace(len(chunk), waited_s)
        return chunk

    def _check_pace(self, size: int, waited_s: float) -> None:
        pace = self._pace
        self._waited_s += waited_s
        self._window_bytes += size
        if self._waited_s >= pace.window_s:
            if self._window_bytes < pace.least_bytes_per_s * self._waited_s:
                raise _too_slow(
                    f"{self._window_bytes} bytes of the body came in {self._waited_s:.1f} s, at least "
                    f"{pace.least_bytes_per_s} a second are expected"
                )
            self._waited_s, self._window_bytes = 0.0, 0


def too_large(limit_bytes: int) -> Problem:
    """The response to a body beyond a limit."""
    detail = f"The body may have at most {limit_bytes} bytes, packed and unpacked: send it in several requests."
    return Problem(413, "too-large", "The request is too large", detail, limit_bytes=limit_bytes)


async def read_json(body: bytes, max_items: int, hold: Callable[[int], None] = lambda size: None) -> Any:
    """The value of a JSON text; bare NaN and Infinity are numbers. `hold` is called with an estimate of the memory that
    the value takes. Raises Problem (413) where the text has more values than `max_items`, ValueError where it is no
    JSON, has half of a surrogate pair, or is nested more than 200 deep."""
    items = await count_items(body, max_items)
    hold(items * _ITEM_BYTES)
    return await asyncio.to_thread(from_json, body) if len(body) > _THREAD_BYTES else from_json(body)


#: A value in Python with its place in a list or an object.
_ITEM_BYTES: Final = 100


async def count_items(body: bytes, max_items: int) -> int:
    """About how many values a JSON text has, at least: its commas and opening brackets outside of strings. Nothing is
    built for it. Raises Problem (413) beyond `max_items`."""
    turns = Turns()
    items, at, in_string = 1, 0, False
    while at < len(body):
        end = at + _WINDOW_BYTES
        window = body[at:end]
        # A backslash belongs to what is behind it.
        if (len(window) - len(window.rstrip(b"\\"))) % 2:
            end += 1
            window = body[at:end]
        parts = window.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[1 if in_string else 0 :: 2])
        items += len(outside) - len(outside.translate(None, b",[{"))
        if items > max_items:
            raise Problem(
                413,
                "too-large",
                "The request has too many values",
                f"The JSON of the body has more than {max_items} values: send it in several requests.",
                limit_items=max_items,
            )
        in_string ^= not len(parts) % 2
        at = end
        await turns.rest()
    return items


def _coding(request: web.Request) -> str:
    if "Content-Encoding" not in request.headers:
        return "identity"
    coding = ",".join(request.headers.getall("Content-Encoding", ())).strip().lower() or "identity"
    if coding not in _WINDOW_BITS and coding != "identity":
        raise Problem(
            415,
            "unknown-encoding",
            "The body's encoding is not known",
            f"Content-Encoding is {coding[:80]!r}: send gzip, deflate, or the body as it is.",
            headers={"Accept-Encoding": "gzip, deflate, identity"},
        )
    return coding


async def _unpacked(received: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    unpacker = _Unpacker(coding)
    async for chunk in received:
        while True:
            piece, chunk = unpacker.unpack(chunk)
            if piece:
                yield piece
            if not chunk and not unpacker.has_more:
                break
            await asyncio.sleep(0)
    unpacker.end()


class _Unpacker:
    """A packed body, unpacked in pieces of at most _PIECE_BYTES."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._zlib: Any = None
        self._members = 0
        #: Whether `unpack` may give something without being given anything.
        self.has_more = False

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        """The next piece, and what of `data` is still to be given. Raises Problem (400)."""
        if self._zlib is None or (self._zlib.eof and data):
            self._begin(data)
        try:
            piece: bytes = self._zlib.decompress(data, _PIECE_BYTES)
        except zlib.error as error:
            raise _unreadable(str(error)) from None
        rest: bytes = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        self.has_more = len(piece) == _PIECE_BYTES and not self._zlib.eof
        return piece, rest

    def end(self) -> None:
        """Raises Problem (400) if more of the body was to come."""
        if self._zlib is None or not self._zlib.eof:
            raise _unreadable("it ends too early")

    def _begin(self, data: bytes) -> None:
        self._members += 1
        if self._members > (1 if self._coding == "deflate" else _MAX_MEMBERS):
            raise _unreadable("something stands behind its end")
        bits = _WINDOW_BITS[self._coding]
        # Some clients leave out zlib's header, whose low half of the first byte is 8.
        if self._coding == "deflate" and data and data[0] & 0x0F != 8:
            bits = -zlib.MAX_WBITS
        self._zlib = zlib.decompressobj(bits)


def _unreadable(reason: str) -> Problem:
    detail = f"The body cannot be unpacked: {reason}. Send it as its headers say (Content-Encoding)."
    return Problem(400, "unreadable-body", "The body cannot be read", detail)


def _too_slow(what: str) -> Problem:
    detail = f"{what}; nothing of the request was taken. Send it again."
    return Problem(408, "slow-body", "The body did not come", detail)
