"""Handlers that read runs."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa

from runstream.display_names import display_name
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place, checked, place_of
from runstream_protocols.mlaide.keys import number_of_run, run_of_number
from runstream_protocols.mlaide.models import (
    ExperimentReference,
    Git,
    ListedRun,
    ListedRuns,
    RunsQuery,
    RunStatus,
    ShownRun,
)
from runstream_protocols.mlaide.side import MlaideSide, no_run
from runstream_protocols.mlaide.used import made_and_used
from runstream_query.errors import LimitExceeded
from runstream_query.filters.tree import And, Compare, Expression, Field
from runstream_query.http.context import Context
from runstream_query.repositories.attributes import AttributeRecord
from runstream_query.repositories.reader import rows_in_slices
from runstream_query.repositories.runs import RunOrder, RunRecord
from runstream_service.routing import Call

Settable = Literal["running", "finished", "failed"]
#: What a request can set, and what it is called.
STATUSES: Final[Mapping[Settable, RunStatus]] = {"running": "RUNNING", "finished": "COMPLETED", "failed": "FAILED"}


def run_status(given: str) -> Settable | None:
    """Return our word for a status of ML Aide's; None if it is none."""
    return next((ours for ours, theirs in STATUSES.items() if theirs == given), None)


async def run(side: MlaideSide, call: Call[object]) -> ShownRun:
    """Return a run, with all that was logged here before the request."""
    context, place = side.context, place_of(call.path["project_key"])
    run_id = run_of_number(call.path["run_key"])
    in_place = await _in_place(context, place, [run_id] if run_id else [])
    if not in_place:
        raise no_run(place, call.path["run_key"])
    found = in_place[0]
    attributes = context.repositories.attributes
    table = await context.repositories.summaries.of_run(context.scope, found.run)
    others = await attributes.of_run(context.scope, found.run, "other")
    parameters = await attributes.of_run(context.scope, found.run, "parameter")
    environment = await attributes.of_run(context.scope, found.run, "environment")
    metrics = await context.off_loop(_metrics, table, others)
    logged = await context.off_loop(_values, parameters)
    facts = await context.off_loop(_values, environment)
    made, used = await made_and_used(context, place, found.run)
    return ShownRun(
        **dict(_listed(found)),
        metrics=metrics,
        parameters=logged,
        git=_git(facts),
        artifacts=made,
        used_artifacts=used,
    )


async def runs(side: MlaideSide, call: Call[RunsQuery]) -> ListedRuns:
    """Return the runs of a project, the oldest first: all, those of an experiment, or those with the given keys."""
    context, place, query = side.context, place_of(call.path["project_key"]), call.parameters
    if query.run_keys is not None:
        ids = [run for key in query.run_keys.split(",") if (run := run_of_number(key.strip())) is not None]
    else:
        ids = await _ids(context, place, query.experiment_key)
    found = await _in_place(context, place, ids)
    if query.experiment_key is not None:
        found = [one for one in found if one.columns["experiment"] == query.experiment_key]
    return ListedRuns(items=await context.off_loop(lambda: [_listed(one) for one in found]))


async def _ids(context: Context, place: Place, experiment: str | None) -> list[str]:
    conditions: list[Expression] = [
        Compare(Field("workspace"), "=", place.workspace),
        Compare(Field("project"), "=", place.project),
        Compare(Field("deleted"), "=", False),
    ]
    if experiment is not None:
        conditions.append(Compare(Field("experiment"), "=", checked("experiment", experiment)))
    most = context.settings.max_page
    order = RunOrder("started")
    found = await context.repositories.runs.matching(
        context.scope, And(tuple(conditions)), context.clock(), order, most + 1
    )
    if len(found) > most:
        raise LimitExceeded(
            f"{place.record_key} has more than {most} such runs, which is the limit of one response "
            "(RUNSTREAM_QUERY_MAX_PAGE): ask for those of one experiment (experimentKey), or by key (runKeys)",
            limit="max_page",
            value=most,
        )
    return found


async def _in_place(context: Context, place: Place, ids: Sequence[str]) -> list[RunRecord]:
    """The runs with these ids that are in the project and not deleted, in this order. Raises Refused."""
    if len(ids) > context.settings.max_page:
        raise Refused(f"runKeys has {len(ids)} keys, at most {context.settings.max_page} can be at once")
    found = await context.repositories.runs.shown(context.scope, list(dict.fromkeys(ids)), context.clock())
    return [
        one
        for one in found.values()
        if (one.workspace, one.project) == (place.workspace, place.project) and not one.deleted
    ]


def _listed(found: RunRecord) -> ListedRun:
    experiment = found.columns["experiment"]
    return ListedRun(
        key=number_of_run(found.run),
        name=display_name(found.name, found.run),
        status=_status(found.status),
        experiment_refs=[ExperimentReference(experiment_key=experiment)] if experiment else [],
        created_at=found.created_at,
        start_time=found.started_at,
        end_time=found.ended_at,
    )


def _status(status: str) -> RunStatus:
    """A run that crashed or was killed has failed to ML Aide, which has no other word."""
    match status:
        case "running" | "finished":
            return STATUSES[status]
        case _:
            return "FAILED"


def _values(found: Sequence[AttributeRecord]) -> dict[str, Any]:
    return {one.name: json.loads(one.value) for one in found}


def _metrics(table: pa.Table, others: Sequence[AttributeRecord]) -> dict[str, Any]:
    """The last of each name: a number, or what was logged as another value, whichever came later."""
    found: dict[str, tuple[datetime, Any]] = {one.name: (one.at, json.loads(one.value)) for one in others}
    for row in rows_in_slices(table.select(["metric", "last", "last_at"])):
        name, at = row["metric"], row["last_at"]
        if name not in found or found[name][0] <= at:
            found[name] = (at, row["last"])
    return {name: value for name, (_, value) in sorted(found.items())}


def _git(facts: Mapping[str, Any]) -> Git | None:
    commit, time = facts.get("git.commit"), facts.get("git.commit_time")
    dirty, remote = facts.get("git.dirty"), facts.get("git.remote")
    if commit is None and remote is None:
        return None
    return Git(
        commit_hash=None if commit is None else str(commit),
        commit_time=None if time is None else str(time),
        is_dirty=dirty if isinstance(dirty, bool) else None,
        repository_uri=None if remote is None else str(remote),
    )
