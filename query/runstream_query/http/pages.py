"""One page of runs, found with as few looks at the store as it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import check
from runstream_query.http.context import Context
from runstream_query.sql.order import TermValue, term_count
from runstream_query.sql.pages import Question, exact_statement, window_of
from runstream_query.sql.parameters import Parameters
from runstream_query.sql.runs import RUN_COLUMNS, run_rows

Row = dict[str, Any]

#: States of the first window: a page of 100 that one run in four belongs to, or whose runs have four states each.
#: An id in a statement costs about 10 us, so that a window is not worth more than what grouping everything costs.
FIRST_WINDOW: Final = 400
#: Of the second, which only holds runs of which some state passes the whole filter.
SECOND_WINDOW: Final = 2_000
_DETAILS: Final = tuple(column for column in RUN_COLUMNS if column != "run")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows with RUN_COLUMNS, in order; `ends` are the terms of the last one, None on the last page."""

    rows: Sequence[Row]
    ends: tuple[TermValue, ...] | None


async def page_rows(context: Context, question: Question, limit: int) -> Page:
    """The first `limit` runs of a question. Raises FilterError, InvalidRequest and what the store raises."""
    if question.expression is not None:
        check(question.expression)
    terms = term_count(question.sort)
    if question.after is not None and len(question.after.terms) != terms:
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    rows = await _found(context, question, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, tuple(rows[-1][f"k{n}"] for n in range(terms)) if more else None)


async def _found(context: Context, question: Question, wanted: int) -> list[Row]:
    for size, named in ((max(FIRST_WINDOW, 2 * wanted), False), (max(SECOND_WINDOW, 4 * wanted), True)):
        window = window_of(question, size, named)
        if window is None:
            break
        states = await context.rows(window.sql, window.parameters)
        runs = list(dict.fromkeys(state["run"] for state in states))
        end = window.end(states)
        rows = await _exact(context, question, wanted, runs, end) if runs else []
        if len(rows) == wanted or end is None:
            return rows
    bound = Parameters()
    rows = await context.rows(exact_statement(question, wanted, bound), bound)
    return await _with_details(context, question, rows)


async def _exact(
    context: Context, question: Question, wanted: int, runs: Sequence[str], end: Sequence[TermValue] | None
) -> list[Row]:
    bound = Parameters()
    return await context.rows(exact_statement(question, wanted, bound, _DETAILS, runs, end), bound)


async def _with_details(context: Context, question: Question, rows: Sequence[Row]) -> list[Row]:
    """The same rows with RUN_COLUMNS, by the primary key: reading these of all runs would be slow."""
    if not rows:
        return []
    bound = Parameters()
    source = run_rows(bound, question.clock, RUN_COLUMNS, bound.texts([row["run"] for row in rows]))
    details = {row["run"]: row for row in await context.rows(f"SELECT {', '.join(RUN_COLUMNS)} FROM {source}", bound)}
    # A run can only go away between two statements if the store is being rebuilt.
    return [details[row["run"]] | row for row in rows if row["run"] in details]
