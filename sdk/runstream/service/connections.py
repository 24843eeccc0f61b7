"""Bounds of a server's connections: how many in all and per address, and how long each may keep the server waiting.

`Connections` knows the state of each connection and decides; `runstream.service.protocol` tells it what happens, and
`runstream.service.listening` accepts. Times are those of a clock of its own, which stands still while the event loop
does: a stall of the server is no fault of its clients. Used from one event loop.
"""

import asyncio
import contextlib
import ipaddress
import logging
import resource
from collections import Counter
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)

#: The largest file limit that is set: some systems allow 2^30, and what looks at each possible file takes minutes then.
_MAX_FILES: Final = 1 << 20
#: Of the connections of the address that has most, the part that is closed at once when room is needed: a search for
#: them costs as much as there are connections, so it is not made for each new one.
_CLOSED_PART: Final = 64
#: Where a process ran out of files it has fewer connections for so long.
_LOWERED_S: Final = 60.0
#: A response that was not taken for so long may be cut off if its memory is needed.
_STALLED_S: Final = 5.0


class ConnectionSettings(BaseModel):
    """Bounds of the connections of a process. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: 5,000 training nodes with 3 connections each, and a tenth more for readers and probes. One that is idle takes
    #: about 20 kB, so all of them 330 MB. The process's file limit may allow fewer.
    max_connections: int = Field(default=16_384, ge=1)
    #: Files that are kept for the log, the store and assets: chDB has some 200 open, a merge a few hundred more.
    reserved_files: int = Field(default=1_024, ge=0)
    #: Of all connections, the part that one address may have. Many nodes stand behind one address (NAT, a reverse
    #: proxy), so it is large: it keeps a tenth for everybody else. An IPv6 network of 64 bits counts as one address.
    max_address_share: float = Field(default=0.9, gt=0, le=1)
    #: From the connection, or the first byte of a further request, until the request's headers are there. More bytes of
    #: them do not extend it.
    head_s: float = Field(default=15.0, gt=0)
    #: A connection without a request is closed after it. Longer than the 60 s that proxies keep theirs (nginx, AWS);
    #: behind Google's load balancers it has to be 620.
    idle_s: float = Field(default=75.0, gt=0)
    #: Of a body at least so many bytes have to come in each such time, while the server reads: 16 MB over the slowest
    #: mobile network (100 kbit/s) come 12 times as fast.
    min_body_bytes_per_s: int = Field(default=1_000, ge=1)
    body_window_s: float = Field(default=10.0, gt=0)
    #: A client that takes nothing of its response for so long is cut off.
    reader_silence_s: float = Field(default=60.0, gt=0)
    #: Request line and headers of one request: the longest line is 128 KiB.
    max_head_bytes: int = Field(default=262_144, ge=8_192)
    #: Of all requests whose headers are not complete: 250 of the largest.
    max_heads_bytes: int = Field(default=64_000_000, ge=8_192)
    #: Requests of one connection that wait for the one before them.
    max_pipelined: int = Field(default=8, ge=1)
    #: Responses that are finished and not taken yet, together. Further large ones are answered 503.
    max_untaken_bytes: int = Field(default=512_000_000, ge=1_000_000)
    #: Of each connection in the kernel's buffer and not sent. Linux keeps up to 4 MB for who does not read.
    kernel_unsent_bytes: int = Field(default=131_072, ge=16_384)


class State(Enum):
    #: No complete request yet: new, or in the middle of a request's headers.
    ARRIVING = auto()
    IDLE = auto()
    BUSY = auto()
    GONE = auto()


class Connection(Protocol):
    """What `Connections` has to know of a connection, and its own notes about it."""

    state: State
    since_s: float
    head_bytes: int
    address: "Address"

    def unsent_bytes(self) -> int:
        """Bytes of responses that the kernel did not take yet."""
        ...

    def is_reading_paused(self) -> bool:
        """Whether the server itself does not read at the moment."""
        ...

    def end(self) -> None:
        """Close it; what is written already may still go out."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...

    def refuse_body(self) -> bool:
        """Let whoever reads the body have an error; False if nobody reads it."""
        ...


class Address:
    """Connections of one client address. `waiting`: those that are not busy."""

    __slots__ = ("connections", "name", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.waiting = 0


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
        self.address_bound = max(1, int(bound * settings.max_address_share))
        #: Seconds since the start in which the loop ran.
        self.now_s = 0.0
        #: Connections that were closed or refused since the start, by cause; and requests that were no HTTP.
        self.closed: Counter[str] = Counter()
        self.unreadable = 0
        self.untaken_bytes = 0
        self._addresses: dict[str, Address] = {}
        self._count = 0
        # In the order in which they came into this state.
        self._arriving: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self._heads_bytes = 0
        self._bodies: dict[Connection, _Body] = {}
        self._readers: dict[Connection, _Reader] = {}
        self._held: dict[Connection, int] = {}

    def counts(self) -> dict[str, int]:
        """Connections by state."""
        arriving, idle = len(self._arriving), len(self._idle)
        return {"arriving": arriving, "idle": idle, "busy": self._count - arriving - idle}

    # Coming and going

    def admit(self, host: str) -> Address | None:
        """The address of a new connection, for `add`; None if there is no room for it and none can be made."""
        address = self._addresses.get(name := _network(host)) or Address(name)
        if address.connections >= self.address_bound and not self._make_room(address):
            self._refuse("address_full", f"{name} has {address.connections} connections, all of them busy")
            return None
        if self._count >= self.bound and not self._make_room():
            self._refuse("full", f"{self._count} connections are open, all of them busy")
            return None
        self._addresses[name] = address
        return address

    def add(self, connection: Connection, address: Address) -> None:
        connection.address = address
        connection.state = State.ARRIVING
        connection.since_s = self.now_s
        connection.head_bytes = 0
        address.connections += 1
        address.waiting += 1
        self._count += 1
        self._arriving[connection] = None

    def remove(self, connection: Connection) -> None:
        if connection.state is State.GONE:
            return
        self._leave(connection)
        connection.state = State.GONE
        address = connection.address
        address.connections -= 1
        self._count -= 1
        if not address.connections:
            self._addresses.pop(address.name, None)
        self._bodies.pop(connection, None)
        self._readers.pop(connection, None)
        self._let_go(connection)

    def out_of_files(self) -> None:
        """The process may open no more files: make room, and say so."""
        self.closed["no_files"] += 1
        # What else has files open needs more than was kept for it, perhaps not for long.
        self.bound = max(1, self._count - self._count // 16)
        self._lowered_at_s = self.now_s
        logger.warning(
            "no further connection can be accepted, the process has too many open files: raise its limit "
            "(ulimit -n), or lower RUNSTREAM_CONNECTIONS_MAX_CONNECTIONS"
        )
        while self._count >= self.bound and self._make_room():
            pass

    # What happens on one

    def arriving(self, connection: Connection) -> None:
        """The first bytes of a further request came."""
        if connection.state is State.IDLE:
            del self._idle[connection]
            connection.state = State.ARRIVING
            connection.since_s = self.now_s
            self._arriving[connection] = None

    def head_grew(self, connection: Connection, size: int) -> bool:
        """Count bytes of headers that are not complete; False if they are too many."""
        connection.head_bytes += size
        self._heads_bytes += size
        if connection.head_bytes > self.settings.max_head_bytes:
            return False
        if self._heads_bytes > self.settings.max_heads_bytes:
            self._warn("heads_full", f"{self._heads_bytes} bytes of incomplete request headers are held")
            self._cut_heads(self.settings.max_heads_bytes * 7 // 8)
        return True

    def busy(self, connection: Connection) -> None:
        """A request is complete up to its body."""
        if connection.state is not State.BUSY and connection.state is not State.GONE:
            self._leave(connection)
            connection.state = State.BUSY

    def idle(self, connection: Connection) -> None:
        """The last request is answered."""
        if connection.state is State.BUSY:
            connection.state = State.IDLE
            connection.since_s = self.now_s
            connection.address.waiting += 1
            self._idle[connection] = None

    def body_grew(self, connection: Connection, size: int) -> None:
        """Bytes of a body came that is not complete."""
        body = self._bodies.get(connection)
        if body is None:
            if connection.state is State.GONE:
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
        tick_s = min(1.0, *(t / 4 for t in (settings.head_s, settings.idle_s, settings.reader_silence_s)))
        tick_s = max(0.01, min(tick_s, settings.body_window_s / 4))
        loop = asyncio.get_running_loop()
        looked_s = loop.time()
        while True:
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
        self._expire(self._arriving, settings.head_s, "head_timeout")
        self._expire(self._idle, settings.idle_s, "idle_timeout")
        for connection, body in list(self._bodies.items()):
            self._look_at_body(connection, body)
        for connection, reader in list(self._readers.items()):
            left = connection.unsent_bytes()
            if left < reader.left:
                reader.left, reader.since_s = left, self.now_s
            elif self.now_s - reader.since_s >= settings.reader_silence_s:
                self._cut(connection, "slow_reader")

    def _expire(self, waiting: dict[Connection, None], after_s: float, cause: str) -> None:
        due_s = self.now_s - after_s
        while waiting and (connection := next(iter(waiting))).since_s <= due_s:
            self._close(connection, cause)

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
        """Close connections that wait for a request: the oldest of `address`, or of the one that has most. An
        attacker's many go before the few of everybody else. Returns whether one was closed."""
        if address is None:
            waiting = [each for each in self._addresses.values() if each.waiting]
            address = max(waiting, key=lambda each: each.connections, default=None)
        if address is None or not address.waiting:
            return False
        wanted = max(1, min(address.waiting, address.connections // _CLOSED_PART))
        self._warn("evicted", f"{self._count} connections are open; those of {address.name} that wait are closed")
        for states in (self._arriving, self._idle):
            for connection in [each for each in states if each.address is address][:wanted]:
                self._close(connection, "evicted")
                wanted -= 1
        return True

    def _cut_stalled(self) -> None:
        due_s = self.now_s - _STALLED_S
        for connection, reader in list(self._readers.items()):
            if reader.since_s <= due_s and connection.unsent_bytes() >= reader.left:
                self._cut(connection, "slow_reader")

    def _cut_heads(self, kept_bytes: int) -> None:
        """Cut off those with the largest incomplete headers, until no more than so many bytes are held."""
        for connection in sorted(self._arriving, key=lambda each: each.head_bytes, reverse=True):
            if self._heads_bytes <= kept_bytes:
                return
            self._cut(connection, "heads_full")

    def _leave(self, connection: Connection) -> None:
        """Out of the states in which a connection waits."""
        if connection.state is State.ARRIVING:
            del self._arriving[connection]
        elif connection.state is State.IDLE:
            del self._idle[connection]
        else:
            return
        connection.address.waiting -= 1
        self._heads_bytes -= connection.head_bytes
        connection.head_bytes = 0

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


def raise_file_limit() -> int:
    """Let this process open as many files as its hard limit allows; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower one of its own
            return soft
        return wanted
    return _MAX_FILES if soft == resource.RLIM_INFINITY else soft


def connection_bound(settings: ConnectionSettings, files: int, files_each: int = 1) -> int:
    """How many connections there may be with a limit of so many files. files_each: those that one connection needs.

    Where few files are allowed, half of them are for connections."""
    usable = max(files - settings.reserved_files, files // 2)
    return max(1, min(settings.max_connections, usable // files_each))


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
