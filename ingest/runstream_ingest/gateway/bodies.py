"""Reading a request's body within a bound."""

from aiohttp import web

from runstream.service.problems import Problem


def declared_bytes(request: web.Request, limit_bytes: int) -> int:
    """The size that the request says its body has, or the limit if it does not say. Raises Problem (413)."""
    size = request.content_length
    if size is not None and size > limit_bytes:
        raise too_large(limit_bytes)
    return limit_bytes if size is None else size


async def read_body(request: web.Request, limit_bytes: int) -> bytes:
    """The whole body, unpacked if it came packed. Raises Problem (413)."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        if len(body) + len(chunk) > limit_bytes:
            raise too_large(limit_bytes)
        body += chunk
    return bytes(body)


def too_large(limit_bytes: int) -> Problem:
    """The answer to a body beyond a limit."""
    detail = f"The body may have at most {limit_bytes} bytes: send it in several requests."
    return Problem(413, "too-large", "The request is too large", detail, limit_bytes=limit_bytes)
