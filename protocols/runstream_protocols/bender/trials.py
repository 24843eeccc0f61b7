"""Handlers of trials. A trial is a run that is over: its hyperparameters are parameters, its results are metrics."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from runstream.events.control import OthersLogged, ParametersLogged, RunEvent, RunFinished, RunStarted
from runstream.events.moments import moment_of
from runstream_protocols.bender.experiments import delete_run, finite, number, optional_text
from runstream_protocols.bender.keys import ALGO, Place, algo_key, is_algo_name
from runstream_protocols.bender.login import user_in
from runstream_protocols.bender.models import Gone, ShownTrial, ShownTrials, TrialsQuery
from runstream_protocols.bender.paths import ADDRESS
from runstream_protocols.bender.shown import (
    COMMENT,
    WEIGHT,
    KnownTrial,
    of_algo,
    shown_trial,
    trials_of,
)
from runstream_protocols.bender.side import Algo, BenderSide, missing
from runstream_protocols.kit.attempts import ENDED, STARTED, attempt_frame, attempt_writer
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.points import Value, values_frames
from runstream_protocols.kit.statements import Statement, events_frames
from runstream_protocols.kit.values import bounded, grouped
from runstream_query.repositories.runs import RunRecord
from runstream_service.routing import Call
from runstream_service.turns import worked


async def trials(side: BenderSide, call: Call[TrialsQuery]) -> ShownTrials:
    """Return a page of the trials of an algorithm, the newest first; or its best ones."""
    algo, query = await side.algo(call.parameters.algo), call.parameters
    context = side.context
    if query.k_best is not None:
        best = await _best(side, algo, query.metric, query.k_best)
        return ShownTrials(count=len(best), results=[shown_trial(algo, one) for one in best])
    limit = min(query.limit, context.settings.max_page)
    found = await trials_of(context, algo, limit, query.offset)
    count = await context.repositories.runs.count(context.scope, of_algo(algo), context.clock())
    more = query.offset + limit < count
    return ShownTrials(
        count=count,
        next=_page(call, algo, limit, query.offset + limit) if more else None,
        previous=_page(call, algo, limit, max(0, query.offset - limit)) if query.offset else None,
        results=await context.off_loop(lambda: [shown_trial(algo, one) for one in found]),
    )


async def _best(side: BenderSide, algo: Algo, metric: str | None, count: int) -> list[KnownTrial]:
    """The best of the newest trials that have the metric, the best first."""
    kind = algo.experiment.metrics.get(metric or "")
    if metric is None or kind is None:
        raise unknown_metric(algo, metric)
    found = [
        one for one in await trials_of(side.context, algo, side.context.settings.max_page) if metric in one.results
    ]
    found.sort(key=lambda one: one.results[metric], reverse=kind == "reward")
    return found[:count]


def unknown_metric(algo: Algo, metric: object) -> Refused:
    """Return the refusal of a metric that the experiment does not have."""
    names = ", ".join(algo.experiment.metrics)
    return Refused(f"metric is {str(metric)[:100]!r}: give one of the experiment's: {names[:300]}", name="metric")


def _page(call: Call[TrialsQuery], algo: Algo, limit: int, offset: int) -> str:
    """The address of another page, as the client's side sees this server."""
    host = call.request.headers.get("Host", "")
    return f"{call.request.scheme}://{host}{ADDRESS}/api/trials/?algo={algo.id}&limit={limit}&offset={offset}"


async def create_trial(side: BenderSide, call: Call[object], payload: Payload) -> ShownTrial:
    """Take in a trial: a run of the algorithm's experiment, in the group of the algorithm's name."""
    algo = await side.algo(payload.text("algo"))
    place = algo.experiment.place
    await side.recorder.require(place.record_key)
    parameters = _members(payload, "parameters", algo.hyperparameters)
    results = {name: number(name, value) for name, value in _results(payload, algo).items()}
    others = {WEIGHT: _weight(payload), COMMENT: optional_text(payload, "comment")}
    run, owner = uuid4().hex, user_in(call).name
    started = RunStarted(
        at_us=side.recorder.stamp(),
        workspace=place.workspace,
        project=place.project,
        experiment=place.experiment,
        group=algo.name,
        heartbeats=False,
        user=owner,
    )
    frames = await worked(len(payload.fields), _frames, run, started, parameters, results, others)
    await side.recorder.append(Statement(run, payload.content, started.at_us), frames)
    at = moment_of(started.at_us)
    return ShownTrial(
        id=run,
        algo=algo.id,
        algo_name=algo.name,
        experiment=algo.experiment.id,
        owner=owner,
        parameters=dict(parameters),
        results=dict(results),
        weight=others[WEIGHT],
        comment=others[COMMENT],
        created=at,
        modified=at,
    )


async def delete_trial(side: BenderSide, call: Call[object]) -> Gone:
    """Delete a trial, whichever algorithm it is of. Other runs are none."""
    run = call.path["trial"]
    await side.settle()
    shown = await side.context.repositories.runs.shown(side.context.scope, [run], side.context.clock())
    found = shown.get(run)
    if found is None or found.deleted or not await _is_trial(side, found):
        raise missing("trial", run)
    await delete_run(side, run)
    return Gone()


async def _is_trial(side: BenderSide, run: RunRecord) -> bool:
    experiment, group = run.columns["experiment"], run.columns["group"]
    if not experiment or not is_algo_name(group):
        return False
    place = Place(run.workspace, run.project, experiment)
    return await side.entities.find(place.of_project, ALGO, algo_key(place, group)) is not None


def _frames(
    run: str,
    started: RunStarted,
    parameters: Mapping[str, Any],
    results: Mapping[str, float],
    others: Mapping[str, Any],
) -> list[bytes]:
    """The whole run, which is appended at once."""
    at_us = started.at_us
    writer = attempt_writer(run, "trial")
    events: list[RunEvent] = [ParametersLogged(at_us=at_us, values=some) for some in grouped(parameters)]
    events.append(
        OthersLogged(at_us=at_us, values={name: value for name, value in others.items() if value is not None})
    )
    values = [Value(name, value, value, None, None, None) for name, value in results.items()]
    return [
        attempt_frame(writer, run, STARTED, started),
        *events_frames(Statement(run, b"parameters", at_us), events),
        *values_frames(Statement(run, b"results", at_us), values),
        attempt_frame(writer, run, ENDED, RunFinished(at_us=at_us, status="finished")),
    ]


def _results(payload: Payload, algo: Algo) -> Mapping[str, Any]:
    return _members(payload, "results", list(algo.experiment.metrics))


def _members(payload: Payload, member: str, names: list[str]) -> Mapping[str, Any]:
    """A value for each of the names, in their order. Raises Refused."""
    given = payload.fields.get(member)
    if not isinstance(given, dict):
        raise Refused(f"{member} is {type(given).__name__}: give an object with {', '.join(names)[:300]}", name=member)
    if given.keys() != set(names):
        wrong = sorted(given.keys() ^ set(names))[0]
        problem = "is missing" if wrong in names else "is unknown"
        raise Refused(f"{member}: {wrong[:100]!r} {problem}: give {', '.join(names)[:300]}", name=member)
    for name in names:
        value = finite(f"{member}.{name[:100]}", given[name])
        if value is None or bounded(value) != value:
            raise Refused(f"{member}: {name[:100]!r} is null or too long: give a short value", name=member)
    return {name: given[name] for name in names}


def _weight(payload: Payload) -> float:
    given = payload.fields.get("weight")
    weight = 1 if given is None else given
    if number("weight", weight) < 0:
        raise Refused(f"weight is {weight!r}: give a number of at least 0", name="weight")
    return weight
