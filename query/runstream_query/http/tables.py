"""Responses as CSV, for spreadsheets and programs that read tables."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from runstream_query.http.context import Context
from runstream_query.http.outgoing import WRITE_BYTES
from runstream_query.http.sending import LEAST_BYTES, Packing, tag_headers
from runstream_query.table_rows import csv_pieces, rows_of

CSV: Final = "text/csv"
#: Of `Accept: text/csv; cells=exact`: texts as they were logged, also those that a spreadsheet takes for formulas.
_EXACT: Final = "cells=exact"


def wants_csv(request: web.Request) -> bool:
    """Whether the request accepts CSV, and says so."""
    return any(part.partition(";")[0].strip().lower() == CSV for part in request.headers.get("Accept", "").split(","))


def _is_exact(request: web.Request) -> bool:
    accepted = request.headers.get("Accept", "").lower().replace(" ", "")
    return any(_EXACT in part.split(";") for part in accepted.split(",") if part.startswith(CSV))


async def send_csv(
    context: Context, request: web.Request, content: BaseModel, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send a response as CSV."""
    table = rows_of(content)

    async def pages() -> AsyncIterator[Iterable[Sequence[Any]]]:
        yield table.rows

    return await stream_csv(context, request, table.header, pages(), headers)


async def stream_csv(
    context: Context,
    request: web.Request,
    header: Sequence[str],
    pages: AsyncIterator[Iterable[Sequence[Any]]],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Send pages of rows as one CSV, each made in threads while its reader takes in what was written before."""
    exact = _is_exact(request)
    kind = {"Content-Type": f"{CSV}; charset=utf-8; header=present", "Content-Disposition": "attachment"}
    with context.outgoing.stream(request):
        packing = Packing(request, LEAST_BYTES)
        response = web.StreamResponse(headers={**headers, **tag_headers(request), **kind, **packing.headers})
        await response.prepare(request)
        held = b"".join(csv_pieces([header], exact=exact))
        async with aclosing(pages) as each:  # type: ignore[type-var]
            async for rows in each:
                pieces = csv_pieces(rows, exact=exact)
                while piece := await asyncio.to_thread(next, pieces, b""):
                    held += piece
                    if len(held) >= WRITE_BYTES:
                        if data := await asyncio.to_thread(packing.pack, held):
                            await context.outgoing.write(request, response, data)
                        held = b""
        if data := await asyncio.to_thread(packing.end, held):
            await context.outgoing.write(request, response, data)
        await response.write_eof()
        return response
