"""The order of pages of runs whose values are at hand: the terms that statements compute (`statements.order`)."""

import math
from collections.abc import Sequence
from typing import Any

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import type_of
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.evaluation import Facts, LoggedValue
from runstream_query.filters.tree import RUN_FIELDS, Field
from runstream_query.repositories.questions import SortKey
from runstream_query.repositories.statements.order import TermValue

#: The terms of a run, and for each whether it is descending.
Terms = tuple[tuple[TermValue, ...], tuple[bool, ...]]


def terms_of(sort: Sequence[SortKey], facts: Facts) -> Terms:
    """Return the terms of a run in an order, and whether each of them is descending; the last is its id."""
    found: list[tuple[TermValue, bool]] = []
    for key in sort:
        found += _terms(key, facts)
    found.append((facts.columns["run"], False))
    return tuple(value for value, _ in found), tuple(descending for _, descending in found)


def _terms(key: SortKey, facts: Facts) -> list[tuple[TermValue, bool]]:
    field, descending = key.field, key.descending
    if field.kind == "metric":
        number = facts.metrics.get((field.name, field.aggregate or "last"))
        rank = 2 if number is None else int(math.isnan(number))
        return [(rank, False), (number if number is not None and not rank else 0.0, descending)]
    if field.kind in ATTRIBUTE_KINDS:
        return _logged_terms(facts.logged.get((ATTRIBUTE_KINDS[field.kind], field.name)), descending)
    return _column_terms(field, facts.columns[RUN_FIELDS[field.kind].name], descending)


def _logged_terms(logged: LoggedValue | None, descending: bool) -> list[tuple[TermValue, bool]]:
    number, text = 0.0, ""
    if logged is None or logged.value == "null":
        rank = 3
    elif logged.number is None:
        rank, text = 2, logged.text
    elif math.isnan(logged.number):
        rank = 1
    else:
        rank, number = 0, logged.number
    return [(rank, False), (number, descending), (text, descending)]


def _column_terms(field: Field, value: Any, descending: bool) -> list[tuple[TermValue, bool]]:
    match type_of(field):
        case "text":
            return [(str(value), descending)]
        case "number":
            return [(float(value), descending)]
        case "time":
            return [(int(value is None), False), (value or 0, descending)]
        case _:
            return [(int(value), descending)]


def in_order(rows: Sequence[tuple[tuple[TermValue, ...], str]], descending: Sequence[bool]) -> list[str]:
    """Return the names of rows (terms, name) by their terms."""
    ordered = list(rows)
    # A sort keeps the order of equals: the last term first.
    for at in range(len(descending) - 1, -1, -1):
        ordered.sort(key=lambda row: row[0][at], reverse=descending[at])
    return [name for _, name in ordered]


def is_behind(terms: Sequence[TermValue], after: Sequence[TermValue], descending: Sequence[bool]) -> bool:
    """Return whether a row with these terms comes behind the one of a cursor. Raises InvalidRequest if the cursor's are
    of other types."""
    if [type(one) for one in terms] != [type(one) for one in after]:
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    for one, other, down in zip(terms, after, descending, strict=True):
        if one != other:
            return bool(one < other) if down else bool(one > other)  # type: ignore[operator]
    return False
