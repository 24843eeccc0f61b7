"""Responses that are too long to be made before they begin."""

import codecs
import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Final

from aiohttp import web

from runstream_query.http.context import Context
from runstream_query.http.serving import POSITION_HEADER

#: Characters that are made into JSON at once: 1 ms.
_TEXT_CHARS: Final = 131_072


async def stream_json(
    context: Context, request: web.Request, head: str, pieces: AsyncGenerator[str, None], tail: str
) -> web.StreamResponse:
    """Return one JSON document: `head`, the pieces, `tail`. The first piece is made before the response begins, so that
    its error is a response; a later one breaks the connection off, which every client takes for a failure."""
    position = str(context.visibility.visible())
    with context.outgoing.stream(request):
        async with aclosing(pieces):
            piece = await anext(pieces, None)
            # Some clients take this very type only: with a charset behind it, they find no JSON.
            response = web.StreamResponse(headers={"Content-Type": "application/json", POSITION_HEADER: position})
            await response.prepare(request)
            await context.outgoing.write(request, response, head.encode())
            while piece is not None:
                await context.outgoing.write(request, response, piece.encode())
                piece = await anext(pieces, None)
            await context.outgoing.write(request, response, tail.encode())
            await response.write_eof()
            return response


async def json_text(texts: AsyncIterable[str]) -> AsyncGenerator[str, None]:
    """Return texts as the inside of one JSON string."""
    async for text in texts:
        for begin in range(0, len(text), _TEXT_CHARS):
            yield json.dumps(text[begin : begin + _TEXT_CHARS], ensure_ascii=False)[1:-1]


async def text_of(context: Context, *sha256s: str) -> AsyncGenerator[str, None]:
    """Return what is in stored files, one behind the other, as text, in pieces."""
    for sha256 in sha256s:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        stream = await context.assets.open(sha256)
        async for chunk in stream.chunks:
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
