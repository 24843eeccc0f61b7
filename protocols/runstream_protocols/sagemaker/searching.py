"""The operation Search: components are found as runs, by a filter; experiments and trials in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runstream.events.moments import micros_of
from runstream_protocols.sagemaker.component_filters import field_of, filter_of
from runstream_protocols.sagemaker.errors import invalid
from runstream_protocols.sagemaker.experiments import members_of_experiment
from runstream_protocols.sagemaker.expressions import holds, passes, unknown
from runstream_protocols.sagemaker.models import Tag
from runstream_protocols.sagemaker.names import EXPERIMENT, TRIAL, component_of_run
from runstream_protocols.sagemaker.paging import Key, sliced
from runstream_protocols.sagemaker.search_models import (
    Filter,
    FoundComponent,
    FoundExperiment,
    FoundTrial,
    Parent,
    SearchRecord,
    SearchRequest,
    SearchResponse,
    SimpleComponent,
)
from runstream_protocols.sagemaker.shown import cursor_of, described, seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.tags import listed, tags_of_run
from runstream_protocols.sagemaker.things import Thing, Things, tag_of, trials_in
from runstream_protocols.sagemaker.trials import members_of_trial
from runstream_query.filters.tree import And, Compare, Expression, Field
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.questions import Question, SortKey, question_of
from runstream_query.repositories.runs import RunOrder, RunRecord

#: Components that a trial which was found is shown with.
_MAX_COMPONENTS = 100
_THERE = Compare(Field("deleted"), "=", False)


async def search(side: SagemakerSide, request: SearchRequest) -> SearchResponse:
    """Return a page of the things for which an expression holds; without one, of all."""
    match request.resource:
        case "Experiment":
            return await _search_things(side, request, EXPERIMENT)
        case "ExperimentTrial":
            return await _search_things(side, request, TRIAL)
        case "ExperimentTrialComponent":
            return await _search_components(side, request)
        case _:
            return SearchResponse(results=[])


async def _search_things(side: SagemakerSide, request: SearchRequest, kind: str) -> SearchResponse:
    things = {one.name: one for one in await Things(side).all(kind)}
    properties = {name: _properties(side, one) for name, one in things.items()}
    expression = request.search_expression
    found = [one for name, one in things.items() if expression is None or holds(expression, properties[name])]

    def key(thing: Thing) -> Key:
        value = properties[thing.name].get(request.sort_by)
        return micros_of(value) if isinstance(value, datetime) else str(value or "")

    if things and isinstance(next(iter(properties.values())).get(request.sort_by, []), list):
        raise _no_order(request.sort_by)
    some, token = sliced(
        found,
        key,
        request.next_token,
        _agreed(request),
        descending=request.sort_order == "Descending",
        limit=request.max_results,
    )
    return SearchResponse(results=[await _record(side, one) for one in some], next_token=token)


def _properties(side: SagemakerSide, thing: Thing) -> dict[str, Any]:
    """What an experiment or a trial can be searched by."""
    named = {
        "ExperimentName": thing.name,
        "ExperimentArn": thing.arn(side.region),
        "Description": thing.description or None,
    }
    if thing.kind == TRIAL:
        named = {"TrialName": thing.name, "TrialArn": thing.arn(side.region), "ExperimentName": thing.experiment}
    return {
        **named,
        "DisplayName": thing.display_name,
        "CreationTime": thing.created_at,
        "LastModifiedTime": thing.updated_at,
        "Tags": [{"Key": key, "Value": value} for key, value in thing.tags.items()],
    }


async def _record(side: SagemakerSide, thing: Thing) -> SearchRecord:
    tags = listed(thing.tags)
    if thing.kind == EXPERIMENT:
        return SearchRecord(experiment=FoundExperiment(**members_of_experiment(side, thing), tags=tags))
    context = side.context
    inside = And((Compare(Field("tag"), "=", tag_of(thing)), _THERE))
    ids = await context.repositories.runs.matching(context.scope, inside, context.clock(), RunOrder(), _MAX_COMPONENTS)
    runs = await context.repositories.runs.shown(context.scope, ids, context.clock())
    summaries = [_simple(side, run) for run in runs.values()]
    trial = FoundTrial(**members_of_trial(side, thing), tags=tags, trial_component_summaries=summaries)
    return SearchRecord(trial=trial)


def _simple(side: SagemakerSide, run: RunRecord) -> SimpleComponent:
    return SimpleComponent(
        trial_component_name=component_of_run(run.run),
        trial_component_arn=side.component_arn(run.run),
        creation_time=seconds(run.created_at),
    )


async def _search_components(side: SagemakerSide, request: SearchRequest) -> SearchResponse:
    context = side.context
    trials = {one.name.lower(): one for one in await Things(side).all(TRIAL)}
    field = field_of(request.sort_by)
    if field is None:
        raise _no_order(request.sort_by)
    sort = (SortKey(field, request.sort_order == "Descending"),)
    expression: Expression = _THERE
    if request.search_expression is not None:
        wanted = filter_of(request.search_expression, lambda filters: _tags_of_trials(list(trials.values()), filters))
        expression = And((_THERE, wanted))
    agreed = question_of(expression, sort, "search")
    after = cursor_of(request.next_token, agreed)
    clock = context.clock(None if after is None else after.now_us)
    page = await context.repositories.runs.page(
        context.scope, Question(expression, sort, after, clock), request.max_results
    )
    return SearchResponse(
        results=[SearchRecord(trial_component=await _component(side, run, trials)) for run in page.runs],
        next_token=None if page.ends is None else Cursor(page.ends, clock.now_us, agreed).text(),
    )


def _tags_of_trials(trials: Sequence[Thing], filters: Sequence[Filter]) -> list[str]:
    """The tags of the trials that pass all of the filters."""
    found = []
    for trial in trials:
        values = {"TrialName": trial.name, "ExperimentName": trial.experiment}
        if all(passes(one, [_parent_value(one, values)]) for one in filters):
            found.append(tag_of(trial))
    return found


def _parent_value(one: Filter, values: Mapping[str, str]) -> str:
    member = one.name.removeprefix("Parents.")
    if member not in values:
        raise unknown(one.name)
    return values[member]


async def _component(side: SagemakerSide, run: RunRecord, trials: Mapping[str, Thing]) -> FoundComponent:
    parents = [trials[name] for name in trials_in(run.tags) if name in trials]
    tags: list[Tag] = listed(tags_of_run(run.tags))
    return FoundComponent(
        **dict(await described(side, run)),
        tags=tags,
        parents=[Parent(trial_name=one.name, experiment_name=one.experiment) for one in parents],
    )


def _agreed(request: SearchRequest) -> str:
    """What a token must agree with."""
    asked = request.model_dump_json(exclude={"next_token", "max_results"})
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _no_order(name: str) -> Exception:
    return invalid(f"Value {name[:100]!r} at 'SortBy' failed to satisfy constraint: things cannot be sorted by it here")
