"""Reading a request's body within a bound of size, and no slower than a bound."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from runstream.service.problems import Problem


def declared_bytes(request: web.Request, limit_bytes: int) -> int:
    """The size that the request says its body has, or the limit if it does not say. Raises Problem (413)."""
    size = request.content_length
    if size is not None and size > limit_bytes:
        raise too_large(limit_bytes)
    return limit_bytes if size is None else size


async def read_body(request: web.Request, limit_bytes: int, silence_s: float) -> bytes:
    """The whole body, unpacked if it came packed. Raises Problem (408, 413)."""
    body = bytearray()
    async for chunk in chunks_of(request, silence_s):
        if len(body) + len(chunk) > limit_bytes:
            raise too_large(limit_bytes)
        body += chunk
    return bytes(body)


async def chunks_of(request: web.Request, silence_s: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem (408) when nothing came for `silence_s`: a client that went away without a
    word would hold its share of what is taken in at once for hours."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                chunk = await request.content.readany()
        except TimeoutError:
            detail = f"Nothing of the body came for {silence_s:g} s; nothing of the request was taken. Send it again."
            raise Problem(408, "slow-body", "The body did not come", detail) from None
        if not chunk:
            return
        yield chunk


def too_large(limit_bytes: int) -> Problem:
    """The answer to a body beyond a limit."""
    detail = f"The body may have at most {limit_bytes} bytes: send it in several requests."
    return Problem(413, "too-large", "The request is too large", detail, limit_bytes=limit_bytes)
