"""Fields over HTTP: what a filter, a column or a group can name, and which values there are."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import Field as ModelField

from runstream_query.field_responses import CountedValue, FieldRow, Fields
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.printer import print_field
from runstream_query.filters.tree import RUN_FIELDS, Field
from runstream_query.http.context import Context
from runstream_query.http.filtering import FilterParameters, expression_of
from runstream_query.repositories.fields import FieldRecord, MetricRecord
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

FieldKind = Literal["run", "metric", "param", "other", "env"]
#: Columns of runs of which few values stand for many runs.
_OF_RUNS: Final = {
    RUN_FIELDS[field].name: field
    for field in ("status", "tag", "group", "job_type", "experiment", "project", "workspace", "user", "host")
}


class FieldsParameters(FilterParameters):
    kinds: list[FieldKind] = ModelField(
        default=["run", "metric", "param", "other"],
        min_length=1,
        max_length=5,
        description="which fields: columns of runs, metrics, parameters, other values, the environment",
    )
    prefix: str = ModelField(
        default="", max_length=500, description="only names of metrics and logged values that begin with it"
    )
    values: int = ModelField(
        default=10, ge=0, le=100, description="how many values a field has at most in the response"
    )
    limit: int = ModelField(default=500, ge=1, le=1000, description="names of metrics, and of logged values, at most")


async def fields(context: Context, call: Call[FieldsParameters]) -> Fields:
    """What the runs that match have. Columns of runs that none of them has a value of are left out."""
    parameters = call.parameters
    expression = await asyncio.to_thread(expression_of, parameters)
    read, scope, clock = context.repositories.fields, context.scope, context.clock()
    kinds = [ATTRIBUTE_KINDS[kind] for kind in parameters.kinds if kind in ATTRIBUTE_KINDS]
    rows: list[FieldRow] = []
    more = False
    if "run" in parameters.kinds:
        found = {one.name: one for one in await read.columns(scope, expression, clock, [*_OF_RUNS], parameters.values)}
        rows += [_of_run(found[name], field) for name, field in _OF_RUNS.items() if name in found]
    if "metric" in parameters.kinds:
        metrics = await read.metrics(scope, expression, clock, parameters.prefix, parameters.limit + 1)
        more = len(metrics) > parameters.limit
        rows += [_of_metric(one) for one in metrics[: parameters.limit]]
    if kinds:
        some = await read.attributes(
            scope, expression, clock, kinds, parameters.prefix, parameters.limit + 1, parameters.values
        )
        more = more or len(some) > parameters.limit
        rows += [_of_attribute(one) for one in some[: parameters.limit]]
    return Fields(fields=rows, more=more)


def _of_run(record: FieldRecord, field: str) -> FieldRow:
    values = [CountedValue(value=one.value, runs=one.runs) for one in record.values]
    return FieldRow(field=field, kind="run", name=field, runs=record.runs, distinct=record.distinct, values=values)


def _of_metric(record: MetricRecord) -> FieldRow:
    field = print_field(Field("metric", record.name))
    return FieldRow(
        field=field,
        kind="metric",
        name=record.name,
        runs=record.runs,
        points=record.points,
        min=record.least,
        max=record.most,
    )


_KINDS: Final = {stored: kind for kind, stored in ATTRIBUTE_KINDS.items()}


def _of_attribute(record: FieldRecord) -> FieldRow:
    kind = _KINDS[record.kind]
    about: dict[str, Any] = {"field": print_field(Field(kind, record.name)), "kind": kind, "name": record.name}
    values = [CountedValue(value=json.loads(one.value), runs=one.runs) for one in record.values]
    return FieldRow(
        **about,
        runs=record.runs,
        distinct=record.distinct,
        numbers=record.numbers,
        min=record.least,
        max=record.most,
        values=values,
    )


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/runs/fields",
        Action.READ,
        "Fields that runs have, with counts, ranges and values",
        fields,
        FieldsParameters,
        Fields,
        query_class=QueryClass.HEAVY,
        examples={"complete a name": {"project": "digits", "kinds": ["param"], "prefix": "l", "values": 5}},
    ),
)
