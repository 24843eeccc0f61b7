"""All points of one experiment's metrics, as a stream of JSON: a long curve is never whole in memory."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import pyarrow as pa
from aiohttp import web

from runstream.events.names import NO_STEP
from runstream_protocols.comet.reads.requests import ExperimentRequest, MetricRequest
from runstream_protocols.comet.reads.responses import number_text, run_context_of
from runstream_protocols.comet.reads.runs import require_row
from runstream_protocols.kit.streaming import stream_json
from runstream_query.http.context import Context
from runstream_query.http.curves import values_of
from runstream_query.http.series import reads_for, tables_of
from runstream_query.repositories.arguments import Range

#: A point is about 130 bytes of JSON: 2 MB are written while the client takes in what was written before.
_POINTS_PER_PIECE: Final = 16_384


async def metric_points(context: Context, request: web.Request, parameters: MetricRequest) -> web.StreamResponse:
    """Points of one metric in the order of steps and times; none of a metric that the run does not have."""
    await require_row(context, parameters.experiment_key)
    return await _stream(context, request, parameters.experiment_key, parameters.metric_name)


async def all_points(context: Context, request: web.Request, parameters: ExperimentRequest) -> web.StreamResponse:
    """Points of all metrics, by name of the metric."""
    await require_row(context, parameters.experiment_key)
    return await _stream(context, request, parameters.experiment_key, None)


async def _stream(context: Context, request: web.Request, run: str, metric: str | None) -> web.StreamResponse:
    async def joined() -> AsyncGenerator[str, None]:
        before = ""
        async with aclosing(_pieces(context, run, metric)) as pieces:
            async for piece in pieces:
                yield before + piece
                before = ","

    return await stream_json(context, request, '{"metrics":[', joined(), "]}")


async def _pieces(context: Context, run: str, metric: str | None) -> AsyncGenerator[str, None]:
    found = await context.repositories.summaries.series_of_run(context.scope, run, metric)
    offsets: dict[str, int] = {}
    reads = await reads_for(context, found, Range())
    async with aclosing(tables_of(context, reads, Range(), epochs=True)) as tables:
        async for table in tables:
            for begin in range(0, table.num_rows, _POINTS_PER_PIECE):
                yield await asyncio.to_thread(_encoded, table.slice(begin, _POINTS_PER_PIECE), offsets)


def _encoded(table: pa.Table, offsets: dict[str, int]) -> str:
    """The rows as members of a JSON list. `offsets`: how many points of each metric there were before."""
    columns: list[Sequence[Any]] = [values_of(table.column(name)) for name in ("metric", "step", "value", "epoch")]
    times = values_of(table.column("at").cast(pa.int64()))
    shown = {name: json.dumps(name, ensure_ascii=False) for name in set(columns[0])}
    contexts = {name: json.dumps(run_context_of(name)) for name in shown}
    pieces = []
    for name, step, value, epoch, at_us in zip(*columns, times, strict=True):
        offset = offsets.get(name, 0)
        offsets[name] = offset + 1
        pieces.append(
            f'{{"metricName":{shown[name]},"metricValue":"{number_text(value)}","timestamp":{at_us // 1000},'
            f'"step":{"null" if step == NO_STEP else step},"epoch":{"null" if epoch is None else epoch},'
            f'"runContext":{contexts[name]},"offset":{offset}}}'
        )
    return ",".join(pieces)
