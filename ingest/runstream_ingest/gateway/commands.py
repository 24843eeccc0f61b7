"""POST /ingest/v1/commands: control events from people and programs that are no writer, answered when visible."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from runstream.events import limits
from runstream.events.control import ControlEvent, RunEvent, encode_event, key_of
from runstream.events.names import check_key, check_run_id
from runstream.events.protocol import ACKNOWLEDGES
from runstream.service.problems import Problem
from runstream.service.visibility import Visibility
from runstream_ingest.gateway.bodies import declared_bytes, read_body
from runstream_ingest.gateway.figures import GatewayFigures
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.writing import CommandWriter


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
        visibility: Visibility,
        settings: GatewaySettings,
        figures: GatewayFigures,
    ) -> None:
        self._writer = writer
        self._pressure = pressure
        self._visibility = visibility
        self._settings = settings
        self._figures = figures

    async def __call__(self, request: web.Request) -> web.Response:
        limit = self._settings.max_commands_bytes
        with self._pressure.admitted(declared_bytes(request, limit)):
            body = await read_body(request, limit, self._settings.body_silence_s)
            self._figures.received_bytes.labels("commands").inc(len(body))
            commands = read_commands(body, self._writer.now_us())
            allowed = self._settings.max_commands_per_request
            if len(commands) > allowed:
                raise Problem(
                    413,
                    "too-large",
                    "The request has too many commands",
                    f"{len(commands)} commands came, at most {allowed} are allowed: send them in several requests.",
                    limit_commands=allowed,
                )
            positions, ids = await self._writer.append([(command.key, command.event) for command in commands])
        visible = await self._visibility.wait_for(positions, self._settings.visible_timeout_s)
        answer = {
            **ACKNOWLEDGES,
            "positions": str(positions),
            "visible": visible,
            "commands": ids,
        }
        return web.json_response(answer, status=200 if visible else 202)


def read_commands(body: bytes, now_us: int) -> list[Command]:
    """The commands of a body, each checked. Raises Problem (400, 422), pydantic.ValidationError, InvalidName."""
    try:
        members: Any = from_json(body)
    except ValueError as error:
        raise Problem(400, "invalid-json", "The body is no JSON", f"{error}.") from None
    if isinstance(members, dict) and "commands" not in members:
        members = {"commands": [members]}
    if isinstance(members, dict) and isinstance(members.get("commands"), list):
        members = {**members, "commands": [_dated(item, now_us) for item in members["commands"]]}
    commands = Commands.model_validate(members).commands
    for number, command in enumerate(commands):
        _check(number, command)
    return commands


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
    except (TypeError, ValueError, ValidationError) as error:
        raise Problem(
            422, "invalid-event", "The event cannot be written as JSON", f"Command {number}: {error}."
        ) from None
    if size > limits.MAX_EVENT_BYTES:
        raise Problem(
            413,
            "too-large",
            "The event is too large",
            f"The event of command {number} has {size} bytes, at most {limits.MAX_EVENT_BYTES} are allowed: store "
            "large texts as assets.",
            limit_bytes=limits.MAX_EVENT_BYTES,
        )
