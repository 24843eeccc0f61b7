"""The next values of an optimizer, which no other request gets."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

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
                ended = await _ended(side, optimizer)
                again = left_over(optimizer, open_ones, ended)
                if again is None:
                    return None
                taken = await _again(side, again, ended[_about(optimizer, again)])
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


def left_over(
    optimizer: Optimizer, open_ones: Sequence[Assignment], ended: Mapping[tuple[str, int], int]
) -> Assignment | None:
    """Return the first assignment that is given again: its experiment logged no value of the metric, or is dead. ended:
    how many experiments of each, by pid and trial, are dead."""
    aborted = next((one for one in open_ones if one.status == "aborted"), None)
    if aborted is not None:
        return aborted
    return next((one for one in open_ones if ended.get(_about(optimizer, one), 0) > one.ended_before), None)


def _about(optimizer: Optimizer, one: Assignment) -> tuple[str, int]:
    return optimizer.pid(one.number), optimizer.trial(one.number)


async def _ended(side: OptimizerSide, optimizer: Optimizer) -> Counter[tuple[str, int]]:
    """How many experiments of each assignment, by pid and trial, failed, crashed or were killed. Of one that was given
    again they are as many as then, until the newest is dead too."""
    context = side.context
    of = (
        Compare(Field("other", _OPTIMIZER_ID), "=", optimizer.id),
        Compare(Field("deleted"), "=", False),
        OneOf(Field("status"), ("failed", "crashed", "killed")),
    )
    ids = await context.repositories.runs.matching(
        context.scope, And(of), context.clock(), _NEWEST_FIRST, context.settings.max_page
    )
    if not ids:
        return Counter()
    cells = await context.repositories.attributes.cells(context.scope, ids, [Kind("other", (_PID, _TRIAL))])
    about: dict[str, dict[str, str]] = {}
    for cell in cells:
        about.setdefault(cell.run, {})[cell.name] = cell.value.strip('"')
    told = (one for one in about.values() if one.get(_TRIAL, "").isdigit())
    return Counter((one.get(_PID, ""), int(one[_TRIAL])) for one in told)


async def _again(side: OptimizerSide, one: Assignment, ended: int) -> Assignment | None:
    changes: dict[str, Any] = {"status": "running", "tries": one.tries + 1, "score": None, "ended_before": ended}
    try:
        entity = await side.entities.replace(one.entity, one.replaced(**changes))
    except (EntityChanged, EntityMissing):
        return None
    return Assignment(entity, one.number, one.values, "running", one.tries + 1, None)
