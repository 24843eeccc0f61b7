"""One server, as one caller uses it: what all parts of `API` stand on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from runstream.api.errors import ServerFailed
from runstream.api.forwarding import forward
from runstream.api.transport import IS_IT_OURS, TIMEOUT_S, Transport
from runstream.api.values import Row, members_of
from runstream.events.positions import Positions
from runstream.panel_context import PanelContext
from runstream.settings import load_settings

#: How many rows one page of a list holds.
PAGE_ROWS: Final = 500
_COMMANDS: Final = "/ingest/v1/commands"
_TICKETS: Final = "/api/v1/tickets"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list. `more`: another one follows."""

    rows: list[Row]
    more: bool


@dataclass(frozen=True, slots=True)
class CommandReceipt:
    """A command that every read shows: its key, its position in the log, and the id of each of its events."""

    key: str
    positions: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What a command did. `refused` says why it could not be done, empty if it was; `artifact`, `ordinal` and `version`
    are those of a command about an artifact."""

    command: str
    key: str
    type: str
    position: str
    changed: bool
    refused: str = ""
    artifact: str | None = None
    ordinal: int | None = None
    version: str | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a response."""
        return cls(**members_of(cls, row))


def _reopened(url: str, workspace: str | None, project: str | None, panel: PanelContext | None) -> Session:
    values = load_settings(url=url).values
    key = values.api_key.get_secret_value() if values.api_key else None
    return Session(url, key, workspace=workspace, project=project, panel=panel)


class Session:
    """Requests to one server with one key, and what they are about where they do not say it: a workspace, a project, a
    panel. Threads may share it.

    `timeout_s` bounds every wait for the server; a request that failed is not repeated, because only the caller knows
    whether it may be. Every method raises ServerUnreachable, ServerFailed, Refused or NotFound.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        workspace: str | None = None,
        project: str | None = None,
        panel: PanelContext | None = None,
        timeout_s: float = TIMEOUT_S,
        page_rows: int = PAGE_ROWS,
    ) -> None:
        self.workspace = workspace
        self.project = project
        self.panel = panel
        self._transport = Transport(url, api_key, timeout_s)
        self._page_rows = page_rows
        self._written = Positions()
        #: Whether the server is one from before `next:`, which reads only its own spelling.
        self._is_old = False
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> Self:
        """Copies of what was read go on with the session that read it."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle has no key: where it is opened, the key is that of the settings there."""
        return _reopened, (self.url, self.workspace, self.project, self.panel)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._transport.url

    @property
    def requests(self) -> int:
        """How many requests were made so far."""
        return self._transport.requests

    @property
    def responses(self) -> int:
        """How many responses came so far."""
        return self._transport.responses

    @property
    def position(self) -> str:
        """Up to where the log has what was written here: what another reader waits for (`wait_for`) to see all of it.
        Empty if nothing was."""
        if not self._written:
            return ""
        return self._written.in_old_spelling() if self._is_old else str(self._written)

    get = forward("_transport", Transport.get)
    post = forward("_transport", Transport.post)
    open = forward("_transport", Transport.open)
    json_of = forward("_transport", Transport.json_of)

    def pages(
        self,
        method: Literal["GET", "POST"],
        path: str,
        member: str,
        parameters: Mapping[str, Any],
        *,
        limit: int | None = None,
    ) -> Iterator[Page]:
        """Iterate over the pages of a list, up to `limit` rows. The rows of a page are a `member` of its response."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = self._page_rows if left is None else min(self._page_rows, left)
            sent = {**parameters, "limit": size, "cursor": cursor}
            page = self.get(path, **sent) if method == "GET" else self.post(path, sent)
            rows = page[member]
            cursor = self.next_cursor(page, cursor)
            if cursor is not None and len(rows) > size:
                raise self._endless()
            yield Page(rows, cursor is not None)
            if cursor is None:
                return
            left = None if left is None else left - len(rows)

    def next_cursor(self, page: Row, before: str | None) -> str | None:
        """Return the cursor of the page behind `page`, whose own was `before`; None behind the last. Raises
        ServerFailed where pages would never end."""
        cursor: object = page["next_cursor"]
        if cursor is not None and (not isinstance(cursor, str) or cursor == before):
            raise self._endless()
        return cursor

    def addresses(self, kind: Literal["assets", "files"], wanted: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """Return the addresses that open files of runs, or of versions, without a key; None where the server has no
        bytes. Raises ServerFailed."""
        tickets = self.post(_TICKETS, {kind: list(wanted)})[kind]
        if len(tickets) != len(wanted):
            raise ServerFailed(f"{self.url} gave {len(tickets)} addresses of {len(wanted)} files: {IS_IT_OURS}")
        return [None if ticket is None else f"{self.url}{ticket['address']}" for ticket in tickets]

    def append_and_wait(self, key: str, event: Mapping[str, Any]) -> CommandReceipt:
        """Append a control event to what `key` names, and return once every read shows it. Raises ServerFailed if it
        was accepted but not visible in time: it will be."""
        return self.append_to_all([key], event)

    def append_to_all(self, keys: Sequence[str], event: Mapping[str, Any]) -> CommandReceipt:
        """As `append_and_wait`, the same event for each of several, together: all of them or none. The receipt has the
        key of the first. Raises Refused for too many."""
        key = keys[0]
        commands = [{"key": each, "event": dict(event)} for each in keys]
        data = json.dumps({"commands": commands} if len(commands) > 1 else commands[0]).encode()
        with self.open("POST", _COMMANDS, data=data, headers=_JSON) as response:
            payload = self.json_of(response)
        # A server from before `next:` has no `position`, and `positions` in the spelling that it reads.
        is_old = "position" not in payload
        position = str(payload["positions" if is_old else "position"])
        if not payload["visible"]:
            raise ServerFailed(
                f"the {event.get('type')} of {', '.join(map(repr, keys[:5]))} is durable at {position} but not visible "
                "yet: read with wait_for"
            )
        with self._lock:
            self._written = self._written.merged(Positions.parse(position))
            self._is_old = is_old
        return CommandReceipt(key, position, tuple(payload.get("commands", ())))

    def outcome_of(self, receipt: CommandReceipt) -> CommandOutcome:
        """Read what a command of one event did."""
        [command] = receipt.commands
        path = f"/api/v1/commands/{command}"
        return CommandOutcome.of(self.get(path, key=receipt.key, wait_for=receipt.positions))

    def _endless(self) -> ServerFailed:
        return ServerFailed(f"the pages of {self.url} do not go on: {IS_IT_OURS}")
