"""Handlers of algorithms."""

from runstream_protocols.bender.experiments import (
    algos_of,
    delete_entity,
    delete_trials,
    finite,
    optional_text,
)
from runstream_protocols.bender.keys import ALGO, algo_key
from runstream_protocols.bender.login import user_in
from runstream_protocols.bender.models import AlgosQuery, Gone, ShownAlgo, ShownAlgos
from runstream_protocols.bender.side import Algo, BenderSide
from runstream_protocols.bender.spaces import checked_hyperparameters, space_in
from runstream_protocols.kit.entities import EntityExists
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_service.routing import Call


async def algos(side: BenderSide, call: Call[AlgosQuery]) -> ShownAlgos:
    """Return the algorithms of an experiment, the newest first; or the one of a name."""
    experiment, name = await side.experiment(call.parameters.experiment), call.parameters.name
    if name is None:
        found = await algos_of(side, experiment)
    else:
        place = experiment.place
        one = await side.entities.find(place.of_project, ALGO, algo_key(place, name))
        found = [] if one is None else [Algo(one, experiment)]
    shown = sorted(map(_shown, found), key=lambda one: (one.created, one.id), reverse=True)
    return ShownAlgos(count=len(shown), results=shown)


async def algo(side: BenderSide, call: Call[object]) -> ShownAlgo:
    """Return an algorithm."""
    return _shown(await side.algo(call.path["algo"]))


async def create_algo(side: BenderSide, call: Call[object], payload: Payload) -> ShownAlgo:
    """Create an algorithm, which is refused if its experiment has one of the name."""
    experiment = await side.experiment(payload.text("experiment"))
    place, name = experiment.place, payload.text("name")
    await side.recorder.require(place.record_key)
    properties = {
        "parameters": checked_hyperparameters(finite("parameters", payload.listed("parameters"))),
        "description": optional_text(payload, "description"),
        "owner": user_in(call).name,
    }
    try:
        made = await side.entities.create(place.of_project, ALGO, algo_key(place, name), properties)
    except EntityExists:
        raise Refused(f"{place.name!r} has an algo {name[:100]!r} already: give another name", name="name") from None
    return _shown(Algo(made, experiment))


async def delete_algo(side: BenderSide, call: Call[object]) -> Gone:
    """Delete an algorithm and its trials."""
    found = await side.algo(call.path["algo"])
    await side.recorder.require(found.experiment.place.record_key)
    await delete_trials(side, found)
    await delete_entity(side, found.entity)
    return Gone()


def _shown(found: Algo) -> ShownAlgo:
    said = found.entity.properties
    return ShownAlgo(
        id=found.id,
        name=found.name,
        experiment=found.experiment.id,
        description=said.get("description"),
        parameters=said["parameters"],
        is_search_space_defined=space_in(said["parameters"]) is not None,
        owner=said.get("owner") or "",
        created=found.entity.created_at,
        modified=found.entity.updated_at,
    )
