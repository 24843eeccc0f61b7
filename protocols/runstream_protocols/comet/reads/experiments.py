"""One experiment: metadata, tags, and the summaries of its metrics, parameters and other values."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from runstream.events.moments import millis_of
from runstream_protocols.comet.reads.extremes import Extremes, extremes_of_run
from runstream_protocols.comet.reads.predicates import NAME
from runstream_protocols.comet.reads.requests import ExperimentRequest
from runstream_protocols.comet.reads.responses import (
    CometExperiment,
    CometSummaries,
    CometSummary,
    CometTags,
    number_text,
    run_context_of,
    step_of,
)
from runstream_protocols.comet.reads.runs import experiments_by_row, given_name, require_row
from runstream_query.http.context import Context
from runstream_query.repositories.reader import records_of


async def metadata(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometExperiment:
    (found,) = await experiments_by_row(context, [await require_row(context, parameters.experiment_key)])
    return found


async def tags(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometTags:
    return CometTags(tags=list((await require_row(context, parameters.experiment_key)).tags))


async def metric_summaries(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometSummaries:
    """By name. The current value is the last of the curve; extremes leave NaN out."""
    await require_row(context, parameters.experiment_key)
    table = await context.repositories.summaries.of_run(context.scope, parameters.experiment_key)
    return CometSummaries(values=await records_of(_of_metric, table))


def _of_metric(row: Mapping[str, Any]) -> CometSummary:
    context = run_context_of(row["metric"])
    return CometSummary(
        name=row["metric"],
        value_max=number_text(row["maximum"]),
        value_min=number_text(row["minimum"]),
        value_current=number_text(row["last"]),
        timestamp_max=millis_of(row["maximum_at"]),
        timestamp_min=millis_of(row["minimum_at"]),
        timestamp_current=millis_of(row["last_at"]),
        run_context_max=context,
        run_context_min=context,
        run_context_current=context,
        step_max=step_of(row["maximum_step"]),
        step_min=step_of(row["minimum_step"]),
        step_current=step_of(row["last_step"]),
    )


async def parameter_summaries(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometSummaries:
    await require_row(context, parameters.experiment_key)
    return CometSummaries(values=await _attributes(context, parameters.experiment_key, "parameter"))


async def other_summaries(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometSummaries:
    """With the run's name as `Name`, in whose favour another value that was logged under it is left out."""
    row = await require_row(context, parameters.experiment_key)
    logged = await _attributes(context, parameters.experiment_key, "other")
    name = given_name(row.run, row.name)
    if name is None:
        return CometSummaries(values=[one for one in logged if one.name != NAME])
    named = _of_text(NAME, name, millis_of(row.created_at))
    return CometSummaries(values=[named, *(one for one in logged if one.name != NAME)])


async def _attributes(context: Context, run: str, kind: str) -> list[CometSummary]:
    """The newest values of one kind, by name, each as a person would read it: what Comet keeps are texts."""
    found = await context.repositories.attributes.texts_of_run(context.scope, run, kind)
    extremes = await extremes_of_run(context, run, kind)

    def made() -> list[CometSummary]:
        return [_of_text(one.name, one.text, millis_of(one.at), extremes.get(one.name)) for one in found]

    return await context.off_loop(made)


def _of_text(name: str, text: str, ms: int, extremes: Extremes | None = None) -> CometSummary:
    low, high = (extremes.low, extremes.high) if extremes else (None, None)
    return CometSummary(
        name=name,
        value_max=high.text if high else text,
        value_min=low.text if low else text,
        value_current=text,
        timestamp_max=high.ms if high else ms,
        timestamp_min=low.ms if low else ms,
        timestamp_current=ms,
    )
