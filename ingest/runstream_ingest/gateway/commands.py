"""POST /ingest/v1/commands: control events from people and programs that are no writer; its response waits for them."""

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from runstream.events import limits
from runstream.events.control import ControlEvent, RunEvent, RunStarted, encode_event, key_of
from runstream.events.names import check_key, check_run_id
from runstream.events.positions import Positions
from runstream.events.protocol import ACKNOWLEDGES
from runstream_ingest.gateway.known_runs import KnownRuns
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.responses import position_members
from runstream_ingest.gateway.rights import WriterRights
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.writing import CommandWriter
from runstream_service.access import Principal
from runstream_service.bodies import read_body, read_json
from runstream_service.problems import Problem
from runstream_service.turns import in_turns

_MEMBERS: Final = frozenset({"key", "event"})
#: What an event as it came may be larger than it is as it is kept: members that are null or not known.
_MARGIN_BYTES: Final = 10_000


class Command(BaseModel):
    """An event to be appended under a key: a run id, or WORKSPACE/PROJECT (for an artifact of a whole workspace
    WORKSPACE/NAME). An event without `at_us` gets the gateway's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=limits.MAX_KEY_BYTES)]
    event: ControlEvent


class Commands(BaseModel):
    """What the body is: one command's members, or `commands`. They are appended together, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commands: Annotated[list[Command], Field(min_length=1)]


class CommandsHandler:
    """The handler."""

    def __init__(
        self,
        writer: CommandWriter,
        pressure: Pressure,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        rights: WriterRights,
        known_runs: KnownRuns,
    ) -> None:
        self._writer = writer
        self._pressure = pressure
        self._settings = settings
        self._metrics = metrics
        self._rights = rights
        self._known_runs = known_runs

    async def __call__(self, request: web.Request, principal: Principal) -> web.Response:
        positions, ids = await self._appended(request, principal)
        visible = await self._pressure.visible(request, positions, self._settings.visible_timeout_s)
        payload = {**ACKNOWLEDGES, **position_members(positions), "visible": visible, "commands": ids}
        return web.json_response(payload, status=200 if visible else 202)

    async def _appended(self, request: web.Request, principal: Principal) -> tuple[Positions, list[str]]:
        """Append the commands of a request, which holds nothing any more when this returns."""
        settings = self._settings
        with self._pressure.admitted(request, "other") as hold:
            body = await read_body(request, settings.max_commands_bytes, settings.pace, hold.grow)
            self._metrics.received_bytes.labels("commands").inc(len(body))
            try:
                members = await read_json(body, settings.max_json_items, hold.grow)
            except ValueError as error:
                raise Problem(400, "invalid-json", "The body is no JSON", f"{error}.") from None
            commands = await check_commands(members, self._writer.now_us(), settings.max_commands_per_request)
            events = [(command.key, command.event) for command in commands]
            await self._rights.check_commands(principal, events)
            await self._known_runs.check(events)
            appended = await self._writer.append(events)
            self._known_runs.remember_started(events)
            return appended


async def check_commands(members: Any, now_us: int, max_commands: int) -> list[Command]:
    """The commands of a body that is as `Commands` says. Each is checked by itself, and the first that is wrong is
    named: errors for all of them would be many times as large as the body. Raises Problem (413, 422), ValidationError,
    InvalidName."""
    if not isinstance(members, dict):
        raise _invalid("", f"the body is {_kind(members)}: send an object")
    if "commands" not in members:
        return [_checked(None, members, now_us)]
    if len(members) > 1:
        raise _invalid("", "beside `commands` there is something else: send `commands` alone")
    items = members["commands"]
    if not isinstance(items, list) or not items:
        raise _invalid("/commands", f"it is {_kind(items)}: give a list of one command or more")
    if len(items) > max_commands:
        raise Problem(
            413,
            "too-large",
            "The request has too many commands",
            f"{len(items)} commands came, at most {max_commands} are allowed: send them in several requests.",
            limit_commands=max_commands,
        )
    return [_checked(number, item, now_us) async for number, item in in_turns(enumerate(items))]


def _checked(number: int | None, item: Any, now_us: int) -> Command:
    at = "" if number is None else f"/commands/{number}"
    if not isinstance(item, dict):
        raise _invalid(at, f"it is {_kind(item)}: give an object with `key` and `event`")
    if item.keys() != _MEMBERS:
        wrong = next((name for name in (*item, *sorted(_MEMBERS)) if (name in item) != (name in _MEMBERS)), "")
        raise _invalid(f"{at}/{wrong[:80]}", "it is missing" if wrong in _MEMBERS else "there is no such member")
    # Before it is validated and written as JSON, which takes ten times as long.
    _check_size(
        number or 0, len(to_json(item["event"], inf_nan_mode="constants")), limits.MAX_EVENT_BYTES + _MARGIN_BYTES
    )
    command = _without_heartbeats(Command.model_validate(_dated(item, now_us)))
    _check(number or 0, command)
    return command


def _without_heartbeats(command: Command) -> Command:
    """Return the command; a run that it starts is running until a command ends it: nobody here sends heartbeats."""
    if not isinstance(command.event, RunStarted):
        return command
    return command.model_copy(update={"event": command.event.model_copy(update={"heartbeats": False})})


def _kind(value: Any) -> str:
    """What a value is called in JSON."""
    match value:
        case None:
            return "null"
        case []:
            return "an empty list"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"


def _invalid(at: str, message: str) -> Problem:
    """The same form as that of a ValidationError."""
    errors = [{"at": at or "/", "message": message, "kind": "form"}]
    title = "The body does not have the expected form"
    return Problem(422, "invalid-body", title, f"{at or 'body'}: {message}", errors=errors)


def _dated(item: Any, now_us: int) -> Any:
    if isinstance(item, dict) and isinstance(item.get("event"), dict):
        return {**item, "event": {"at_us": now_us, **item["event"]}}
    return item


def _check(number: int, command: Command) -> None:
    event = command.event
    if not isinstance(event, RunEvent):
        wanted = check_key(key_of(event))
        if command.key != wanted:
            raise Problem(
                422,
                "wrong-key",
                "The key is not that of the event",
                f"Command {number} is about something in {wanted!r} and has the key {command.key!r}: give {wanted!r}.",
            )
    else:
        check_run_id(command.key)
    try:
        size = len(encode_event(event))
    except (TypeError, ValueError, RecursionError) as error:
        raise Problem(
            422, "invalid-event", "The event cannot be written as JSON", f"Command {number}: {error}."
        ) from None
    _check_size(number, size, limits.MAX_EVENT_BYTES)


def _check_size(number: int, size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise Problem(
            413,
            "too-large",
            "The event is too large",
            f"The event of command {number} has {size_bytes} bytes, at most {limits.MAX_EVENT_BYTES} are allowed: "
            "store large texts as assets.",
            limit_bytes=limits.MAX_EVENT_BYTES,
        )
