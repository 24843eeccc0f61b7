"""Tree to text. Parsing the text gives an equal tree."""

import re
from typing import Final, assert_never

from runstream_query.filters.times import iso_text
from runstream_query.filters.tree import (
    AGGREGATES,
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

_PLAIN: Final = re.compile(r"[\w/\-]+(?:\.[\w/\-]+)*\Z")


def print_filter(expression: Expression) -> str:
    """The filter as text."""
    match expression:
        case And(items):
            return " and ".join(_operand(item) for item in items)
        case Or(items):
            return " or ".join(print_filter(item) if isinstance(item, And) else _operand(item) for item in items)
        case Not(item):
            return f"not {_operand(item)}"
        case Compare(field, operator, value):
            return f"{print_field(field)} {operator} {_value(value)}"
        case OneOf(field, values, negated):
            listed = ", ".join(_value(value) for value in values)
            return f"{print_field(field)} {'not in' if negated else 'in'} ({listed})"
        case Between(field, low, high):
            return f"{print_field(field)} between {_value(low)} and {_value(high)}"
        case TextTest(field, operator, text):
            return f"{print_field(field)} {operator} {quoted(text)}"
        case IsNull(field, negated):
            return f"{print_field(field)} is {'not null' if negated else 'null'}"
        case _:
            assert_never(expression)


def print_field(field: Field) -> str:
    """The field as a filter, a sort key or a column writes it; `.last` of a metric is left out."""
    if not field.name:
        return field.kind
    plain = _PLAIN.match(field.name) is not None
    if field.kind == "metric" and field.name.rpartition(".")[2] in AGGREGATES and "." in field.name:
        plain = False
    name = field.name if plain else quoted(field.name)
    aggregate = f".{field.aggregate}" if field.aggregate not in (None, "last") else ""
    return f"{field.kind}.{name}{aggregate}"


def quoted(text: str) -> str:
    """The text in double quotes, readable by the lexer."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def _operand(expression: Expression) -> str:
    text = print_filter(expression)
    return f"({text})" if isinstance(expression, And | Or) else text


def _value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() | int():
            return repr(float(value))
        case str():
            return quoted(value)
        case Instant(at_us):
            return iso_text(at_us)
        case FromNow(offset_us):
            return "now" if offset_us == 0 else f"now{'+' if offset_us > 0 else '-'}{abs(offset_us)}us"
        case _:
            assert_never(value)
