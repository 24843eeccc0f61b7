"""What the key of a request opens."""

from collections.abc import Iterable
from typing import Final

from runstream_query.http.context import Context
from runstream_query.http.requests import RequestParameters
from runstream_query.responses import ResponseModel
from runstream_service.access import LOCAL, Action
from runstream_service.routing import Call, Route


class KeyRights(ResponseModel):
    """`name`: the first 8 characters of the key's SHA-256, as logs have it; null where the server has no keys, and
    every program of its machine may write."""

    name: str | None
    may_write: bool


async def show_key(context: Context, call: Call[RequestParameters]) -> KeyRights:
    """Whose request it is."""
    principal = call.principal
    return KeyRights(name=None if principal is LOCAL else principal.name, may_write=principal.may_change)


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET", "/api/v1/key", Action.READ, "What the key of the request opens", show_key, RequestParameters, KeyRights
    ),
)
