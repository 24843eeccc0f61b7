"""Whether a principal may write to the workspaces that its frames and commands are about.

A run is in the workspace where the read models have it, else in the one that its RunStarted names. For what is logged
that is found out once for each principal and run, and remembered; for what is edited, each time; for a principal that
may write everywhere nothing is looked at. Until the read models have a run, its start is believed: who names a
workspace of its own for a run that another principal has just begun elsewhere can write to it.

The protocols of foreign clients write by the same frames, and ask here before each append.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from runstream.events.control import AnyEvent, RunEvent, RunLinked, RunMoved, RunStarted, RunUnlinked, decode_event
from runstream.events.frame import decode_frame
from runstream_ingest.gateway.frames import Sent
from runstream_service.access import EVERY_WORKSPACE, Action, Principal, authorize
from runstream_service.lookup import Lookup
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.store import StoreUnavailable

#: Tags of the events of runs that name a workspace.
_NAMING: Final = frozenset(
    event.model_fields["type"].default for event in (RunStarted, RunMoved, RunLinked, RunUnlinked)
)
#: Those of them that need a right in the workspace that they name, wherever the run is.
_REACHING: Final = RunMoved | RunLinked | RunUnlinked


class WriterRights:
    """What principals may write. Used from one event loop.

    lookup: where runs are; None where only what comes with them tells it. remembered: of so many principals and runs.
    """

    def __init__(self, lookup: Lookup | None, remembered: int) -> None:
        self._lookup = lookup
        self._limit = remembered
        self._allowed: OrderedDict[tuple[Principal, str], None] = OrderedDict()

    async def check_frames(self, principal: Principal, sent: Iterable[Sent], action: Action = Action.LOG) -> None:
        """Raises Problem (403) if the principal may not do the action to what the frames are about, or to where they
        move or link a run, (503) if that cannot be told yet, (422) if the events of a frame cannot be read."""
        if principal.scope(action).workspaces is EVERY_WORKSPACE:
            return
        frames = list(sent)
        naming = await asyncio.to_thread(_naming_events, frames)
        for key in dict.fromkeys(frame.header.key for frame in frames):
            events = naming.get(key, ())
            await self.check_key(principal, action, key, events)
            for event in events:
                if isinstance(event, _REACHING):
                    _require(principal, action, event.workspace)

    async def check_key(self, principal: Principal, action: Action, key: str, events: Iterable[AnyEvent] = ()) -> None:
        """The same of a run, a project or an artifact, by its key. events: what is about to be written under it."""
        if principal.scope(action).workspaces is EVERY_WORKSPACE:
            return
        if action is Action.LOG and (principal, key) in self._allowed:
            return
        _require(principal, action, await self._workspace(key, events))
        if action is Action.LOG:
            self._remember(principal, key)

    async def check_commands(self, principal: Principal, commands: Iterable[tuple[str, AnyEvent]]) -> None:
        """Raises Problem (403) if the principal may not edit what a command is about, (503) if that cannot be told
        yet."""
        if principal.scope(Action.EDIT).workspaces is EVERY_WORKSPACE:
            return
        given = list(commands)
        for key, event in given:
            if not isinstance(event, RunEvent):
                _require(principal, Action.EDIT, event.workspace)
                continue
            events = [other for run, other in given if run == key]
            _require(principal, Action.EDIT, await self._workspace(key, events))
            if isinstance(event, _REACHING):
                _require(principal, Action.EDIT, event.workspace)

    async def _workspace(self, key: str, events: Iterable[AnyEvent]) -> str:
        if "/" in key:  # of a project or an artifact
            return key.partition("/")[0]
        known = await self._known_workspace(key)
        if known is not None:
            return known
        started = next((event for event in events if isinstance(event, RunStarted)), None)
        if started is not None:
            return started.workspace
        raise _unknown(key, "no read model has it yet, and its start is not in this request")

    async def _known_workspace(self, run: str) -> str | None:
        if self._lookup is None:
            return None
        try:
            known = await self._lookup.run(run)
        except StoreUnavailable as error:
            raise _unknown(run, str(error)) from error
        return None if known is None else known.workspace

    def _remember(self, principal: Principal, run: str) -> None:
        self._allowed[principal, run] = None
        while len(self._allowed) > self._limit:
            self._allowed.popitem(last=False)


def _require(principal: Principal, action: Action, workspace: str) -> None:
    problem = authorize(principal, action, workspace)
    if problem is not None:
        raise problem


def _unknown(run: str, why: str) -> Problem:
    return Problem(
        503,
        "workspace-unknown",
        "The workspace of a run is not known yet",
        f"Whether the key may write to run {run!r} cannot be told: {why}. Nothing of the request was taken; send it "
        f"again in {RETRY_AFTER_S} s.",
        retry_after_s=RETRY_AFTER_S,
    )


def _naming_events(frames: Iterable[Sent]) -> Mapping[str, list[AnyEvent]]:
    """Return the events that name a workspace, by run. Raises Problem (422)."""
    found: dict[str, list[AnyEvent]] = {}
    for frame in frames:
        for fields in _fields_of(frame):
            if isinstance(fields, dict) and fields.get("type") in _NAMING:
                with contextlib.suppress(ValidationError):  # the worker sets it aside
                    found.setdefault(frame.header.key, []).append(decode_event(to_json(fields)))
    return found


def _fields_of(frame: Sent) -> list[Any]:
    try:
        events = decode_frame(frame.data).events
        return [fields for _, fields in from_json(events)] if events else []
    except (ValueError, TypeError) as error:  # InvalidFrame too
        title = "A frame cannot be used"
        detail = f"The events of frame {frame.number} cannot be read: {error}. Nothing of the request was taken."
        raise Problem(422, "invalid-frame", title, detail) from None
