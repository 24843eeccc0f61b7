"""Requests of Comet's client: their bodies, as far as every handler needs them, and refusals as it reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream.events.names import RUN_ID, InvalidName, check_path_part
from runstream_ingest.comet.refusals import CUSTOM, NAME_TOO_LONG, refused
from runstream_ingest.gateway.bodies import declared_bytes, read_body
from runstream_ingest.gateway.settings import GatewaySettings

_MAX_DIGITS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a request says: the members of its body or of its query string. `words`: path and body as they came."""

    fields: Mapping[str, Any]
    words: bytes

    def text(self, name: str) -> str:
        """A text that has to be there. Raises Problem."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise refused(f"{name} is {value!r}: give a text", name=name)
        return value

    def optional(self, name: str) -> str | None:
        """A text, or None. Raises Problem."""
        return None if self.fields.get(name) in (None, "") else self.text(name)

    def listed(self, name: str) -> list[Any]:
        """A list that has to be there. Raises Problem."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise refused(f"{name} is {type(value).__name__}: give a list", name=name)
        return value

    def flag(self, name: str) -> bool:
        """A truth value, as JSON or as Python writes it in a query string; false if it is missing."""
        return str(self.fields.get(name, "")).lower() in ("true", "1")

    @property
    def key(self) -> str:
        """The experiment's key. Raises Problem."""
        return checked_key(self.fields.get("experimentKey") or self.fields.get("experimentId"))


async def read_said(request: web.Request, settings: GatewaySettings) -> Said:
    """The body of a request, bare NaN and Infinity being numbers; or the query string of one that has no body. Raises
    Problem (400, 408, 413)."""
    if request.method == "GET":
        return said_in_query(request)
    limit = settings.max_request_bytes
    declared_bytes(request, limit)
    try:
        body = await read_body(request, limit, settings.body_silence_s)
    except web.RequestPayloadError as error:
        raise refused(f"the body cannot be unpacked, or ends too early: {error}") from None
    try:
        fields = json.loads(body, parse_int=_integer) if body else {}
    except (ValueError, RecursionError) as error:
        raise refused(f"the body is no JSON: {error}") from None
    if isinstance(fields, list):
        fields = {"items": fields}
    if not isinstance(fields, dict):
        raise refused(f"the body is {type(fields).__name__}: send a JSON object")
    return Said({**request.query, **fields}, request.path.encode() + b" " + body)


def _integer(digits: str) -> int | float:
    """Python refuses to read integers of more than 4,300 digits, and with them all of the body."""
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def said_in_query(request: web.Request) -> Said:
    """What a query string says."""
    return Said(dict(request.query), request.path_qs.encode())


def checked_key(key: Any) -> str:
    """An experiment's key. Raises Problem."""
    if not isinstance(key, str) or not RUN_ID.match(key):
        raise refused(f"experimentKey is {str(key)[:140]!r}: give letters and digits, 32 to 50 of them")
    return key


def place(kind: str, name: str) -> str:
    """The name of a workspace or project. Raises Problem."""
    try:
        return check_path_part(kind, name)
    except InvalidName as error:
        raise refused(str(error), code=NAME_TOO_LONG if len(name) > 100 else CUSTOM) from None
