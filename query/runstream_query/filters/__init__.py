"""The filter language: text -> tree -> one condition with bound parameters (docs/query-language.md)."""

from runstream_query.errors import FilterError
from runstream_query.filters.checks import check
from runstream_query.filters.compiler import compile_filter
from runstream_query.filters.parser import parse, parse_field
from runstream_query.filters.printer import print_field, print_filter
from runstream_query.filters.tree import (
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
    fields_of,
)

__all__ = [
    "And",
    "Between",
    "Compare",
    "Expression",
    "Field",
    "FilterError",
    "FromNow",
    "Instant",
    "IsNull",
    "Not",
    "OneOf",
    "Or",
    "TextTest",
    "Value",
    "check",
    "compile_filter",
    "fields_of",
    "parse",
    "parse_field",
    "print_field",
    "print_filter",
]
