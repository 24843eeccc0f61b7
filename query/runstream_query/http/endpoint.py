"""An endpoint: path, models and handler in one value. Routes, request checking and OpenAPI all come from it."""

import asyncio
import reprlib
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from runstream.events.names import RUN_ID
from runstream_query.answers import Answer, Series, encode_json
from runstream_query.encoding import json_pieces
from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import similar
from runstream_query.http.context import Context
from runstream_query.http.described import operation_name
from runstream_query.http.outgoing import WRITE_BYTES, ended_with_connection
from runstream_service import bodies
from runstream_service.problems import Problem
from runstream_service.store import QueryClass

POSITION_HEADER: Final = "Runstream-Position"
#: A position of 64 partitions has 1,600 characters.
MAX_POSITION_CHARS: Final = 8_000
#: Lists of runs and metrics are up to 1,000 long; what stands in an address beside them is a handful.
_MAX_QUERY_FIELDS: Final = 2_500
#: Values of a body: those of a list of 1,000 runs and one of 1,000 metrics, many times over. Reading 100,000 values
#: holds the interpreter for 10 ms.
MAX_BODY_VALUES: Final = 50_000
#: Bodies below it are read within a millisecond.
_SMALL_BODY_BYTES: Final = 32_768
#: What was read for an answer that is encoded at once: rows with values of this size take 2 ms, the worst (JSON texts
#: of single digits) 6 ms. Looking for places to divide them would take as long again.
_AT_ONCE_BYTES: Final = 524_288


class Asked(BaseModel):
    """What every question has: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_for: str | None = Field(
        default=None,
        max_length=MAX_POSITION_CHARS,
        description="a position (0:41): answer when it is visible",
    )
    wait_s: float | None = Field(default=None, ge=0, le=3600, description="how long wait_for and as_of wait, seconds")


class AskedOfPast(Asked):
    as_of: str | None = Field(
        default=None,
        max_length=MAX_POSITION_CHARS,
        description="a position or an ISO time: answer as of that moment",
    )


Q = TypeVar("Q", bound=Asked)

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


@dataclass(frozen=True, slots=True)
class Call(Generic[Q]):
    """One request, checked."""

    request: web.Request
    path: Mapping[str, str]
    asked: Q


Handler = Callable[[Context, Call[Any]], Awaitable[Answer | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`asked` comes from the query string (GET) or the JSON body (POST). `media` are the types of answers that are
    no JSON. `reads` is the class of its queries, or tells it from what is asked; of the past it is HEAVY."""

    method: str
    path: str
    summary: str
    handle: Handler
    asked: type[Asked]
    answer: type[Answer] | None
    media: tuple[str, ...] = ()
    reads: QueryClass | Callable[[Any], QueryClass] = QueryClass.LIGHT

    @property
    def name(self) -> str:
        """As the OpenAPI document calls it."""
        return operation_name(self.method, self.path)

    async def serve(self, context: Context, request: web.Request) -> web.StreamResponse:
        """Check the request, wait if it wants to, answer. Raises QueryError, StoreError."""
        path = dict(request.match_info)
        if "run" in path and not RUN_ID.match(path["run"]):
            raise InvalidRequest(f"{path['run'][:140]!r} cannot be a run id: look it up in /api/v1/runs", name="run")
        asked = await self._read(request, context)
        await context.wait(asked.wait_for, asked.wait_s)
        position = str(context.visibility.visible())
        context = context.for_request(self._class(asked))
        with ended_with_connection(request):
            answer = await self.handle(context, Call(request, path, asked))
            if isinstance(answer, web.StreamResponse):
                return answer
            headers = {"Content-Type": "application/json", POSITION_HEADER: position}
            if not context.usage.is_large:
                return web.Response(body=encode_json(answer), headers=headers)
            return await send_large(context, request, answer, headers)

    def _class(self, asked: Asked) -> QueryClass:
        if isinstance(asked, AskedOfPast) and asked.as_of is not None:
            return QueryClass.HEAVY
        return self.reads if isinstance(self.reads, QueryClass) else self.reads(asked)

    async def _read(self, request: web.Request, context: Context) -> Asked:
        if self.method == "GET":
            return read_query(self.asked, request)
        if request.query:
            raise InvalidRequest(
                f"{self.path} takes no query parameters: put {', '.join(sorted(request.query))} into the JSON body"
            )
        body = await _body(request, context.settings.max_body_bytes)
        if len(body) <= _SMALL_BODY_BYTES:
            return read_body(self.asked, body)
        return await asyncio.to_thread(read_body, self.asked, body)


def _encoded(answer: Answer, read_bytes: int, by_alias: bool) -> bytes:
    # Points are the exception: their values take longer, and long lists are faster in pieces.
    if read_bytes <= _AT_ONCE_BYTES and not isinstance(answer, Series):
        return answer.model_dump_json(by_alias=by_alias).encode()
    return b"".join(json_pieces(answer, by_alias=by_alias))


async def send_large(
    context: Context, request: web.Request, answer: Answer, headers: Mapping[str, str], *, by_alias: bool = False
) -> web.StreamResponse:
    """Encode in a thread, in pieces, and send piece by piece; what the reader has not taken yet counts as held."""
    body = await asyncio.to_thread(_encoded, answer, context.usage.read_bytes, by_alias)
    if len(body) <= WRITE_BYTES:
        return web.Response(body=body, headers=headers)
    async with context.outgoing.holding(len(body)):
        response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body))})
        await response.prepare(request)
        for begin in range(0, len(body), WRITE_BYTES):
            await context.outgoing.write(request, response, body[begin : begin + WRITE_BYTES])
        await response.write_eof()
        return response


async def _body(request: web.Request, max_bytes: int) -> bytes:
    if request.content_type != "application/json":
        raise InvalidRequest(f"the body has the type {request.content_type}: send application/json")
    return await read_bounded(request, max_bytes)


async def read_bounded(request: web.Request, max_bytes: int) -> bytes:
    """The body of a request, unpacked. Raises InvalidRequest where it is too large, Problem (400, 408, 415)."""
    try:
        return await bodies.read_body(request, max_bytes)
    except Problem as problem:
        if problem.kind != "too-large":
            raise
        raise InvalidRequest(f"the body has more than {max_bytes} bytes: ask for less at once") from None


def read_query(model: type[Q], request: web.Request) -> Q:
    """The query string as the model; a name that is a list in the model may come several times."""
    fields: dict[str, Any] = {}
    if len(request.query) > _MAX_QUERY_FIELDS:
        raise InvalidRequest(f"the query has {len(request.query)} parameters: at most {_MAX_QUERY_FIELDS} are allowed")
    for name in dict.fromkeys(request.query):
        values = request.query.getall(name)
        known = model.model_fields.get(name)
        if known is not None and _is_list(known.annotation):
            fields[name] = values
        elif len(values) > 1:
            raise InvalidRequest(f"{name} stands {len(values)} times in the query: give it once", name=name)
        else:
            fields[name] = values[0]
    return _validated(model, fields, "query parameter")


def check_values(body: bytes) -> None:
    """Raises InvalidRequest if a body has more values than any question needs, before they are made. Separators in
    texts count too."""
    values = sum(body.count(separator) for separator in (b",", b"[", b"{"))
    if values > MAX_BODY_VALUES:
        raise InvalidRequest(f"the body has more than {MAX_BODY_VALUES} values: ask for less at once")


def read_body(model: type[Q], body: bytes) -> Q:
    check_values(body)
    try:
        # Unlike json it also refuses halves of surrogate pairs, which no statement could carry.
        fields = from_json(body or b"{}")
    except ValueError as error:
        raise InvalidRequest(f"the body is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest(f"the body is {type(fields).__name__}: send a JSON object")
    return _validated(model, fields, "field")


def _validated(model: type[Q], fields: Mapping[str, Any], what: str) -> Q:
    for name in fields:
        if name not in model.model_fields:
            known = sorted(model.model_fields)
            raise InvalidRequest(
                f"unknown {what} {name[:100]!r}{similar(name, known)}; there are {', '.join(known)}", name=name[:100]
            )
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        shown = _SHORT.repr(first["input"])
        raise InvalidRequest(f"{what} {name} is {shown}: {first['msg']}", name=name) from None


def _is_list(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_is_list(argument) for argument in typing.get_args(annotation))
    return origin in (list, tuple)
