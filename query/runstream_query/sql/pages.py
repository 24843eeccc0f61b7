"""One page of runs: sorted by any fields, continued by keyset (never by OFFSET, whose cost grows with the page)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from runstream_query.errors import FilterError, InvalidRequest
from runstream_query.filters.checks import type_of
from runstream_query.filters.compiler import ATTRIBUTE_KINDS, SUMMARY_COLUMNS, column_of, compile_filter
from runstream_query.filters.parser import parse_field
from runstream_query.filters.printer import print_field, print_filter
from runstream_query.filters.tree import Expression, Field
from runstream_query.sql.parameters import Parameters
from runstream_query.sql.runs import Clock, run_rows

MAX_SORT_KEYS: Final = 5
DEFAULT_SORT: Final = "-created"

TermType: TypeAlias = Literal["Int64", "Float64", "String"]


@dataclass(frozen=True, slots=True)
class SortKey:
    field: Field
    descending: bool = False

    def __str__(self) -> str:
        return ("-" if self.descending else "") + print_field(self.field)


@dataclass(frozen=True, slots=True)
class _Term:
    """One comparable column of the order; never null, never NaN."""

    sql: str
    kind: TermType
    descending: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which row the next page begins, and when `now` was for the first page, so that all pages agree."""

    terms: tuple[int | float | str, ...]
    now_us: int
    #: Of the filter and the order that the cursor belongs to.
    question: str

    def text(self) -> str:
        floats = [["f", term.hex()] if isinstance(term, float) else term for term in self.terms]
        packed = json.dumps([floats, self.now_us, self.question], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, question: str) -> "Cursor":
        """Raises InvalidRequest if it is none, or belongs to another question."""
        try:
            packed = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            terms, now_us, asked = packed
            unpacked = tuple(float.fromhex(term[1]) if isinstance(term, list) else term for term in terms)
            if not all(isinstance(term, int | float | str) for term in unpacked) or not isinstance(now_us, int):
                raise ValueError("wrong types")
        except (ValueError, TypeError, IndexError, AttributeError, binascii.Error, RecursionError):
            raise InvalidRequest(
                f"cursor {text[:40]!r} cannot be read: give next_cursor of an answer as it was", name="cursor"
            ) from None
        if asked != question:
            raise InvalidRequest(
                "this cursor belongs to another filter or sort: repeat both as in the first page, or leave it out",
                name="cursor",
            )
        return cls(unpacked, now_us, question)


def parse_sort(text: str) -> tuple[SortKey, ...]:
    """`-metric.loss.min,created` as sort keys; a comma inside quotes is part of a name. Raises FilterError."""
    keys = []
    for piece in split_fields(text):
        descending = piece.startswith("-")
        field = parse_field(piece.removeprefix("-"))
        if field.kind == "tag":
            raise FilterError("runs cannot be sorted by tag: a run has many")
        keys.append(SortKey(field, descending))
    if len(keys) > MAX_SORT_KEYS:
        raise FilterError(f"{len(keys)} sort keys: at most {MAX_SORT_KEYS} are allowed")
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


def question_of(expression: Expression | None, sort: Sequence[SortKey], scope: str) -> str:
    """What a cursor must agree with."""
    text = "\n".join((print_filter(expression) if expression else "", ",".join(map(str, sort)), scope))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def matching(expression: Expression | None, parameters: Parameters, clock: Clock) -> str:
    """A subquery of the run rows that match."""
    rows = run_rows(parameters, clock)
    condition = compile_filter(expression, parameters, clock.now_us) if expression else "1"
    return f"(SELECT * FROM {rows} WHERE {condition}) AS matching"


def page_statement(
    expression: Expression | None,
    sort: Sequence[SortKey],
    after: Cursor | None,
    limit: int,
    clock: Clock,
    parameters: Parameters,
) -> tuple[str, int]:
    """The SELECT of one page, and how many terms its order has: (run, k0, k1, ...), no other columns, because it looks
    at all runs and so should read as little of each as it can. Missing values come last in either direction, NaN
    before them."""
    terms: list[_Term] = []
    joins: list[str] = []
    for key in sort:
        terms.extend(_terms(key, joins, parameters))
    terms.append(_Term("run", "String", False))
    selected = ", ".join(("run", *(f"{term.sql} AS k{n}" for n, term in enumerate(terms))))
    order = ", ".join(f"k{n} {'DESC' if term.descending else 'ASC'}" for n, term in enumerate(terms))
    beyond = f"WHERE {_beyond(terms, after, parameters)}" if after else ""
    sql = f"""SELECT * FROM (SELECT {selected} FROM {matching(expression, parameters, clock)} {" ".join(joins)})
{beyond} ORDER BY {order} LIMIT {parameters.integer(limit)}"""
    return sql, len(terms)


def count_statement(expression: Expression | None, clock: Clock, parameters: Parameters) -> str:
    return f"SELECT count() AS total FROM {matching(expression, parameters, clock)}"


def _terms(key: SortKey, joins: list[str], parameters: Parameters) -> list[_Term]:
    field, descending = key.field, key.descending
    joined = f"j{len(joins)}"
    if field.kind == "metric":
        column = SUMMARY_COLUMNS[field.aggregate or "last"]
        joins.append(
            f"LEFT JOIN (SELECT run AS {joined}_run, {column} AS {joined}_v, 1 AS {joined}_has FROM summaries "
            f"WHERE metric = {parameters.text(field.name)}) AS {joined} ON {joined}_run = run"
        )
        rank = f"multiIf({joined}_has = 0, 2, isNaN({joined}_v), 1, 0)"
        return [
            _Term(f"toInt64({rank})", "Int64", False),
            _Term(f"if({rank} = 0, {joined}_v, 0.)", "Float64", descending),
        ]
    if field.kind in ("param", "other", "env"):
        joins.append(
            f"LEFT JOIN (SELECT run AS {joined}_run, ifNull(number, 0.) AS {joined}_v, isNull(number) AS {joined}_t, "
            f"text AS {joined}_text, 1 AS {joined}_has FROM attributes WHERE kind = "
            f"{parameters.text(ATTRIBUTE_KINDS[field.kind])} AND name = {parameters.text(field.name)} AND NOT deleted "
            f"AND value != 'null') AS {joined} ON {joined}_run = run"
        )
        rank = f"multiIf({joined}_has = 0, 3, {joined}_t, 2, isNaN({joined}_v), 1, 0)"
        return [
            _Term(f"toInt64({rank})", "Int64", False),
            _Term(f"if({rank} = 0, {joined}_v, 0.)", "Float64", descending),
            _Term(f"if({rank} = 2, {joined}_text, '')", "String", descending),
        ]
    column = column_of(field)
    match type_of(field):
        case "text":
            return [_Term(f"toString({column})", "String", descending)]
        case "number":
            return [_Term(column, "Float64", descending)]
        case "time":
            return [
                _Term(f"toInt64(isNull({column}))", "Int64", False),
                _Term(f"ifNull({column}, 0)", "Int64", descending),
            ]
        case _:
            return [_Term(f"toInt64({column})", "Int64", descending)]


def _beyond(terms: Sequence[_Term], after: Cursor, parameters: Parameters) -> str:
    """The rows behind the cursor: (k0 > v0) or (k0 = v0 and ((k1 > v1) or ...))."""
    if len(after.terms) != len(terms):
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    condition = "0"
    for n, (term, value) in reversed(list(enumerate(zip(terms, after.terms, strict=True)))):
        bound = _bound(term, value, parameters)
        beyond = "<" if term.descending else ">"
        condition = f"(k{n} {beyond} {bound} OR (k{n} = {bound} AND {condition}))"
    return condition


def _bound(term: _Term, value: int | float | str, parameters: Parameters) -> str:
    wanted = {"Int64": int, "Float64": float, "String": str}[term.kind]
    if not isinstance(value, wanted):
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    return parameters.number(value) if isinstance(value, float) else parameters.bind(value, term.kind)
