"""The events of a frame: what can be read, and apart from it what cannot, each for itself.

One adapter call decodes all events of a frame; only a frame in which that fails is walked event by event.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Final, Literal, get_args

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from runstream.events import limits
from runstream.events.control import CONTROL_EVENT, EVENT_TYPES, AnyEvent, ControlEvent, RunEvent, key_of
from runstream.events.frame import Frame, FrameHeader
from runstream.events.upcast import UPCASTS, Upcast, upcast

Sequenced = tuple[int, AnyEvent]

_EVENTS: Final[TypeAdapter[list[Sequenced]]] = TypeAdapter(
    # One error is enough: a list of a million wrong items would make a million.
    Annotated[list[tuple[Annotated[int, Field(strict=True, ge=0)], ControlEvent]], FailFast()]
)
#: What is wrong in a frame beyond so many items is one item together: 16 kB unpack to 4 MB of events, and each item
#: is a row in quarantine. Unknown events, which an upgraded build may read, are not counted.
_MOST_INVALID: Final = 100
#: Brackets, commas and strings that are looked at where the events are no JSON, as none of our encoders makes: 60 ms.
_MOST_TOKENS: Final = 250_000
_SPACE: Final = " \t\n\r"
_SPACES: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()
_OPENING: Final = re.compile(r"[ \t\n\r]*\[")
_PAIR_HEAD: Final = re.compile(r"\[[ \t\n\r]*([0-9]{1,20})[ \t\n\r]*,")
#: A whole string, or one character that gives an array its structure; a single quote mark begins a string without end.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_TAG: Final = re.compile(r"([a-z][a-z0-9_]*)\.v([1-9][0-9]*)\Z")
_ABOUT_RUNS: Final = frozenset(get_args(RunEvent))


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
    lies outside of the frame's range or is not above the one before it, or that is about something else than the
    frame's key (a project's event in a run's frame, another project's): only the writer of a key may change what the
    key stands for. Its neighbours are not touched, up to MAX_FRAME_EVENTS events and 100 invalid ones: what comes
    behind is rejected together.
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
            if _all_fit(events, frame.header):
                return events, []
    return _one_by_one(frame, upcasts)


def _all_fit(events: list[Sequenced], header: FrameHeader) -> bool:
    next_seq = header.first_seq
    for seq, event in events:
        if seq < next_seq or not _belongs(event, header.key):
            return False
        next_seq = seq + 1
    return next_seq <= header.end_seq


def _belongs(event: AnyEvent, key: str) -> bool:
    """A run's key has no "/"; those of projects and artifacts have one."""
    if "/" not in key:
        return type(event) in _ABOUT_RUNS
    return not isinstance(event, RunEvent) and key_of(event) == key


def _one_by_one(frame: Frame, upcasts: Mapping[str, Upcast]) -> tuple[list[Sequenced], list[Rejected]]:
    items, broken = _items(frame.events)
    events: list[Sequenced] = []
    rejected: list[Rejected] = []
    next_seq, end_seq = frame.header.first_seq, frame.header.end_seq
    invalid = 0
    for number, (seq, body) in enumerate(items):
        if number == limits.MAX_FRAME_EVENTS or invalid > _MOST_INVALID:
            detail = (
                f"{len(items) - number} more events are left out: the frame has {len(items)}, {invalid} are invalid"
            )
            rejected.append(Rejected(None, "invalid_event", detail, b"[%b]" % b",".join(b for _, b in items[number:])))
            break
        before = len(rejected)
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
            elif not _belongs(result, frame.header.key):
                detail = f"{result.type} is not about {frame.header.key!r}, the key that it was sent under"
                rejected.append(Rejected(seq, "invalid_event", detail, body))
            else:
                events.append((seq, result))
        invalid += sum(one.cause == "invalid_event" for one in rejected[before:])
    if broken is not None:
        rejected.append(broken)
    return events, rejected


def _event(seq: int, body: bytes, upcasts: Mapping[str, Upcast]) -> AnyEvent | Rejected:
    if len(body) > limits.MAX_EVENT_BYTES:
        detail = f"the event has {len(body)} bytes: at most {limits.MAX_EVENT_BYTES} are allowed, log an asset instead"
        return Rejected(seq, "invalid_event", detail, body)
    tag = _tag_of(body)
    if tag is not None and tag not in EVENT_TYPES and tag not in upcasts:
        if (parts := _TAG.match(tag)) is None:
            return Rejected(seq, "invalid_event", f"{tag[:100]!r} is no tag of an event: give NAME.vNUMBER", body)
        return Rejected(seq, "unknown_event", _unknown(tag, parts[1]), body)
    try:
        return CONTROL_EVENT.validate_json(body) if tag not in upcasts else _upcast(body, upcasts)
    except ValidationError as error:
        return Rejected(seq, "invalid_event", _first_error(error), body)
    except _NotUpcast as error:
        return Rejected(seq, "invalid_event", f"{tag}: {error}", body)


def _tag_of(body: bytes) -> str | None:
    """None where there is none: the model says better what is wrong then."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    tag = fields.get("type") if isinstance(fields, dict) else None
    return tag if isinstance(tag, str) else None


class _NotUpcast(Exception):
    pass


def _upcast(body: bytes, upcasts: Mapping[str, Upcast]) -> AnyEvent:
    try:
        present = upcast(json.loads(body), upcasts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _NotUpcast(f"it does not have the fields of its version ({error!r})") from None
    return CONTROL_EVENT.validate_python(present)


def _unknown(tag: str, name: str) -> str:
    known = sorted(known for known in EVENT_TYPES if known.rpartition(".v")[0] == name)
    if known:
        return f"{tag}: this build knows {', '.join(known)}; upgrade it, then retry what is quarantined"
    return f"{tag}: this build knows no such event; upgrade it, then retry what is quarantined"


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _whole_items(text: str) -> tuple[list[str], int] | None:
    """The texts of the first MAX_FRAME_EVENTS items of an array, in the time that reading JSON takes, and where the
    text goes on behind them; None if they are no JSON, or the array ends otherwise than it should."""
    opening = _OPENING.match(text)
    if opening is None:
        return None
    pieces: list[str] = []
    at = opening.end()
    try:
        while len(pieces) < limits.MAX_FRAME_EVENTS:
            at = _behind_space(text, at)
            _, end = _DECODER.raw_decode(text, at)
            pieces.append(text[at:end])
            at = _behind_space(text, end) + 1
            if text[at - 1 : at] == "]":
                return (pieces, at) if _behind_space(text, at) == len(text) else None
            if text[at - 1 : at] != ",":
                return None
    except (ValueError, RecursionError):
        return None
    return pieces, at


def _behind_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found is not None else at


def _items(data: bytes) -> tuple[list[tuple[int | None, bytes]], Rejected | None]:
    """The items of the JSON array, as (seq, text of the event) or (None, text of what is no pair), and what is left
    where they can no longer be told apart."""
    text = data.decode("utf-8", "surrogateescape")
    if (whole := _whole_items(text)) is not None:
        items, at = [_pair(piece) for piece in whole[0]], whole[1]
        if not (rest := text[at:].strip(_SPACE)):
            return items, None
        detail = f"a frame has at most {limits.MAX_FRAME_EVENTS} events: those from character {at} on are left out"
        return items, Rejected(None, "invalid_event", detail, _bytes(rest))
    pieces, end, ended = _split(text)
    rest = text[end:].strip(_SPACE)
    if ended and not rest:
        return [_pair(piece) for piece in pieces], None
    detail = f"from character {end} on the frame's events are no JSON array that ends where it should"
    return [_pair(piece) for piece in pieces], Rejected(None, "invalid_event", detail, _bytes(rest))


def _split(text: str) -> tuple[list[str], int, bool]:
    """The items of an array, where in `text` it ends, and True; or, if it does not end, where its last item begins, and
    False.

    Only brackets, commas and whole strings are looked at: whatever is wrong inside of an item stays inside of it.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return [], 0, False
    pieces: list[str] = []
    depth, begin = 1, opening.end()
    tokens = islice(_TOKEN.finditer(text, begin), _MOST_TOKENS)
    for token in tokens:
        mark = token[0]
        if mark == '"':
            break
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        if depth == 0 or (depth == 1 and mark == ","):
            pieces.append(text[begin : token.start()].strip(_SPACE))
            begin = token.end()
        if depth == 0:
            return (pieces if pieces != [""] else []), begin, True
    return pieces, begin, False


def _pair(piece: str) -> tuple[int | None, bytes]:
    head = _PAIR_HEAD.match(piece)
    if head is None or not piece.endswith("]"):
        return None, _bytes(piece)
    return int(head[1]), _bytes(piece[head.end() : -1].strip(_SPACE))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
