"""What a filter and an order mean for one run whose values are at hand. Pure, and equal to the compiled SQL.

Statements look at the newest states. What a run was at a past moment is folded from its events, so that its values are
Python's, and the filter is applied to them here.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from runstream_query.filters.checks import type_of
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.tree import (
    RUN_FIELDS,
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
    Test,
    TextTest,
    Value,
)

#: Texts that the engine reads as numbers: ASCII without blanks, and without what only Python allows.
_NUMBER: Final = re.compile(r"[!-^`-~]+")


@dataclass(frozen=True, slots=True)
class LoggedValue:
    """A logged value as `attribute_states` has it: JSON, what a person would read, and its number if it has one."""

    value: str
    text: str
    number: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run was. columns: of `RUN_STATES`, by name, times in microseconds since 1970 UTC; metrics: (name,
    aggregate) -> number; logged: (kind as it is stored, name) -> value, what was deleted left out."""

    columns: Mapping[str, Any]
    metrics: Mapping[tuple[str, str], float]
    logged: Mapping[tuple[str, str], LoggedValue]


def holds(expression: Expression, facts: Facts, now_us: int) -> bool:
    """Return whether a checked filter holds for a run. now_us: what `now` means."""
    match expression:
        case And(items):
            return all(holds(item, facts, now_us) for item in items)
        case Or(items):
            return any(holds(item, facts, now_us) for item in items)
        case Not(item):
            return not holds(item, facts, now_us)
        case Compare(field, "!=", value):
            return not _passes(Compare(field, "=", value), facts, now_us)
        case OneOf(field, values, True):
            return not _passes(OneOf(field, values), facts, now_us)
        case IsNull(field, False):
            return not _passes(IsNull(field, True), facts, now_us)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return _passes(expression, facts, now_us)
        case _:
            assert_never(expression)


def _passes(test: Test, facts: Facts, now_us: int) -> bool:
    """Whether the run has such a value, and it passes a test that is not negated."""
    field = test.field
    if field.kind in ATTRIBUTE_KINDS:
        logged = facts.logged.get((ATTRIBUTE_KINDS[field.kind], field.name))
        return logged is not None and logged.value != "null" and _logged_passes(test, logged)
    if field.kind == "metric":
        number = facts.metrics.get((field.name, field.aggregate or "last"))
        return number is not None and _value_passes(test, number, now_us)
    value = facts.columns[RUN_FIELDS[field.kind].name]
    if field.kind == "tag":
        return bool(value) if isinstance(test, IsNull) else any(_value_passes(test, tag, now_us) for tag in value)
    if isinstance(test, IsNull):
        if field.kind == "name":  # a run without one is shown under its id
            return value not in ("", facts.columns["run"])
        return bool(value != "") if type_of(field) == "text" else value is not None
    return value is not None and _value_passes(test, value, now_us)


def _value_passes(test: Test, found: Any, now_us: int) -> bool:
    match test:
        case Compare(_, operator, value):
            return _compared(found, operator, _resolved(value, now_us))
        case OneOf(_, values):
            return any(_compared(found, "=", _resolved(value, now_us)) for value in values)
        case Between(_, low, high):
            ends = ((">=", low), ("<=", high))
            return all(_compared(found, operator, _resolved(value, now_us)) for operator, value in ends)
        case TextTest(_, operator, text):
            return _text_passes(str(found), operator, text)
        case IsNull():
            return True
        case _:
            assert_never(test)


def _logged_passes(test: Test, found: LoggedValue) -> bool:
    """The test on a logged value: the literal's type says which values can pass."""
    match test:
        case Compare(_, operator, value):
            return _logged_compared(found, operator, value)
        case OneOf(_, values):
            return any(_logged_compared(found, "=", value) for value in values)
        case Between(_, low, high):
            return _logged_compared(found, ">=", low) and _logged_compared(found, "<=", high)
        case TextTest(_, operator, text):
            return _text_passes(found.text, operator, text)
        case IsNull():
            return True
        case _:
            assert_never(test)


def _logged_compared(found: LoggedValue, operator: str, value: Value) -> bool:
    if isinstance(value, bool):
        return found.value == ("true" if value else "false")
    if isinstance(value, str):
        return found.number is None and _compared(found.text, operator, value)
    number = found.number if found.number is not None else number_in(found.text)
    return number is not None and _compared(number, operator, value)


def number_in(text: str) -> float | None:
    """Return the number that a text spells, as command lines and override files make them; None if it spells none."""
    if _NUMBER.fullmatch(text) is None:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _resolved(value: Value, now_us: int) -> Any:
    """The value as columns have it: times as microseconds."""
    match value:
        case Instant(at_us):
            return at_us
        case FromNow(offset_us):
            return now_us + offset_us
        case _:
            return value


def _compared(found: Any, operator: str, wanted: Any) -> bool:
    if isinstance(wanted, float) and math.isnan(wanted):
        return bool(math.isnan(found))
    match operator:
        case "=":
            return bool(found == wanted)
        case "<":
            return bool(found < wanted)
        case "<=":
            return bool(found <= wanted)
        case ">":
            return bool(found > wanted)
        case _:
            return bool(found >= wanted)


def _text_passes(found: str, operator: str, text: str) -> bool:
    match operator:
        case "contains":
            return text in found
        case "startswith":
            return found.startswith(text)
        case "endswith":
            return found.endswith(text)
        case _:
            # The engine's expressions, whose time is linear; its dot means line ends, too.
            return bool(pc.match_substring_regex(pa.array([found]), f"(?s){text}")[0].as_py())


def is_of_columns(expression: Expression) -> bool:
    """Return whether the expression looks at stored columns of runs alone."""
    match expression:
        case And(items) | Or(items):
            return all(is_of_columns(item) for item in items)
        case Not(item):
            return is_of_columns(item)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return expression.field.kind in RUN_FIELDS and not RUN_FIELDS[expression.field.kind].computed


def conjuncts(expression: Expression) -> Sequence[Expression]:
    """Return expressions that all hold where the expression does, and the other way around."""
    if isinstance(expression, And):
        return [one for item in expression.items for one in conjuncts(item)]
    return [expression]


def texts_of(expression: Expression, kind: str) -> frozenset[str] | None:
    """Return the texts of which a field of runs has one wherever the expression holds; None: it may have any."""
    found: frozenset[str] | None = None
    for one in conjuncts(expression):
        match one:
            case Compare(Field(of), "=", str(value)) if of == kind:
                values = frozenset({value})
            case OneOf(Field(of), some, False) if of == kind:
                values = frozenset(value for value in some if isinstance(value, str))
            case _:
                continue
        found = values if found is None else found & values
    return found
