"""The order of runs: sort keys, and the columns that a page is ordered and continued by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from runstream_query.errors import FilterError, InvalidRequest
from runstream_query.filters.checks import type_of
from runstream_query.filters.compiler import ATTRIBUTE_KINDS, SUMMARY_COLUMNS, column_of
from runstream_query.filters.parser import parse_field
from runstream_query.filters.tree import Field
from runstream_query.repositories.questions import SortKey
from runstream_query.repositories.statements.parameters import Parameters

MAX_SORT_KEYS: Final = 5
DEFAULT_SORT: Final = "-created"

TermType: TypeAlias = Literal["Int64", "Float64", "String"]
TermValue: TypeAlias = int | float | str


@dataclass(frozen=True, slots=True)
class Term:
    """One comparable column of the order; never null, never NaN. A page calls its terms k0, k1, ..."""

    sql: str
    kind: TermType
    descending: bool


#: The last term of every order: no two runs have the same.
BY_RUN: Final = Term("run", "String", False)


def parse_sort(text: str) -> tuple[SortKey, ...]:
    """`-metric.loss.min,created` as sort keys; a comma inside quotes is part of a name. Raises FilterError."""
    keys = []
    pieces = split_fields(text)
    if len(pieces) > MAX_SORT_KEYS:
        raise FilterError(f"{len(pieces)} sort keys: at most {MAX_SORT_KEYS} are allowed")
    for piece in pieces:
        descending = piece.startswith("-")
        field = parse_field(piece.removeprefix("-"))
        if field.kind == "tag":
            raise FilterError("runs cannot be sorted by tag: a run has many")
        keys.append(SortKey(field, descending))
    return tuple(keys)


def split_fields(text: str) -> list[str]:
    """The comma-separated fields of a list, commas in quotes left alone."""
    pieces, begin, quote, at = [], 0, "", 0
    while at < len(text):
        character = text[at]
        if quote and character == "\\":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == ",":
            pieces.append(text[begin:at])
            begin = at + 1
        at += 1
    pieces.append(text[begin:])
    return [piece.strip() for piece in pieces if piece.strip()]


def term_count(sort: Sequence[SortKey]) -> int:
    """How many terms a page in this order has."""
    return 1 + sum({"metric": 2, "any": 3, "time": 2}.get(_shape(key.field), 1) for key in sort)


def _shape(field: Field) -> str:
    return field.kind if field.kind == "metric" else type_of(field)


def stored_terms(field: Field, descending: bool) -> list[Term]:
    """The terms of a sort key that is a column of the runs' rows."""
    column = column_of(field)
    match type_of(field):
        case "text":
            return [Term(f"toString({column})", "String", descending)]
        case "number":
            return [Term(column, "Float64", descending)]
        case "time":
            return [
                Term(f"toInt64(isNull({column}))", "Int64", False),
                Term(f"ifNull({column}, 0)", "Int64", descending),
            ]
        case _:
            return [Term(f"toInt64({column})", "Int64", descending)]


def joined_terms(key: SortKey, joined: str, only: str | None, parameters: Parameters) -> tuple[str, list[Term]]:
    """The join, under the name `joined`, and the terms of a sort key that is a metric or a logged value. In either
    direction numbers come first, then NaN, then texts, and runs without the value last."""
    field, descending = key.field, key.descending
    wanted = f" AND s.run IN {only}" if only is not None else ""
    if field.kind == "metric":
        column = SUMMARY_COLUMNS[field.aggregate or "last"]
        join = (
            f"LEFT JOIN (SELECT s.run AS {joined}_run, argMax({column}, s.offset) AS {joined}_v, 1 AS {joined}_has "
            f"FROM summary_states AS s WHERE s.metric = {parameters.text(field.name)}{wanted} GROUP BY s.run) "
            f"AS {joined} ON {joined}_run = run"
        )
        rank = f"multiIf({joined}_has = 0, 2, isNaN({joined}_v), 1, 0)"
        return join, [
            Term(f"toInt64({rank})", "Int64", False),
            Term(f"if({rank} = 0, {joined}_v, 0.)", "Float64", descending),
        ]
    join = (
        f"LEFT JOIN (SELECT s.run AS {joined}_run, argMax(ifNull(s.number, 0.), s.offset) AS {joined}_v, "
        f"argMax(isNull(s.number), s.offset) AS {joined}_t, argMax(s.text, s.offset) AS {joined}_text, "
        f"1 AS {joined}_has FROM attribute_states AS s WHERE {attribute_key(field, parameters)}{wanted} "
        f"GROUP BY s.run HAVING argMax(NOT s.deleted AND s.value != 'null', s.offset)) AS {joined} "
        f"ON {joined}_run = run"
    )
    rank = f"multiIf({joined}_has = 0, 3, {joined}_t, 2, isNaN({joined}_v), 1, 0)"
    return join, [
        Term(f"toInt64({rank})", "Int64", False),
        Term(f"if({rank} = 0, {joined}_v, 0.)", "Float64", descending),
        Term(f"if({rank} = 2, {joined}_text, '')", "String", descending),
    ]


def attribute_key(field: Field, parameters: Parameters) -> str:
    """Which states of `attribute_states AS s` are of a field."""
    return f"s.kind = {parameters.text(ATTRIBUTE_KINDS[field.kind])} AND s.name = {parameters.text(field.name)}"


def order_by(terms: Sequence[Term]) -> str:
    return ", ".join(f"k{n} {'DESC' if term.descending else 'ASC'}" for n, term in enumerate(terms))


def is_behind(terms: Sequence[Term], values: Sequence[TermValue], parameters: Parameters) -> str:
    """The rows behind the values of the first terms: (k0 > v0) or (k0 = v0 and ((k1 > v1) or ...))."""
    return _beside(terms, values, ("<", ">"), parameters)


def is_before(terms: Sequence[Term], values: Sequence[TermValue], parameters: Parameters) -> str:
    """The rows before the values of the first terms."""
    return _beside(terms, values, (">", "<"), parameters)


def _beside(
    terms: Sequence[Term], values: Sequence[TermValue], operators: tuple[str, str], parameters: Parameters
) -> str:
    condition = "0"
    for n, (term, value) in reversed(list(enumerate(zip(terms, values, strict=False)))):
        bound = bound_term(term, value, parameters)
        condition = f"(k{n} {operators[not term.descending]} {bound} OR (k{n} = {bound} AND {condition}))"
    return condition


def bound_term(term: Term, value: TermValue, parameters: Parameters) -> str:
    wanted = {"Int64": int, "Float64": float, "String": str}[term.kind]
    if not isinstance(value, wanted):
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    return parameters.number(value) if isinstance(value, float) else parameters.bind(value, term.kind)
