"""Tickets: short-lived addresses that each open one file, without a key. Browsers send none with images, video, frames.

A ticket names the bytes, says as what they are shown, and until when. It is signed (HMAC-SHA-256) with a secret that is
made of the key of whoever requested it: all servers with this key open it, and a key that is taken from a server takes
its tickets with it. Who may read the file is decided when the ticket is signed. A server without keys signs with a
secret that everybody knows: every program that reaches it may read all files anyway.

The end of a ticket is a multiple of PERIOD_S, so that a file keeps its address for some minutes, and a browser what it
has of it.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from runstream_service.auth import principal_that_signed, secret_of
from runstream_service.problems import Problem

#: A ticket is good for one to two periods: ten minutes at most.
PERIOD_S: Final = 300
#: How far the clocks of two servers may be apart.
CLOCK_SLACK_S: Final = 30
_PURPOSE: Final = "file-tickets"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an address opens. `name` and `content_type` are those that were logged."""

    sha256: str
    name: str
    content_type: str
    expires_s: int


def expiry_s(now_us: int) -> int:
    """Return when a ticket that is signed now ends, in seconds since 1970 UTC."""
    return (now_us // 1_000_000 // PERIOD_S + 2) * PERIOD_S


def sign(request: web.Request, tickets: list[Ticket]) -> list[str]:
    """Return the text of each ticket, for the principal of the request."""
    secret = secret_of(request, _PURPOSE)
    return [_signed(secret, ticket) for ticket in tickets]


def opened(request: web.Request, text: str, now_us: int) -> Ticket:
    """Return the ticket of a request that showed no key. Raises Problem (403) for one that opens nothing."""
    content, _, signature = text.partition(".")
    if principal_that_signed(request, _PURPOSE, lambda secret: _is_signed(secret, content, signature)) is None:
        raise _refused("is none of this server's, or its key is no longer one")
    ticket = _read(content)
    if ticket is None:
        raise _refused("is none of this server's")
    now_s = now_us // 1_000_000
    if not now_s - CLOCK_SLACK_S < ticket.expires_s <= expiry_s(now_us) + CLOCK_SLACK_S:
        raise _refused(f"was good for {2 * PERIOD_S} s at most, which are over")
    return ticket


def _read(content: str) -> Ticket | None:
    """Return what was signed; None for anything else, which stands there only where everybody knows the secret."""
    try:
        match json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))):
            case [str(sha256), str(name), str(content_type), int(expires_s)]:
                return Ticket(sha256, name, content_type, expires_s)
    except (binascii.Error, ValueError, RecursionError):
        pass
    return None


def _signed(secret: bytes, ticket: Ticket) -> str:
    text = json.dumps([ticket.sha256, ticket.name, ticket.content_type, ticket.expires_s], ensure_ascii=False)
    content = _encoded(text.encode())
    return f"{content}.{_signature(secret, content)}"


def _signature(secret: bytes, content: str) -> str:
    return _encoded(hmac.digest(secret, content.encode(), hashlib.sha256))


def _is_signed(secret: bytes, content: str, signature: str) -> bool:
    given = signature.encode(errors="surrogateescape")
    return hmac.compare_digest(_signature(secret, content).encode(), given)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(why: str) -> Problem:
    detail = f"The ticket of this address {why}: request another one, POST /api/v1/tickets."
    return Problem(403, "ticket-refused", "The address does not open anything", detail, msg=detail)
