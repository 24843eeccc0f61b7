"""The events of a frame: what can be read, and apart from it what cannot, each for itself.

One adapter call decodes all events of a frame; only a frame in which that fails is walked event by event.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from runstream.events import limits
from runstream.events.control import CONTROL_EVENT, EVENT_TYPES, ControlEvent, ProjectEvent, RunEvent
from runstream.events.frame import Frame
from runstream.events.upcast import UPCASTS, Upcast, upcast

AnyEvent = RunEvent | ProjectEvent
Sequenced = tuple[int, AnyEvent]

_EVENTS: Final[TypeAdapter[list[Sequenced]]] = TypeAdapter(
    list[tuple[Annotated[int, Field(strict=True, ge=0)], ControlEvent]]
)
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_PAIR_HEAD: Final = re.compile(r"\[[ \t\n\r]*-?[0-9]+[ \t\n\r]*,[ \t\n\r]*")
_TAG: Final = re.compile(r"([a-z][a-z0-9_]*)\.v([1-9][0-9]*)\Z")
_JSON: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something among a frame's events that cannot be folded.

    `seq` is its sequence number, None where not even that can be read. `cause` is "unknown_event" for an event that
    a newer (or a foreign) writer may well mean and this build does not know, "invalid_event" for what is wrong in
    itself. `body` is its JSON as it came, to the byte.
    """

    seq: int | None
    cause: Literal["unknown_event", "invalid_event"]
    detail: str
    body: bytes


def decode_events(frame: Frame, upcasts: Mapping[str, Upcast] = UPCASTS) -> tuple[list[Sequenced], list[Rejected]]:
    """The (seq, event) pairs of a frame in their order, and what had to be rejected. Raises nothing.

    Rejected is an event that is unknown, that does not fit its model, that is larger than MAX_EVENT_BYTES, whose seq
    lies outside of the frame's range or is not above the one before it; its neighbours are not touched.
    """
    if not frame.events:
        return [], []
    # No single event can be too large where all together are not.
    if len(frame.events) <= limits.MAX_EVENT_BYTES:
        try:
            events = _EVENTS.validate_json(frame.events)
        except ValidationError:
            pass
        else:
            if _ascending(events, frame.header.first_seq, frame.header.end_seq):
                return events, []
    return _one_by_one(frame, upcasts)


def _ascending(events: list[Sequenced], first_seq: int, end_seq: int) -> bool:
    next_seq = first_seq
    for seq, _ in events:
        if seq < next_seq:
            return False
        next_seq = seq + 1
    return next_seq <= end_seq


def _one_by_one(frame: Frame, upcasts: Mapping[str, Upcast]) -> tuple[list[Sequenced], list[Rejected]]:
    items, broken = _items(frame.events)
    events: list[Sequenced] = []
    rejected: list[Rejected] = []
    next_seq, end_seq = frame.header.first_seq, frame.header.end_seq
    for seq, body in items:
        if seq is None:
            rejected.append(Rejected(None, "invalid_event", "this is no pair [seq, event]", body))
        elif not next_seq <= seq < end_seq:
            detail = f"seq {seq} is not in [{next_seq}, {end_seq}), where the frame's next event has to be"
            rejected.append(Rejected(seq, "invalid_event", detail, body))
        else:
            next_seq = seq + 1
            result = _event(seq, body, upcasts)
            if isinstance(result, Rejected):
                rejected.append(result)
            else:
                events.append((seq, result))
    if broken is not None:
        rejected.append(broken)
    return events, rejected


def _event(seq: int, body: bytes, upcasts: Mapping[str, Upcast]) -> AnyEvent | Rejected:
    if len(body) > limits.MAX_EVENT_BYTES:
        detail = f"the event has {len(body)} bytes: at most {limits.MAX_EVENT_BYTES} are allowed, log an asset instead"
        return Rejected(seq, "invalid_event", detail, body)
    fields = json.loads(body)
    tag = fields.get("type") if isinstance(fields, dict) else None
    if isinstance(tag, str) and tag not in EVENT_TYPES and tag not in upcasts:
        if (parts := _TAG.match(tag)) is None:
            return Rejected(seq, "invalid_event", f"{tag!r} is no tag of an event: give NAME.vNUMBER", body)
        return Rejected(seq, "unknown_event", _unknown(tag, parts[1]), body)
    try:
        if isinstance(tag, str) and tag in upcasts:
            return CONTROL_EVENT.validate_python(_upcast(fields, upcasts))
        return CONTROL_EVENT.validate_json(body)
    except ValidationError as error:
        return Rejected(seq, "invalid_event", _first_error(error), body)
    except _NotUpcast as error:
        return Rejected(seq, "invalid_event", str(error), body)


class _NotUpcast(Exception):
    pass


def _upcast(fields: Mapping[str, Any], upcasts: Mapping[str, Upcast]) -> Mapping[str, Any]:
    try:
        return upcast(fields, upcasts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _NotUpcast(f"{fields['type']}: it does not have the fields of its version ({error!r})") from None


def _unknown(tag: str, name: str) -> str:
    known = sorted(known for known in EVENT_TYPES if known.rpartition(".v")[0] == name)
    if known:
        return f"{tag}: this build knows {', '.join(known)}; upgrade it, then retry what is quarantined"
    return f"{tag}: this build knows no such event; upgrade it, then retry what is quarantined"


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _items(data: bytes) -> tuple[list[tuple[int | None, bytes]], Rejected | None]:
    """The items of the JSON array with the text of each event as it stands (of the whole item where it is no pair),
    and what is left from the first place on where the text is no JSON."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return [], Rejected(None, "invalid_event", f"the frame's events are not UTF-8: {error}", data)
    items: list[tuple[int | None, bytes]] = []
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        return [], Rejected(None, "invalid_event", "the frame's events are no JSON array", data)
    at = _skip(text, at + 1)
    while text[at : at + 1] not in ("]", ""):
        try:
            item, end = _JSON.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            return items, _rest(text, at, f"no JSON from character {at} on: {error}")
        items.append(_pair(text, at, end, item))
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            break
    if text[at : at + 1] != "]" or text[at + 1 :].strip(" \t\n\r"):
        return items, _rest(text, at, f"the array of events does not end at character {at} as it should")
    return items, None


def _pair(text: str, begin: int, end: int, item: object) -> tuple[int | None, bytes]:
    head = _PAIR_HEAD.match(text, begin)
    if head is None or not isinstance(item, list) or len(item) != 2 or type(item[0]) is not int:
        return None, text[begin:end].encode()
    event_end = _JSON.raw_decode(text, head.end())[1]
    return item[0], text[head.end() : event_end].encode()


def _rest(text: str, at: int, detail: str) -> Rejected:
    return Rejected(None, "invalid_event", f"the frame's events: {detail}", text[at:].encode())


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()
