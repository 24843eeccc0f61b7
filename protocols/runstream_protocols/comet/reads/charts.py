"""Charts: curves and parameters of several experiments in one response, by six statements at most."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web

from runstream.events.moments import millis_of
from runstream.events.names import NO_STEP
from runstream_protocols.comet.reads.requests import ChartsRequest
from runstream_protocols.comet.reads.responses import CometChart, CometCharts, CometCurve, step_of
from runstream_protocols.comet.reads.runs import given_name
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.curves import values_of
from runstream_query.repositories.arguments import MAX_FULL, MAX_SAMPLED, Curve
from runstream_query.repositories.attributes import Kind
from runstream_query.repositories.runs import RunRecord
from runstream_query.repositories.summaries import CurveRecord
from runstream_query.responses import Logged

#: As Python values, until they are encoded.
_POINT_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Drawn:
    """The points of a curve by columns of the same length: a chart has up to a million of them, and to hold each by
    itself costs the server three times as much."""

    steps: Sequence[int]
    at_ms: Sequence[int | None]
    values: Sequence[float | None]
    epochs: Sequence[int | None]

    def among(self, steps: Sequence[int]) -> "Drawn":
        """The last point of each of these steps, nothing where there is none."""
        places = {step: place for place, step in enumerate(self.steps)}
        found = [places.get(step) for step in steps]
        at_ms = [None if place is None else self.at_ms[place] for place in found]
        values = [None if place is None else self.values[place] for place in found]
        return Drawn(steps, at_ms, values, [None if place is None else self.epochs[place] for place in found])


Points = dict[tuple[str, str], Drawn]


async def charts(context: Context, request: web.Request, parameters: ChartsRequest) -> CometCharts:
    """Return charts by experiment, in the order of the request, without unknown experiments and metrics."""
    wanted = list(dict.fromkeys(parameters.targeted_experiments))
    rows = await context.repositories.runs.shown(context.scope, wanted, context.clock())
    rows = {run: row for run, row in rows.items() if not row.deleted}
    series = await _series(context, list(rows), parameters)
    async with context.outgoing.holding(points_of(series, parameters.fetch_full) * _POINT_BYTES):
        points, params = await asyncio.gather(
            _points(context, series, parameters.fetch_full), _parameters(context, list(rows), parameters.params)
        )
        return await asyncio.to_thread(_charts_of, rows, points, params, parameters)


def _curve_of(record: CurveRecord) -> Curve:
    """The curve as it is sampled: by its steps or, where they say nothing, by its times."""
    by_time = record.first_step == NO_STEP or record.first_step == record.last_step
    low, high = record.first_step, record.last_step
    if by_time:
        low, high = millis_of(record.first_at) * 1000, millis_of(record.last_at) * 1000 + 999
    return Curve(record.run, record.metric, record.count, low, max(low, high), by_time)


async def _series(context: Context, runs: Sequence[str], parameters: ChartsRequest) -> list[Curve]:
    if not runs or not parameters.metrics:
        return []
    limit = context.settings.max_series
    found = await context.repositories.summaries.curves(context.scope, runs, parameters.metrics, limit + 1)
    if len(found) > limit:
        raise InvalidRequest(f"more than {limit} curves: ask for fewer experiments or metrics", name="metrics")
    series = [_curve_of(record) for record in found]
    total = points_of(series, parameters.fetch_full)
    if total > MAX_FULL:
        if not parameters.fetch_full:
            raise InvalidRequest(
                f"these curves have {total} points, a chart has room for {MAX_FULL}: ask for fewer experiments or "
                "metrics at once",
                name="metrics",
            )
        raise InvalidRequest(
            f"these curves have {total} points, a chart has room for {MAX_FULL}: ask without full, for fewer at "
            "once, or for the points of each metric",
            name="fetchFull",
        )
    return series


def points_of(series: Sequence[Curve], full: bool) -> int:
    """How many points these curves are drawn with, at most."""
    return sum(one.count if full else min(one.count, MAX_SAMPLED) for one in series)


async def _points(context: Context, series: Sequence[Curve], full: bool) -> Points:
    short = [one for one in series if full or one.count <= MAX_SAMPLED]
    long = [one for one in series if not full and one.count > MAX_SAMPLED]
    repository, scope = context.repositories.series, context.scope
    tables = [repository.curves(scope, short)] if short else []
    if long:
        tables.append(repository.samples(scope, long))
    points: Points = {}
    for table in await asyncio.gather(*tables):
        points |= await asyncio.to_thread(_by_series, table)
    return points


def _by_series(table: pa.Table) -> Points:
    """The curves of a table that is ordered by them."""
    if not table.num_rows:
        return {}
    runs, metrics = (table.column(name).combine_chunks() for name in ("run", "metric"))
    changes = pc.or_(pc.not_equal(runs[1:], runs[:-1]), pc.not_equal(metrics[1:], metrics[:-1]))
    begins = [0, *(np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1).tolist()]
    at_ms = (table.column("at").cast(pa.int64()).to_numpy() // 1000).tolist()
    steps, values, epochs = (values_of(table.column(name)) for name in ("step", "value", "epoch"))
    ends = [*begins[1:], table.num_rows]
    return {
        (runs[begin].as_py(), metrics[begin].as_py()): Drawn(
            steps[begin:end], at_ms[begin:end], values[begin:end], epochs[begin:end]
        )
        for begin, end in zip(begins, ends, strict=True)
    }


async def _parameters(
    context: Context, runs: Sequence[str], names: Sequence[str] | None
) -> dict[str, dict[str, Logged]] | None:
    """Run -> parameter -> value; None (not nothing) if the request names none. A missing one is null."""
    if not names:
        return None
    found: dict[str, dict[str, Logged]] = {run: dict.fromkeys(names) for run in runs}
    if runs:
        wanted = [Kind("parameter", names)]
        for cell in await context.repositories.attributes.cells(context.scope, runs, wanted):
            found[cell.run][cell.name] = json.loads(cell.value)
    return found


def _charts_of(
    rows: Mapping[str, RunRecord],
    points: Points,
    params: Mapping[str, dict[str, Logged]] | None,
    parameters: ChartsRequest,
) -> CometCharts:
    metrics = list(dict.fromkeys(parameters.metrics))
    charts_by_run: dict[str, CometChart] = {}
    for run, row in rows.items():
        of_run = {metric: points[run, metric] for metric in metrics if (run, metric) in points}
        # numpy sorts without holding the interpreter.
        arrays = [np.asarray(curve.steps, np.int64) for curve in of_run.values()]
        steps = np.unique(np.concatenate(arrays)).tolist() if arrays else []
        started_ms = millis_of(row.started_at)
        curves = [
            _curve(metric, curve if parameters.independent_metrics else curve.among(steps), started_ms)
            for metric, curve in of_run.items()
        ]
        charts_by_run[run] = CometChart(
            experiment_key=run,
            experimentKey=run,
            experimentName=given_name(row.run, row.name),
            steps=[step_of(step) for step in steps],
            metrics=curves,
            params=None if params is None else params[run],
        )
    return CometCharts(experiments=charts_by_run, empty=not any(chart.metrics for chart in charts_by_run.values()))


def _curve(metric: str, points: Drawn, started_ms: int) -> CometCurve:
    return CometCurve(
        metric_name=metric,
        values=points.values,
        steps=[step_of(step) for step in points.steps],
        epochs=points.epochs,
        timestamps=points.at_ms,
        durations=[None if at_ms is None else max(at_ms - started_ms, 0) for at_ms in points.at_ms],
    )
