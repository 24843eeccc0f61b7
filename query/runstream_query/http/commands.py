"""What came of a command: whether it changed anything, decided by the fold of what stands before it in the log.

That is how names stay unique with any number of gateways and query servers: several may ask for the same one at once,
all their events are in the log, the first one makes it, and each who asked can see whether that was theirs.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import Field as ModelField

from runstream.events.positions import Positions
from runstream_model.past import last_had_effect
from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.http.context import Context
from runstream_query.http.past import require_foldable
from runstream_query.http.requests import RequestParameters
from runstream_query.repositories.events import About, EventRecord
from runstream_query.responses import CommandOutcome
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

_COMMAND: Final = re.compile(r"([0-9a-f]{32})-([0-9]{1,18})")


class OutcomeParameters(RequestParameters):
    key: str = ModelField(
        min_length=1,
        max_length=1000,
        description="what the command was for: a run, or WORKSPACE/PROJECT (WORKSPACE/NAME for an artifact of a whole "
        "workspace)",
    )


async def outcome(context: Context, call: Call[OutcomeParameters]) -> CommandOutcome:
    """Whether a command changed what it is about: a run, a project, an experiment, an artifact."""
    command, key = call.path["command"], call.parameters.key
    found = _COMMAND.fullmatch(command)
    if found is None:
        raise InvalidRequest(
            f"{command[:80]!r} is no command's id: give one of `commands` in the response of POST /ingest/v1/commands",
            name="command",
        )
    writer, seq = found[1], int(found[2])
    own = await context.repositories.events.find(context.scope, key, writer, seq)
    if own is None:
        raise NotFound(
            f"no command {writer}-{seq} for {key!r} is visible: give its position as wait_for, and the key that it had"
        )
    if own.type.startswith("artifact_"):
        return await _decided(context, command, key, own)
    limit = context.settings.max_past_events
    events = await context.repositories.events.until(context.scope, key, own.place, limit + 1, _about(own))
    require_foldable(events, limit, repr(key))
    async with context.folding:
        changed = await asyncio.to_thread(last_had_effect, events)
    return CommandOutcome(command=command, key=key, type=own.type, position=_position(own), changed=changed)


def _position(own: EventRecord) -> str:
    return str(Positions.after(own.part, own.offset))


async def _decided(context: Context, command: str, key: str, own: EventRecord) -> CommandOutcome:
    """What the fold wrote down when it came to the event: an artifact may have thousands of events before it."""
    decided = await context.repositories.artifacts.outcome(context.scope, key, own.writer, own.seq)
    if decided is None:
        raise NotFound(f"what came of the command {command} is not visible yet: give its position as wait_for")
    return CommandOutcome(
        command=command,
        key=key,
        type=own.type,
        position=_position(own),
        changed=decided.changed,
        refused=decided.refused,
        artifact=decided.artifact,
        ordinal=decided.ordinal or None,
        version=decided.version or None,
    )


def _about(own: EventRecord) -> About | None:
    """Which events are about the same thing. A project's key has the events of its experiments, too."""
    kind = own.type.partition("_")[0]
    if kind == "project":
        return About("project_")
    if kind == "experiment":
        return About("experiment_", json.loads(own.body)["experiment"])
    return None


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        "/api/v1/commands/{command}",
        Action.READ,
        "What came of a command",
        outcome,
        OutcomeParameters,
        CommandOutcome,
        query_class=QueryClass.LOOKUP,
    ),
)
