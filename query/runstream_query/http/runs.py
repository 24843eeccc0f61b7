"""Runs: lists with filter, sort, page and columns; one run; its writers."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.filters.tree import fields_of, required_fields
from runstream_query.http.cells import cells_of
from runstream_query.http.columns import ColumnsParameters
from runstream_query.http.context import Context
from runstream_query.http.past import folded, run_row_of_past
from runstream_query.http.past_runs import PastQuestion, past_page
from runstream_query.http.requests import PastParameters
from runstream_query.http.run_questions import Page, RunsParameters, Understood, page_rows, understood
from runstream_query.http.run_questions import run_row as run_row
from runstream_query.http.serving import POSITION_HEADER
from runstream_query.http.tables import CSV, stream_csv, wants_csv
from runstream_query.http.unknown import unknown_fields, unknown_header, unknown_names_of_places, unknown_place
from runstream_query.http.writers import writers_now, writers_of_past
from runstream_query.repositories.arguments import Place
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.questions import Clock, Question
from runstream_query.repositories.statements.order import DEFAULT_SORT
from runstream_query.responses import RunDetail, Runs
from runstream_query.table_rows import RUN_HEADER, run_rows
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass


def class_of(parameters: RunsParameters) -> QueryClass:
    """The first page of everything costs the same however many runs there are; anything else may look at all."""
    plain = (
        not parameters.filter.strip()
        and not parameters.columns
        and not parameters.optional_columns
        and not parameters.count
        and parameters.sort == DEFAULT_SORT
    )
    return QueryClass.LIGHT if plain else QueryClass.HEAVY


async def list_runs(context: Context, call: Call[RunsParameters]) -> Runs | web.StreamResponse:
    """One page; as CSV all pages."""
    if wants_csv(call.request):
        return await _all_as_csv(context, call)
    return await _page(context, call.parameters)


async def _all_as_csv(context: Context, call: Call[RunsParameters]) -> web.StreamResponse:
    """All runs, or the first `limit`. Raises InvalidRequest where globs of columns are not those of the first page
    alone: the header stands before all rows."""
    parameters, most = call.parameters, context.settings.max_page
    left = parameters.limit if "limit" in parameters.model_fields_set else None
    position = str(context.visibility.visible())
    size = most if left is None else min(left, most)
    page = await _page(context, parameters.model_copy(update={"limit": size}))
    columns = ColumnsParameters(parameters.columns, parameters.optional_columns)
    more = page.next_cursor is not None and left != len(page.runs)
    if columns.globs and more:
        detail = (
            f"columns: a glob may mean others on each page of {most} runs: name the columns (POST /api/v1/runs/fields"
        )
        raise InvalidRequest(f"{detail} lists them), or give a limit of {most} at most", name="columns")
    named = list(dict.fromkeys(text for texts in columns.named.values() for text in texts))
    found = {name for run in page.runs for name in run.columns}
    names = [*named, *sorted(found - set(named))]

    async def pages() -> AsyncIterator[Iterable[Sequence[Any]]]:
        now, rest = page, None if left is None else left - len(page.runs)
        yield run_rows(now.runs, names)
        while now.next_cursor is not None and rest != 0:
            update = {"limit": most if rest is None else min(rest, most), "cursor": now.next_cursor, "count": False}
            update |= {} if page.as_of is None else {"as_of": page.as_of}
            now = await _page(context, parameters.model_copy(update=update))
            rest = None if rest is None else rest - len(now.runs)
            yield run_rows(now.runs, names)

    headers = {POSITION_HEADER: position, **unknown_header(page.unknown)}
    return await stream_csv(context, call.request, [*RUN_HEADER, *names], pages(), headers)


async def _page(context: Context, parameters: RunsParameters) -> Runs:
    """One page. Four statements in most cases, however many runs and columns there are (five with count); as of a past
    moment up to nine."""
    rows = page_rows(parameters, context.settings.max_page)
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    question = await understood(parameters, "" if prefix is None else str(prefix))
    clock = context.clock(question.after.now_us if question.after else None)
    if prefix is None:
        page = await _page_now(context, question, clock, rows, parameters.count)
    else:
        page = await past_page(context, PastQuestion(question, prefix, clock), rows, parameters.count)
    unknown = await _unknown(context, parameters, question, page.cells) if question.after is None else []
    return Runs(
        runs=await asyncio.to_thread(page.rows) if context.usage.is_large else page.rows(),
        next_cursor=Cursor(page.ends, clock.now_us, question.agreed).text() if page.ends is not None else None,
        total=page.total,
        as_of=None if prefix is None else str(prefix),
        unknown=unknown,
    )


async def _page_now(context: Context, question: Understood, clock: Clock, rows: int, count: bool) -> Page:
    asked = Question(question.expression, question.sort, question.after, clock)
    page = await context.repositories.runs.page(context.scope, asked, rows)
    total = None
    if count:
        total = await context.repositories.runs.count(context.scope, question.expression, clock)
    cells = await cells_of(context, [record.run for record in page.runs], question.columns)
    return Page(cells, lambda: [run_row(record, cells[record.run]) for record in page.runs], page.ends, total)


async def _unknown(
    context: Context, parameters: RunsParameters, question: Understood, cells: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What the filter, the order and the columns of a first page name and no run has."""
    within = Place(parameters.workspace, parameters.project, parameters.experiment)
    if not cells and (told := await unknown_place(context, within)):
        return told
    expression, sort, columns = question.expression, question.sort, question.columns
    places = [] if cells or expression is None else await unknown_names_of_places(context, expression)
    fields = {key.field for key in sort} | columns.expected | (fields_of(expression) if expression else set())
    shown = columns.seen({key for row in cells.values() for key in row})
    if cells and expression is not None:
        shown |= {(field.kind, field.name) for field in required_fields(expression)}
    return places + await unknown_fields(context, within, fields, shown)


async def show_run(context: Context, call: Call[PastParameters]) -> RunDetail:
    run = call.path["run"]
    prefix = await context.prefix(call.parameters.as_of, call.parameters.wait_s)
    if prefix is not None:
        past = await folded(context, run, prefix)
        then = await writers_of_past(context, run, past, prefix)
        return RunDetail(
            run=run_row_of_past(past, context.now_us()),
            clock_ahead_s=then.clock_ahead_s,
            writers=then.writers,
            metrics=then.metrics,
            parameters=sum(row["kind"] == "parameter" for row in past.attributes),
            assets=len(past.assets),
            last_step=then.last_step,
        )
    runs = context.repositories.runs
    rows = await runs.shown(context.scope, [run], context.clock())
    if run not in rows:
        raise NotFound(f"no run has the id {run!r}: look it up in /api/v1/runs, or wait for it with wait_for")
    counts, (writers, ahead_s) = await asyncio.gather(runs.counts(context.scope, run), writers_now(context, run))
    return RunDetail(run=run_row(rows[run]), clock_ahead_s=ahead_s, writers=writers, **dataclasses.asdict(counts))


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        "/api/v1/runs",
        Action.READ,
        "Runs: filter, sort, page, columns",
        list_runs,
        RunsParameters,
        Runs,
        (CSV,),
        query_class=class_of,
    ),
    Route(
        "POST",
        "/api/v1/runs/query",
        Action.READ,
        "The same, with a long question in the body",
        list_runs,
        RunsParameters,
        Runs,
        (CSV,),
        query_class=class_of,
        examples={"the best": {"filter": "metric.loss.min < 0.1", "sort": "metric.loss.min", "limit": 20}},
    ),
    Route("GET", "/api/v1/runs/{run}", Action.READ, "One run", show_run, PastParameters, RunDetail),
)
