"""Lists of runs as of a past moment: which runs were there, and their rows, columns and order as they stood then."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from runstream.events.positions import Positions
from runstream.globs import exact
from runstream_model.past import LoggedEvent, PastRun, run_after
from runstream_model.statistics import AGGREGATES
from runstream_query.errors import LimitExceeded
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.evaluation import (
    Facts,
    LoggedValue,
    conjuncts,
    holds,
    is_of_columns,
    texts_of,
)
from runstream_query.filters.tree import RUN_FIELDS, And, Field, fields_of
from runstream_query.http.cells import Cells, aggregates_of, fill_cells, kinds_of, metrics_of
from runstream_query.http.context import Context
from runstream_query.http.past import require_foldable, run_row_of_past, summaries_of_past
from runstream_query.http.run_questions import Page, Understood, run_row
from runstream_query.repositories.attributes import AttributeCell, Kind
from runstream_query.repositories.ordering import in_order, is_behind, terms_of
from runstream_query.repositories.past_runs import Candidates, KeyedEvent
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.runs import RunRecord
from runstream_query.repositories.statements.order import TermValue
from runstream_query.responses import RunRow

#: What is read of a run that has not changed, whatever is asked: its duration follows from these.
_READ = ("started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class PastQuestion:
    """A question, the position of the log that it is as of, and when it is asked."""

    question: Understood
    prefix: Positions
    clock: Clock


@dataclass(frozen=True, slots=True)
class PastList:
    """Runs as they were: the columns that were read of those that have not changed since, and the others, folded."""

    unchanged: Mapping[str, Mapping[str, Any]]
    folded: Mapping[str, PastRun]


@dataclass(frozen=True, slots=True)
class _Found:
    """The ids of a page in order, the terms of its last run where another page follows, and how many match."""

    runs: Sequence[str]
    ends: tuple[TermValue, ...] | None
    total: int


async def past_page(context: Context, asked: PastQuestion, limit: int, count: bool) -> Page:
    """Return a page of at most `limit` runs. Raises FilterError, InvalidRequest, LimitExceeded."""
    question = asked.question
    fields = fields_of(question.expression) | {key.field for key in question.sort}
    listed = await past_list(context, asked, fields)
    facts = await _facts(context, asked.prefix, listed, fields, asked.clock)
    found = await asyncio.to_thread(_found, question, facts, asked.clock, limit)
    cells = await _cells(context, asked, listed, found.runs)
    kept = [run for run in found.runs if run in listed.unchanged]
    records = await context.repositories.runs.stored(context.scope, kept, asked.clock)

    def rows() -> list[RunRow]:
        return [_row(run, records, listed, cells, asked.clock) for run in found.runs]

    return Page(cells, rows, found.ends, found.total if count else None)


async def past_list(context: Context, asked: PastQuestion, fields: Iterable[Field]) -> PastList:
    """Return the runs that can be in the list, with what is needed to tell. Raises FilterError, LimitExceeded."""
    expression, read = asked.question.expression, context.repositories.past_runs
    columns = {RUN_FIELDS[field.kind].name for field in fields if field.kind in RUN_FIELDS}
    columns = {*_READ, *columns} - {"duration_s", "run"}
    stored = [one for one in conjuncts(expression) if is_of_columns(one)]
    tested = None if not stored else stored[0] if len(stored) == 1 else And(tuple(stored))
    limit = context.settings.max_past_runs
    candidates = Candidates(*(texts_of(expression, kind) for kind in ("id", "workspace", "project")))
    max_events = context.settings.max_past_events
    rows, events = await asyncio.gather(
        read.unchanged(context.scope, asked.prefix, tested, sorted(columns), asked.clock, limit + 1),
        read.changed(context.scope, asked.prefix, candidates, max_events + 1),
    )
    require_foldable([one.logged for one in events], max_events, "the runs that changed since then together")
    changed = list(dict.fromkeys(one.run for one in events))
    if len(rows) + len(changed) > limit:
        raise LimitExceeded(
            f"more than {limit} runs may be in this list, which is what one list of the past may look at "
            "(RUNSTREAM_QUERY_MAX_PAST_RUNS): name a project, or filter by id, created, tag or another column of runs",
            limit="max_past_runs",
            value=limit,
        )
    created_us = await read.created_us(context.scope, changed) if changed else {}
    async with context.folding:
        folded = await asyncio.to_thread(_folded, events, created_us)
    return PastList({row["run"]: row for row in rows}, folded)


def _folded(events: Sequence[KeyedEvent], created_us: Mapping[str, int]) -> dict[str, PastRun]:
    return {
        run: run_after(run, _logged_of(some), created_us.get(run)) for run, some in groupby(events, lambda one: one.run)
    }


def _logged_of(events: Iterable[KeyedEvent]) -> list[LoggedEvent]:
    return [one.logged for one in events]


async def _facts(
    context: Context, prefix: Positions, listed: PastList, fields: Iterable[Field], clock: Clock
) -> list[Facts]:
    """Return what filter and order look at, of each run."""
    named = list(fields)
    metrics = sorted({field.name for field in named if field.kind == "metric"})
    wanted: dict[str, set[str]] = {}
    for field in named:
        if field.kind in ATTRIBUTE_KINDS:
            wanted.setdefault(ATTRIBUTE_KINDS[field.kind], set()).add(field.name)
    runs = [*listed.unchanged, *listed.folded]
    summaries = await _summaries(context, prefix, runs, [exact(name) for name in metrics]) if metrics else []
    logged: dict[str, dict[tuple[str, str], LoggedValue]] = {run: {} for run in runs}
    if wanted and listed.unchanged:
        kinds = [Kind(kind, sorted(names)) for kind, names in wanted.items()]
        for cell in await context.repositories.past_runs.logged(context.scope, list(listed.unchanged), kinds):
            logged[cell.run][cell.kind, cell.name] = LoggedValue(cell.value, cell.text, cell.number)
    for run, past in listed.folded.items():
        for row in past.attributes:
            logged[run][row["kind"], row["name"]] = LoggedValue(row["value"], row["text"], row["number"])
    numbers: dict[str, dict[tuple[str, str], float]] = {run: {} for run in runs}
    for one in summaries:
        numbers[one["run"]].update({(one["metric"], name): one[name] for name in AGGREGATES})
    rows = {**listed.unchanged, **{run: past.row for run, past in listed.folded.items()}}
    return [
        Facts({**row, "duration_s": _duration_s(row, clock)}, numbers[run], logged[run]) for run, row in rows.items()
    ]


def _duration_s(row: Mapping[str, Any], clock: Clock) -> float:
    end_us: int = clock.now_us if row["ended_at"] is None else row["ended_at"]
    began_us: int = row["started_at"]
    return max(end_us - began_us, 0) / 1_000_000


async def _summaries(
    context: Context, prefix: Positions, runs: Sequence[str], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Return run, metric and a number for each aggregate, of these metrics (globs) as they were. Raises InvalidRequest,
    LimitExceeded."""
    limit = context.settings.max_cells
    rows = await context.repositories.past_runs.summaries(context.scope, runs, metrics, prefix, limit + 1)
    if len(rows) > limit:
        raise LimitExceeded(
            f"these runs have more than {limit} series of these metrics, which is what one list may look at "
            "(RUNSTREAM_QUERY_MAX_CELLS): name fewer metrics, or narrow the list",
            limit="max_cells",
            value=limit,
        )
    found = [_numbers(row) for row in rows if row["kept"]]
    folded = 0
    for some, names in _grown([row for row in rows if not row["kept"]]):
        numbers = [_numbers(one.model_dump()) for one in await summaries_of_past(context, some, names, prefix, folded)]
        folded += sum(int(one["count"]) for one in numbers)
        found += numbers
    return found


def _grown(rows: Sequence[Mapping[str, Any]]) -> list[tuple[list[str], list[str]]]:
    """Return (runs, metrics) whose products are these series: runs with the same metrics are folded together."""
    by_run: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: (row["run"], row["metric"])):
        by_run.setdefault(row["run"], []).append(row["metric"])
    by_metrics: dict[tuple[str, ...], list[str]] = {}
    for run, metrics in by_run.items():
        by_metrics.setdefault(tuple(metrics), []).append(run)
    return [(runs, list(metrics)) for metrics, runs in by_metrics.items()]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {aggregate: statistic.value(row) for aggregate, statistic in AGGREGATES.items()}
    return {"run": row["run"], "metric": row["metric"], **numbers}


def _found(question: Understood, facts: Sequence[Facts], clock: Clock, limit: int) -> _Found:
    matching = [one for one in facts if holds(question.expression, one, clock.now_us)]
    terms: dict[str, tuple[TermValue, ...]] = {}
    descending: tuple[bool, ...] = ()
    for one in matching:
        terms[one.columns["run"]], descending = terms_of(question.sort, one)
    after = None if question.after is None else question.after.terms
    behind = [(values, run) for run, values in terms.items() if after is None or is_behind(values, after, descending)]
    ordered = in_order(behind, descending)
    more = len(ordered) > limit
    page = ordered[:limit]
    return _Found(page, terms[page[-1]] if more else None, len(matching))


async def _cells(context: Context, asked: PastQuestion, listed: PastList, runs: Sequence[str]) -> Cells:
    columns = asked.question.columns
    cells: Cells = {run: {} for run in runs}
    if not runs or not (columns.named or columns.globs):
        return cells
    summaries: list[dict[str, Any]] = []
    if metrics := metrics_of(columns):
        wanted = {"run", "metric", *aggregates_of(columns)}
        found = await _summaries(context, asked.prefix, runs, metrics)
        summaries = [{name: row[name] for name in row if name in wanted} for row in found]
    kinds = kinds_of(columns)
    attributes: list[AttributeCell] = []
    kept = [run for run in runs if run in listed.unchanged]
    if kinds and kept:
        limit = context.settings.max_cells + 1
        attributes = await context.repositories.attributes.cells(context.scope, kept, kinds, limit)
    names = {one.kind: one.names for one in kinds}
    for run in runs:
        if run in listed.folded:
            attributes += [
                AttributeCell(run, row["kind"], row["name"], row["value"])
                for row in listed.folded[run].attributes
                if row["kind"] in names and _is_named(row["name"], names[row["kind"]])
            ]
    await fill_cells(context, cells, summaries, attributes, columns)
    return cells


def _is_named(name: str, names: Sequence[str] | None) -> bool:
    return names is None or name in names


def _row(
    run: str, records: Mapping[str, RunRecord], listed: PastList, cells: Mapping[str, dict[str, Any]], clock: Clock
) -> RunRow:
    if run in listed.folded:
        return run_row_of_past(listed.folded[run], clock.now_us).model_copy(update={"columns": cells[run]})
    return run_row(records[run], cells[run])
