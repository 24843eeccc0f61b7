"""Requests of foreign clients: JSON as they really write it, and query strings."""

import asyncio
import hashlib
import json
import math
import reprlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.kit.errors import Refused
from runstream_service.bodies import read_body, read_json
from runstream_service.turns import worked

_MAX_DIGITS: Final = 4_000
#: Lists in lists beyond this are kept as text.
_MAX_DEPTH: Final = 320
#: Shorter content is kept as it came. It stands in memory until its request has a response.
_SHORT_BYTES: Final = 1_000
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


@dataclass(frozen=True, slots=True)
class Payload:
    """The members of a request's body or query string. `content` stands for path and body: equal where these are.
    `max_items`: what a list of it may have."""

    fields: Mapping[str, Any]
    content: bytes
    max_items: int = 1_000

    def text(self, name: str) -> str:
        """Return a text that has to be there, such as a name. Raises Refused."""
        value = self.loose_text(name)
        if "\0" in value:
            raise Refused(f"{name} is {_BRIEF.repr(value)}: leave out the NUL character", name=name)
        return value

    def loose_text(self, name: str) -> str:
        """Return a text that has to be there and will be made to fit. Raises Refused."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise Refused(f"{name} is {_BRIEF.repr(value)}: give a text", name=name)
        return value

    def optional(self, name: str) -> str | None:
        """Return a text, or None. Raises Refused."""
        return None if self.fields.get(name) in (None, "") else self.text(name)

    def listed(self, name: str, max_items: int | None = None) -> list[Any]:
        """Return a list that has to be there. Raises Refused."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise Refused(f"{name} is {type(value).__name__}: give a list", name=name)
        limit = self.max_items if max_items is None else max_items
        if len(value) > limit:
            detail = f"{name} has {len(value)} items, at most {limit} are allowed: send them in several requests"
            raise Refused(detail, status=413, name=name)
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value, as JSON or as Python writes it in a query string; false if it is missing."""
        value = self.fields.get(name, "")
        return value is True or value == 1 or (isinstance(value, str) and value[:5].lower() in ("true", "1"))


async def read_payload(
    request: web.Request, limit_bytes: int, settings: GatewaySettings, hold: Callable[[int], None]
) -> Payload:
    """Return the body of a request, bare NaN and Infinity being numbers; or the query string of one that has no body.
    `hold` is called with what it takes of memory. Raises Problem (400, 408, 413, 415, 429)."""
    if request.method == "GET":
        return query_payload(request)
    read = await _read(request, limit_bytes, settings, hold)
    fields = {"items": read.value} if isinstance(read.value, list) else _object(read.value)
    return Payload({**_query_of(request), **fields}, read.content, settings.max_list_items)


async def read_object(
    request: web.Request,
    limit_bytes: int,
    settings: GatewaySettings,
    hold: Callable[[int], None],
    check: Callable[[bytes], Awaitable[None]] | None = None,
) -> Payload:
    """Return the body of a request, which has to be an object, and nothing of its query string: where the names of
    members are the client's to choose. `check` gets the body before anything of it is parsed, and may raise. Otherwise
    as `read_payload`."""
    read = await _read(request, limit_bytes, settings, hold, check)
    return Payload(_object(read.value), read.content, settings.max_list_items)


@dataclass(frozen=True, slots=True)
class _Read:
    """A body as JSON, an empty one as an empty object, and what stands for path and body."""

    value: Any
    content: bytes


async def _read(
    request: web.Request,
    limit_bytes: int,
    settings: GatewaySettings,
    hold: Callable[[int], None],
    check: Callable[[bytes], Awaitable[None]] | None = None,
) -> _Read:
    body = await read_body(request, limit_bytes, settings.pace, hold)
    if check is not None:
        await check(body)
    value = await _parsed(body, settings.max_json_items, hold) if body else {}
    return _Read(value, await worked(len(body), _content, request.path, body))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"the body is {type(value).__name__}: send a JSON object")
    return value


async def _parsed(body: bytes, max_items: int, hold: Callable[[int], None]) -> Any:
    try:
        return await read_json(body, max_items, hold)
    except ValueError:
        pass
    # What only Python's own parser reads, at a third of the speed: halves of surrogate pairs, long integers.
    try:
        return await asyncio.to_thread(_read_odd, body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is no JSON: {str(error)[:200]}") from None


def _read_odd(body: bytes) -> Any:
    return cleaned(json.loads(body, parse_int=_integer))


def _integer(digits: str) -> int | float:
    """Python refuses to read integers of more than 4,300 digits, and with them all of the body."""
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf


def cleaned(value: Any, depth: int = 0) -> Any:
    """Return a value of a JSON text without halves of surrogate pairs, which nothing can carry, and not too deep."""
    match value:
        case str():
            return value if value.isascii() else value.encode(errors="replace").decode()
        case list() | dict() if depth >= _MAX_DEPTH:
            return "lists in lists, too many to be shown"
        case list():
            return [cleaned(item, depth + 1) for item in value]
        case dict():
            return {cleaned(name): cleaned(item, depth + 1) for name, item in value.items()}
        case _:
            return value


def query_payload(request: web.Request) -> Payload:
    """Return the payload of a query string."""
    return Payload(_query_of(request), _content(request.path_qs))


def _query_of(request: web.Request) -> dict[str, Any]:
    """Bytes that are no UTF-8 come in it as halves of surrogate pairs."""
    return {cleaned(name): cleaned(value) for name, value in request.query.items()}


def _content(path: str, body: bytes | None = None) -> bytes:
    place = path.encode(errors="replace")
    content = place if body is None else b"%b %b" % (place, body)
    if len(content) <= _SHORT_BYTES:
        return content
    return place[:_SHORT_BYTES] + b" " + hashlib.sha256(content).digest()
