"""Handlers of experiments."""

import json
import math
import reprlib
from typing import Any, Final

from runstream.events.control import ExperimentCreated, ExperimentDeleted, RunDeleted
from runstream_protocols.bender.keys import ALGO, EXPERIMENT, place_of
from runstream_protocols.bender.login import user_in
from runstream_protocols.bender.models import ExperimentsQuery, Gone, ShownExperiment, ShownExperiments
from runstream_protocols.bender.shown import ids_of_trials
from runstream_protocols.bender.side import Algo, BenderSide, Experiment, is_benders
from runstream_protocols.bender.spaces import checked_metrics
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.routing import Call

_ATTEMPTS: Final = 5
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


async def experiments(side: BenderSide, call: Call[ExperimentsQuery]) -> ShownExperiments:
    """Return all experiments, the last changed first; or the one of a name."""
    name = call.parameters.name
    if name is None:
        found = await side.entities.list(None, EXPERIMENT)
    else:
        place = place_of(name)
        one = await side.entities.find(place.of_project, EXPERIMENT, place.experiment)
        found = [] if one is None else [one]
    shown = [_shown(Experiment(one)) for one in found if is_benders(one)]
    shown.sort(key=lambda one: (one.modified, one.id), reverse=True)
    return ShownExperiments(count=len(shown), results=shown)


async def experiment(side: BenderSide, call: Call[object]) -> ShownExperiment:
    """Return an experiment."""
    return _shown(await side.experiment(call.path["experiment"]))


async def create_experiment(side: BenderSide, call: Call[object], payload: Payload) -> ShownExperiment:
    """Create an experiment, which is refused if there is one of the name."""
    place = place_of(payload.text("name"))
    await side.recorder.require(place.record_key)
    properties = {
        "metrics": checked_metrics(payload.listed("metrics")),
        "description": optional_text(payload, "description"),
        "dataset": optional_text(payload, "dataset"),
        "dataset_parameters": finite("dataset_parameters", payload.fields.get("dataset_parameters")),
        "owner": user_in(call).name,
    }
    try:
        made = await side.entities.create(place.of_project, EXPERIMENT, place.experiment, properties)
    except EntityExists:
        raise Refused(f"there is an experiment {place.name!r} already: give another name", name="name") from None
    created = ExperimentCreated(
        at_us=side.recorder.stamp(),
        workspace=place.workspace,
        project=place.project,
        experiment=place.experiment,
        description=properties["description"] or "",
    )
    await side.recorder.record(place.record_key, b"experiment " + payload.content, [created])
    return _shown(Experiment(made))


async def delete_experiment(side: BenderSide, call: Call[object]) -> Gone:
    """Delete an experiment with its algorithms and their trials. Other runs in it stay."""
    found = await side.experiment(call.path["experiment"])
    place = found.place
    await side.recorder.require(place.record_key)
    for algo in await algos_of(side, found):
        await delete_trials(side, algo)
    await delete_entity(side, found.entity)
    deleted = ExperimentDeleted(
        at_us=side.recorder.stamp(), workspace=place.workspace, project=place.project, experiment=place.experiment
    )
    await side.recorder.record(place.record_key, b"delete " + found.id.encode(), [deleted])
    return Gone()


async def algos_of(side: BenderSide, found: Experiment) -> list[Algo]:
    """Return the algorithms of an experiment, by name."""
    place = found.place
    below = await side.entities.list(place.of_project, ALGO, f"{place.experiment}/")
    return [Algo(one, found) for one in below]


async def delete_trials(side: BenderSide, algo: Algo) -> None:
    """Delete all trials of an algorithm. They go first: what stops in the middle can be done again."""
    while ids := await ids_of_trials(side.context, algo, side.context.settings.max_page):
        for run in ids:
            await delete_run(side, run)
        await side.settle()


async def delete_run(side: BenderSide, run: str) -> None:
    """Delete a run, which can be restored."""
    await side.recorder.record(run, b"delete " + run.encode(), [RunDeleted(at_us=side.recorder.stamp())])


async def delete_entity(side: BenderSide, entity: Entity) -> None:
    """Delete an entity and what is below it, whoever changes it meanwhile. Raises Problem (503)."""
    now: Entity | None = entity
    for _ in range(_ATTEMPTS):
        if now is None or now.id != entity.id:
            return
        try:
            await side.entities.delete(now, below=True)
            return
        except EntityMissing:
            return
        except EntityChanged as changed:
            now = changed.entity
    detail = f"{entity.kind} {entity.name!r} was changed again and again meanwhile: send the request again"
    raise Problem(503, "busy", "Changed meanwhile", detail, retry_after_s=RETRY_AFTER_S)


def optional_text(payload: Payload, name: str) -> str | None:
    """Return a text, an empty one too, or None. Raises Refused."""
    value = payload.fields.get(name)
    return value if value is None or value == "" else payload.text(name)


def finite(name: str, value: Any) -> Any:
    """Return a JSON value. Raises Refused for one with NaN or an infinity in it."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise Refused(f"{name} is {_BRIEF.repr(value)}: give values that are no NaN and not infinite") from None
    return value


def number(name: str, value: Any) -> float:
    """Return a number. Raises Refused for what is none, for NaN and for an infinity."""
    right = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        found = float(value) if right else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Refused(f"{name[:100]} is {_BRIEF.repr(value)}: give a finite number")
    return found


def _shown(found: Experiment) -> ShownExperiment:
    said, place = found.entity.properties, found.place
    return ShownExperiment(
        id=found.id,
        name=place.name,
        description=said.get("description"),
        metrics=said["metrics"],
        owner=said.get("owner") or "",
        dataset=said.get("dataset"),
        dataset_parameters=said.get("dataset_parameters"),
        created=found.entity.created_at,
        modified=found.entity.updated_at,
    )
