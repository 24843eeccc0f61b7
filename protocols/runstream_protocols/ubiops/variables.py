"""Handlers of environment variables, of projects and of experiments. Secret values are sealed before they are appended,
and are in no response."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runstream_protocols.kit.entities import Entity, EntityExists, EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, key_of_project
from runstream_protocols.ubiops.found import EXPERIMENT, require_experiment
from runstream_protocols.ubiops.models import Done, InheritedVariable, InheritedVariables, Variable, Variables
from runstream_protocols.ubiops.presets import require_deployment
from runstream_protocols.ubiops.side import UbiopsSide, place_in, place_to_change
from runstream_protocols.ubiops.values import name_of, truth, variable_name, variable_value
from runstream_service.routing import Call

#: Variables of a project, by their names; and those of its experiments, by EXPERIMENT/NAME.
_OF_PROJECT: Final = "variable"
_OF_EXPERIMENT: Final = "experiment-variable"
_MAX_VARIABLES: Final = 1_000
#: What the client sets for the default bucket of an experiment.
BUCKET_VARIABLE: Final = "SYS_DEFAULT_BUCKET"


async def of_project(side: UbiopsSide, call: Call[object]) -> Variables:
    """Return the variables of a project, by name."""
    found = await side.entities.list(place_in(call).pair, _OF_PROJECT, limit=_MAX_VARIABLES)
    return Variables([_shown(one) for one in found])


async def of_experiment(side: UbiopsSide, call: Call[object]) -> InheritedVariables:
    """Return the variables of an experiment, by name: its own, and those of the project that they do not shadow."""
    place, experiment = await _experiment_in(side, call)
    own = {_name(one): one for one in await _own(side, place, experiment)}
    project = key_of_project(place.workspace, place.project)
    inherited = await side.entities.list(place.pair, _OF_PROJECT, limit=_MAX_VARIABLES)
    found = [InheritedVariable(**dict(_shown(one))) for one in own.values()]
    found += [
        InheritedVariable(**dict(_shown(one)), inheritance_type="project", inheritance_name=project)
        for one in inherited
        if one.name not in own
    ]
    return InheritedVariables(sorted(found, key=lambda one: one.name))


async def create(side: UbiopsSide, call: Call[object], payload: Payload) -> Variable:
    """Create a variable of a project or an experiment."""
    await place_to_change(side, call)
    place, prefix = await _holder(side, call)
    name, value, secret = variable_name(payload.text("name")), variable_value(payload), truth(payload, "secret")
    if value is None or secret is None:
        missing = "value" if value is None else "secret"
        raise Refused(f"{missing} is missing: give name, value and secret", name=missing)
    return _shown(await _create(side, place, prefix + name, value, secret=secret))


async def variable(side: UbiopsSide, call: Call[object]) -> Variable:
    """Return a variable of the project or experiment itself."""
    return _shown(await _found(side, call))


async def change(side: UbiopsSide, call: Call[object], payload: Payload) -> Variable:
    """Change a variable. One that is secret stays so. With another name it is another variable, with an id of its
    own."""
    await place_to_change(side, call)
    entity = await _found(side, call)
    name = variable_name(payload.text("name")) if payload.fields.get("name") is not None else _name(entity)
    value, secret = variable_value(payload), truth(payload, "secret")
    is_secret = bool(entity.properties["secret"])
    if is_secret and secret is False:
        raise Refused(f"the variable {_name(entity)!r} is secret and stays so: delete it and create another one")
    is_secret = is_secret or bool(secret)
    if value is None:
        value = await _opened(side, entity)
    place = Place(entity.workspace, entity.project)
    if name != _name(entity):
        made = await _create(side, place, entity.name.removesuffix(_name(entity)) + name, value, secret=is_secret)
        await _delete(side, entity)
        return _shown(made)
    properties = await _properties(side, place, entity.kind, entity.name, value, secret=is_secret)
    try:
        return _shown(await side.entities.replace(entity, properties))
    except EntityRefused:
        raise _changed_meanwhile(entity) from None


async def delete(side: UbiopsSide, call: Call[object]) -> Done:
    """Delete a variable of the project or experiment itself."""
    await place_to_change(side, call)
    entity = await _found(side, call)
    await _delete(side, entity)
    return Done()


async def copy(side: UbiopsSide, call: Call[object], payload: Payload) -> Variables:
    """Copy the own variables of another experiment, secret ones too, in the place of those of their names."""
    await place_to_change(side, call)
    place, prefix = await _holder(side, call)
    require_deployment(payload.text("source_deployment"))
    source = name_of(EXPERIMENT, payload.text("source_version"))
    await require_experiment(side, place, source)
    await _copy(side, place, source, prefix)
    return Variables([_shown(one) for one in await side.entities.list(place.pair, _OF_EXPERIMENT, prefix)])


async def move(side: UbiopsSide, place: Place, experiment: str, to: str) -> None:
    """Copy the variables of an experiment to one that gets its place."""
    await _copy(side, place, experiment, f"{to}/")


async def delete_all(side: UbiopsSide, place: Place, experiment: str) -> None:
    """Delete the variables of an experiment."""
    for entity in await _own(side, place, experiment):
        await _delete(side, entity)


@dataclass(frozen=True, slots=True)
class OpenedVariable:
    """A variable of the code of a run. Shows its value to nobody by accident."""

    name: str
    value: str = field(repr=False)
    secret: bool


async def opened(side: UbiopsSide, place: Place, experiment: str) -> list[OpenedVariable]:
    """Return what the code of an experiment's runs has in its environment, secrets in clear: the experiment's own, and
    those of the project that they do not shadow. For whoever executes a run, and for no other response. Raises
    SealBroken, SealingUnavailable."""
    found = {one.name: one for one in await side.entities.list(place.pair, _OF_PROJECT, limit=_MAX_VARIABLES)}
    if experiment:
        found |= {_name(one): one for one in await _own(side, place, experiment)}
    return [
        OpenedVariable(name, await _opened(side, found[name]), bool(found[name].properties["secret"]))
        for name in sorted(found)
    ]


async def plain_value(side: UbiopsSide, place: Place, experiment: str, name: str) -> str | None:
    """Return the value of a variable of an experiment that is no secret; None if it has none of the name."""
    entity = await side.entities.find(place.pair, _OF_EXPERIMENT, f"{experiment}/{name}") if experiment else None
    return None if entity is None or entity.properties["secret"] else str(entity.properties["value"])


async def _copy(side: UbiopsSide, place: Place, source: str, prefix: str) -> None:
    for entity in await _own(side, place, source):
        value, secret = await _opened(side, entity), bool(entity.properties["secret"])
        name = prefix + _name(entity)
        there = await side.entities.find(place.pair, _OF_EXPERIMENT, name)
        if there is None:
            await _create(side, place, name, value, secret=secret)
            continue
        secret = secret or bool(there.properties["secret"])
        properties = await _properties(side, place, there.kind, name, value, secret=secret)
        try:
            await side.entities.replace(there, properties)
        except EntityRefused:
            raise _changed_meanwhile(there) from None


async def _own(side: UbiopsSide, place: Place, experiment: str) -> list[Entity]:
    return await side.entities.list(place.pair, _OF_EXPERIMENT, f"{experiment}/", limit=_MAX_VARIABLES)


async def _experiment_in(side: UbiopsSide, call: Call[object]) -> tuple[Place, str]:
    place = place_in(call)
    found = await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))
    return place, found.name


async def _holder(side: UbiopsSide, call: Call[object]) -> tuple[Place, str]:
    """The project of a request, and what the names of its variables begin with: empty, or the experiment's name."""
    if "version" not in call.path:
        return place_in(call), ""
    place, experiment = await _experiment_in(side, call)
    return place, f"{experiment}/"


async def _found(side: UbiopsSide, call: Call[object]) -> Entity:
    """The variable that a request names by its id. Raises Refused (404), also for an inherited one."""
    place, prefix = await _holder(side, call)
    wanted = call.path["id"].replace("-", "")
    entity = await side.entities.find_by_id(_kind(prefix), wanted)
    if entity is None or entity.place != place.pair or not entity.name.startswith(prefix):
        owner = f"the experiment {prefix[:-1]!r}" if prefix else place.record_key
        detail = f"{owner} has no variable of its own with the id {wanted[:40]!r}: an inherited one is the project's"
        raise Refused(detail, status=404)
    return entity


async def _create(side: UbiopsSide, place: Place, name: str, value: str, *, secret: bool) -> Entity:
    kind = _kind(name)
    count = len(await side.entities.list(place.pair, kind, name[: name.rfind("/") + 1], limit=_MAX_VARIABLES))
    if count >= _MAX_VARIABLES:
        raise Refused(f"there are {count} variables, which is the most that are kept: delete some")
    properties = await _properties(side, place, kind, name, value, secret=secret)
    try:
        return await side.entities.create(place.pair, kind, name, properties)
    except EntityExists:
        detail = f"there is a variable {name.rpartition('/')[2]!r} already: update it, or give another name"
        raise Refused(detail, status=409) from None


async def _delete(side: UbiopsSide, entity: Entity) -> None:
    try:
        await side.entities.delete(entity)
    except EntityRefused:
        raise _changed_meanwhile(entity) from None


async def _properties(
    side: UbiopsSide, place: Place, kind: str, name: str, value: str, *, secret: bool
) -> Mapping[str, Any]:
    if not secret:
        return {"secret": False, "value": value}
    sealed = await asyncio.to_thread(side.sealing.seal, place.record_key, f"{kind}/{name}", value)
    return {"secret": True, "sealed": sealed}


async def _opened(side: UbiopsSide, entity: Entity) -> str:
    """The value of a variable, for one that takes its place."""
    if not entity.properties["secret"]:
        return str(entity.properties["value"])
    place = Place(entity.workspace, entity.project)
    name, sealed = f"{entity.kind}/{entity.name}", str(entity.properties["sealed"])
    return await asyncio.to_thread(side.sealing.open, place.record_key, name, sealed)


def _kind(name: str) -> str:
    return _OF_EXPERIMENT if "/" in name else _OF_PROJECT


def _name(entity: Entity) -> str:
    return entity.name.rpartition("/")[2]


def _shown(entity: Entity) -> Variable:
    secret = bool(entity.properties["secret"])
    return Variable(
        id=entity.id, name=_name(entity), value=None if secret else entity.properties["value"], secret=secret
    )


def _changed_meanwhile(entity: Entity) -> Refused:
    detail = f"the variable {_name(entity)!r} was changed or deleted meanwhile: look at it and try again"
    return Refused(detail, status=409)
