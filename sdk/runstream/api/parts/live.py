"""Live updates: Server-Sent Events as Python values, resumed where they broke off."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from runstream.api.errors import ServerFailed, ServerUnreachable
from runstream.api.noticing import warn_of_header
from runstream.api.session import Session
from runstream.api.values import Row
from runstream.api.views.runs import RunReader, RunView
from runstream.api.views.summaries import Summary
from runstream.events.protocol import UNKNOWN_HEADER

#: The server sends something every 10 s, also when nothing changes: three times that is silence.
SILENCE_S: Final = 30.0
_FIRST_RETRY_S: Final = 0.5
_LONGEST_RETRY_S: Final = 10.0
#: A message has at most 500 rows of some 2 kB; ten times that.
_MAX_MESSAGE_BYTES: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of a run (`kind` "run", `run` is set) or of a metric (`kind` "summary", `summary` is set)."""

    kind: Literal["run", "summary"]
    run: RunView | None = None
    summary: Summary | None = None


class Retries:
    """The pauses in front of connections that are opened again: ever longer ones, until something came."""

    def __init__(self) -> None:
        self._next_s = _FIRST_RETRY_S

    def came(self) -> None:
        self._next_s = _FIRST_RETRY_S

    def wait(self) -> None:
        time.sleep(self._next_s)
        self._next_s = min(self._next_s * 2, _LONGEST_RETRY_S)


def changes(api: RunReader, session: Session, path: str, since: str | None, reconnect: bool) -> Iterator[Change]:
    """Iterate over changes for as long as the caller takes them. A lost connection is opened again where it broke off,
    with growing pauses; with `reconnect` false the error is raised instead, and a server that stops ends the
    iteration."""
    seen, retries = since, Retries()
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen} if seen is not None else {})
        try:
            with session.open("GET", path, headers=headers, timeout_s=SILENCE_S, live=True) as response:
                warn_of_header(response.headers.get(UNKNOWN_HEADER.lower()))
                for name, data, identity in events(response):
                    retries.came()
                    if data:
                        yield from _changes_of(api, name, json.loads(data))
                    if identity is not None:
                        seen = identity
        except (ServerUnreachable, ServerFailed):
            if not reconnect:
                raise
        if not reconnect:
            return
        retries.wait()


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, str, str | None]]:
    """Yield (event, data, id) of each message in a stream of lines. A message that is cut off is dropped."""
    name, identity = "", None
    data: list[str] = []
    size = 0
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        size = size + len(raw) if line else 0
        if size > _MAX_MESSAGE_BYTES:
            raise ServerFailed(f"a live message has more than {_MAX_MESSAGE_BYTES} bytes: is this a Runstream server?")
        if not line:
            yield name, "\n".join(data), identity
            name, data, identity = "", [], None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value


def _changes_of(api: RunReader, name: str, data: Row) -> Iterator[Change]:
    if name == "run":
        yield from (Change("run", run=RunView.of(api, row)) for row in data["runs"])
    elif name == "summary":
        yield from (Change("summary", summary=Summary.of(row)) for row in data["summaries"])
