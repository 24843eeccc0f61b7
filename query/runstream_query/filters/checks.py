"""Which values fit which fields, and how much a filter may hold. Says what is wrong, not where."""

import difflib
import math
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final, assert_never

from runstream.events import limits
from runstream_query.errors import FilterError
from runstream_query.filters.tree import (
    AGGREGATES,
    FLAGS,
    KINDS,
    NAMED,
    TEXTS,
    TIMES,
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
    Value,
)

#: A person's filter has a dozen tests. Every one may cost a look into a table, so that 100 is a fair end.
MAX_TESTS: Final = 100
#: Parentheses and nots inside each other. Python's own recursion ends at 1,000 frames, three a level here.
MAX_DEPTH: Final = 50
MAX_LIST_VALUES: Final = 1000
#: MAX_LIST_VALUES run ids of 32 characters with quotes and commas are 36 kB.
MAX_FILTER_CHARS: Final = 64_000
MAX_PATTERN_CHARS: Final = 1000
MAX_TEXT_CHARS: Final = 10_000
#: The store's time type: 1900-01-01 to 2261-12-31 (in nanoseconds an Int64); microseconds here.
MIN_TIME_US: Final = -2_208_988_800_000_000
MAX_TIME_US: Final = 9_214_646_400_000_000

#: What a backtracking engine does and RE2 does not: looking around, back references, possessive and atomic groups.
_NOT_RE2: Final = re.compile(r"\(\?(?:=|!|<=|<!|>|\()|\(\?P=|\\[1-9]|[*+?}]\+")
STATUSES: Final = ("running", "finished", "failed", "crashed", "killed")


#: Comparing two texts takes time in both lengths: 1,000 of 64 characters are 20 ms.
_SIMILAR_CHARS: Final = 64
_SIMILAR_CHOICES: Final = 1000


def similar(word: str, choices: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest of `choices` (the first 1,000 short ones), or nothing."""
    if len(word) > _SIMILAR_CHARS:
        return ""
    short = islice((choice for choice in choices if len(choice) <= _SIMILAR_CHARS), _SIMILAR_CHOICES)
    near = difflib.get_close_matches(word.lower(), list(short), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def type_of(field: Field) -> str:
    """What a field holds: number, text, time, flag, tags, or any (what was logged decides)."""
    if field.kind in ("metric", "duration"):
        return "number"
    if field.kind in TEXTS:
        return "text"
    if field.kind in TIMES:
        return "time"
    if field.kind in FLAGS:
        return "flag"
    return "tags" if field.kind == "tag" else "any"


def field_fault(field: Field) -> str | None:
    """What is wrong with a field, or None."""
    if field.kind not in KINDS:
        return f"unknown field {field.kind!r}{similar(field.kind, KINDS)}"
    if field.kind in NAMED:
        if not field.name:
            return f"{field.kind} needs a name, as in {field.kind}.NAME"
        if len(field.name) > limits.MAX_PARAMETER_NAME_CHARS:
            return f"the name of this {field.kind} has {len(field.name)} characters: at most 500 are allowed"
        if any("\ud800" <= c <= "\udfff" for c in field.name):
            return f"the name of this {field.kind} has a lone surrogate, which is no valid Unicode"
    elif field.name:
        return f"{field.kind} has no part {field.name!r}"
    if field.aggregate is not None and (field.kind != "metric" or field.aggregate not in AGGREGATES):
        return f"{field.kind} has no {field.aggregate}; metrics have {', '.join(AGGREGATES)}"
    return None


def value_fault(field: Field, operator: str, value: Value) -> str | None:
    """Why `field operator value` cannot be asked, or None. `in` compares as `=`, `between` as `<=`."""
    if (fault := _range_fault(value)) is not None:
        return fault
    ordered = operator in ("<", "<=", ">", ">=")
    held = type_of(field)
    match value:
        case bool():
            fits, wanted = held in ("flag", "any"), "true and false are for archived, deleted and logged values"
        case float() | int():
            fits, wanted = held in ("number", "any"), "a number"
        case str():
            fits, wanted = held in ("text", "tags", "any"), "a text in quotes"
        case Instant() | FromNow():
            fits, wanted = held == "time", "a time"
        case _:
            assert_never(value)
    if not fits:
        expected = {
            "number": "a number (or a duration such as 90m)" if field.kind == "duration" else "a number",
            "text": 'a text in quotes, such as "x"',
            "time": "a time such as 2026-01-31, 2026-01-31T12:00Z or now-2h",
            "flag": "true or false",
            "tags": 'a tag in quotes, such as "sweep"',
            "any": f"a number, a text in quotes, true or false, not {wanted}",
        }[held]
        return f"{field.kind} is compared with {expected}"
    if field.kind == "status" and operator in ("=", "!=") and value not in STATUSES:
        return f"no run has the status {value!r}: there are {', '.join(STATUSES)}{similar(str(value), STATUSES)}"
    if ordered and (held in ("flag", "tags") or isinstance(value, bool)):
        return f"{field.kind} has no order here: use =, != or in"
    if ordered and isinstance(value, float) and math.isnan(value):
        return "nan has no order: use = nan or != nan"
    return None


def text_fault(field: Field, operator: str, text: str) -> str | None:
    """Why `field contains text` and its like cannot be asked, or None."""
    if type_of(field) not in ("text", "tags", "any"):
        return f"{operator} is for texts, and {field.kind} is a {type_of(field)}: use = < > or between"
    if (fault := _range_fault(text)) is not None:
        return fault
    return pattern_fault(text) if operator == "matches" else None


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern cannot be matched in linear time (RE2), or None."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"the pattern has {len(pattern)} characters: at most {MAX_PATTERN_CHARS} are allowed"
    if "\x00" in pattern:
        return "the pattern contains a NUL character: remove it"
    unescaped = re.sub(r"\\[^1-9]", "", pattern)
    if _NOT_RE2.search(re.sub(r"\[[^\]]*\]", "", unescaped)):
        return "the pattern looks around, back, or quantifies possessively, which RE2 does not do: rewrite it without"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the pattern is no regular expression: {error}"
    return None


def _range_fault(value: Value) -> str | None:
    if isinstance(value, str):
        if len(value) > MAX_TEXT_CHARS:
            return f"the text has {len(value)} characters: at most {MAX_TEXT_CHARS} are allowed"
        if any("\ud800" <= c <= "\udfff" for c in value):
            return "the text has a lone surrogate, which is no valid Unicode: remove it"
    if isinstance(value, Instant) and not MIN_TIME_US <= value.at_us <= MAX_TIME_US:
        return "the time is outside of 1900 to 2261"
    if isinstance(value, FromNow) and abs(value.offset_us) > MAX_TIME_US // 2:
        return "the time is too far from now"
    return None


def check(expression: Expression) -> None:
    """Raise FilterError if a value does not fit its field or the tree is too large or too deep."""
    tests = _check(expression, 1)
    if tests > MAX_TESTS:
        raise FilterError(f"the filter has {tests} tests: at most {MAX_TESTS} are allowed")


def _check(expression: Expression, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise FilterError(f"the filter is nested more than {MAX_DEPTH} deep: write it flatter")
    match expression:
        case And(items) | Or(items):
            if len(items) < 2:
                raise FilterError("`and` and `or` join two or more expressions")
            return sum(_check(item, depth + 1) for item in items)
        case Not(item):
            return _check(item, depth + 1)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            fault = field_fault(expression.field) or _test_fault(expression)
            if fault is not None:
                raise FilterError(fault)
            return 1
        case _:
            assert_never(expression)


def _test_fault(test: Compare | OneOf | Between | TextTest | IsNull) -> str | None:
    match test:
        case Compare(field, operator, value):
            return value_fault(field, operator, value)
        case OneOf(field, values):
            if not 0 < len(values) <= MAX_LIST_VALUES:
                return f"a list of {len(values)} values: 1 to {MAX_LIST_VALUES} are allowed"
            return next((fault for v in values if (fault := value_fault(field, "=", v)) is not None), None)
        case Between(field, low, high):
            return value_fault(field, "<=", low) or value_fault(field, "<=", high)
        case TextTest(field, operator, text):
            return text_fault(field, operator, text)
        case IsNull():
            return None
        case _:
            assert_never(test)
