"""Answering a request of a route: its parameters, the wait for a position, the handler, the JSON."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from runstream.events.names import RUN_ID
from runstream_query.encoding import json_pieces
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.outgoing import WRITE_BYTES, ended_with_connection
from runstream_query.http.requests import PastParameters, RequestParameters, read_parameters
from runstream_query.http.sending import has_already, packed, tag_headers, tag_of, tag_of_bytes
from runstream_query.http.tables import CSV, send_csv, wants_csv
from runstream_query.http.unknown import unknown_header
from runstream_query.problems import problem_of
from runstream_query.responses import Series, encode_json
from runstream_service.problems import Handler
from runstream_service.routing import Route, call_of
from runstream_service.store import QueryClass

POSITION_HEADER: Final = "Runstream-Position"
#: What was read for a response that is encoded at once: rows with values of this size take 2 ms, the worst (JSON texts
#: of single digits) 6 ms. Looking for places to divide them would take as long again.
_AT_ONCE_BYTES: Final = 524_288


def handler_of(route: Route, context: Context) -> Handler:
    """Return what answers the requests of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await _serve(route, context, request)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            raise problem from error

    return handle


async def _serve(route: Route, context: Context, request: web.Request) -> web.StreamResponse:
    """Check the request, wait if it wants to, respond. Raises QueryError, StoreError."""
    run = request.match_info.get("run")
    if run is not None and not RUN_ID.match(run):
        raise InvalidRequest(f"{run[:140]!r} cannot be a run id: look it up in /api/v1/runs", name="run")
    parameters = await read_parameters(route, request, context.settings.max_body_bytes)
    await context.wait(parameters.wait_for, parameters.wait_s)
    position = str(context.visibility.visible())
    call = call_of(route, request, parameters)
    context = context.for_request(_class(route, parameters), call.scope)
    if route.timeless and has_already(request, tag := tag_of(context, request, parameters, position)):
        return web.Response(status=304, headers={POSITION_HEADER: position, **tag_headers(request, tag)})
    with ended_with_connection(request):
        content = await route.handler(context, call)
        if isinstance(content, web.StreamResponse):
            return content
        if CSV in route.media and wants_csv(request):
            told = unknown_header(getattr(content, "unknown", ()))
            return await send_csv(context, request, content, {POSITION_HEADER: position, **told})
        return await _send_own(context, request, content, position)


async def _send_own(context: Context, request: web.Request, content: BaseModel, position: str) -> web.StreamResponse:
    """Send a response of this API as JSON, unless its client has it already."""
    body = await _body(context, content, by_alias=False)
    headers = {POSITION_HEADER: position, **tag_headers(request)}
    if "ETag" not in headers:
        tag = await asyncio.to_thread(tag_of_bytes, body) if context.usage.is_large else tag_of_bytes(body)
        headers |= tag_headers(request, tag)
        if has_already(request, tag):
            return web.Response(status=304, headers=headers)
    body, coding = await packed(request, body)
    return await _send_body(context, request, body, {"Content-Type": "application/json", **headers, **coding})


def _class(route: Route, parameters: RequestParameters) -> QueryClass:
    """Return the class of a request's queries: of the past it is HEAVY."""
    if isinstance(parameters, PastParameters) and parameters.as_of is not None:
        return QueryClass.HEAVY
    return route.class_for(parameters)


def _encoded(content: BaseModel, read_bytes: int, by_alias: bool) -> bytes:
    # Points are the exception: their values take longer, and long lists are faster in pieces.
    if read_bytes <= _AT_ONCE_BYTES and not isinstance(content, Series):
        return encode_json(content, by_alias=by_alias)
    return b"".join(json_pieces(content, by_alias=by_alias))


async def send(
    context: Context, request: web.Request, content: BaseModel, headers: Mapping[str, str], *, by_alias: bool = False
) -> web.StreamResponse:
    """Send a response as JSON. Where much was read for it, it is encoded in a thread, in pieces, and sent piece by
    piece; what the reader has not taken yet counts as held."""
    return await _send_body(context, request, await _body(context, content, by_alias=by_alias), headers)


async def _body(context: Context, content: BaseModel, *, by_alias: bool) -> bytes:
    if not context.usage.is_large:
        return encode_json(content, by_alias=by_alias)
    return await asyncio.to_thread(_encoded, content, context.usage.read_bytes, by_alias)


async def _send_body(
    context: Context, request: web.Request, body: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    if len(body) <= WRITE_BYTES:
        return web.Response(body=body, headers=headers)
    async with context.outgoing.holding(len(body)):
        response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body))})
        await response.prepare(request)
        for begin in range(0, len(body), WRITE_BYTES):
            await context.outgoing.write(request, response, body[begin : begin + WRITE_BYTES])
        await response.write_eof()
        return response
