"""What a filter means, in plain Python over plain values: written from docs/query-language.md, not from the SQL."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from runstream_query.filters import (
    And,
    Between,
    Compare,
    Expression,
    Field,
    FromNow,
    Instant,
    IsNull,
    Not,
    OneOf,
    Or,
    TextTest,
)

MISSING = object()


@dataclass
class Run:
    """A run as a person would describe it. `metrics`: name -> aggregate -> value; times in microseconds."""

    id: str
    texts: dict[str, str]
    times: dict[str, int | None]
    flags: dict[str, bool]
    tags: list[str]
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    logged: dict[str, dict[str, Any]] = field(default_factory=dict)


def duration_us(run: Run, now_us: int) -> int:
    """How long the run took, or has taken so far: never less than nothing, whatever its clocks said."""
    started, ended = run.times["started"], run.times["ended"]
    assert started is not None
    return max((now_us if ended is None else ended) - started, 0)


def holds(expression: Expression, run: Run, now_us: int) -> bool:
    match expression:
        case And(items):
            return all(holds(item, run, now_us) for item in items)
        case Or(items):
            return any(holds(item, run, now_us) for item in items)
        case Not(item):
            return not holds(item, run, now_us)
        case Compare(subject, "!=", value):
            return not holds(Compare(subject, "=", value), run, now_us)
        case OneOf(subject, values, negated):
            return negated != any(holds(Compare(subject, "=", value), run, now_us) for value in values)
        case Between(subject, low, high):
            if subject.kind == "tag":
                raise AssertionError("tags have no order")
            return holds(Compare(subject, ">=", low), run, now_us) and holds(Compare(subject, "<=", high), run, now_us)
        case IsNull(Field("name"), negated):
            return negated == (run.texts["name"] not in ("", run.id))
        case IsNull(subject, negated):
            return negated == any(_is_there(subject, value) for value in _values(subject, run, now_us))
        case TextTest(subject, operator, text):
            return any(_passes_text(value, operator, text) for value in _values(subject, run, now_us))
        case Compare(subject, operator, value):
            wanted = _resolved(value, now_us)
            return any(_passes(found, operator, wanted) for found in _values(subject, run, now_us))


def _values(subject: Field, run: Run, now_us: int) -> list[Any]:
    """The values of the field that the run has: none, one, or its tags."""
    if subject.kind == "tag":
        return list(run.tags)
    if subject.kind == "metric":
        found = run.metrics.get(subject.name)
        return [] if found is None else [found[subject.aggregate or "last"]]
    if subject.kind in ("param", "other", "env"):
        value = run.logged.get(subject.kind, {}).get(subject.name, MISSING)
        return [] if value is MISSING or value is None else [value]
    if subject.kind == "duration":
        return [duration_us(run, now_us) / 1_000_000]
    if subject.kind == "id":
        return [run.id]
    if subject.kind in run.texts:
        return [run.texts[subject.kind]]
    if subject.kind in run.times:
        at = run.times[subject.kind]
        return [] if at is None else [Instant(at)]
    return [run.flags[subject.kind]]


def _is_there(subject: Field, value: Any) -> bool:
    return value != "" if isinstance(value, str) and subject.kind not in ("param", "other", "env", "tag") else True


def _resolved(value: Any, now_us: int) -> Any:
    return Instant(now_us + value.offset_us) if isinstance(value, FromNow) else value


def _passes(found: Any, operator: str, wanted: Any) -> bool:
    match wanted:
        case bool():
            return found is wanted if isinstance(found, bool) else False
        case Instant():
            return isinstance(found, Instant) and _ordered(found.at_us, operator, wanted.at_us)
        case str():
            if isinstance(found, list | dict):
                found = _text(found)
            return isinstance(found, str) and _ordered(found.encode(), operator, wanted.encode())
        case _:
            found = number_in(found)
            if found is None:
                return False
            if math.isnan(wanted):
                return math.isnan(found)
            return _ordered(float(found), operator, wanted)


def number_in(found: Any) -> float | None:
    """The number that a value is or that a text of it spells, in ASCII and without blanks."""
    if isinstance(found, str) and re.fullmatch(r"[!-~]+", found) and "_" not in found:
        try:
            return float(found)
        except ValueError:
            return None
    return float(found) if isinstance(found, int | float) else None


def _ordered(left: Any, operator: str, right: Any) -> bool:
    return bool(
        {
            "=": left == right,
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
        }[operator]
    )


def _text(value: Any) -> str:
    """What a person would read."""
    import json

    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return json.dumps(value, ensure_ascii=False)


def _passes_text(found: Any, operator: str, text: str) -> bool:
    shown = _text(found)
    match operator:
        case "contains":
            return text in shown
        case "startswith":
            return shown.startswith(text)
        case "endswith":
            return shown.endswith(text)
        case _:
            return re.search(text, shown, re.DOTALL) is not None
