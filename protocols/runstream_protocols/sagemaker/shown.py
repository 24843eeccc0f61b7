"""Handlers that read trial components, and what a run looks like as one."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from runstream.display_names import display_name
from runstream.events.moments import micros_of
from runstream_protocols.sagemaker.addresses import INPUT, MEDIA_TYPE, OUTPUT, address_of, metadata_of
from runstream_protocols.sagemaker.errors import bad_token
from runstream_protocols.sagemaker.models import (
    MAX_MESSAGE_CHARS,
    MAX_STRING_CHARS,
    Artifact,
    ComponentReference,
    DescribeTrialComponentResponse,
    ListedComponent,
    ListTrialComponentsRequest,
    ListTrialComponentsResponse,
    MetricSummary,
    ParameterValue,
    PrimaryStatus,
    Source,
    Status,
)
from runstream_protocols.sagemaker.names import EXPERIMENT, TRIAL, component_of_job, component_of_run, job_of_component
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import Things, tag_of
from runstream_query.errors import InvalidRequest
from runstream_query.filters.tree import And, Compare, Expression, Field, Instant, OneOf
from runstream_query.repositories.assets import AssetRecord
from runstream_query.repositories.attributes import AttributeRecord
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.questions import Question, SortKey, question_of
from runstream_query.repositories.reader import rows_in_slices
from runstream_query.repositories.runs import RunRecord

#: What AWS calls a status. A run that crashed has failed: it has no other word.
_STATUSES: Final[Mapping[str, PrimaryStatus]] = {
    "running": "InProgress",
    "finished": "Completed",
    "failed": "Failed",
    "crashed": "Failed",
    "killed": "Stopped",
}
_SORTED_BY: Final = {"Name": "id", "CreationTime": "created"}


async def describe(side: SagemakerSide, request: ComponentReference) -> DescribeTrialComponentResponse:
    """Return a component, with all that was logged before the request."""
    return await described(side, await side.component(request.trial_component_name))


async def described(side: SagemakerSide, found: RunRecord) -> DescribeTrialComponentResponse:
    """Return the component that a run is."""
    context = side.context
    parameters = await context.repositories.attributes.of_run(context.scope, found.run, "parameter")
    inputs = await context.repositories.assets.of_run(context.scope, found.run, INPUT)
    outputs = await context.repositories.assets.of_run(context.scope, found.run, OUTPUT)
    table = await context.repositories.summaries.of_run(context.scope, found.run)
    members = _members(side, found)
    return DescribeTrialComponentResponse(
        **members,
        source=_source(side, found),
        parameters=await context.off_loop(_parameters, parameters),
        input_artifacts=_artifacts(inputs),
        output_artifacts=_artifacts(outputs),
        metrics=await context.off_loop(_metrics, table, members["trial_component_arn"]),
    )


async def list_components(side: SagemakerSide, request: ListTrialComponentsRequest) -> ListTrialComponentsResponse:
    """Return a page of components: of all, of those in a trial or in the trials of an experiment, or of a job's."""
    if request.source_arn is not None:
        return await _of_job(side, request.source_arn)
    context = side.context
    expression = _wanted(request, await _tags(side, request))
    sort = (SortKey(Field(_SORTED_BY[request.sort_by]), request.sort_order == "Descending"),)
    agreed = question_of(expression, sort, "sagemaker")
    after = cursor_of(request.next_token, agreed)
    clock = context.clock(None if after is None else after.now_us)
    question = Question(expression, sort, after, clock)
    page = await context.repositories.runs.page(context.scope, question, request.max_results)
    return ListTrialComponentsResponse(
        trial_component_summaries=[_listed(side, one) for one in page.runs],
        next_token=None if page.ends is None else Cursor(page.ends, clock.now_us, agreed).text(),
    )


async def _of_job(side: SagemakerSide, arn: str) -> ListTrialComponentsResponse:
    name = component_of_job(arn)
    found = None if name is None else await side.find_component(name)
    return ListTrialComponentsResponse(trial_component_summaries=[] if found is None else [_listed(side, found)])


async def _tags(side: SagemakerSide, request: ListTrialComponentsRequest) -> tuple[str, ...] | None:
    """Return the tags of which a wanted component has one; None where it may have any."""
    things = Things(side)
    if request.trial_name is not None:
        return (tag_of(await things.get(TRIAL, request.trial_name)),)
    if request.experiment_name is None:
        return None
    experiment = await things.get(EXPERIMENT, request.experiment_name)
    return tuple(tag_of(one) for one in await things.all(TRIAL) if one.experiment == experiment.name)


def _wanted(request: ListTrialComponentsRequest, tags: tuple[str, ...] | None) -> Expression:
    conditions: list[Expression] = [Compare(Field("deleted"), "=", False)]
    if tags is not None:
        # No run has the empty tag.
        conditions.append(OneOf(Field("tag"), tags or ("",)))
    if request.created_after is not None:
        conditions.append(Compare(Field("created"), ">", Instant(micros_of(request.created_after))))
    if request.created_before is not None:
        conditions.append(Compare(Field("created"), "<", Instant(micros_of(request.created_before))))
    return And(tuple(conditions)) if len(conditions) > 1 else conditions[0]


def cursor_of(token: str | None, agreed: str) -> Cursor | None:
    """Return the cursor that a NextToken is; None if it is none. Raises AwsError."""
    if not token:
        return None
    try:
        return Cursor.parse(token, agreed)
    except InvalidRequest:
        raise bad_token(token) from None


def seconds(moment: datetime) -> float:
    """Return a moment as the client reads it."""
    return micros_of(moment) / 1_000_000


def _listed(side: SagemakerSide, found: RunRecord) -> ListedComponent:
    return ListedComponent(**_members(side, found), trial_component_source=_source(side, found))


def _members(side: SagemakerSide, found: RunRecord) -> dict[str, Any]:
    """What lists and descriptions have in common."""
    return {
        "trial_component_name": component_of_run(found.run),
        "trial_component_arn": side.component_arn(found.run),
        "display_name": _display_name(found),
        "status": Status(
            primary_status=_STATUSES[found.status],
            message=found.columns["message"][:MAX_MESSAGE_CHARS] or None,
        ),
        "start_time": seconds(found.started_at),
        "end_time": None if found.ended_at is None else seconds(found.ended_at),
        "creation_time": seconds(found.created_at),
        "last_modified_time": seconds(found.columns["updated_at"]),
    }


def _display_name(found: RunRecord) -> str:
    component = component_of_run(found.run)
    return component if found.name == found.run != component else display_name(found.name, found.run)


def _source(side: SagemakerSide, found: RunRecord) -> Source | None:
    arn = job_of_component(component_of_run(found.run), side.region)
    return None if arn is None else Source(source_arn=arn)


def _parameters(found: Sequence[AttributeRecord]) -> dict[str, ParameterValue]:
    return {one.name: _parameter(json.loads(one.value)) for one in found}


def _parameter(value: Any) -> ParameterValue:
    """What is neither a number nor a text is shown as JSON; of a long text the beginning."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ParameterValue(number_value=float(value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ParameterValue(string_value=text[:MAX_STRING_CHARS])


def _artifacts(found: Sequence[AssetRecord]) -> dict[str, Artifact]:
    return {one.name: _artifact(one) for one in sorted(found, key=lambda one: one.name)}


def _artifact(found: AssetRecord) -> Artifact:
    return Artifact(value=address_of(found), media_type=metadata_of(found).get(MEDIA_TYPE))


def _metrics(table: pa.Table, arn: str) -> list[MetricSummary]:
    return [
        MetricSummary(
            metric_name=row["metric"],
            source_arn=arn,
            time_stamp=seconds(row["last_at"]),
            max=row["maximum"],
            min=row["minimum"],
            last=row["last"],
            count=row["count"],
            avg=row["total"] / row["count"],
            std_dev=row["std"],
        )
        for row in rows_in_slices(table)
    ]
