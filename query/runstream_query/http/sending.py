"""What a client has already, and what it takes packed: ETags and gzip of the query API's own responses.

A route whose responses depend on nothing but the request, its scope and what is visible (`Route.timeless`) has tags of
these, so that a response is known to be unchanged before anything is read. Other responses have tags of their bytes.
"""

import asyncio
import gzip
import hashlib
import json
import zlib
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from runstream._version import VERSION
from runstream_query.http.context import Context
from runstream_query.page.negotiating import accepts_gzip, is_cached
from runstream_service.access import EVERY_WORKSPACE

#: A smaller response is sent as it is: it is a few packets.
LEAST_BYTES: Final = 8_192
#: The quickest: higher ones take several times as long for a tenth less.
_LEVEL: Final = 1
#: How long a tag stands for the same response at most. What is visible at a position may change without one: read
#: models that were folded anew take the place of others.
_GOOD_FOR_US: Final = 600_000_000
_TAG_BYTES: Final = 16
_VARY: Final = "Accept, Accept-Encoding, Sec-Fetch-Site, Origin"
_TAG: Final = web.RequestKey("runstream_tag", str)
#: Members of requests that say how long one waits, and nothing of the response.
_WAITING: Final = frozenset({"wait_for", "wait_s"})


def tag_of(context: Context, request: web.Request, parameters: BaseModel, position: str) -> str:
    """Return the tag of a timeless response that shows all up to the position, and perhaps more. The handler's streams
    carry it (`tag_headers`)."""
    workspaces = context.scope.workspaces
    scope = None if workspaces is EVERY_WORKSPACE else sorted(workspaces)
    accepts = request.headers.get("Accept", "")
    asked = parameters.model_dump_json(exclude=set(_WAITING))
    period = context.now_us() // _GOOD_FOR_US
    text = json.dumps([VERSION, request.method, request.path, asked, accepts, scope, position, period])
    tag = request[_TAG] = _digest(text.encode())
    return tag


def tag_of_bytes(body: bytes) -> str:
    """Return the tag of a response by its bytes."""
    return _digest(body)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_TAG_BYTES).hexdigest()


def has_already(request: web.Request, tag: str) -> bool:
    """Whether the client has the response with this tag."""
    return is_cached(request.headers.get("If-None-Match"), tag)


def tag_headers(request: web.Request, tag: str | None = None) -> dict[str, str]:
    """Return the headers of a response with a tag, the given one or that of the request's timeless response; what a
    cache may do with it, and on what it depends."""
    tag = request.get(_TAG) if tag is None else tag
    if tag is None:
        return {"Vary": _VARY}
    # Weak, because it is the same however the response is packed.
    headers = {"ETag": f'W/"{tag}"', "Vary": _VARY}
    return {**headers, "Cache-Control": "private, no-cache"} if request.method == "GET" else headers


class Packing:
    """Packs a stream, where its client takes that and it is large. Used by one thread at a time."""

    def __init__(self, request: web.Request, least_bytes: int) -> None:
        """`least_bytes`: what is known to come."""
        packs = least_bytes >= LEAST_BYTES and accepts_gzip(request.headers.get("Accept-Encoding"))
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if packs else None

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        return {} if self._packer is None else {"Content-Encoding": "gzip"}

    def pack(self, data: bytes) -> bytes:
        """Return what is to be sent for the data; perhaps nothing yet."""
        return data if self._packer is None else self._packer.compress(data)

    def end(self, data: bytes = b"") -> bytes:
        """Return what is to be sent for the last data."""
        return data if self._packer is None else self._packer.compress(data) + self._packer.flush()


async def packed(request: web.Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a body as it is sent, and the headers that say how: packed in a thread, where it is large and its client
    takes that."""
    if len(body) < LEAST_BYTES or not accepts_gzip(request.headers.get("Accept-Encoding")):
        return body, {}
    return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0), {"Content-Encoding": "gzip"}
