"""The next values of an optimizer, which no other request gets."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_protocols.comet.optimizer.configs import MAX_ASSIGNMENTS
from runstream_protocols.comet.optimizer.state import (
    ASSIGNMENT,
    Assignment,
    Optimizer,
    OptimizerSide,
    assignments_of,
    name_of,
    trials_in,
)
from runstream_protocols.kit.entities import EntityChanged, EntityExists, EntityMissing
from runstream_query.filters.tree import And, Compare, Field, OneOf
from runstream_query.repositories.attributes import Kind
from runstream_query.repositories.runs import RunOrder
from runstream_service.problems import RETRY_AFTER_S, Problem

#: Other gateways may take the number that this one wanted to take.
_ATTEMPTS: Final = 20
_NEWEST_FIRST: Final = RunOrder("created", descending=True)
#: Of one optimizer, the newest: as many as there are assignments, and as many again that were given again.
_MAX_EXPERIMENTS: Final = 2 * MAX_ASSIGNMENTS
_OPTIMIZER_ID: Final = "optimizer_id"
_PID: Final = "optimizer_pid"
_TRIAL: Final = "optimizer_trial"


async def assign(side: OptimizerSide, optimizer: Optimizer) -> Assignment | None:
    """Return the next assignment; None where there is none left. No two requests get the same one, at whichever
    gateways: each takes a number by creating what has its name. When none is new, those are given again whose
    experiments did not come to an end, as often as the optimizer says."""
    async with side.turns.turn(optimizer.id):
        for _ in range(_ATTEMPTS):
            known = await assignments_of(side, optimizer)
            if len(known) < optimizer.limit:
                taken = await _new(side, optimizer, known)
            else:
                open_ones = [
                    one for one in known if one.status != "completed" and one.tries <= optimizer.config.retries
                ]
                if not open_ones:
                    return None
                experiments = await experiments_of(side, optimizer)
                again = left_over(optimizer, open_ones, experiments, side.context.now_us())
                if again is None:
                    return None
                taken = await _again(side, again, experiments, optimizer)
            if taken is not None:
                return taken
    detail = "others took each assignment first: ask again"
    raise Problem(503, "busy", "Too many ask at once", detail, retry_after_s=RETRY_AFTER_S)


async def _new(side: OptimizerSide, optimizer: Optimizer, known: list[Assignment]) -> Assignment | None:
    number = len(known)
    if optimizer.trial(number):
        values = known[number - optimizer.trial(number)].values
    else:
        async with side.turns.searching:
            values = await asyncio.to_thread(_values, optimizer, number, known)
    given: dict[str, Any] = {"values": values, "status": "running", "tries": 1, "score": None}
    try:
        entity = await side.entities.create(optimizer.entity.place, ASSIGNMENT, name_of(optimizer, number), given)
    except EntityExists:
        return None
    return Assignment(entity, number, values, "running", 1, None)


def _values(optimizer: Optimizer, number: int, known: list[Assignment]) -> dict[str, Any]:
    return optimizer.search.values(number // optimizer.config.trials, trials_in(optimizer, known))


@dataclass(frozen=True, slots=True)
class Experiments:
    """How many experiments each assignment has, by pid and trial; `dead`: those that failed, crashed or were killed. Of
    one that was given again they are as many as then, until the newest has begun, or is dead too."""

    begun: Counter[tuple[str, int]]
    dead: Counter[tuple[str, int]]


def left_over(
    optimizer: Optimizer, open_ones: Sequence[Assignment], experiments: Experiments, now_us: int
) -> Assignment | None:
    """Return the first assignment that is given again: its experiment logged no value of the metric, is dead, or never
    began."""
    aborted = next((one for one in open_ones if one.status == "aborted"), None)
    if aborted is not None:
        return aborted
    for one in open_ones:
        if experiments.dead[_about(optimizer, one)] > one.ended_before:
            return one
        if never_began(optimizer, one, experiments, now_us):
            return one
    return None


def never_began(optimizer: Optimizer, one: Assignment, experiments: Experiments, now_us: int) -> bool:
    """Return whether the worker that was given an assignment is taken for lost."""
    return one.is_late(now_us) and experiments.begun[_about(optimizer, one)] <= one.begun_before


def _about(optimizer: Optimizer, one: Assignment) -> tuple[str, int]:
    return optimizer.pid(one.number), optimizer.trial(one.number)


async def experiments_of(side: OptimizerSide, optimizer: Optimizer) -> Experiments:
    """Return what became of the experiments of an optimizer."""
    context = side.context
    runs = context.repositories.runs
    of = Compare(Field("other", _OPTIMIZER_ID), "=", optimizer.id)
    ids = await runs.matching(context.scope, of, context.clock(), _NEWEST_FIRST, _MAX_EXPERIMENTS)
    dead = And((of, Compare(Field("deleted"), "=", False), OneOf(Field("status"), ("failed", "crashed", "killed"))))
    died = set(await runs.matching(context.scope, dead, context.clock(), _NEWEST_FIRST, _MAX_EXPERIMENTS))
    about = await _told(side, ids)
    return Experiments(Counter(about.values()), Counter(one for run, one in about.items() if run in died))


async def _told(side: OptimizerSide, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Run -> pid and trial, of those that have both."""
    context, about = side.context, dict[str, dict[str, str]]()
    size, wanted = context.settings.max_page, [Kind("other", (_PID, _TRIAL))]
    for first in range(0, len(ids), size):
        cells = await context.repositories.attributes.cells(context.scope, ids[first : first + size], wanted)
        for cell in cells:
            about.setdefault(cell.run, {})[cell.name] = cell.value.strip('"')
    told = {run: one for run, one in about.items() if one.get(_TRIAL, "").isdigit()}
    return {run: (one.get(_PID, ""), int(one[_TRIAL])) for run, one in told.items()}


async def _again(
    side: OptimizerSide, one: Assignment, experiments: Experiments, optimizer: Optimizer
) -> Assignment | None:
    about = _about(optimizer, one)
    changes: dict[str, Any] = {
        "status": "running",
        "tries": one.tries + 1,
        "score": None,
        "said": None,
        "ended_before": experiments.dead[about],
        "begun_before": experiments.begun[about],
    }
    try:
        entity = await side.entities.replace(one.entity, one.replaced(**changes))
    except (EntityChanged, EntityMissing):
        return None
    return Assignment(entity, one.number, one.values, "running", one.tries + 1, None)
