"""Experiments, trials and artifacts as this server keeps them, found by their names in any case.

An experiment is one of Runstream's, in this client's project; what AWS has beside it is an entity of its name. A trial
is an entity, and so is an artifact of lineage, whose name is made for it. That a run is in a trial is a tag of the run,
`trial:NAME`: every reader sees it, and of several that are set at once none is lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from runstream_protocols.kit.entities import Entities, Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.sagemaker.errors import AwsError, invalid, not_found
from runstream_protocols.sagemaker.names import ARTIFACT, EXPERIMENT, PROJECT, TRIAL, WORKSPACE, arn_of, name_in
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_query.repositories.projects import ExperimentRecord

PLACE: Final = (WORKSPACE, PROJECT)
#: What the kinds are called, as ARNs name them and as people do.
KINDS: Final[Mapping[str, str]] = {EXPERIMENT: "Experiment", TRIAL: "Trial", ARTIFACT: "Artifact"}
_ENTITY_KINDS: Final[Mapping[str, str]] = {EXPERIMENT: "experiment", TRIAL: "trial", ARTIFACT: "lineage-artifact"}
_IN_TRIAL: Final = "trial:"
#: Entities that are read at once.
_PAGE: Final = 5_000
#: Changes of one thing at the same moment: each sees what the one before it made.
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Thing:
    """An experiment, a trial or an artifact. `description`, `runs`: of an experiment; `experiment`: of a trial; what an
    artifact has stands in its entity. An experiment that another client created has no entity."""

    kind: str
    name: str
    display_name: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    runs: int = 0
    experiment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    entity: Entity | None = None

    def arn(self, region: str) -> str:
        """Return its ARN."""
        return arn_of(self.kind, self.name, region)


def tag_of(trial: Thing) -> str:
    """Return the tag that runs of the trial have."""
    return f"{_IN_TRIAL}{trial.name.lower()}"


def trials_in(tags: Iterable[str]) -> list[str]:
    """Return the names, in small letters, of the trials that a run with these tags is in, if they are there."""
    return [tag.removeprefix(_IN_TRIAL) for tag in tags if tag.startswith(_IN_TRIAL)]


class Things:
    """The experiments, trials and artifacts that one request may see, and changes of them."""

    def __init__(self, side: SagemakerSide) -> None:
        self._side = side
        self._entities = Entities(side.recorder, side.context)

    async def all(self, kind: str) -> list[Thing]:
        """Return all of a kind, by name."""
        entities = {one.name: one for one in await self._all_entities(kind)}
        if kind != EXPERIMENT:
            return [_thing(kind, one) for one in entities.values()]
        found = {one.experiment.lower(): one for one in await self._experiments()}
        names = sorted(found.keys() | entities.keys())
        return [_experiment(found.get(name), entities.get(name)) for name in names]

    async def get(self, kind: str, reference: str) -> Thing:
        """Return one, by its name or ARN. Raises AwsError."""
        found = await self.find(kind, name_in(reference, kind))
        if found is None:
            raise not_found(KINDS[kind], name_in(reference, kind))
        return found

    async def find(self, kind: str, name: str) -> Thing | None:
        """Return the one with a name; None if there is none."""
        entity = await self._entities.find(PLACE, _ENTITY_KINDS[kind], name.lower())
        if kind != EXPERIMENT:
            return None if entity is None else _thing(kind, entity)
        found = {one.experiment.lower(): one for one in await self._experiments()}
        record = found.get(name.lower())
        return None if record is None and entity is None else _experiment(record, entity)

    async def create(self, kind: str, name: str, properties: Mapping[str, Any]) -> Entity | None:
        """Create one whose name nobody has, once for each call of the client. Raises AwsError."""
        kept = {"name": name, "invocation": self._side.invocation, **properties}
        try:
            return await self._entities.create(PLACE, _ENTITY_KINDS[kind], name.lower(), kept)
        except EntityExists as exists:
            invocation = None if exists.entity is None else exists.entity.properties.get("invocation")
            if not invocation or invocation != self._side.invocation:
                raise taken(kind, name) from None
            return exists.entity

    async def change(self, thing: Thing, changes: Mapping[str, Any]) -> None:
        """Change some of the properties of one. Raises AwsError."""
        kind, name, entity = _ENTITY_KINDS[thing.kind], thing.name.lower(), thing.entity
        for _ in range(_ATTEMPTS):
            try:
                if entity is None:
                    await self._entities.create(PLACE, kind, name, {"name": thing.name, **changes})
                else:
                    await self._entities.replace(entity, {**entity.properties, **changes})
            except (EntityExists, EntityChanged) as changed:
                entity = changed.entity
            except EntityMissing:
                raise not_found(KINDS[thing.kind], thing.name) from None
            else:
                return
        raise AwsError("ConflictException", f"{KINDS[thing.kind]} {thing.name!r} changes all the time: send it again")

    async def delete(self, thing: Thing) -> None:
        """Delete one. Raises AwsError."""
        entity = thing.entity
        for _ in range(_ATTEMPTS):
            if entity is None:
                return
            try:
                await self._entities.delete(entity)
            except EntityChanged as changed:
                entity = changed.entity
            except EntityMissing:
                return
            else:
                return
        raise AwsError("ConflictException", f"{KINDS[thing.kind]} {thing.name!r} changes all the time: send it again")

    async def _experiments(self) -> list[ExperimentRecord]:
        context = self._side.context
        return await context.repositories.projects.experiments(
            context.scope, *PLACE, text_bytes=context.settings.max_text_bytes
        )

    async def _all_entities(self, kind: str) -> list[Entity]:
        found: list[Entity] = []
        while True:
            after = (found[-1].name, found[-1].id) if found else None
            some = await self._entities.list(PLACE, _ENTITY_KINDS[kind], after=after, limit=_PAGE)
            found += some
            if len(some) < _PAGE:
                return found


def taken(kind: str, name: str) -> AwsError:
    """Return the refusal of a new thing whose name another has."""
    return invalid(f"{KINDS[kind]} {name!r} already exists: give another name, or load it")


def _thing(kind: str, entity: Entity) -> Thing:
    properties = entity.properties
    name = properties["name"]
    return Thing(
        kind,
        name,
        properties.get("display_name") or name,
        entity.created_at,
        entity.updated_at,
        experiment=properties.get("experiment", ""),
        tags=properties.get("tags", {}),
        entity=entity,
    )


def _experiment(record: ExperimentRecord | None, entity: Entity | None) -> Thing:
    properties = {} if entity is None else entity.properties
    both = [one for one in (record, entity) if one is not None]
    name = properties.get("name") or ("" if record is None else record.experiment)
    return Thing(
        EXPERIMENT,
        name,
        properties.get("display_name") or name,
        min(one.created_at for one in both),
        max(one.updated_at for one in both),
        description="" if record is None else record.description,
        runs=0 if record is None else record.runs,
        tags=properties.get("tags", {}),
        entity=entity,
    )
