"""The columns that a list of runs has beside those of every run: their values for one page."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from runstream.globs import exact
from runstream_query.errors import InvalidRequest
from runstream_query.filters.compiler import ATTRIBUTE_KINDS, SUMMARY_COLUMNS
from runstream_query.filters.tree import Field
from runstream_query.http.columns import ColumnsParameters
from runstream_query.http.context import Context
from runstream_query.repositories.attributes import AttributeCell, Kind
from runstream_query.repositories.reader import rows_of

#: Run -> column -> value.
Cells = dict[str, dict[str, Any]]


async def cells_of(context: Context, runs: Sequence[str], columns: ColumnsParameters) -> Cells:
    """Run -> column -> value, for one page of runs: one statement for metrics, one for all else."""
    cells: Cells = {run: {} for run in runs}
    if not runs or not (columns.named or columns.globs):
        return cells
    summaries, attributes = await asyncio.gather(
        _summary_cells(context, runs, columns), _attribute_cells(context, runs, columns)
    )
    await fill_cells(context, cells, summaries, attributes, columns)
    return cells


async def fill_cells(
    context: Context,
    cells: Cells,
    summaries: Sequence[Mapping[str, Any]],
    attributes: Sequence[AttributeCell],
    columns: ColumnsParameters,
) -> None:
    """Put values of summaries (run, metric and a value for each aggregate that is wanted) and attributes under the
    columns that they belong to. Raises InvalidRequest if there are too many."""
    limit = context.settings.max_cells
    if len(summaries) > limit or len(attributes) > limit:
        raise InvalidRequest(
            f"columns: more than {limit} values for {len(cells)} runs: ask for fewer columns or a smaller limit",
            name="columns",
        )
    if context.usage.is_large:
        await asyncio.to_thread(_fill, cells, summaries, attributes, columns)
    else:
        _fill(cells, summaries, attributes, columns)


def _fill(
    cells: Cells,
    summaries: Sequence[Mapping[str, Any]],
    attributes: Sequence[AttributeCell],
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
    chosen = metrics_of(columns)
    if not chosen:
        return []
    limit = context.settings.max_cells + 1
    wanted = aggregates_of(columns)
    return await rows_of(await context.repositories.summaries.cells(context.scope, runs, wanted, chosen, limit))


async def _attribute_cells(context: Context, runs: Sequence[str], columns: ColumnsParameters) -> list[AttributeCell]:
    wanted = kinds_of(columns)
    if not wanted:
        return []
    return await context.repositories.attributes.cells(context.scope, runs, wanted, context.settings.max_cells + 1)


def metrics_of(columns: ColumnsParameters) -> list[str]:
    """Return the metrics of columns, as globs."""
    globs = [glob.glob for glob in columns.globs if glob.kind == "metric"]
    return [*map(exact, columns.names("metric")), *dict.fromkeys(globs)]


def aggregates_of(columns: ColumnsParameters) -> set[str]:
    """Return the numbers of metrics that columns have."""
    wanted = {field.aggregate for field in columns.named if field.kind == "metric" and field.aggregate}
    return wanted | {glob.aggregate for glob in columns.globs if glob.kind == "metric" and glob.aggregate}


def kinds_of(columns: ColumnsParameters) -> list[Kind]:
    """Return which logged values columns have."""
    wanted = []
    for kind, stored in ATTRIBUTE_KINDS.items():
        if any(glob.kind == kind for glob in columns.globs):
            wanted.append(Kind(stored))
        elif names := columns.names(kind):
            wanted.append(Kind(stored, names))
    return wanted
