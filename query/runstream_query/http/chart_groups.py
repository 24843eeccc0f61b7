"""Charts of groups of runs: mean, spread and extremes of the runs with the same parameters, tags, ..."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
from pydantic import Field as ModelField

from runstream_query.chart_responses import GroupedCharts, GroupedCurve
from runstream_query.http.axes import AxisParameters, chart_of, series_of_chart, width_between
from runstream_query.http.context import Context
from runstream_query.http.curves import values_of
from runstream_query.http.grouping import Groups, Member, divided, fields_of_groups, groups_of
from runstream_query.http.lanes import written_of
from runstream_query.http.packing import stretches
from runstream_query.http.series import refuse_too_many
from runstream_query.http.tables import CSV
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

_LISTS: Final = ("x", "runs", "mean", "sd", "median", "min", "max")


class GroupParameters(AxisParameters):
    group_by: list[str] = ModelField(
        min_length=1,
        max_length=4,
        description="fields of the filter language: param.lr, tag, group, job_type, user, ...; or rank and attempt of "
        "the writers, which divide the points of a run. A run with several tags is in the group of each",
    )


async def chart_groups(context: Context, call: Call[GroupParameters]) -> GroupedCharts:
    """Metrics of groups of runs. A run that has none of the metrics is in no group; an unknown run is an error."""
    parameters = call.parameters
    fields = fields_of_groups(parameters.group_by)
    found, told = await series_of_chart(context, parameters)
    nothing = GroupedCharts(width=1, series=[], unknown=told)
    if not found:
        return nothing
    chart = await chart_of(context, parameters, found)
    members = [Member(run, {}) for run in chart.runs]
    if fields.of_writers:
        written = await written_of(context, chart)
        members, lanes = divided(written.writers, fields.of_writers)
        chart = replace(chart, lanes=lanes)
    extents = await context.repositories.charts.extents(context.scope, chart)
    if not extents:
        return nothing
    low, high = min(one.low for one in extents), max(one.high for one in extents)
    width = width_between(low, high, chart, parameters.max_points)
    groups = await groups_of(context, members, fields)
    limit = context.settings.max_json_buckets
    table = await context.repositories.charts.groups(context.scope, chart, width, groups.members, limit + 1)
    refuse_too_many(table, limit, arrow=False)
    curves = await asyncio.to_thread(_curves, table, groups, chart.metrics)
    return GroupedCharts(width=width, series=curves, unknown=told)


def _curves(table: pa.Table, groups: Groups, metrics: Sequence[str]) -> list[GroupedCurve]:
    numbers = table.column("series").to_numpy()
    curves = []
    for begin, end in stretches(numbers):
        group, metric = divmod(int(numbers[begin]), len(metrics))
        rows = table.slice(begin, end - begin)
        lists = {name: values_of(rows.column(name)) for name in _LISTS}
        about = {"group": groups.values[group], "size": groups.sizes[group], "metric": metrics[metric]}
        curves.append(GroupedCurve.model_validate(about | lists))
    return curves


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/charts/groups",
        Action.READ,
        "Curves of groups of runs: mean, spread, median and extremes",
        chart_groups,
        GroupParameters,
        GroupedCharts,
        (CSV,),
        query_class=QueryClass.HEAVY,
        examples={"seeds": {"runs": ["r1", "r2"], "metrics": ["loss"], "group_by": ["param.lr"], "max_points": 200}},
    ),
)
