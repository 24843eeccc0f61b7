"""URLs that authorise themselves: the client sends no key to where it uploads and downloads bytes.

Such a URL has a ticket, sealed by the gateway, which says what may be done with which file, and until when. Whoever has
the URL may do that, and nothing else.
"""

import asyncio
import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.paths import ADDRESS
from runstream_protocols.ubiops.side import UbiopsSide, require_version
from runstream_service.access import PRINCIPAL, Action, Grant, Principal, Scope
from runstream_service.routing import Call
from runstream_service.sealing import SealBroken
from runstream_service.store import QueryClass

#: What tickets are sealed for.
_PLACE: Final = "ubiops"
_NAME: Final = "ticket"
#: So long after it was given a URL may be used; an upload that began before its end goes on.
VALID_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a URL is for: reading a file, or also writing it."""

    place: Place
    bucket: str
    file: str
    writes: bool


async def url_of(side: UbiopsSide, call: Call[Any], kind: str, ticket: Ticket, version: str) -> str:
    """Return the URL with a ticket, at the address that the client used. Raises SealingUnavailable."""
    expires_s = side.recorder.now_us() // 1_000_000 + VALID_S
    text = json.dumps([*ticket.place.pair, ticket.bucket, ticket.file, ticket.writes, expires_s], ensure_ascii=False)
    sealed = await asyncio.to_thread(side.sealing.seal, _PLACE, _NAME, text)
    request = call.request
    return f"{request.scheme}://{request.headers.get('Host', '')}{ADDRESS}/{version}/{kind}/{sealed}"


async def take(side: UbiopsSide, call: Call[Any], *, writes: bool) -> tuple[UbiopsSide, Ticket]:
    """Return the ticket of a request, and what its handler works with: the request is then the ticket's. Raises Refused
    (403)."""
    require_version(call)
    try:
        text = await asyncio.to_thread(side.sealing.open, _PLACE, _NAME, call.path["ticket"])
    except SealBroken:
        raise _refused("is none of this server's") from None
    workspace, project, bucket, file, may_write, expires_s = json.loads(text)
    if expires_s * 1_000_000 < side.recorder.now_us():
        raise _refused(f"was good for {VALID_S} s, which are over")
    if may_write is not writes:
        raise _refused("is for another use")
    scope = Scope(frozenset({workspace}))
    actions = frozenset({Action.READ, Action.LOG} if writes else {Action.READ})
    call.request[PRINCIPAL] = Principal("ticket", (Grant(actions, scope),))
    context = side.context.for_request(QueryClass.LIGHT, scope)
    return dataclasses.replace(side, context=context), Ticket(Place(workspace, project), bucket, file, writes)


def _refused(why: str) -> Refused:
    return Refused(f"the ticket of this URL {why}: ask for a new URL", status=403)
