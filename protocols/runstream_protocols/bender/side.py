"""What the handlers of Bender's routes work with, and which thing a request is about."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from runstream_protocols.bender.keys import ALGO, EXPERIMENT, Place, algo_of
from runstream_protocols.kit.entities import Entities, Entity
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.side import GatewaySide

_ID: Final = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment, and what Bender's client said about it."""

    entity: Entity

    @property
    def id(self) -> str:
        return self.entity.id

    @property
    def place(self) -> Place:
        """Return where its runs are."""
        return Place(self.entity.workspace, self.entity.project, self.entity.name)

    @property
    def metrics(self) -> dict[str, str]:
        """Return the type of each metric: loss or reward."""
        return {one["metric_name"]: one["type"] for one in self.entity.properties["metrics"]}


@dataclass(frozen=True, slots=True)
class Algo:
    """An algorithm of an experiment."""

    entity: Entity
    experiment: Experiment

    @property
    def id(self) -> str:
        return self.entity.id

    @property
    def name(self) -> str:
        return algo_of(self.entity.name)

    @property
    def hyperparameters(self) -> list[str]:
        """Return their names."""
        return [one["name"] for one in self.entity.properties["parameters"]]


@dataclass(frozen=True, slots=True)
class BenderSide(GatewaySide):
    """turns: one lock for each algorithm that a suggestion is made for, so that those of this gateway do not get in
    each other's way. searching: held while one is computed, which takes a core."""

    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    searching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def entities(self) -> Entities:
        """Return the entities that the request may see."""
        return Entities(self.recorder, self.context)

    def turn(self, algo: str) -> asyncio.Lock:
        """Return the lock of an algorithm."""
        return self.turns.setdefault(algo, asyncio.Lock())

    async def experiment(self, experiment: str) -> Experiment:
        """Return the experiment with an id. Raises Refused."""
        found = await self._entity(EXPERIMENT, experiment)
        if found is None or not is_benders(found):
            raise missing("experiment", experiment)
        return Experiment(found)

    async def algo(self, algo: str) -> Algo:
        """Return the algorithm with an id. Raises Refused."""
        found = await self._entity(ALGO, algo)
        if found is None:
            raise missing("algo", algo)
        name = found.name.partition("/")[0]
        above = await self.entities.find(found.place, EXPERIMENT, name)
        if above is None:
            raise missing("algo", algo)
        return Algo(found, Experiment(above))

    async def _entity(self, kind: str, given: str) -> Entity | None:
        """What was created at this gateway a moment ago is there: its creation waited."""
        entity = given.replace("-", "").lower()
        return await self.entities.find_by_id(kind, entity) if _ID.match(entity) else None


def is_benders(entity: Entity) -> bool:
    """Return whether an experiment has what this client needs of it; other clients keep other things."""
    return "metrics" in entity.properties


def missing(kind: str, given: str) -> Refused:
    """Return the refusal of a request about something that is not there."""
    return Refused(f"there is no {kind} with the id {given[:60]!r}: take one of list_{kind}s()", status=404)
