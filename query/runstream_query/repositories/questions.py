"""Questions about runs: which ones, in which order, behind which row, and when they are asked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from runstream_query.filters.printer import print_field, print_filter
from runstream_query.filters.tree import Expression, Field
from runstream_query.repositories.cursors import Cursor


@dataclass(frozen=True, slots=True)
class Clock:
    """When a question is asked, and how long writers may be silent until their run counts as crashed."""

    now_us: int
    silence_us: int


@dataclass(frozen=True, slots=True)
class SortKey:
    field: Field
    descending: bool = False

    def __str__(self) -> str:
        return ("-" if self.descending else "") + print_field(self.field)


@dataclass(frozen=True, slots=True)
class Question:
    """Which runs, in which order, behind which row, and when it is asked."""

    expression: Expression | None
    sort: Sequence[SortKey]
    after: Cursor | None
    clock: Clock


def question_of(expression: Expression | None, sort: Sequence[SortKey], scope: str) -> str:
    """What a cursor must agree with."""
    text = "\n".join((print_filter(expression) if expression else "", ",".join(map(str, sort)), scope))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
