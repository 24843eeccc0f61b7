"""Bounds of a server's connections: how many in all and per address, and how long each may keep the server waiting.

`Connections` knows the state of each connection and decides; `runstream_service.protocol` tells it what happens, and
`runstream_service.listening` accepts. Times are those of a clock of its own, which stands still while the event loop
does: a stall of the server is no fault of its clients. Used from one event loop.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol

from runstream_service.connection_settings import ConnectionSettings

logger = logging.getLogger(__name__)

#: Of the connections of the address that has most, the part that is closed at once when room is needed: a search for
#: them costs as much as there are connections, so it is not made for each new one.
_CLOSED_PART: Final = 64
#: Connections that are looked at in a row: the parts of which all of them consist, and at least so many.
_PARTS: Final = 8
_LOOKED_AT: Final = 1_000
#: Where a process ran out of files it has fewer connections for so long.
_LOWERED_S: Final = 60.0
#: A response that was not taken for so long may be cut off if its memory is needed.
_STALLED_S: Final = 5.0


class Connection(Protocol):
    """What `Connections` has to know of a connection, and its own notes about it.

    A connection is busy from a request's headers until its response is written; otherwise it waits."""

    #: Since when it waits for a request, or for the rest of one's headers. While it is busy it is brought up to date.
    since_s: float
    #: Bytes of headers that are not complete.
    head_bytes: int
    address: "Address"
    is_gone: bool

    def is_waiting(self) -> bool:
        """Whether no request of it is served."""
        ...

    def is_new(self) -> bool:
        """Whether no request of it was ever complete."""
        ...

    def is_ending(self) -> bool:
        """Whether it is closed as soon as what is written is taken."""
        ...

    def unsent_bytes(self) -> int:
        """Bytes of responses that the kernel did not take yet."""
        ...

    def is_reading_paused(self) -> bool:
        """Whether the server itself does not read at the moment."""
        ...

    def end(self) -> None:
        """Close it; what the kernel has of a response may still go out."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...

    def refuse_body(self) -> bool:
        """Let whoever reads the body have an error; False if nobody reads it."""
        ...


class Address:
    """How many connections a client address has."""

    __slots__ = ("connections", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0


class _Body:
    """How much of a body came since when."""

    __slots__ = ("received", "refused", "since_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.received = 0
        self.refused = False


class _Reader:
    """How much of a response was left at which time."""

    __slots__ = ("left", "since_s")

    def __init__(self, left: int, since_s: float) -> None:
        self.left = left
        self.since_s = since_s


class Connections:
    """Every connection of a server."""

    def __init__(self, settings: ConnectionSettings, bound: int) -> None:
        """bound: how many there may be, see `connection_bound`."""
        self.settings = settings
        self.bound = self._most = bound
        self._lowered_at_s = 0.0
        self.address_bound = max(1, bound * settings.max_address_percent // 100)
        #: Seconds since the start in which the loop ran.
        self.now_s = 0.0
        #: Connections that were closed or refused since the start, by cause; and requests that were no HTTP.
        self.closed: Counter[str] = Counter()
        self.unreadable = 0
        self.untaken_bytes = 0
        self._addresses: dict[str, Address] = {}
        self._all: dict[Connection, None] = {}
        self._left_to_look_at: list[Connection] = []
        self._without_room_s = -1.0
        self._heads_bytes = 0
        self._bodies: dict[Connection, _Body] = {}
        self._readers: dict[Connection, _Reader] = {}
        self._held: dict[Connection, int] = {}

    def counts(self) -> dict[str, int]:
        """Connections by state."""
        waiting = [connection for connection in self._all if connection.is_waiting()]
        arriving = sum(_is_arriving(connection) for connection in waiting)
        return {"arriving": arriving, "idle": len(waiting) - arriving, "busy": len(self._all) - len(waiting)}

    # Coming and going

    def admit(self, host: str) -> Address | None:
        """The address of a new connection, for `add`; None if there is no room for it and none can be made."""
        address = self._addresses.get(name := _network(host)) or Address(name)
        if address.connections >= self.address_bound and not self._make_room(address):
            self._refuse("address_full", f"{name} has {address.connections} connections, all of them busy")
            return None
        if len(self._all) >= self.bound and not self._make_room():
            self._refuse("full", f"{len(self._all)} connections are open, all of them busy")
            return None
        self._addresses[name] = address
        return address

    def add(self, connection: Connection, address: Address) -> None:
        connection.address = address
        connection.is_gone = False
        connection.since_s = self.now_s
        connection.head_bytes = 0
        address.connections += 1
        self._all[connection] = None

    def remove(self, connection: Connection) -> None:
        if connection.is_gone:
            return
        connection.is_gone = True
        self.head_ended(connection)
        del self._all[connection]
        address = connection.address
        address.connections -= 1
        if not address.connections:
            self._addresses.pop(address.name, None)
        self._bodies.pop(connection, None)
        self._readers.pop(connection, None)
        self._let_go(connection)

    def out_of_files(self) -> None:
        """The process may open no more files: make room, and say so."""
        self.closed["no_files"] += 1
        # What else has files open needs more than was kept for it, perhaps not for long.
        self.bound = max(1, len(self._all) - len(self._all) // 16)
        self._lowered_at_s = self.now_s
        logger.warning(
            "no further connection can be accepted, the process has too many open files: raise its limit "
            "(ulimit -n), or lower RUNSTREAM_CONNECTIONS_MAX_CONNECTIONS"
        )
        while len(self._all) >= self.bound and self._make_room():
            pass

    # What happens on one

    def head_grew(self, connection: Connection, size: int) -> bool:
        """Count bytes of headers that are not complete; False if they are too many."""
        if not connection.head_bytes and not connection.is_new():
            connection.since_s = self.now_s
        connection.head_bytes += size
        self._heads_bytes += size
        if connection.head_bytes > self.settings.max_head_bytes:
            return False
        if self._heads_bytes > self.settings.max_heads_bytes:
            self._warn("heads_full", f"{self._heads_bytes} bytes of incomplete request headers are held")
            self._cut_heads(self.settings.max_heads_bytes * 7 // 8)
        return True

    def head_ended(self, connection: Connection) -> None:
        self._heads_bytes -= connection.head_bytes
        connection.head_bytes = 0

    def body_grew(self, connection: Connection, size: int) -> None:
        """Bytes of a body came that is not complete."""
        body = self._bodies.get(connection)
        if body is None:
            if connection.is_gone:
                return
            body = self._bodies[connection] = _Body(self.now_s)
        body.received += size

    def body_ended(self, connection: Connection) -> None:
        self._bodies.pop(connection, None)

    def paused(self, connection: Connection) -> None:
        """The client does not take its response as fast as it is written."""
        self._readers[connection] = _Reader(connection.unsent_bytes(), self.now_s)

    def resumed(self, connection: Connection) -> None:
        self._readers.pop(connection, None)

    @contextlib.contextmanager
    def holding(self, connection: Connection, size: int) -> Iterator[bool]:
        """Count a response's bytes until the end of the block; what it yields is whether there is room for them. A
        lone response always has."""
        if self.untaken_bytes and self.untaken_bytes + size > self.settings.max_untaken_bytes:
            self._cut_stalled()
        if self.untaken_bytes and self.untaken_bytes + size > self.settings.max_untaken_bytes:
            self._warn("responses_full", f"{self.untaken_bytes} bytes of responses are not taken")
            self.closed["responses_full"] += 1
            yield False
            return
        self._held[connection] = size
        self.untaken_bytes += size
        try:
            yield True
        finally:
            self._let_go(connection)

    def _let_go(self, connection: Connection) -> None:
        self.untaken_bytes -= self._held.pop(connection, 0)

    # Time

    async def run(self) -> None:
        """Close what keeps the server waiting, until cancelled."""
        settings = self.settings
        bounds_s = (settings.head_s, settings.idle_s, settings.reader_silence_s, settings.body_window_s)
        longest_s = max(0.01, min(0.25, min(bounds_s) / 4))
        loop = asyncio.get_running_loop()
        looked_s = loop.time()
        while True:
            # Few connections are all looked at in one turn; an idle server wakes four times a second.
            tick_s = longest_s if len(self._all) <= _LOOKED_AT else min(longest_s, 1 / _PARTS)
            await asyncio.sleep(tick_s)
            now_s = loop.time()
            # What came while the loop stood still is read only after this.
            self.advance(min(now_s - looked_s, 2 * tick_s))
            looked_s = now_s

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and close what has waited too long."""
        self.now_s += seconds
        settings = self.settings
        if self.bound < self._most and self.now_s - self._lowered_at_s >= _LOWERED_S:
            self.bound = self._most
        self._look_at_some()
        for connection, body in list(self._bodies.items()):
            self._look_at_body(connection, body)
        for connection, reader in list(self._readers.items()):
            left = connection.unsent_bytes()
            if left < reader.left:
                reader.left, reader.since_s = left, self.now_s
            elif self.now_s - reader.since_s >= settings.reader_silence_s:
                self._cut(connection, "slow_reader")

    def _look_at_some(self) -> None:
        """At a part of the connections, so that each has its turn within about a second."""
        if not self._left_to_look_at:
            self._left_to_look_at = list(self._all)
        part = max(_LOOKED_AT, len(self._all) // _PARTS)
        for connection in self._left_to_look_at[:part]:
            if not connection.is_gone:
                self._look_at(connection)
        del self._left_to_look_at[:part]

    def _look_at(self, connection: Connection) -> None:
        settings, waits_s = self.settings, self.now_s - connection.since_s
        if connection.is_waiting():
            if not _is_arriving(connection):
                if waits_s >= settings.idle_s:
                    self._close(connection, "idle_timeout")
            elif waits_s >= settings.head_s:
                self._close(connection, "head_timeout")
        elif not connection.is_ending():
            connection.since_s = self.now_s
        elif waits_s >= settings.reader_silence_s:
            self._cut(connection, "slow_reader")

    def _look_at_body(self, connection: Connection, body: _Body) -> None:
        settings = self.settings
        passed_s = self.now_s - body.since_s
        if connection.is_reading_paused():
            body.since_s, body.received = self.now_s, 0
        elif passed_s >= settings.body_window_s:
            if body.received >= passed_s * settings.min_body_bytes_per_s:
                body.since_s, body.received = self.now_s, 0
            elif not body.refused and connection.refuse_body():
                self.closed["slow_body"] += 1
                # Time for the response to be written and taken.
                body.refused, body.since_s = True, self.now_s
            else:
                self._cut(connection, "slow_body")

    # Making room

    def _make_room(self, address: Address | None = None) -> bool:
        """Close connections that wait for a request: of `address`, or of the one that has most. An attacker's many go
        before the few of everybody else; those without a request before others, and then the oldest. Returns whether
        one was closed."""
        if address is None and self._without_room_s == self.now_s:
            return False  # this was looked at already
        waiting = [each for each in self._all if each.is_waiting() and (address is None or each.address is address)]
        if not waiting:
            if address is None:
                self._without_room_s = self.now_s
            return False
        if address is None:
            address = max((each.address for each in waiting), key=lambda each: each.connections)
            waiting = [each for each in waiting if each.address is address]
        self._warn("evicted", f"{len(self._all)} connections are open; those of {address.name} that wait are closed")
        waiting.sort(key=lambda each: (not _is_arriving(each), each.since_s))
        for connection in waiting[: max(1, address.connections // _CLOSED_PART)]:
            self._close(connection, "evicted")
        return True

    def _cut_stalled(self) -> None:
        due_s = self.now_s - _STALLED_S
        for connection, reader in list(self._readers.items()):
            if reader.since_s <= due_s and connection.unsent_bytes() >= reader.left:
                self._cut(connection, "slow_reader")

    def _cut_heads(self, kept_bytes: int) -> None:
        """Cut off those with the largest incomplete headers, until no more than so many bytes are held."""
        for connection in sorted(self._all, key=lambda each: each.head_bytes, reverse=True):
            if self._heads_bytes <= kept_bytes:
                return
            self._cut(connection, "heads_full")

    def _close(self, connection: Connection, cause: str) -> None:
        self.closed[cause] += 1
        self.remove(connection)
        connection.end()

    def _cut(self, connection: Connection, cause: str) -> None:
        self.closed[cause] += 1
        self.remove(connection)
        connection.abort()

    def _refuse(self, cause: str, detail: str) -> None:
        self.closed[cause] += 1
        self._warn(cause, f"{detail}: a new one is refused")

    def _warn(self, cause: str, detail: str) -> None:
        # The filter of repeated lines counts by cause.
        logger.warning(
            "connections: %s (runstream_connections_closed_total, cause %s)", detail, cause, extra={"repeats": cause}
        )


def _is_arriving(connection: Connection) -> bool:
    """Of one that waits: whether it owes the headers of a request, as a new one does."""
    return connection.head_bytes > 0 or connection.is_new()


def _network(host: str) -> str:
    """What counts as one address."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
