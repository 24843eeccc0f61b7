"""Sweeps and their trials: what was given to whom, and what the runs of the trials tell.

A sweep is an entity of its project, a trial is one below its name. What became of a trial is told by its run alone.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from runstream.events.names import project_key
from runstream_model.search.suggesting import Trial
from runstream_protocols.kit.entities import Entities, Entity, EntityExists, EntityMissing, Place
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.search_turns import SearchTurns
from runstream_protocols.kit.side import GatewaySide
from runstream_protocols.sweeps.configs import MAX_TRIALS, Config, config_in, config_of, differences
from runstream_query.http.context import Context
from runstream_query.repositories.reader import rows_in_slices

#: Kinds of entities.
SWEEP: Final = "sweep"
TRIAL: Final = "sweep-trial"
#: A trial whose run did not begin so long after it was given has lost its worker.
START_US: Final = 120_000_000

#: given: no run yet. lost: the run crashed, was killed or never began, so that nothing says that these values are bad.
#: failed: the program raised, or logged no value of the metric.
TrialStatus = Literal["given", "running", "finished", "failed", "lost"]
OVER: Final = ("finished", "failed")


@dataclass(frozen=True, slots=True)
class SweepSide(GatewaySide):
    """What the handlers of the routes work with."""

    turns: SearchTurns = field(default_factory=SearchTurns)

    @property
    def entities(self) -> Entities:
        """Return the entities that the request may see."""
        return Entities(self.recorder, self.context)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that is there."""

    entity: Entity
    config: Config

    @property
    def name(self) -> str:
        return self.entity.name


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A trial. `attempt`: how often it was given; `run`: that of the last time; `value`: the last value of the metric
    that is a finite number."""

    entity: Entity
    number: int
    status: TrialStatus
    value: float | None

    @property
    def values(self) -> Mapping[str, Any]:
        """Return its parameters."""
        values: Mapping[str, Any] = self.entity.properties["values"]
        return values

    @property
    def run(self) -> str:
        run: str = self.entity.properties["run"]
        return run

    @property
    def attempt(self) -> int:
        return int(self.entity.properties["attempt"])

    @property
    def ask(self) -> str:
        """The token of the request that it was given to."""
        ask: str = self.entity.properties["ask"]
        return ask


async def open_sweep(side: SweepSide, place: Place, name: str, given: Mapping[str, Any] | None) -> Sweep:
    """Return the sweep of this name. One that is not there is created as it is given; one that is there has to be as it
    is given, if that says anything. Raises Refused."""
    await side.recorder.require(project_key(*place))
    config = None if given is None else await asyncio.to_thread(config_in, given)
    entity = await side.entities.find(place, SWEEP, name)
    if entity is None and config is not None:
        try:
            return Sweep(await side.entities.create(place, SWEEP, name, config.properties), config)
        except EntityExists as error:
            entity = error.entity
    if entity is None:
        raise missing(name)
    kept = await asyncio.to_thread(config_of, entity.properties)
    if config is not None and (names := differences(kept, config)):
        what = f"the sweep {name[:100]!r} is there with another {names[0]}"
        raise Refused(f"{what}: give another name, or open it by its name alone", status=409, name=names[0])
    return Sweep(entity, kept)


async def sweep_of(side: SweepSide, place: Place, name: str) -> Sweep:
    """Return the sweep of this name. Raises Refused."""
    entity = await side.entities.find(place, SWEEP, name)
    if entity is None:
        raise missing(name)
    return Sweep(entity, await asyncio.to_thread(config_of, entity.properties))


async def delete_sweep(side: SweepSide, place: Place, name: str) -> bool:
    """Delete a sweep with its trials, whose runs stay. Return whether it was there. Raises Refused."""
    await side.recorder.require(project_key(*place))
    entity = await side.entities.find(place, SWEEP, name)
    if entity is None:
        return False
    async with side.turns.turn(entity.id):
        try:
            await side.entities.delete(entity, below_kind=TRIAL)
        except EntityMissing:
            return False
    return True


async def is_there(side: SweepSide, sweep: Sweep) -> bool:
    """Return whether nobody deleted the sweep since it was read."""
    now = await side.entities.find(sweep.entity.place, SWEEP, sweep.name)
    return now is not None and now.id == sweep.entity.id


def missing(name: str) -> Refused:
    """Return the refusal of a request about a sweep that is not there."""
    return Refused(f"there is no sweep {name[:100]!r} in this project: create it with a space", status=404)


def trial_name(sweep: Sweep, number: int) -> str:
    """Return the name of the entity of a trial: they stand by number where they stand by name."""
    return f"{sweep.name}/{number:06d}"


async def trials_of(side: SweepSide, sweep: Sweep) -> list[KnownTrial]:
    """Return the trials of a sweep, in their order."""
    found = await _given(side, sweep)
    if not found:
        return []
    context, ids = side.context, [one.properties["run"] for one in found]
    runs = await context.repositories.runs.shown(context.scope, ids, context.clock())
    values = await last_values(context, ids, sweep.config.metric)
    now_us = context.now_us()
    known = []
    for number, one in enumerate(found):
        run, value = runs.get(one.properties["run"]), values.get(one.properties["run"])
        is_late = now_us - one.properties["at_us"] > START_US
        status = status_of(None if run is None else run.status, value, is_late=is_late)
        known.append(KnownTrial(one, number, status, value))
    return known


async def given_to(side: SweepSide, sweep: Sweep) -> list[KnownTrial]:
    """Return the same without a look at their runs: to whom they were given."""
    found = await _given(side, sweep)
    return [KnownTrial(one, number, "given", None) for number, one in enumerate(found)]


async def _given(side: SweepSide, sweep: Sweep) -> list[Entity]:
    found = await side.entities.list(sweep.entity.place, TRIAL, f"{sweep.name}/", limit=MAX_TRIALS)
    return [one for one in found if is_of(sweep, one)]


def is_of(sweep: Sweep, trial: Entity) -> bool:
    """Return whether the entity is a trial of this very sweep. Another gateway may have given one of a sweep of this
    name while that was deleted. Trials of early builds do not say it."""
    of: str = trial.properties.get("sweep", sweep.entity.id)
    return of == sweep.entity.id


async def last_values(context: Context, runs: Sequence[str], metric: str) -> dict[str, float]:
    """Return run -> the last value of the metric, where that is a finite number."""
    table = await context.repositories.summaries.of_runs(context.scope, runs, [metric], 100 * len(runs))
    # Names are taken for globs, which may find others.
    return {
        row["run"]: row["last"]
        for row in rows_in_slices(table.select(["run", "metric", "last"]))
        if row["metric"] == metric and math.isfinite(row["last"])
    }


def status_of(run: str | None, value: float | None, *, is_late: bool) -> TrialStatus:
    """Return the status of a trial, of the status of its run (None: it did not begin) and the value that it has."""
    match run:
        case None:
            return "lost" if is_late else "given"
        case "running":
            return "running"
        case "crashed" | "killed":
            return "lost"
        case "finished":
            return "failed" if value is None else "finished"
        case _:
            return "failed"


def tried(config: Config, known: Sequence[KnownTrial]) -> list[Trial]:
    """Return what the trials are worth. Those without a value are known as places to keep away from."""
    return [
        Trial(one.values, config.loss(one.value) if one.status == "finished" and one.value is not None else None)
        for one in known
    ]


def best_of(config: Config, known: Sequence[KnownTrial]) -> KnownTrial | None:
    """Return the finished trial with the best value, the first of several."""
    finished = [one for one in known if one.status == "finished"]
    return min(finished, key=lambda one: (config.loss(one.value or 0.0), one.number), default=None)
