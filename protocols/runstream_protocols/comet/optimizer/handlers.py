"""Handlers of the routes of Comet's Optimizer."""

import asyncio
import math
from dataclasses import replace
from typing import Any, Final

from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_protocols.comet.optimizer import models as m
from runstream_protocols.comet.optimizer.assigning import assign, experiments_of, never_began
from runstream_protocols.comet.optimizer.configs import ALGORITHMS, config_in, template
from runstream_protocols.comet.optimizer.state import (
    Assignment,
    Optimizer,
    OptimizerSide,
    assignment_of,
    assignments_of,
    create,
    delete,
    optimizer_of,
    started_ms,
)
from runstream_protocols.kit.entities import EntityChanged
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.routing import Call

#: Of this interface, as the client logs it with each experiment.
VERSION: Final = "2.0.0"
_NO_MORE: Final = 204
_ATTEMPTS: Final = 10
_STATUS_CHARS: Final = 100


async def spec(side: OptimizerSide, call: Call[m.SpecRequest]) -> m.AnyOptions:
    """Return the options of an algorithm, with which the client completes its own."""
    return m.AnyOptions([m.Option(**one) for one in template(call.parameters.algorithm_name)])


async def algorithms(side: OptimizerSide, call: Call[m.NoRequest]) -> m.Algorithms:
    """Return the names of all algorithms."""
    return m.Algorithms(algorithms=list(ALGORITHMS))


async def created(side: OptimizerSide, call: Call[object], payload: Payload) -> m.AnyCreated:
    """Create an optimizer."""
    optimizer = await create(side, payload.optional("name"), await asyncio.to_thread(config_in, payload))
    return m.AnyCreated(m.Created(id=optimizer.id))


async def deleted(side: OptimizerSide, call: Call[object], payload: Payload) -> m.AnyDeleted:
    """Delete an optimizer."""
    optimizer = await optimizer_of(side, payload.text("id"))
    await delete(side, optimizer)
    return m.AnyDeleted(m.Created(id=optimizer.id))


async def following(side: OptimizerSide, call: Call[m.OptimizerRequest]) -> m.Next:
    """Return the next assignment."""
    optimizer = await optimizer_of(side, call.parameters.id)
    await side.recorder.require(project_key(*optimizer.entity.place))
    taken = await assign(side, optimizer)
    if taken is None:
        return m.Next(code=_NO_MORE, message="nothing is left to try")
    given = m.Given(
        parameters=dict(taken.values),
        pid=optimizer.pid(taken.number),
        trial=optimizer.trial(taken.number),
        count=taken.number + 1,
        tries=taken.tries,
    )
    return m.Next(code=200, parameters=given)


async def updated(side: OptimizerSide, call: Call[object], payload: Payload) -> m.Updated:
    """Take in what became of an assignment."""
    optimizer = await optimizer_of(side, payload.text("id"))
    await side.recorder.require(project_key(*optimizer.entity.place))
    number = optimizer.number(payload.fields.get("pid"), payload.fields.get("trial"))
    changes = _changes(payload)
    for _ in range(_ATTEMPTS):
        one = await assignment_of(side, optimizer, number)
        try:
            await side.entities.replace(one.entity, one.replaced(**changes))
        except EntityChanged:
            continue
        return m.Updated()
    detail = f"others changed the assignment {number} each time: send the request again"
    raise Problem(503, "busy", "Too many change it at once", detail, retry_after_s=RETRY_AFTER_S)


def _changes(payload: Payload) -> dict[str, Any]:
    """What an update changes. A score that is no finite number is none. Raises Refused."""
    status, score = payload.optional("status"), payload.fields.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        raise Refused(f"score is {str(score)[:100]!r}: give a number", name="score")
    changes: dict[str, Any] = {"said": (status or "")[:_STATUS_CHARS]}
    if status in ("completed", "aborted"):
        changes["status"] = status
    if score is not None:
        changes["score"] = score if _is_finite(score) else None
    for name, kind in (("epoch", int), ("metadata", dict)):
        value = payload.fields.get(name)
        if value is not None and not isinstance(value, kind):
            raise Refused(f"{name} is {str(value)[:100]!r}: give {'a whole number' if kind is int else 'an object'}")
        if value is not None:
            changes[name] = value
    return changes


def _is_finite(score: float) -> bool:
    try:
        return math.isfinite(score)
    except OverflowError:
        return False


async def status(side: OptimizerSide, call: Call[m.OptimizerRequest]) -> m.AnyStatus:
    """Return an optimizer as it was created, and how far it is."""
    optimizer = await optimizer_of(side, call.parameters.id)
    known = await assignments_of(side, optimizer)
    now_us = side.context.now_us()
    if any(one.is_late(now_us) for one in known):
        experiments = await experiments_of(side, optimizer)
        lost = [never_began(optimizer, one, experiments, now_us) for one in known]
        known = [replace(one, status="aborted") if gone else one for one, gone in zip(known, lost, strict=True)]
    return m.AnyStatus(_shown(optimizer, known))


def _shown(optimizer: Optimizer, known: list[Assignment]) -> m.Status:
    config, total = optimizer.config, optimizer.config.total(optimizer.search)
    is_over = len(known) >= optimizer.limit and all(_is_over(optimizer, one) for one in known)
    last_ms = max((micros_of(one.entity.updated_at) // 1000 for one in known), default=None)
    return m.Status(
        id=optimizer.id,
        name=optimizer.entity.properties["name"] or optimizer.id,
        algorithm=config.algorithm,
        parameters=dict(config.parameters),
        spec=dict(config.spec),
        trials=config.trials,
        status="completed" if is_over else "running",
        combo_count=total,
        config_space_size=optimizer.search.size or 0,
        max_combo=config.spec.get("maxCombo", 0),
        retry_count=sum(one.tries - 1 for one in known),
        start_time=started_ms(optimizer.entity),
        last_update_time=last_ms,
        end_time=last_ms if is_over else None,
        state={
            "total": total,
            "assigned": len(known),
            **{name: sum(one.status == name for one in known) for name in ("running", "completed", "aborted")},
        },
        version=VERSION,
    )


def _is_over(optimizer: Optimizer, one: Assignment) -> bool:
    return one.status == "completed" or (one.status == "aborted" and one.tries > optimizer.config.retries)
