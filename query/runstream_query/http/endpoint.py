"""An endpoint: path, models and handler in one value. Routes, request checking and OpenAPI all come from it."""

import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from runstream.events.names import RUN_ID
from runstream.service import bodies
from runstream.service.problems import Problem
from runstream_query.answers import Answer, encode_json
from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import similar
from runstream_query.http.context import Context
from runstream_query.http.described import operation_name

POSITION_HEADER: Final = "Runstream-Position"


class Asked(BaseModel):
    """What every question has: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_for: str | None = Field(default=None, description="a position (0:41): answer when it is visible")
    wait_s: float | None = Field(default=None, ge=0, le=3600, description="how long wait_for and as_of wait, seconds")


class AskedOfPast(Asked):
    as_of: str | None = Field(default=None, description="a position or an ISO time: answer as of that moment")


Q = TypeVar("Q", bound=Asked)


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
    no JSON."""

    method: str
    path: str
    summary: str
    handle: Handler
    asked: type[Asked]
    answer: type[Answer] | None
    media: tuple[str, ...] = ()

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
        answer = await self.handle(context, Call(request, path, asked))
        if isinstance(answer, web.StreamResponse):
            return answer
        response = web.Response(body=encode_json(answer), headers={"Content-Type": "application/json"})
        response.headers[POSITION_HEADER] = position
        return response

    async def _read(self, request: web.Request, context: Context) -> Asked:
        if self.method == "GET":
            return read_query(self.asked, request)
        if request.query:
            raise InvalidRequest(
                f"{self.path} takes no query parameters: put {', '.join(sorted(request.query))} into the JSON body"
            )
        return read_body(self.asked, await _body(request, context.settings.max_body_bytes))


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


def read_body(model: type[Q], body: bytes) -> Q:
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
                f"unknown {what} {name!r}{similar(name, known)}; there are {', '.join(known)}", name=name
            )
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        given = repr(first["input"])
        shown = given if len(given) <= 100 else f"{given[:100]}..."
        raise InvalidRequest(f"{what} {name} is {shown}: {first['msg']}", name=name) from None


def _is_list(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_is_list(argument) for argument in typing.get_args(annotation))
    return origin in (list, tuple)
