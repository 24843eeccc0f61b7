"""Charts: curves and parameters of several experiments in one answer, by six statements at most."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
from aiohttp import web

from runstream_query.answers import Logged
from runstream_query.comet.answers import CometChart, CometCharts, CometCurve, at_ms, step_of
from runstream_query.comet.asked import AskedCharts
from runstream_query.comet.sampling import (
    MAX_FULL,
    MAX_SAMPLED,
    Series,
    chart_series_statement,
    full_statement,
    sampled_statement,
    series_of,
)
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.pages import shown_rows
from runstream_query.sql.parameters import Parameters

#: Step, time in microseconds, value, epoch.
Point = tuple[int, int, float, int | None]
Points = dict[tuple[str, str], list[Point]]


async def charts(context: Context, request: web.Request, asked: AskedCharts) -> CometCharts:
    """By experiment, in the order asked for; unknown ones are left out, and so are metrics that one does not have."""
    wanted = list(dict.fromkeys(asked.targeted_experiments))
    rows = await shown_rows(context, wanted, context.clock())
    rows = {run: row for run, row in rows.items() if not row["deleted"]}
    series = await _series(context, list(rows), asked)
    points, params = await asyncio.gather(
        _points(context, series, asked.fetch_full), _parameters(context, list(rows), asked.params)
    )
    return await asyncio.to_thread(_answer, rows, points, params, asked)


async def _series(context: Context, runs: Sequence[str], asked: AskedCharts) -> list[Series]:
    if not runs or not asked.metrics:
        return []
    limit, bound = context.settings.max_series, Parameters()
    found = await context.rows(chart_series_statement(runs, asked.metrics, limit + 1, bound), bound)
    if len(found) > limit:
        raise InvalidRequest(f"more than {limit} curves: ask for fewer experiments or metrics", name="metrics")
    series = [series_of(row) for row in found]
    total = sum(one.count for one in series)
    if asked.fetch_full and total > MAX_FULL:
        raise InvalidRequest(
            f"these curves have {total} points, a chart has room for {MAX_FULL}: ask without full, for fewer at "
            "once, or for the points of each metric",
            name="fetchFull",
        )
    return series


async def _points(context: Context, series: Sequence[Series], full: bool) -> Points:
    short = [one for one in series if full or one.count <= MAX_SAMPLED]
    long = [one for one in series if not full and one.count > MAX_SAMPLED]
    reads = [(full_statement, short), (sampled_statement, long)]
    tables = []
    for statement, of in reads:
        if of:
            bound = Parameters()
            tables.append(context.store.query(statement(of, bound), bound.values))
    points: Points = {}
    for table in await asyncio.gather(*tables):
        points |= await asyncio.to_thread(_by_series, table)
    return points


def _by_series(table: pa.Table) -> Points:
    names = zip(table.column("run").to_pylist(), table.column("metric").to_pylist(), strict=True)
    points = zip(
        table.column("step").to_pylist(),
        table.column("at").cast(pa.int64()).to_pylist(),
        table.column("value").to_pylist(),
        table.column("epoch").to_pylist(),
        strict=True,
    )
    rows = zip(names, points, strict=True)
    return {key: [point for _, point in group] for key, group in groupby(rows, key=lambda row: row[0])}


async def _parameters(
    context: Context, runs: Sequence[str], names: Sequence[str] | None
) -> dict[str, dict[str, Logged]] | None:
    """Run -> parameter -> value; None (not nothing) if none were asked for. A missing one is null."""
    if not names:
        return None
    found: dict[str, dict[str, Logged]] = {run: dict.fromkeys(names) for run in runs}
    if runs:
        bound = Parameters()
        sql = (
            f"SELECT run, name, value FROM attributes WHERE run IN {bound.run_ids(runs)} AND kind = 'parameter' "
            f"AND name IN {bound.texts(names)} AND NOT deleted"
        )
        for row in await context.rows(sql, bound):
            found[row["run"]][row["name"]] = json.loads(row["value"])
    return found


def _answer(
    rows: Mapping[str, dict[str, Any]],
    points: Points,
    params: Mapping[str, dict[str, Logged]] | None,
    asked: AskedCharts,
) -> CometCharts:
    metrics = list(dict.fromkeys(asked.metrics))
    answers: dict[str, CometChart] = {}
    for run, row in rows.items():
        of_run = {metric: points[run, metric] for metric in metrics if (run, metric) in points}
        steps = sorted({step for curve in of_run.values() for step, *_ in curve})
        started_ms = at_ms(row["started_at"])
        curves = [
            _curve(metric, curve, started_ms, None if asked.independent_metrics else steps)
            for metric, curve in of_run.items()
        ]
        answers[run] = CometChart(
            experiment_key=run,
            experimentKey=run,
            experimentName=row["name"] or None,
            steps=[step_of(step) for step in steps],
            metrics=curves,
            params=None if params is None else params[run],
        )
    return CometCharts(experiments=answers, empty=not any(chart.metrics for chart in answers.values()))


def _curve(metric: str, points: Sequence[Point], started_ms: int, steps: Sequence[int] | None) -> CometCurve:
    """The curve by its own points, or with `steps` by these: the last point of each step, null where there is none."""
    if steps is None:
        placed: Sequence[tuple[int, int | None, float | None, int | None]] = points
    else:
        last = {point[0]: point for point in points}
        placed = [last.get(step, (step, None, None, None)) for step in steps]
    times = [None if at_us is None else at_us // 1000 for _, at_us, _, _ in placed]
    return CometCurve(
        metric_name=metric,
        values=[value for _, _, value, _ in placed],
        steps=[step_of(step) for step, *_ in placed],
        epochs=[epoch for *_, epoch in placed],
        timestamps=times,
        durations=[None if at is None else at - started_ms for at in times],
    )
