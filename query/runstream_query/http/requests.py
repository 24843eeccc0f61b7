"""The parameters of requests: read from the query string or the JSON body, within bounds, and checked by models."""

import asyncio
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import similar
from runstream_service import bodies
from runstream_service.problems import Problem
from runstream_service.routing import Route

#: A position of 64 partitions has 1,600 characters.
MAX_POSITION_CHARS: Final = 8_000
#: Lists of runs and metrics are up to 1,000 long; what stands in an address beside them is a handful.
_MAX_QUERY_FIELDS: Final = 2_500
#: Values of a body: those of a list of 1,000 runs and one of 1,000 metrics, many times over. Reading 100,000 values
#: holds the interpreter for 10 ms.
MAX_BODY_VALUES: Final = 50_000
#: Bodies below it are read within a millisecond.
_SMALL_BODY_BYTES: Final = 32_768


class RequestParameters(BaseModel):
    """What every question has: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_for: str | None = Field(
        default=None,
        max_length=MAX_POSITION_CHARS,
        description="a position (next:0:42): answer when it is visible",
    )
    wait_s: float | None = Field(default=None, ge=0, le=3600, description="how long wait_for and as_of wait, seconds")


class PastParameters(RequestParameters):
    as_of: str | None = Field(
        default=None,
        max_length=MAX_POSITION_CHARS,
        description="a position or an ISO time: answer as of that moment",
    )


Q = TypeVar("Q", bound=RequestParameters)

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


async def read_parameters(route: Route, request: web.Request, max_body_bytes: int) -> RequestParameters:
    """Return the parameters of a request: the query string of a GET, else the JSON body. Raises InvalidRequest."""
    model = route.request or RequestParameters
    assert issubclass(model, RequestParameters)
    if route.method == "GET":
        return read_query(model, request)
    if request.query:
        raise InvalidRequest(
            f"{route.path} takes no query parameters: put {', '.join(sorted(request.query))} into the JSON body"
        )
    body = await _body(request, max_body_bytes)
    if len(body) <= _SMALL_BODY_BYTES:
        return read_body(model, body)
    return await asyncio.to_thread(read_body, model, body)


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
