"""A URL with a ticket is good for one use of one file, for its hour, and gives no more rights than that."""

import base64
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_protocols.ubiops.tickets import VALID_S, Ticket, take, url_of
from runstream_service.access import PRINCIPAL, Action
from runstream_service.sealing import Sealing

PLACE = Place("team", "vision")
KEY = base64.b64encode(b"k" * 32).decode()


class Request(dict[Any, Any]):
    """A request, as far as tickets look at it."""

    scheme = "https"
    headers: ClassVar = {"Host": "example.org:7070"}


def side_at(now_s: int, key: str = KEY) -> UbiopsSide:
    recorder: Any = SimpleNamespace(now_us=lambda: now_s * 1_000_000)
    gateway: Any = None
    context: Any = SimpleNamespace(for_request=lambda of, scope: scope)
    return UbiopsSide(recorder, gateway, context, Sealing.of([key]), 0)


def call(**path: str) -> Any:
    return SimpleNamespace(path={"api": "v2", **path}, request=Request())


async def url(ticket: Ticket, now_s: int = 0) -> str:
    return await url_of(side_at(now_s), call(), "uploads", ticket, "v2")


@pytest.mark.parametrize("writes", [True, False])
async def test_a_ticket_gives_the_rights_for_its_file_alone(writes: bool) -> None:
    ticket = Ticket(PLACE, "default", "a/b \u2603.bin", writes)
    made = await url(ticket)
    assert made.startswith("https://example.org:7070/ubiops/v2/uploads/sealed1.")
    asked = call(ticket=made.rpartition("/")[2])
    side, found = await take(side_at(VALID_S), asked, writes=writes)
    assert found == ticket
    principal = asked.request[PRINCIPAL]
    for action in Action:
        allowed = action in ((Action.READ, Action.LOG) if writes else (Action.READ,))
        assert principal.scope(action).covers("team") is allowed, action
        assert not principal.scope(action).covers("default"), action
    assert side.context == principal.scope(Action.READ), "it reads nothing else"


@pytest.mark.parametrize(
    ("now_s", "key", "writes", "cut", "words"),
    [
        (VALID_S + 1, KEY, True, 0, "are over"),
        (0, KEY, False, 0, "is for another use"),
        (0, KEY, True, 5, "is none of this server's"),
        (0, base64.b64encode(b"o" * 32).decode(), True, 0, "is none of this server's"),
    ],
    ids=["late", "other use", "cut", "other key"],
)
async def test_another_use_is_refused(now_s: int, key: str, writes: bool, cut: int, words: str) -> None:
    made = (await url(Ticket(PLACE, "default", "f", True))).rpartition("/")[2]
    asked = call(ticket=made[: len(made) - cut])
    with pytest.raises(Refused, match=words) as raised:
        await take(side_at(now_s, key), asked, writes=writes)
    assert raised.value.status == 403
    assert PRINCIPAL not in asked.request
