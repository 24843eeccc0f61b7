"""The next trial of a sweep, which no other request gets."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

from runstream.ids import new_id
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.sweeps.state import (
    OVER,
    TRIAL,
    KnownTrial,
    Sweep,
    SweepSide,
    is_of,
    is_there,
    missing,
    trial_name,
    trials_of,
    tried,
)
from runstream_service.problems import RETRY_AFTER_S, Problem

#: Other gateways may take the number that this one wanted to take.
_ATTEMPTS: Final = 20


async def ask(side: SweepSide, sweep: Sweep, token: str) -> tuple[KnownTrial | None, list[KnownTrial]]:
    """Return the next trial, None where there is none, and those that were known before.

    A trial whose run was lost is given again, before new ones. No two requests get the same trial, at whichever
    gateways: each takes a number by creating what has its name, or a lost trial by replacing what it read. A request
    that is sent again with its token gets the trial that it took.
    """
    async with side.turns.turn(sweep.entity.id):
        for _ in range(_ATTEMPTS):
            if not await is_there(side, sweep):
                raise missing(sweep.name)
            known = await trials_of(side, sweep)
            if (mine := next((one for one in known if one.ask == token), None)) is not None:
                return mine, known
            lost = to_give_again(known, sweep.config.retries)
            if lost is None and len(known) >= sweep.config.limit:
                return None, known
            taken = (
                await _again(side, sweep, lost, token) if lost is not None else await _new(side, sweep, known, token)
            )
            if taken is not None:
                return taken, known
    detail = "others took each trial first: send the request again"
    raise Problem(503, "busy", "Too many ask at once", detail, retry_after_s=RETRY_AFTER_S)


def to_give_again(known: Sequence[KnownTrial], retries: int) -> KnownTrial | None:
    """Return the first trial that was lost and may be given again."""
    return next((one for one in known if one.status == "lost" and one.attempt <= retries), None)


def repeatable(known: Sequence[KnownTrial], retries: int) -> list[KnownTrial]:
    """Return the trials that are not over, and are given again if their run is lost."""
    return [one for one in known if one.status not in OVER and one.attempt <= retries]


async def _new(side: SweepSide, sweep: Sweep, known: Sequence[KnownTrial], token: str) -> KnownTrial | None:
    number = len(known)
    async with side.turns.searching:
        values = await asyncio.to_thread(_values, sweep, known)
    given = _given(side, sweep, token, values, 1, ())
    try:
        entity = await side.entities.create(sweep.entity.place, TRIAL, trial_name(sweep, number), given)
    except EntityExists as error:
        await _make_way(side, sweep, error.entity)
        return None
    return KnownTrial(entity, number, "given", None)


async def _make_way(side: SweepSide, sweep: Sweep, taken: Entity | None) -> None:
    """Delete what has the name of a trial, if it is left of a sweep that was deleted."""
    if taken is not None and not is_of(sweep, taken) and await is_there(side, sweep):
        with contextlib.suppress(EntityChanged, EntityMissing):
            await side.entities.delete(taken)


def _values(sweep: Sweep, known: Sequence[KnownTrial]) -> dict[str, Any]:
    return sweep.config.search(sweep.entity.id).values(len(known), tried(sweep.config, known))


async def _again(side: SweepSide, sweep: Sweep, lost: KnownTrial, token: str) -> KnownTrial | None:
    earlier = (*lost.entity.properties["lost_runs"], lost.run)
    try:
        given = _given(side, sweep, token, dict(lost.values), lost.attempt + 1, earlier)
        entity = await side.entities.replace(lost.entity, given)
    except (EntityChanged, EntityMissing):
        return None
    return KnownTrial(entity, lost.number, "given", None)


def _given(
    side: SweepSide, sweep: Sweep, token: str, values: dict[str, Any], attempt: int, lost: Sequence[str]
) -> dict[str, Any]:
    at_us = side.context.now_us()
    return {
        "sweep": sweep.entity.id,
        "values": values,
        "run": new_id(),
        "attempt": attempt,
        "ask": token,
        "at_us": at_us,
        "lost_runs": list(lost),
    }
