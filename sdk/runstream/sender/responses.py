"""What a gateway's response to frames means. Pure.

Only responses of a Runstream gateway mean anything (`runstream.events.protocol`). Whatever else answers under its
address, a captive portal, a proxy, another server, is no gateway: `Failing`, or `Later` where it asks for a rest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from runstream.connections import first_words, readable
from runstream.events.protocol import PROBLEM_TYPE, PROTOCOL, PROTOCOL_HEADER, is_ours
from runstream.sender.transport import Response

#: A gateway may ask for a rest, but not for one that nobody would wait for.
_LONGEST_REST_S: Final = 300.0
#: What is no gateway is believed less: it may be gone in a minute, when somebody has signed in.
_LONGEST_FOREIGN_REST_S: Final = 30.0
_DEFAULT_REST_S: Final = 1.0
_MAX_REASON_CHARS: Final = 500
_MAX_POSITION_CHARS: Final = 10_000
#: No writer gets so far; what is beyond it is no number of a record.
_MAX_SEQ: Final = 2**63
#: Problems of a request on its way, which say nothing about the records in it.
_PASSING: Final = frozenset({"unreadable-body", "http-400"})
_GAP: Final = "gap"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Durable up to, not including, these numbers, by writer id. `left_out`: why some writers are not among them.
    `position`: where in the log they are, which a read can wait for; empty if that was not said."""

    next_seqs: Mapping[str, int]
    left_out: str = ""
    position: str = ""


@dataclass(frozen=True, slots=True)
class Rewind:
    """Nothing was taken: the gateway expects these numbers next, by writer id."""

    expected: Mapping[str, int]
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Something in the request is wrong for ever; if the gateway knows whose it is, `writer_id` says so."""

    status: int
    writer_id: str | None
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Nothing will go through until a person changes something: the key, the address."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """The gateway asks for a rest of `wait_s`."""

    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Failing:
    """It did not work this time."""

    reason: str


Meaning = Accepted | Rewind | Refused | Stuck | Later | Failing


def meaning_of(response: Response, now_unix_s: float, receipt: str | None = None) -> Meaning:
    """Sort a response by what the sender does about it. `now_unix_s` turns a Retry-After date into a wait; `receipt` is
    that of the frames that were sent (None: a response to something else)."""
    local = bool(response.name)
    fields = body_of(response)
    # A body with the receipt of what was just sent needs no header: some proxies drop those that they do not know.
    received = response.status == 200 and receipt is not None and fields.get("receipt") == receipt
    if not local and not from_gateway(response) and not (received and acknowledges(fields)):
        return _foreign(response, now_unix_s)
    reason = _reason(response, fields)
    kind = _kind(fields)
    match response.status:
        case 200:
            next_seqs = _numbers(fields.get("writers"))
            if next_seqs is None or not (local or acknowledges(fields)):
                return Failing(
                    f"{response.url or 'the gateway'} says 200, but not what is durable: {first_words(response.body)!r}"
                )
            if not local and receipt is not None and fields.get("receipt") != receipt:
                return Failing(
                    f"{response.url or 'the gateway'} acknowledges another request than the one that was sent"
                )
            left_out = readable(str(fields.get("left_out", "")), _MAX_REASON_CHARS)
            return Accepted(next_seqs, left_out, _position(fields.get("position", fields.get("positions"))))
        case 409:
            expected = _numbers(fields.get("expected")) if local or kind == _GAP else None
            return Failing(f"{reason}, without 'expected'") if not expected else Rewind(expected, reason)
        case 400 | 413 | 422 if local or (kind is not None and kind not in _PASSING):
            writer_id = fields.get("writer_id")
            return Refused(response.status, writer_id if isinstance(writer_id, str) else None, reason, kind or "")
        case 429 | 503:
            return Later(_rest_s(response.headers.get("retry-after"), now_unix_s), reason)
        case 400 | 408 | 413 | 422 | 425:
            return Failing(reason)
        case status if status >= 500:
            return Failing(reason)
        case _:
            return Stuck(reason)


def _position(text: object) -> str:
    return text if isinstance(text, str) and len(text) <= _MAX_POSITION_CHARS and text.isprintable() else ""


def from_gateway(response: Response) -> bool:
    """Whether a Runstream server of a protocol that we know made this response."""
    return is_ours(response.headers.get(PROTOCOL_HEADER.lower()))


def acknowledges(fields: Mapping[str, Any]) -> bool:
    """Whether the body of a response is one that acknowledges something in our protocol."""
    return fields.get("protocol") == PROTOCOL and str(fields.get("server", "")).startswith("runstream ")


def body_of(response: Response) -> dict[str, Any]:
    """The members of the body; none if it is no JSON object."""
    try:
        fields = json.loads(response.body)
    except (ValueError, RecursionError, MemoryError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _foreign(response: Response, now_unix_s: float) -> Meaning:
    """Nothing that such a response says about records counts."""
    version = response.headers.get(PROTOCOL_HEADER.lower())
    where = readable(response.url) or "the server"
    if version is not None:
        return Failing(
            f"{where} speaks protocol {readable(version, 40)!r}, this runstream {PROTOCOL}: upgrade the older of them"
        )
    shown = f"HTTP {response.status}"
    if content_type := response.headers.get("content-type"):
        shown += f" {readable(content_type, 60)}"
    if location := response.headers.get("location"):
        shown += f", a redirect to {readable(location, 120)}, which is not followed"
    elif words := first_words(response.body):
        shown += f" {words!r}"
    reason = (
        f"{where} answers {shown}: no Runstream gateway answers there now (no {PROTOCOL_HEADER} header). Nothing is "
        "lost, it is tried again; if it stays so, look at RUNSTREAM_URL and at what stands in between (a sign-in page, "
        "a proxy that drops headers)"
    )
    if response.status in (429, 503):
        wait_s = _rest_s(response.headers.get("retry-after"), now_unix_s)
        return Later(min(wait_s, _LONGEST_FOREIGN_REST_S), reason)
    return Failing(reason)


def _kind(fields: Mapping[str, Any]) -> str | None:
    """The word behind the type of a problem of ours."""
    kind = fields.get("type")
    return kind.removeprefix(PROBLEM_TYPE) if isinstance(kind, str) and kind.startswith(PROBLEM_TYPE) else None


def _reason(response: Response, fields: Mapping[str, Any]) -> str:
    told = [readable(str(fields[name]), _MAX_REASON_CHARS) for name in ("title", "detail") if fields.get(name)]
    text = ": ".join(told) or first_words(response.body)
    return f"{response.name or f'HTTP {response.status}'} {text}".strip()[:_MAX_REASON_CHARS]


def _numbers(value: object) -> dict[str, int] | None:
    if not isinstance(value, dict):
        return None
    whole = {key: number for key, number in value.items() if type(number) is int and 0 <= number < _MAX_SEQ}
    return whole if len(whole) == len(value) else None


def _rest_s(text: str | None, now_unix_s: float) -> float:
    """Retry-After: seconds or a date."""
    if text is None:
        return _DEFAULT_REST_S
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - now_unix_s
        except (ValueError, OverflowError, TypeError):
            return _DEFAULT_REST_S
    return min(max(wait_s, 0.0), _LONGEST_REST_S) if wait_s == wait_s else _DEFAULT_REST_S
