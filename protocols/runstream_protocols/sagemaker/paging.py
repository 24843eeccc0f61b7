"""Pages of things that are ordered in memory. Pure."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from runstream.events.moments import micros_of
from runstream_protocols.sagemaker.errors import bad_token
from runstream_protocols.sagemaker.models import PageRequest, SliceRequest
from runstream_protocols.sagemaker.things import Thing
from runstream_query.errors import InvalidRequest
from runstream_query.repositories.cursors import Cursor

#: What things are ordered by: of one order, all of one type.
Key: TypeAlias = int | str


class Listed(Protocol):
    """What a list has."""

    @property
    def name(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


T = TypeVar("T", bound=Listed)


def page_of(found: Iterable[Thing], request: PageRequest) -> tuple[list[Thing], str | None]:
    """Return the page that a request wants of what was found, and the token of the next one; None on the last. It goes
    on behind the last thing that was listed, which may be deleted by then. Raises AwsError."""

    def key(thing: Thing) -> Key:
        return thing.name.lower() if request.sort_by == "Name" else micros_of(thing.created_at)

    return page_by(found, key, request)


def page_by(found: Iterable[T], key: Callable[[T], Key], request: SliceRequest) -> tuple[list[T], str | None]:
    """Return the same of things that are ordered by a key. Raises AwsError."""
    wanted = [one for one in found if _is_wanted(one, request)]
    descending = request.sort_order == "Descending"
    return sliced(wanted, key, request.next_token, _agreed(request), descending=descending, limit=request.max_results)


def sliced(
    found: Iterable[T], key: Callable[[T], Key], token: str | None, agreed: str, *, descending: bool, limit: int
) -> tuple[list[T], str | None]:
    """Return the part of what was found, in the order of the key, that begins behind the token, and the next token.
    `agreed`: what a token must agree with. Raises AwsError."""

    def place(thing: T) -> tuple[Key, str]:
        return key(thing), thing.name.lower()

    ordered = sorted(found, key=place, reverse=descending)
    if token:
        after = _after(token, agreed, like=place(ordered[0]) if ordered else (0, ""))
        ordered = [one for one in ordered if (place(one) < after if descending else place(one) > after)]
    page = ordered[:limit]
    if len(page) == len(ordered):
        return page, None
    return page, Cursor(place(page[-1]), 0, agreed).text()


def _is_wanted(thing: Listed, request: SliceRequest) -> bool:
    """Both bounds are exclusive."""
    after, before = request.created_after, request.created_before
    return (after is None or thing.created_at > after) and (before is None or thing.created_at < before)


def _after(token: str, agreed: str, *, like: tuple[Key, str]) -> tuple[Any, str]:
    try:
        first, second = Cursor.parse(token, agreed).terms
    except (InvalidRequest, ValueError):
        raise bad_token(token) from None
    if type(first) is not type(like[0]) or not isinstance(second, str):
        raise bad_token(token)
    return first, second


def _agreed(request: SliceRequest) -> str:
    """What a token must agree with."""
    asked = request.model_dump(exclude={"next_token", "max_results"}, mode="json")
    return hashlib.sha256(repr((type(request).__name__, sorted(asked.items()))).encode()).hexdigest()[:16]
