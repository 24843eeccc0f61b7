"""Questions for lists of runs: which runs, in which order, with which columns, behind which row."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field as ModelField

from runstream_query.errors import FilterError, InvalidRequest
from runstream_query.filters.tree import Expression
from runstream_query.http.cells import Cells
from runstream_query.http.columns import ColumnsParameters
from runstream_query.http.filtering import FilterParameters, expression_of
from runstream_query.http.requests import PastParameters
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.questions import SortKey, question_of
from runstream_query.repositories.runs import RunRecord
from runstream_query.repositories.statements.order import DEFAULT_SORT, TermValue, parse_sort
from runstream_query.responses import RunRow

#: A question below it is read within 2 ms.
_LONG_QUESTION_CHARS: Final = 500


class RunsParameters(FilterParameters, PastParameters):
    sort: str = ModelField(
        default=DEFAULT_SORT, max_length=5000, description="fields, comma-separated, - in front for descending"
    )
    columns: str = ModelField(
        default="",
        max_length=100_000,
        description="metric, param, other and env fields whose values each row has, or globs of them (param.*, "
        "metric.val/*)",
    )
    optional_columns: str = ModelField(
        default="",
        max_length=10_000,
        description="further columns, of which `unknown` says nothing where no run has them",
    )
    limit: int = ModelField(
        default=100, ge=1, description="rows a page; where it is not given, no more than the server allows"
    )
    cursor: str | None = ModelField(default=None, max_length=60_000)
    count: bool = ModelField(default=False, description="also count all matching runs")


@dataclass(frozen=True, slots=True)
class Understood:
    """A question as it was read. agreed: what a cursor must agree with; after: the cursor."""

    expression: Expression
    sort: tuple[SortKey, ...]
    columns: ColumnsParameters
    agreed: str
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of runs: the values of its columns, what makes its rows (in a thread, if they are many), the terms of the
    last run where another page follows, and how many match in all, where that was asked."""

    cells: Cells
    rows: Callable[[], list[RunRow]]
    ends: tuple[TermValue, ...] | None
    total: int | None


async def understood(parameters: RunsParameters, moment: str) -> Understood:
    """Return what a request asks. moment: the position of the log that all of its pages are as of; empty: none. Raises
    FilterError, InvalidRequest."""
    texts = (parameters.filter, parameters.sort, parameters.columns, parameters.optional_columns, parameters.cursor)
    # A long question takes up to half a second to read.
    if sum(len(text or "") for text in texts) > _LONG_QUESTION_CHARS:
        return await asyncio.to_thread(_understood, parameters, moment)
    return _understood(parameters, moment)


def _understood(parameters: RunsParameters, moment: str) -> Understood:
    expression = expression_of(parameters)
    try:
        sort = parse_sort(parameters.sort)
    except FilterError as error:
        raise FilterError(f"sort: {error.message}", text=error.text, column=error.column, name="sort") from None
    columns = ColumnsParameters(parameters.columns, parameters.optional_columns)
    agreed = question_of(expression, sort, moment)
    after = Cursor.parse(parameters.cursor, agreed) if parameters.cursor else None
    return Understood(expression, sort, columns, agreed, after)


def page_rows(parameters: RunsParameters, max_page: int) -> int:
    """Return how many rows a page has at most. Raises InvalidRequest."""
    if "limit" not in parameters.model_fields_set:
        return min(parameters.limit, max_page)
    if parameters.limit > max_page:
        raise InvalidRequest(f"limit is {parameters.limit}: at most {max_page} are allowed", name="limit")
    return parameters.limit


def run_row(record: RunRecord, columns: dict[str, Any] | None = None) -> RunRow:
    """The response's row of a run."""
    return RunRow(**record.columns, columns=columns or {})
