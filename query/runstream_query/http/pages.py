"""One page of runs, found with as few looks at the store as it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import check
from runstream_query.http.context import Context
from runstream_query.repositories.statements.order import TermValue, term_count
from runstream_query.repositories.statements.pages import Question, exact_statement, window_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import (
    Clock,
    details_statement,
    row_of_details,
    shown_row,
    silent_runs,
)
from runstream_service.store import QueryLimitExceeded

Row = dict[str, Any]

#: States of the first window: a page of 100 that one run in four belongs to.
FIRST_WINDOW: Final = 400
#: States a wanted run in the second one, of which nearly all belong to the page: some are old, some twice there.
#: Looking up a run costs about 0.1 ms, so that many more would cost what grouping all states does.
STATES_PER_RUN: Final = 2
#: Fields of QueryLimits that a page of large runs meets, and by what it is cut then: a page of 1,000 is cut four times.
_OF_SIZE: Final = ("result_bytes", "memory_bytes")
_CUT: Final = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Rows with RUN_COLUMNS, in order; `ends` are the terms of the last one, None on the last page."""

    rows: Sequence[Row]
    ends: tuple[TermValue, ...] | None


async def page_rows(context: Context, question: Question, limit: int) -> Page:
    """The first runs of a question: `limit`, or fewer where their texts are larger than a query may return. Raises
    FilterError, InvalidRequest and what the store raises."""
    if question.expression is not None:
        check(question.expression)
    terms = term_count(question.sort)
    if question.after is not None and len(question.after.terms) != terms:
        raise InvalidRequest("this cursor belongs to another sort: leave it out", name="cursor")
    rows = await _found(context, question, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    while True:
        try:
            shown = await shown_rows(context, [row["run"] for row in rows], question.clock)
            break
        except QueryLimitExceeded as error:
            # Notes, messages and tags of all of them are too large for one page, which nobody can know before: else one
            # who writes such runs would keep everybody from the list that they stand in.
            if error.limit not in _OF_SIZE or len(rows) <= 1:
                raise
            rows, more = rows[: max(1, len(rows) // _CUT)], True
    # A run can only go away between two statements if the store is being rebuilt.
    found = [shown[row["run"]] for row in rows if row["run"] in shown]
    return Page(found, tuple(rows[-1][f"k{n}"] for n in range(terms)) if more else None)


async def _found(context: Context, question: Question, wanted: int) -> list[Row]:
    enough = STATES_PER_RUN * wanted
    for size, named in ((max(FIRST_WINDOW, enough), False), (enough, True)):
        window = window_of(question, size, named)
        if window is None:
            break
        states = await context.rows(window.sql, window.parameters)
        runs = list(dict.fromkeys(state["run"] for state in states))
        end = window.end(states)
        rows: list[Row] = []
        if runs:
            bound = Parameters()
            rows = await context.rows(exact_statement(question, wanted, bound, runs, end), bound)
        if len(rows) == wanted or end is None:
            return rows
    bound = Parameters()
    return await context.rows(exact_statement(question, wanted, bound), bound)


async def shown_rows(context: Context, runs: Sequence[str], clock: Clock) -> dict[str, Row]:
    """Run -> RUN_COLUMNS of its newest state, in the order of `runs`, by the primary key. A run that is not there is
    left out; only a running run's writers are looked at."""
    if not runs:
        return {}
    bound = Parameters()
    details = await context.rows(details_statement(bound.run_ids(runs)), bound)
    rows = {detail["run"]: row_of_details(detail) for detail in details}
    running = [run for run, row in rows.items() if row["status"] == "running"]
    silent: dict[str, datetime] = {}
    if running:
        bound = Parameters()
        found = await context.rows(silent_runs(bound, clock, bound.run_ids(running)), bound)
        silent = {row["key"]: row["silent_since"] for row in found}
    return {run: shown_row(rows[run], silent.get(run), clock) for run in runs if run in rows}
