"""What came of a command: whether it changed anything, decided by the fold of what stands before it in the log.

That is how names stay unique with any number of gateways and query servers: several may ask for the same one at once,
all their events are in the log, the first one makes it, and each who asked can see whether that was theirs.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic import Field as ModelField

from runstream_model.past import last_had_effect
from runstream_query.answers import CommandOutcome
from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.http.context import Context
from runstream_query.http.endpoint import Asked, Call, Endpoint
from runstream_query.http.past import events_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_service.store import QueryClass

_COMMAND: Final = re.compile(r"([0-9a-f]{32})-([0-9]{1,18})")


class AskedOutcome(Asked):
    key: str = ModelField(
        min_length=1,
        max_length=1000,
        description="what the command was for: a run, or WORKSPACE/PROJECT (WORKSPACE/NAME for an artifact of a whole "
        "workspace)",
    )


async def outcome(context: Context, call: Call[AskedOutcome]) -> CommandOutcome:
    """Whether a command changed what it is about: a run, a project, an experiment, an artifact."""
    command, key = call.path["command"], call.asked.key
    found = _COMMAND.fullmatch(command)
    if found is None:
        raise InvalidRequest(
            f"{command[:80]!r} is no command's id: give one of `commands` in the answer of POST /ingest/v1/commands",
            name="command",
        )
    own = await _event(context, key, found[1], int(found[2]))
    if own["type"].startswith("artifact_"):
        return await _decided(context, command, key, own)
    parameters = Parameters()
    place = [
        parameters.bind(own["part"], "UInt16"),
        parameters.bind(own["offset"], "UInt64"),
        parameters.bind(own["seq"], "UInt64"),
    ]
    sql = (
        f"SELECT part, offset, seq, writer, body FROM events WHERE key = {parameters.text(key)} AND "
        f"(part, offset, seq) <= ({', '.join(place)}) AND {_about(own, parameters)} ORDER BY part, offset, seq"
    )
    events = await events_of(context, sql, parameters, repr(key))
    async with context.folding:
        changed = await asyncio.to_thread(last_had_effect, events)
    return CommandOutcome(
        command=command, key=key, type=own["type"], position=f"{own['part']}:{own['offset']}", changed=changed
    )


async def _decided(context: Context, command: str, key: str, own: dict[str, Any]) -> CommandOutcome:
    """What the fold wrote down when it came to the event: an artifact may have thousands of events before it."""
    parameters = Parameters()
    sql = (
        "SELECT artifact, changed, refused, ordinal, version FROM artifact_outcomes WHERE "
        f"part = {parameters.bind(own['part'], 'UInt16')} AND offset = {parameters.bind(own['offset'], 'UInt64')} AND "
        f"seq = {parameters.bind(own['seq'], 'UInt64')} LIMIT 1"
    )
    rows = await context.rows(sql, parameters)
    if not rows:
        raise NotFound(f"what came of the command {command} is not visible yet: give its position as wait_for")
    decided = rows[0]
    return CommandOutcome(
        command=command,
        key=key,
        type=own["type"],
        position=f"{own['part']}:{own['offset']}",
        changed=decided["changed"],
        refused=decided["refused"],
        artifact=decided["artifact"],
        ordinal=decided["ordinal"] or None,
        version=decided["version"] or None,
    )


async def _event(context: Context, key: str, writer: str, seq: int) -> dict[str, Any]:
    parameters = Parameters()
    sql = (
        f"SELECT part, offset, seq, type, body FROM events WHERE key = {parameters.text(key)} AND "
        f"writer = {parameters.text(writer)} AND seq = {parameters.bind(seq, 'UInt64')} ORDER BY part, offset LIMIT 1"
    )
    rows = await context.rows(sql, parameters)
    if not rows:
        raise NotFound(
            f"no command {writer}-{seq} for {key!r} is visible: give its position as wait_for, and the key that it had"
        )
    return rows[0]


def _about(own: dict[str, Any], parameters: Parameters) -> str:
    """A condition on events: those about the same thing. A project's key has the events of its experiments, too."""
    kind = own["type"].partition("_")[0]
    if kind == "project":
        return "startsWith(type, 'project_')"
    if kind == "experiment":
        name = parameters.text(json.loads(own["body"])["experiment"])
        return f"startsWith(type, 'experiment_') AND JSONExtractString(body, 'experiment') = {name}"
    return "true"


ENDPOINTS: Final[Iterable[Endpoint]] = (
    Endpoint(
        "GET",
        "/api/v1/commands/{command}",
        "What came of a command",
        outcome,
        AskedOutcome,
        CommandOutcome,
        reads=QueryClass.LOOKUP,
    ),
)
