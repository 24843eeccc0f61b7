"""Statements for one page of runs: continued by keyset (never by OFFSET, whose cost grows with the page).

A page is found in two steps, so that it costs the same however many runs there are. A *window* walks over single
states in the page's order and takes the first few hundred whose state may belong to the page: one look at a column or
two, no grouping. The *exact* statement then asks of these runs alone for their newest states, filters and orders
them, and keeps what comes before the window's end: behind it the window does not know all runs. If that is not
enough for a page, a larger window that also looks into metrics and logged values follows, and in the end the exact
statement over all runs.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_query.filters.compiler import (
    SUMMARY_COLUMNS,
    compile_filter,
    compile_for_states,
)
from runstream_query.filters.states import weakened
from runstream_query.filters.tree import NAMED, RUN_FIELDS, Expression, Field, fields_of
from runstream_query.repositories.questions import Clock, Question
from runstream_query.repositories.statements.order import (
    BY_RUN,
    Term,
    TermValue,
    attribute_key,
    bound_term,
    is_before,
    is_behind,
    joined_terms,
    order_by,
    stored_terms,
)
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import run_rows
from runstream_query.repositories.statements.scoping import in_workspaces
from runstream_service.access import EVERYTHING, Scope

#: Sort keys that no single state knows.
_OF_THE_CLOCK: Final = ("status", "duration")


@dataclass(frozen=True, slots=True)
class Window:
    """A statement that gives (run, k0, k1, ...): at most `size` states, in the order of the page's first `terms` terms.

    `whole`: these are all that the page is ordered by, and every run has them. Else runs may lack them, which come
    behind all that have them (k0 is 1 or more).
    """

    sql: str
    parameters: Parameters
    terms: int
    size: int
    whole: bool

    def end(self, rows: Sequence[dict[str, Any]]) -> tuple[TermValue, ...] | None:
        """The values of the first terms before which the window knows every run; None if it knows all runs."""
        if len(rows) == self.size:
            return tuple(rows[-1][f"k{n}"] for n in range(self.terms))
        return None if self.whole else (1,)


def window_of(question: Question, size: int, named: bool, scope: Scope = EVERYTHING) -> Window | None:
    """The window over states behind the cursor; None if the order is of a kind that single states do not know.
    `named`: look into metrics and logged values too."""
    weak = weakened(question.expression, named) if question.expression is not None else None
    kinds = [key.field.kind for key in question.sort]
    if not any(kind in NAMED or kind in _OF_THE_CLOCK for kind in kinds):
        return _window_of_runs(question, weak, size, scope)
    # The pages of numbers are over when the cursor's rank is not 0 any more.
    if kinds[0] in NAMED and (question.after is None or question.after.terms[0] == 0):
        return _window_of_values(question, weak if named else None, size, scope)
    return None


def _window_of_runs(question: Question, weak: Expression | None, size: int, scope: Scope) -> Window:
    parameters = Parameters()
    terms = [term for key in question.sort for term in stored_terms(key.field, key.descending)] + [BY_RUN]
    selected = ", ".join(("run", *(f"{term.sql} AS k{n}" for n, term in enumerate(terms))))
    conditions = ["1"]
    if weak is not None:
        conditions.append(compile_for_states(weak, parameters, question.clock.now_us))
    if question.after is not None:
        conditions.append(is_behind(terms, question.after.terms, parameters))
    conditions += in_workspaces(scope, parameters)
    sql = (
        f"SELECT {selected} FROM run_states WHERE {' AND '.join(conditions)} ORDER BY {order_by(terms)} "
        f"LIMIT {parameters.integer(size)}"
    )
    return Window(sql, parameters, len(terms), size, True)


def _window_of_values(question: Question, weak: Expression | None, size: int, scope: Scope) -> Window:
    """Over the states of the metric or logged value that the page is ordered by first, where they are numbers."""
    parameters = Parameters()
    key = question.sort[0]
    value, table, which = _stored_value(key.field, parameters)
    number = Term(value, "Float64", key.descending)
    conditions = [which, "NOT isNaN(k1)"]
    if weak is not None:
        condition = compile_for_states(weak, parameters, question.clock.now_us)
        conditions.append(f"run IN (SELECT run FROM run_states WHERE {condition})")
    conditions += [f"run IN (SELECT run FROM run_states WHERE {one})" for one in in_workspaces(scope, parameters)]
    if question.after is not None:
        # Runs with the cursor's very value may follow it: what else they are ordered by is not known here.
        bound = bound_term(number, question.after.terms[1], parameters)
        conditions.append(f"k1 {'<=' if key.descending else '>='} {bound}")
    sql = (
        f"SELECT s.run AS run, toInt64(0) AS k0, {value} AS k1 FROM {table} AS s WHERE {' AND '.join(conditions)} "
        f"ORDER BY k1 {'DESC' if key.descending else 'ASC'} LIMIT {parameters.integer(size)}"
    )
    return Window(sql, parameters, 2, size, False)


def _stored_value(field: Field, parameters: Parameters) -> tuple[str, str, str]:
    """The number in a state of a metric or logged value, the table of these states, and which of them are its."""
    if field.kind == "metric":
        column = SUMMARY_COLUMNS[field.aggregate or "last"]
        return column, "summary_states", f"s.metric = {parameters.text(field.name)}"
    which = f"{attribute_key(field, parameters)} AND NOT s.deleted AND isNotNull(s.number)"
    return "assumeNotNull(s.number)", "attribute_states", which


def exact_statement(
    question: Question,
    limit: int,
    parameters: Parameters,
    only: Sequence[str] | None = None,
    end: Sequence[TermValue] | None = None,
    scope: Scope = EVERYTHING,
) -> str:
    """The SELECT of one page: run, k0, k1, ... and no other columns, so that it reads as little as it can.

    `only` these runs, and of them those that come before `end`; else all runs.
    """
    expression, after, clock = question.expression, question.after, question.clock
    among = parameters.run_ids(only) if only is not None else None
    terms: list[Term] = []
    joins: list[str] = []
    for key in question.sort:
        if key.field.kind in NAMED:
            join, joined = joined_terms(key, f"j{len(joins)}", among, parameters)
            joins.append(join)
            terms.extend(joined)
        else:
            terms.extend(stored_terms(key.field, key.descending))
    terms.append(BY_RUN)
    selected = ", ".join(("run", *(f"{term.sql} AS k{n}" for n, term in enumerate(terms))))
    conditions = [is_behind(terms, after.terms, parameters)] if after is not None else []
    conditions += [is_before(terms, end, parameters)] if end is not None else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = _matching(expression, columns_of(key.field for key in question.sort), among, clock, parameters, scope)
    return (
        f"SELECT * FROM (SELECT {selected} FROM {rows} AS matching {' '.join(joins)}){where} "
        f"ORDER BY {order_by(terms)} LIMIT {parameters.integer(limit)}"
    )


def count_statement(
    expression: Expression | None, clock: Clock, parameters: Parameters, scope: Scope = EVERYTHING
) -> str:
    """One row (total): how many runs match."""
    return f"SELECT count() AS total FROM {_matching(expression, (), None, clock, parameters, scope)} AS matching"


def _matching(
    expression: Expression | None,
    columns: Collection[str],
    among: str | None,
    clock: Clock,
    parameters: Parameters,
    scope: Scope,
) -> str:
    """A subquery of the run rows that match, with these columns."""
    conditions = in_workspaces(scope, parameters)
    read = dict.fromkeys(("run", *columns, *(("workspace",) if conditions else ())))
    if expression is not None:
        read |= dict.fromkeys(columns_of(fields_of(expression)))
        conditions.insert(0, compile_filter(expression, parameters, clock.now_us, among))
    rows = run_rows(parameters, clock, tuple(read), among)
    return f"(SELECT * FROM {rows} WHERE {' AND '.join(conditions)})" if conditions else rows


def columns_of(fields: Iterable[Field]) -> list[str]:
    """The columns of the runs' rows that these fields are in, each once, in the order of their names."""
    return [RUN_FIELDS[kind].name for kind in sorted({field.kind for field in fields if field.kind not in NAMED})]
