"""Handlers of the routes of sweeps."""

import asyncio
from collections.abc import Mapping
from typing import Any

from runstream.events.names import project_key
from runstream_protocols.kit.entities import Place
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import DEFAULT_WORKSPACE, checked
from runstream_protocols.sweeps import asking
from runstream_protocols.sweeps import models as m
from runstream_protocols.sweeps.configs import config_of
from runstream_protocols.sweeps.state import (
    OVER,
    SWEEP,
    KnownTrial,
    Sweep,
    SweepSide,
    best_of,
    delete_sweep,
    given_to,
    open_sweep,
    sweep_of,
    trials_of,
)
from runstream_protocols.sweeps.stopping import decide
from runstream_service.routing import Call

_MAX_TOKEN_CHARS = 64
_MIN_TOKEN_CHARS = 8


async def opened(side: SweepSide, call: Call[object], payload: Payload) -> m.ShownSweep:
    """Open a sweep, or create it."""
    config = payload.fields.get("config")
    if config is not None and not isinstance(config, dict):
        raise Refused(f"config is {type(config).__name__}: give an object, or nothing", name="config")
    return _shown_sweep(await open_sweep(side, *_about(payload.fields), config))


async def sweeps(side: SweepSide, call: Call[m.ProjectRequest]) -> m.ShownSweeps:
    """Return the sweeps of a project."""
    found = await side.entities.list((call.parameters.workspace, call.parameters.project), SWEEP)
    shown = await asyncio.to_thread(lambda: [_shown_sweep(Sweep(one, config_of(one.properties))) for one in found])
    return m.ShownSweeps(sweeps=shown)


async def deleted(side: SweepSide, call: Call[object], payload: Payload) -> m.DeletedSweep:
    """Delete a sweep."""
    return m.DeletedSweep(deleted=await delete_sweep(side, *_about(payload.fields)))


async def ask(side: SweepSide, call: Call[object], payload: Payload) -> m.NextTrial:
    """Return the next trial."""
    place, name = _about(payload.fields)
    token = payload.text("token")
    if not _MIN_TOKEN_CHARS <= len(token) <= _MAX_TOKEN_CHARS:
        what = f"give {_MIN_TOKEN_CHARS} to {_MAX_TOKEN_CHARS} characters"
        raise Refused(f"token has {len(token)} characters: {what}", name="token")
    await side.recorder.require(project_key(*place))
    sweep = await sweep_of(side, place, name)
    trial, known = await asking.ask(side, sweep, token)
    is_new = trial is not None and trial.number == len(known)
    repeatable = [] if trial is not None else asking.repeatable(known, sweep.config.retries)
    return m.NextTrial(
        trial=None if trial is None else _shown_trial(trial),
        given=len(known) + is_new,
        open=sum(one.status not in OVER for one in known) + is_new,
        repeatable=len(repeatable),
        repeatable_runs=[one.run for one in repeatable],
    )


async def trials(side: SweepSide, call: Call[m.SweepRequest]) -> m.ShownTrials:
    """Return a sweep with its trials."""
    query = call.parameters
    sweep = await sweep_of(side, (query.workspace, query.project), query.name)
    known = await trials_of(side, sweep)
    best = best_of(sweep.config, known)
    shown = await side.context.off_loop(lambda: [_shown_trial(one) for one in known])
    return m.ShownTrials(sweep=_shown_sweep(sweep), trials=shown, best=None if best is None else shown[best.number])


async def stop(side: SweepSide, call: Call[m.StopRequest]) -> m.Stop:
    """Return whether a trial is to end now, as far as the runs can be read: training waits for the response."""
    query = call.parameters
    sweep = await sweep_of(side, (query.workspace, query.project), query.name)
    known = await given_to(side, sweep)
    if query.number >= len(known):
        raise Refused(f"the sweep {query.name[:100]!r} has no trial {query.number}", status=404, name="number")
    decision = await decide(side.context, sweep, known, query.number, query.run)
    return m.Stop(stop=decision.stop, reason=decision.reason)


def _about(fields: Mapping[str, Any]) -> tuple[Place, str]:
    """Which sweep. Raises Refused."""
    names = {"workspace": DEFAULT_WORKSPACE, **{name: value for name, value in fields.items() if value is not None}}
    workspace, project, name = (_checked(one, names.get(one)) for one in ("workspace", "project", "name"))
    return (workspace, project), name


def _checked(kind: str, given: Any) -> str:
    if not isinstance(given, str):
        raise Refused(f"{kind} is {str(given)[:100]!r}: give a text", name=kind)
    return checked("sweep" if kind == "name" else kind, given)


def _shown_sweep(sweep: Sweep) -> m.ShownSweep:
    return m.ShownSweep(
        workspace=sweep.entity.workspace,
        project=sweep.entity.project,
        name=sweep.name,
        config=dict(sweep.config.properties),
        size=sweep.config.space_size,
        limit=sweep.config.limit,
    )


def _shown_trial(one: KnownTrial) -> m.ShownTrial:
    return m.ShownTrial(
        number=one.number,
        parameters=dict(one.values),
        run=one.run,
        status=one.status,
        value=one.value,
        attempt=one.attempt,
        lost_runs=one.entity.properties["lost_runs"],
    )
