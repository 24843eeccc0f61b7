"""Handlers of experiments, which are versions of a deployment to UbiOps."""

import hashlib
from datetime import datetime
from typing import Any, Final

from runstream.events.control import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentUpdated,
    ProjectCreated,
    RunDeleted,
    RunMoved,
)
from runstream.events.moments import moment_of
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops import variables
from runstream_protocols.ubiops.found import (
    EXPERIMENT,
    Experiment,
    experiments_in,
    no_experiment,
    require_experiment,
    runs_of,
)
from runstream_protocols.ubiops.models import (
    Done,
    Experiments,
    ExperimentsQuery,
    Revision,
    RevisionMade,
    ShownExperiment,
)
from runstream_protocols.ubiops.presets import INSTANCE_TYPE, RETENTION_S, require_environment
from runstream_protocols.ubiops.side import UbiopsSide, place_in, place_to_change
from runstream_protocols.ubiops.values import (
    MAX_DESCRIPTION_CHARS,
    MAX_NAME_CHARS,
    description_of,
    labels_of,
    name_of,
    wanted_labels,
    whole,
)
from runstream_query.repositories.projects import ExperimentRecord
from runstream_service.routing import Call

#: Between the entity of a new experiment and its event lie some milliseconds. What is older and has no experiment is
#: left over: of one that was deleted by another client, or of a gateway that died in between.
_CREATED_WITHIN_S: Final = 60
#: How often a change begins again that others came before.
_ATTEMPTS: Final = 5
_MAX_RETENTION_S: Final = 10 * RETENTION_S
_MODES: Final = ("full", "metadata", "none")


async def experiments(side: UbiopsSide, call: Call[ExperimentsQuery]) -> Experiments:
    """Return the experiments of a project, by name: all, or those with labels."""
    place = place_in(call)
    records = await experiments_in(side, place)
    said = {entity.name: entity for entity in await side.entities.list(place.pair, EXPERIMENT)}
    found = [
        shown(Experiment(place, record, said.get(record.experiment)))
        for record in records
        if len(record.experiment) <= MAX_NAME_CHARS
    ]
    wanted = wanted_labels(call.parameters.labels) if call.parameters.labels else {}
    return Experiments([one for one in found if wanted.items() <= one.labels.items()])


async def experiment(side: UbiopsSide, call: Call[object]) -> ShownExperiment:
    """Return an experiment."""
    return shown(await require_experiment(side, place_in(call), name_of(EXPERIMENT, call.path["version"])))


async def create(side: UbiopsSide, call: Call[object], payload: Payload) -> ShownExperiment:
    """Create an experiment. Of several that create one name at once, one succeeds."""
    place = await place_to_change(side, call)
    name, description = name_of(EXPERIMENT, payload.text("version")), description_of(payload) or ""
    properties = _properties(payload, {"instance_type": INSTANCE_TYPE, "labels": {}})
    if "environment" not in properties:
        raise Refused("environment_name is missing: name the environment of the experiment", name="environment_name")
    if await experiments_in(side, place, name):
        raise _taken(place, name)
    entity = await _created(side, place, name, properties)
    at_us, named = side.recorder.stamp(), {"workspace": place.workspace, "project": place.project}
    events: list[ProjectCreated | ExperimentCreated] = [
        ProjectCreated(at_us=at_us, **named),
        ExperimentCreated(at_us=at_us, experiment=name, description=description, **named),
    ]
    positions = await side.recorder.record(place.record_key, payload.content, events, wait=False)
    await side.require_found(positions)
    at = moment_of(at_us)
    record = ExperimentRecord(place.workspace, place.project, name, description, at, at, 0)
    return shown(Experiment(place, record, entity))


async def change(side: UbiopsSide, call: Call[object], payload: Payload) -> ShownExperiment:
    """Change an experiment; with another `version` it gets that name, and its runs and variables go along."""
    place = await place_to_change(side, call)
    found = await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))
    description = description_of(payload)
    renamed = payload.optional("version")
    if renamed is not None and renamed != found.name:
        await _rename(side, found, name_of(EXPERIMENT, renamed), payload)
        found = await require_experiment(side, place, renamed)
    entity = await _changed(side, found, payload)
    record = found.record
    if description is not None and description != record.description:
        event = ExperimentUpdated(
            at_us=side.recorder.stamp(),
            workspace=place.workspace,
            project=place.project,
            experiment=found.name,
            description=description,
        )
        await side.require_found(await side.recorder.record(place.record_key, payload.content, [event], wait=False))
        record = (await require_experiment(side, place, found.name)).record
    return shown(Experiment(place, record, entity))


async def delete(side: UbiopsSide, call: Call[object]) -> Done:
    """Delete an experiment with its variables and its runs, which Runstream's own interface can bring back."""
    place = await place_to_change(side, call)
    found = await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))
    for run in await runs_of(side, place, found.name):
        await side.recorder.record(run, b"deleted", [RunDeleted(at_us=side.recorder.stamp())])
    await _forget(side, found)
    await _end(side, found, b"deleted")
    await side.recorder.wait_until_visible()
    return Done()


async def make_revision(side: UbiopsSide, call: Call[object]) -> RevisionMade:
    """Return the revision that an experiment has. The file that the client sends is an empty template, and is passed
    over."""
    place = await place_to_change(side, call)
    found = await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))
    return RevisionMade(revision=_id_of(found))


async def revision(side: UbiopsSide, call: Call[object]) -> Revision:
    """Return the revision of an experiment."""
    found = await require_experiment(side, place_in(call), name_of(EXPERIMENT, call.path["version"]))
    if call.path["revision"] != _id_of(found):
        detail = f"the experiment {found.name!r} has no revision {call.path['revision'][:80]!r}: it has {_id_of(found)}"
        raise Refused(detail, status=404)
    return Revision(id=_id_of(found), version=found.name, creation_date=found.record.created_at)


def shown(found: Experiment) -> ShownExperiment:
    """Return an experiment as the client reads it."""
    said: dict[str, Any] = dict(found.entity.properties) if found.entity else {}
    return ShownExperiment(
        id=_id_of(found),
        version=found.name,
        description=found.record.description[:MAX_DESCRIPTION_CHARS],
        environment_name=said.get("environment"),
        instance_type=said.get("instance_type", INSTANCE_TYPE),
        labels=said.get("labels", {}),
        request_retention_time=said.get("retention_s", RETENTION_S),
        request_retention_mode=said.get("retention_mode", _MODES[0]),
        active_revision=_id_of(found),
        latest_revision=_id_of(found),
        creation_date=found.record.created_at,
        last_updated=_updated_at(found),
    )


def _updated_at(found: Experiment) -> datetime:
    updated_at = found.record.updated_at
    return max(updated_at, found.entity.updated_at) if found.entity else updated_at


def _id_of(found: Experiment) -> str:
    """The entity's, which stays when the experiment gets another name; of others it is made of their place."""
    if found.entity is not None:
        return str(found.entity.properties.get("id", found.entity.id))
    made = hashlib.sha256(f"{found.place.record_key}/{found.name}".encode())
    return made.hexdigest()[:32]


def _properties(payload: Payload, before: dict[str, Any]) -> dict[str, Any]:
    """What a request says of an experiment, over what was said before. Raises Refused."""
    said = dict(before)
    environment = payload.optional("environment_name") or payload.optional("environment")
    if environment is not None:
        said["environment"] = require_environment(environment)
    if (instance_type := payload.optional("instance_type")) is not None:
        if len(instance_type) > MAX_NAME_CHARS:
            raise Refused(f"instance_type has {len(instance_type)} characters: give at most {MAX_NAME_CHARS}")
        said["instance_type"] = instance_type
    if (labels := labels_of(payload)) is not None:
        said["labels"] = labels
    if (retention_s := whole(payload, "request_retention_time", 1, _MAX_RETENTION_S)) is not None:
        said["retention_s"] = retention_s
    if (mode := payload.optional("request_retention_mode")) is not None:
        if mode not in _MODES:
            raise Refused(f"request_retention_mode is {mode[:40]!r}: give one of {', '.join(_MODES)}")
        said["retention_mode"] = mode
    return said


async def _created(side: UbiopsSide, place: Place, name: str, properties: dict[str, Any]) -> Entity:
    try:
        return await side.entities.create(place.pair, EXPERIMENT, name, properties)
    except EntityExists as error:
        left = error.entity
    # Others see the experiment a moment later; only what nobody is about to finish makes room.
    age_s = 0.0 if left is None else side.recorder.now_us() / 1e6 - left.updated_at.timestamp()
    if left is None or age_s < _CREATED_WITHIN_S:
        raise _taken(place, name)
    try:
        await variables.delete_all(side, place, name)
        await side.entities.delete(left)
        return await side.entities.create(place.pair, EXPERIMENT, name, properties)
    except (EntityExists, EntityChanged, EntityMissing):
        raise _taken(place, name) from None


async def _changed(side: UbiopsSide, found: Experiment, payload: Payload) -> Entity | None:
    """The entity with what the request says of the experiment; None if it says nothing and there is none."""
    entity = found.entity
    for _ in range(_ATTEMPTS):
        before = {} if entity is None else dict(entity.properties)
        after = _properties(payload, before)
        if after == before:
            return entity
        try:
            if entity is None:
                return await side.entities.create(found.place.pair, EXPERIMENT, found.name, after)
            return await side.entities.replace(entity, after)
        except (EntityChanged, EntityExists) as error:
            entity = error.entity
        except EntityMissing:
            raise no_experiment(found.place, found.name) from None
    raise Refused(f"the experiment {found.name!r} is changed by others all the time: try again", status=409)


async def _rename(side: UbiopsSide, found: Experiment, name: str, payload: Payload) -> None:
    """Give an experiment another name. What was done of it when a gateway died in the middle is done again by the next
    attempt, which the new name that is then there refuses: delete the half of it first."""
    place = found.place
    if await experiments_in(side, place, name):
        raise _taken(place, name)
    said = dict(found.entity.properties) if found.entity else {}
    await _created(side, place, name, {**said, "id": _id_of(found)})
    await variables.move(side, place, found.name, name)
    created = ExperimentCreated(
        at_us=side.recorder.stamp(),
        workspace=place.workspace,
        project=place.project,
        experiment=name,
        description=found.record.description,
    )
    await side.recorder.record(place.record_key, b"renamed " + payload.content, [created])
    for run in await runs_of(side, place, found.name):
        moved = RunMoved(at_us=side.recorder.stamp(), workspace=place.workspace, project=place.project, experiment=name)
        await side.recorder.record(run, b"renamed " + payload.content, [moved])
    await _forget(side, found)
    await _end(side, found, b"renamed away " + payload.content)
    await side.recorder.wait_until_visible()


async def _forget(side: UbiopsSide, found: Experiment) -> None:
    """Delete what this client said of an experiment: its variables, and the entity."""
    await variables.delete_all(side, found.place, found.name)
    entity = found.entity
    for _ in range(_ATTEMPTS):
        if entity is None:
            return None
        try:
            # Not what is below its name: the files of a bucket may be called so.
            return await side.entities.delete(entity)
        except EntityMissing:
            return None
        except EntityChanged as error:
            entity = error.entity
    raise Refused(f"the experiment {found.name!r} is changed by others all the time: try again", status=409)


async def _end(side: UbiopsSide, found: Experiment, content: bytes) -> None:
    place = found.place
    event = ExperimentDeleted(
        at_us=side.recorder.stamp(), workspace=place.workspace, project=place.project, experiment=found.name
    )
    await side.recorder.record(place.record_key, content, [event])


def _taken(place: Place, name: str) -> Refused:
    detail = f"{place.record_key} has an experiment {name!r} already: give another name, or use experiments_update"
    return Refused(detail, status=409)
