"""Answers that are too long to be made before they begin."""

from collections.abc import AsyncIterator

from aiohttp import web

from runstream_query.http.context import Context
from runstream_query.http.endpoint import POSITION_HEADER


async def stream_json(
    context: Context, request: web.Request, head: str, pieces: AsyncIterator[str], tail: str
) -> web.StreamResponse:
    """One JSON document: `head`, the pieces, `tail`. The first piece is made before the answer begins, so that its
    error is an answer; a later one breaks the connection off, which every client takes for a failure."""
    position = str(context.visibility.visible())
    piece = await anext(pieces, None)
    # The client takes this very type: with a charset behind it, it says that the answer is no JSON.
    response = web.StreamResponse(headers={"Content-Type": "application/json", POSITION_HEADER: position})
    await response.prepare(request)
    await response.write(head.encode())
    while piece is not None:
        await response.write(piece.encode())
        piece = await anext(pieces, None)
    await response.write(tail.encode())
    await response.write_eof()
    return response
