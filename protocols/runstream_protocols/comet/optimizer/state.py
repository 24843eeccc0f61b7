"""Optimizers and their assignments: which values were given to whom, and what came of it."""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import uuid4

from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_model.search.searches import Search
from runstream_model.search.suggesting import Trial
from runstream_protocols.comet.conventions import DEFAULT_PROJECT, DEFAULT_WORKSPACE
from runstream_protocols.comet.optimizer.configs import MAX_ASSIGNMENTS, Config, config_of, properties_of
from runstream_protocols.kit.entities import Entities, Entity, EntityMissing, Place
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import checked
from runstream_protocols.kit.search_turns import SearchTurns
from runstream_protocols.kit.side import GatewaySide

#: Kinds of entities. An assignment's name is that of its optimizer, and its number.
OPTIMIZER: Final = "optimizer"
ASSIGNMENT: Final = "assignment"
_PID_CHARS: Final = 32
_COMBO_CHARS: Final = 8
_NAME_CHARS: Final = 200

#: Values whose experiment did not begin so long after they were given have lost their worker.
BEGIN_US: Final = 120_000_000

#: running: given to somebody. completed: with a score. aborted: the experiment had no value of the metric.
Status = Literal["running", "completed", "aborted"]


@dataclass(frozen=True, slots=True)
class OptimizerSide(GatewaySide):
    """What the handlers of the optimizer's routes work with."""

    turns: SearchTurns = field(default_factory=SearchTurns)

    @property
    def entities(self) -> Entities:
        """Return the entities that the request may see."""
        return Entities(self.recorder, self.context)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer that is there."""

    entity: Entity
    config: Config
    search: Search

    @property
    def id(self) -> str:
        return self.entity.id

    @property
    def limit(self) -> int:
        """How many assignments it makes."""
        return self.config.limit(self.search)

    def pid(self, number: int) -> str:
        """Return the id of the set of values that the assignment `number` is about."""
        combo = number // self.config.trials
        return f"{self.id[: _PID_CHARS - _COMBO_CHARS]}{combo:0{_COMBO_CHARS}x}"

    def trial(self, number: int) -> int:
        """Return which of the trials of its set of values an assignment is."""
        return number % self.config.trials

    def number(self, pid: Any, trial: Any) -> int:
        """Return the number of an assignment. Raises Refused."""
        if (
            isinstance(pid, str)
            and len(pid) == _PID_CHARS
            and isinstance(trial, int)
            and 0 <= trial < self.config.trials
        ):
            try:
                number = int(pid[-_COMBO_CHARS:], 16) * self.config.trials + trial
            except ValueError:
                number = -1
            if number >= 0 and self.pid(number) == pid:
                return number
        raise Refused(
            f"the optimizer {self.id} gave no assignment with the pid {str(pid)[:60]!r} and this trial", status=404
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Values that were given. `tries`: how often; `score`: of the metric, None while nobody has said."""

    entity: Entity
    number: int
    values: Mapping[str, Any]
    status: Status
    tries: int
    score: float | None

    @property
    def ended_before(self) -> int:
        """How many of its experiments were dead when it was given for the last time."""
        return int(self.entity.properties.get("ended_before", self.tries - 1))

    @property
    def begun_before(self) -> int:
        """How many experiments it had when it was given for the last time."""
        return int(self.entity.properties.get("begun_before", self.tries - 1))

    def is_late(self, now_us: int) -> bool:
        """Return whether somebody has it for so long, without a word about it, that an experiment should have begun."""
        is_silent = self.status == "running" and self.entity.properties.get("said") is None
        return is_silent and now_us - micros_of(self.entity.updated_at) > BEGIN_US

    def replaced(self, **members: Any) -> dict[str, Any]:
        """Return its properties with some others."""
        return {**self.entity.properties, **members}


async def create(side: OptimizerSide, name: str | None, config: Config) -> Optimizer:
    """Create an optimizer. Its name may say where it is kept: PROJECT/NAME, WORKSPACE/PROJECT/NAME."""
    place = _place(name or "")
    await side.recorder.require(project_key(*place))
    entity = await side.entities.create(place, OPTIMIZER, uuid4().hex, {"name": name, **properties_of(config)})
    return await asyncio.to_thread(_optimizer, entity)


async def optimizer_of(side: OptimizerSide, given: str | None) -> Optimizer:
    """Return the optimizer with an id. Raises Refused."""
    entity = await side.entities.find_by_id(OPTIMIZER, given) if given else None
    if entity is None:
        what = f"the id {given[:60]!r}" if given else "no id"
        raise Refused(f"there is no optimizer with {what}: give one that an Optimizer printed", status=404)
    return await asyncio.to_thread(_optimizer, entity)


async def delete(side: OptimizerSide, optimizer: Optimizer) -> None:
    """Delete an optimizer with its assignments, whose experiments stay. Raises Refused."""
    await side.recorder.require(project_key(*optimizer.entity.place))
    async with side.turns.turn(optimizer.id):
        with contextlib.suppress(EntityMissing):
            await side.entities.delete(optimizer.entity, below_kind=ASSIGNMENT)


async def assignments_of(side: OptimizerSide, optimizer: Optimizer) -> list[Assignment]:
    """Return the assignments of an optimizer, in their order."""
    entity = optimizer.entity
    found = await side.entities.list(entity.place, ASSIGNMENT, f"{entity.name}/", limit=MAX_ASSIGNMENTS)
    return await side.context.off_loop(lambda: [_assignment(one) for one in found])


async def assignment_of(side: OptimizerSide, optimizer: Optimizer, number: int) -> Assignment:
    """Return one assignment. Raises Refused."""
    found = await side.entities.find(optimizer.entity.place, ASSIGNMENT, name_of(optimizer, number))
    if found is None:
        raise Refused(f"the optimizer {optimizer.id} gave no assignment {number}", status=404)
    return _assignment(found)


def name_of(optimizer: Optimizer, number: int) -> str:
    """Return the name of the entity of an assignment: they stand by number where they stand by name."""
    return f"{optimizer.entity.name}/{number:08d}"


def trials_in(optimizer: Optimizer, known: list[Assignment]) -> list[Trial]:
    """Return what the sets of values before the next one are worth: of several trials of a set, each by itself."""
    return [Trial(one.values, optimizer.config.loss(one.score)) for one in known]


def started_ms(entity: Entity) -> int:
    """Return when it was created, as the client has times."""
    return micros_of(entity.created_at) // 1000


def _optimizer(entity: Entity) -> Optimizer:
    config = config_of(entity.properties)
    return Optimizer(entity, config, config.search(entity.id))


def _assignment(entity: Entity) -> Assignment:
    given, score = entity.properties, entity.properties["score"]
    finite = score if isinstance(score, int | float) and math.isfinite(score) else None
    number = int(entity.name.rpartition("/")[2])
    return Assignment(entity, number, given["values"], given["status"], given["tries"], finite)


def _place(name: str) -> Place:
    if len(name) > _NAME_CHARS:
        raise Refused(f"name has {len(name)} characters: give at most {_NAME_CHARS}", name="name")
    parts = name.split("/")
    workspace = parts[0] if len(parts) == 3 else DEFAULT_WORKSPACE
    project = parts[-2] if len(parts) in (2, 3) else DEFAULT_PROJECT
    return checked("workspace", workspace), checked("project", project)
