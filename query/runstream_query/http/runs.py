"""Runs: lists with filter, sort, page and columns; one run; its writers."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from aiohttp import web
from pydantic import Field as ModelField

from runstream.globs import exact
from runstream_query.errors import FilterError, InvalidRequest, NotFound
from runstream_query.filters.compiler import ATTRIBUTE_KINDS, SUMMARY_COLUMNS
from runstream_query.filters.tree import Expression, Field, fields_of, required_fields
from runstream_query.http.columns import ColumnsParameters
from runstream_query.http.context import Context
from runstream_query.http.filtering import FilterParameters, expression_of
from runstream_query.http.past import folded, run_row_of_past
from runstream_query.http.requests import PastParameters
from runstream_query.http.serving import POSITION_HEADER
from runstream_query.http.tables import CSV, stream_csv, wants_csv
from runstream_query.http.unknown import unknown_fields, unknown_header, unknown_names_of_places, unknown_place
from runstream_query.http.writers import writers_now, writers_of_past
from runstream_query.repositories.arguments import Place
from runstream_query.repositories.attributes import AttributeCell
from runstream_query.repositories.attributes import Kind as WantedKind
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.questions import Question, SortKey, question_of
from runstream_query.repositories.reader import rows_of
from runstream_query.repositories.runs import RunRecord
from runstream_query.repositories.statements.order import DEFAULT_SORT, parse_sort
from runstream_query.responses import RunDetail, RunRow, Runs
from runstream_query.table_rows import RUN_HEADER, run_rows
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

#: A question below it is read within 2 ms.
_LONG_QUESTION_CHARS: Final = 500


class RunsParameters(FilterParameters):
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


Understood: TypeAlias = tuple[Expression | None, tuple[SortKey, ...], ColumnsParameters, str, Cursor | None]


def _understood(parameters: RunsParameters) -> Understood:
    """Filter, order and columns; what a cursor must agree with, and the cursor. Raises FilterError, InvalidRequest."""
    expression = expression_of(parameters)
    try:
        sort = parse_sort(parameters.sort)
    except FilterError as error:
        raise FilterError(f"sort: {error.message}", text=error.text, column=error.column, name="sort") from None
    columns = ColumnsParameters(parameters.columns, parameters.optional_columns)
    agreed = question_of(expression, sort, "")
    return expression, sort, columns, agreed, Cursor.parse(parameters.cursor, agreed) if parameters.cursor else None


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


def _page_rows(parameters: RunsParameters, max_page: int) -> int:
    """Return how many rows a page has at most. Raises InvalidRequest."""
    if "limit" not in parameters.model_fields_set:
        return min(parameters.limit, max_page)
    if parameters.limit > max_page:
        raise InvalidRequest(f"limit is {parameters.limit}: at most {max_page} are allowed", name="limit")
    return parameters.limit


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
            now = await _page(context, parameters.model_copy(update=update))
            rest = None if rest is None else rest - len(now.runs)
            yield run_rows(now.runs, names)

    headers = {POSITION_HEADER: position, **unknown_header(page.unknown)}
    return await stream_csv(context, call.request, [*RUN_HEADER, *names], pages(), headers)


async def _page(context: Context, parameters: RunsParameters) -> Runs:
    """One page. Four statements in most cases, however many runs and columns there are (five with count)."""
    rows = _page_rows(parameters, context.settings.max_page)
    # A long question takes up to half a second to read.
    texts = (parameters.filter, parameters.sort, parameters.columns, parameters.optional_columns, parameters.cursor)
    long = sum(len(text or "") for text in texts) > _LONG_QUESTION_CHARS
    understood = await asyncio.to_thread(_understood, parameters) if long else _understood(parameters)
    expression, sort, columns, agreed, after = understood
    clock = context.clock(after.now_us if after else None)
    page = await context.repositories.runs.page(context.scope, Question(expression, sort, after, clock), rows)
    total = None
    if parameters.count:
        total = await context.repositories.runs.count(context.scope, expression, clock)
    cells = await _cells(context, [record.run for record in page.runs], columns)
    unknown = await _unknown(context, parameters, understood, cells) if after is None else []

    def made() -> list[RunRow]:
        return [run_row(record, cells[record.run]) for record in page.runs]

    return Runs(
        runs=await asyncio.to_thread(made) if context.usage.is_large else made(),
        next_cursor=Cursor(page.ends, clock.now_us, agreed).text() if page.ends is not None else None,
        total=total,
        unknown=unknown,
    )


async def _unknown(
    context: Context, parameters: RunsParameters, understood: Understood, cells: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What the filter, the order and the columns of a first page name and no run has."""
    within = Place(parameters.workspace, parameters.project, parameters.experiment)
    if not cells and (told := await unknown_place(context, within)):
        return told
    expression, sort, columns, _, _ = understood
    places = [] if cells or expression is None else await unknown_names_of_places(context, expression)
    fields = {key.field for key in sort} | columns.expected | (fields_of(expression) if expression else set())
    shown = columns.seen({key for row in cells.values() for key in row})
    if cells and expression is not None:
        shown |= {(field.kind, field.name) for field in required_fields(expression)}
    return places + await unknown_fields(context, within, fields, shown)


def run_row(record: RunRecord, columns: dict[str, Any] | None = None) -> RunRow:
    """The response's row of a run."""
    return RunRow(**record.columns, columns=columns or {})


async def _cells(context: Context, runs: Sequence[str], columns: ColumnsParameters) -> dict[str, dict[str, Any]]:
    """Run -> column -> value, for one page of runs: one statement for metrics, one for all else."""
    cells: dict[str, dict[str, Any]] = {run: {} for run in runs}
    if not runs or not (columns.named or columns.globs):
        return cells
    summaries, attributes = await asyncio.gather(
        _summary_cells(context, runs, columns), _attribute_cells(context, runs, columns)
    )
    limit = context.settings.max_cells
    if len(summaries) > limit or len(attributes) > limit:
        raise InvalidRequest(
            f"columns: more than {limit} values for {len(runs)} runs: ask for fewer columns or a smaller limit",
            name="columns",
        )
    if context.usage.is_large:
        await asyncio.to_thread(_fill, cells, summaries, attributes, columns)
    else:
        _fill(cells, summaries, attributes, columns)
    return cells


def _fill(
    cells: dict[str, dict[str, Any]],
    summaries: list[dict[str, Any]],
    attributes: list[AttributeCell],
    columns: ColumnsParameters,
) -> None:
    metrics: dict[str, list[tuple[str, list[str]]]] = {}
    for row in summaries:
        name = row["metric"]
        if name not in metrics:
            fields = [(aggregate, Field("metric", name, aggregate)) for aggregate in SUMMARY_COLUMNS]
            metrics[name] = [(aggregate, keys) for aggregate, field in fields if (keys := columns.keys(field))]
        for aggregate, keys in metrics[name]:
            cells[row["run"]].update(dict.fromkeys(keys, row[aggregate]))
    kinds = {stored: kind for kind, stored in ATTRIBUTE_KINDS.items()}
    known: dict[tuple[str, str], list[str]] = {}
    for cell in attributes:
        if (cell.kind, cell.name) not in known:
            known[cell.kind, cell.name] = columns.keys(Field(kinds[cell.kind], cell.name))
        if keys := known[cell.kind, cell.name]:
            cells[cell.run].update(dict.fromkeys(keys, json.loads(cell.value)))


async def _summary_cells(context: Context, runs: Sequence[str], columns: ColumnsParameters) -> list[dict[str, Any]]:
    names = columns.names("metric")
    globs = [glob for glob in columns.globs if glob.kind == "metric"]
    if not names and not globs:
        return []
    wanted = {field.aggregate for field in columns.named if field.kind == "metric" and field.aggregate}
    wanted |= {glob.aggregate for glob in globs if glob.aggregate}
    chosen = [*map(exact, names), *dict.fromkeys(glob.glob for glob in globs)]
    limit = context.settings.max_cells + 1
    return await rows_of(await context.repositories.summaries.cells(context.scope, runs, wanted, chosen, limit))


async def _attribute_cells(context: Context, runs: Sequence[str], columns: ColumnsParameters) -> list[AttributeCell]:
    wanted = []
    for kind, stored in ATTRIBUTE_KINDS.items():
        if any(glob.kind == kind for glob in columns.globs):
            wanted.append(WantedKind(stored))
        elif names := columns.names(kind):
            wanted.append(WantedKind(stored, names))
    if not wanted:
        return []
    return await context.repositories.attributes.cells(context.scope, runs, wanted, context.settings.max_cells + 1)


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
