"""What a gateway's answer to frames means. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from runstream.sender.transport import Answer

#: A gateway may ask for a rest, but not for one that nobody would wait for.
_LONGEST_REST_S: Final = 300.0
_DEFAULT_REST_S: Final = 1.0
_MAX_REASON_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Accepted:
    """Durable up to, not including, these numbers, by writer id. `left_out`: why some writers are not among them."""

    next_seqs: Mapping[str, int]
    left_out: str = ""


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


def meaning_of(answer: Answer, now_unix_s: float) -> Meaning:
    """Sort an answer by what the sender does about it. `now_unix_s` turns a Retry-After date into a wait."""
    fields = _object(answer.body)
    reason = _reason(answer, fields)
    match answer.status:
        case 200:
            next_seqs = _numbers(fields.get("writers"))
            return (
                Failing("a 200 without 'writers': is this a Runstream gateway?")
                if next_seqs is None
                else Accepted(next_seqs, str(fields.get("left_out", "")))
            )
        case 409:
            expected = _numbers(fields.get("expected"))
            return Failing(f"{reason}, without 'expected'") if not expected else Rewind(expected, reason)
        case 400 | 413 | 422:
            writer_id = fields.get("writer_id")
            return Refused(answer.status, writer_id if isinstance(writer_id, str) else None, reason)
        case 429 | 503:
            return Later(_rest_s(answer.headers.get("retry-after"), now_unix_s), reason)
        case 408 | 425:
            return Failing(reason)
        case status if status >= 500:
            return Failing(reason)
        case _:
            return Stuck(reason)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _reason(answer: Answer, fields: Mapping[str, Any]) -> str:
    told = [str(fields[name]) for name in ("title", "detail") if fields.get(name)]
    text = ": ".join(told) or answer.body[:200].decode("utf-8", "replace").strip()
    return f"{answer.name or f'HTTP {answer.status}'} {text}".strip()[:_MAX_REASON_CHARS]


def _numbers(value: object) -> dict[str, int] | None:
    if not isinstance(value, dict):
        return None
    whole = {key: number for key, number in value.items() if isinstance(number, int) and number >= 0}
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
        except ValueError:
            return _DEFAULT_REST_S
    return min(max(wait_s, 0.0), _LONGEST_REST_S) if wait_s == wait_s else _DEFAULT_REST_S
