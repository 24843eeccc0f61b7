"""The OpenAPI documents: one of the server's own routes, and one for each protocol of foreign clients."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web
from pydantic import RootModel

from runstream_query.errors import NotFound
from runstream_query.http.context import Context
from runstream_query.http.requests import RequestParameters
from runstream_query.responses import encode_json
from runstream_service.access import Action
from runstream_service.openapi import document
from runstream_service.routing import Call, Route

API_VERSION: Final = "1"
OPENAPI_PATH: Final = "/api/v1/openapi.json"
PROTOCOL_PATH: Final = "/api/v1/openapi/{protocol}.json"
#: The name of the document of the server's own routes.
OWN: Final = "runstream"
#: The member of the server's own document that names the protocols which have documents of their own.
PROTOCOLS_MEMBER: Final = "x-protocols"
_MEDIA: Final = ("application/json",)


class Document(RootModel[dict[str, Any]]):
    """A document as a response."""


async def show_own(context: Context, call: Call[RequestParameters]) -> web.Response:
    """Return the document of the server's own routes."""
    return await _show(context, OWN, "Runstream API")


async def show_protocol(context: Context, call: Call[RequestParameters]) -> web.Response:
    """Return the document of one protocol's routes. Raises NotFound."""
    name = call.path["protocol"]
    if name == OWN or name not in context.documents:
        names = ", ".join(sorted(context.documents.keys() - {OWN})) or "none"
        raise NotFound(f"there is no protocol {name[:100]!r}; there are {names}")
    return await _show(context, name, f"Runstream API for clients of {name}")


async def _show(context: Context, name: str, title: str) -> web.Response:
    # It takes a tenth of a second to make and never changes.
    if name not in context.encoded_documents:
        others = {} if name != OWN else {PROTOCOLS_MEMBER: sorted(context.documents.keys() - {OWN})}
        context.encoded_documents[name] = await asyncio.to_thread(
            lambda: encode_json(Document(document(context.documents[name], title, API_VERSION) | others))
        )
    return web.Response(body=context.encoded_documents[name], headers={"Content-Type": "application/json"})


ROUTES: Final[Iterable[Route]] = (
    Route("GET", OPENAPI_PATH, Action.READ, "This document", show_own, RequestParameters, media=_MEDIA),
    Route(
        "GET", PROTOCOL_PATH, Action.READ, "The document of a protocol", show_protocol, RequestParameters, media=_MEDIA
    ),
)
