"""Targets: what a sender and `runstream.API` make of responses, whoever gave them.

An input is a response, or two of them: a line that says where it came from, status, headers and body. A response
that is `foreign` was never one of a gateway's: a captive portal, a proxy's own page, another server. Nothing may count
as taken, stored or refused for ever because of it.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from fuzzing.cases import Fault, Target
from fuzzing.folders import on_disk
from fuzzing.values import Pairs, as_bytes, damaged, json_bytes, nested, odd_text, some_changes
from runstream.sender.assets import AssetUploads, Impossible, Stored
from runstream.sender.responses import Accepted, Refused, Rewind, meaning_of
from runstream.sender.transport import Response, Unreachable

_NOW_S: Final = 1_750_000_000.0
_SHA: Final = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"  # of b"0"
_WRITER: Final = "ab" * 16
_STATUSES: Final = (200, 200, 200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 407, 408, 409, 411)
_MORE_STATUSES: Final = (412, 413, 415, 418, 422, 425, 429, 431, 451, 500, 502, 503, 504, 511, 599, 299, 100, 999)
_PAGES: Final = (
    b"<html><head><title>Welcome to Hotel WiFi</title></head><body>Log in</body></html>",
    b"",
    b"OK",
    b"null",
    b"{}",
    b"[]",
    b'{"status":"ok"}',
    b'{"error":"not found"}',
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    b'{"writers":null}',
)
_PAGE_TYPES: Final = ("text/html", "text/html; charset=utf-8", "text/plain", "application/json", "application/xml", "")
_REST: Final = ("1", "0", "-5", "1e9", "nan", "inf", "-inf", "", "x", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400, "1 2")
_DATES: Final = (
    "Wed, 21 Oct 20999 07:28:00 GMT",
    "Wed, 99 Oct 2015 07:28:00 GMT",
    "Mon, 1 Jan 0001 00:00:00 +9999",
    "١",
)


@dataclass(frozen=True, slots=True)
class Given:
    """One response as it stands in an input."""

    response: Response
    foreign: bool


def read_given(data: bytes) -> list[Given]:
    """The responses of an input; none where it is no JSON any more (a smaller input of a fault)."""
    try:
        listed = json.loads(data)
        return [
            Given(
                Response(int(one["status"]), dict(one["headers"]), one["body"].encode("latin-1")), bool(one["foreign"])
            )
            for one in listed
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _response(one: dict[str, Any]) -> Response:
    return Response(int(one["status"]), dict(one["headers"]), one["body"].encode("latin-1"))


def given_bytes(*listed: Given) -> bytes:
    return json.dumps(
        [
            {
                "status": one.response.status,
                "headers": dict(one.response.headers),
                "body": one.response.body.decode("latin-1"),
                "foreign": one.foreign,
            }
            for one in listed
        ]
    ).encode()


def foreign_response(rng: random.Random) -> Given:
    """A response of something that is no gateway."""
    headers = {"content-type": rng.choice(_PAGE_TYPES), "server": rng.choice(("nginx", "cloudflare", "aiohttp", ""))}
    if rng.random() < 0.3:
        headers["retry-after"] = rng.choice((*_REST, *_DATES))
    if rng.random() < 0.2:
        headers["location"] = "http://portal.invalid/login"
    status = rng.choice((*_STATUSES, *_MORE_STATUSES))
    return Given(Response(status, headers, rng.choice(_PAGES)), True)


#: What every acknowledgement of ours names (`runstream.events.protocol`), and the header that every response has.
_SIGNED: Final = (("protocol", 1), ("server", "runstream 0.1.0"))
_SIGNED_HEADER: Final = "runstream-protocol"


def gateway_fields(rng: random.Random) -> tuple[int, Pairs]:
    """Status and body as today's gateway gives them to frames."""
    match rng.randrange(5):
        case 0 | 1:
            taken = {_WRITER: rng.choice((0, 3, 8, 2**63))}
            return 200, Pairs([("positions", "0:41"), ("writers", taken), *_SIGNED])
        case 2:
            expected = {_WRITER: rng.choice((0, 2, 100))}
            return 409, Pairs([_kind("gap"), ("title", "Frames are missing"), ("detail", "d"), ("expected", expected)])
        case 3:
            return 422, Pairs(
                [_kind("invalid-frame"), ("title", "t"), ("detail", "d"), ("position", 0), ("writer_id", _WRITER)]
            )
        case _:
            return rng.choice((429, 503)), Pairs([_kind("busy"), ("title", "busy"), ("detail", "d"), ("cause", "lag")])


def _kind(name: str) -> tuple[str, str]:
    return "type", f"urn:runstream:problem:{name}"


def mutated_response(rng: random.Random) -> Given:
    """A gateway's response after changes of its status, headers and body."""
    status, fields = gateway_fields(rng)
    if rng.random() < 0.3:
        status = rng.choice((*_STATUSES, *_MORE_STATUSES))
    body = json_bytes(rng, fields, some_changes(rng))
    if rng.random() < 0.1:
        body = rng.choice((damaged(rng, body), as_bytes(str(nested(rng))), as_bytes(odd_text(rng)), b"\xff\xfe{}"))
    headers = {"content-type": rng.choice(("application/json", "application/problem+json", *_PAGE_TYPES))}
    if rng.random() < 0.95:
        headers[_SIGNED_HEADER] = "1" if rng.random() < 0.95 else rng.choice(("2", "", "1.0", "\xb9", "1" * 5000))
    if rng.random() < 0.4:
        headers["retry-after"] = rng.choice((*_REST, *_DATES))
    return Given(Response(status, headers, body), False)


def any_response(rng: random.Random) -> Given:
    return foreign_response(rng) if rng.random() < 0.35 else mutated_response(rng)


def make_response(rng: random.Random) -> bytes:
    return given_bytes(any_response(rng))


def run_response(data: bytes) -> None:
    for given in read_given(data):
        meaning = meaning_of(given.response, _NOW_S)
        if given.foreign and isinstance(meaning, Accepted | Rewind | Refused):
            raise Fault(f"foreign answer is {type(meaning).__name__}", f"{given.response} means {meaning}")
        str(getattr(meaning, "reason", "")).encode("utf-8", "backslashreplace")
        wait_s = getattr(meaning, "wait_s", 0.0)
        if not 0.0 <= wait_s <= 3600.0:
            raise Fault("a rest that nobody would take", f"{wait_s} s after {given.response}")


class Scripted:
    """A transport that gives prepared responses, one a request."""

    def __init__(self, responses: list[Given]) -> None:
        self._responses = responses
        self.given: list[Given] = []

    def request(
        self, method: str, path: str, body: bytes | BinaryIO | None, headers: Mapping[str, str], timeout_s: float = 60.0
    ) -> Response:
        if not self._responses:
            raise Unreachable("there are no more responses")
        if body is not None and not isinstance(body, bytes):
            body.read()
        self.given.append(self._responses.pop(0))
        return self.given[-1].response

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """Nothing is under way."""


def make_asset(rng: random.Random) -> bytes:
    """What HEAD and what PUT are answered."""
    head = any_response(rng)
    if rng.random() < 0.5:
        head = Given(
            Response(
                404,
                {"content-type": "application/problem+json", _SIGNED_HEADER: "1"},
                b'{"title":"Not Found","detail":"d"}',
            ),
            False,
        )
    put = any_response(rng)
    if rng.random() < 0.2:
        fields = Pairs([("sha256", _SHA), ("size_bytes", 1), *_SIGNED])
        body = json_bytes(rng, fields, rng.choice((0, 1)))
        put = Given(
            Response(rng.choice((200, 201)), {"content-type": "application/json", _SIGNED_HEADER: "1"}, body), False
        )
    return given_bytes(head, put)


def run_asset(data: bytes) -> None:
    responses = read_given(data)
    if not responses:
        return
    with on_disk({"asset": b"0"}) as folder:
        _upload(responses, folder / "asset")


def _upload(responses: list[Given], path: Path) -> None:
    transport = Scripted(list(responses))
    uploads = AssetUploads(transport, {}, lambda: 0.5, lambda: _NOW_S)
    uploads.state(_SHA, path)
    uploads.step()
    state = uploads.state(_SHA, path)
    if isinstance(state, Stored | Impossible) and transport.given[-1].foreign:
        raise Fault(f"foreign answer makes an asset {type(state).__name__}", str(transport.given[-1].response))


TARGETS: Final = (
    Target("answers", make_response, run_response, lambda data: 60 * len(data), 100),
    Target("assets", make_asset, run_asset, lambda data: 60 * len(data), 20),
)
