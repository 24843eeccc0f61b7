"""The store: read models in ClickHouse, as a server or in process (chDB). Only processors write to it.

Two implementations stand behind `Store`; tests/conformance/test_store.py holds both to what is written here.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

# The settings of queries are made of what stands here, and the command line reads filters without Arrow.
if TYPE_CHECKING:
    import pyarrow as pa


class StoreError(Exception):
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """Not now: it is away, overloaded or out of disk. The insert may or may not have happened: look before
    inserting again."""


class StoreOverloaded(StoreUnavailable):
    """No slot of a query's class was free in time. Nothing was done: ask again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, of: "QueryClass", setting: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.of = of
        #: The limit that was met: `slots` and `queue`, or `wait_s`.
        self.setting = setting
        self.retry_after_s = retry_after_s


class QueryLimitExceeded(StoreError):
    """A query met a limit of its class and was ended. The same question meets it again: ask for less."""

    def __init__(self, message: str, *, of: "QueryClass", limit: str, value: float | int | None) -> None:
        super().__init__(message)
        self.of = of
        #: The field of `QueryLimits`.
        self.limit = limit
        #: What the limit is; None if it is the engine's own.
        self.value = value


class StoreInvalid(StoreError):
    """The statement, its parameters or the data are wrong: trying again will not help."""


class StoreCorrupt(StoreError):
    """Files of the store are damaged. Trying again will not help; the message says how to go on without them."""


class StoreBusy(StoreError):
    """Another process holds the data directory; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows to insert, in ClickHouse's Native format. The pieces are its bytes, one behind the other; the large ones are
    views of the columns' arrays. `bytes(block)` copies all of it, which takes a twentieth of the time of folding it:
    only who has to send it in one piece does."""

    rows: int
    pieces: tuple[bytes | memoryview, ...]

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.pieces))


class QueryClass(enum.Enum):
    """What a query is for. Each class has slots of its own, so that none can keep another one waiting."""

    #: The server's own work: what the worker loads, migrations, maintenance. Nothing limits it.
    WORKER = "worker"
    #: Short questions about the store itself: readiness, disks, how far it is.
    PROBE = "probe"
    #: What a write has to know before its response: whether there is such a run, what came of a command.
    LOOKUP = "lookup"
    #: Reads by a key: one run, its parameters, a page of names.
    LIGHT = "light"
    #: Reads that may look at much: filters, curves of many runs, the past, exports.
    HEAVY = "heavy"
    #: What live streams ask again and again.
    LIVE = "live"
    #: Points behind what live streams told of curves: they must not keep the other questions of streams waiting.
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The limits of one class. None: no limit, or the engine's own.

    slots: queries that run beside each other; queue: how many more may wait for a slot, for at most `wait_s` seconds.
    The rest is of one query: seconds, memory and threads in the engine, what it reads, and what it returns.
    """

    slots: int
    queue: int | None = None
    wait_s: float | None = None
    time_s: float | None = None
    memory_bytes: int | None = None
    threads: int | None = None
    rows_read: int | None = None
    result_rows: int | None = None
    result_bytes: int | None = None


#: A class that has no limits of its own shares the slots of WORKER.
ClassLimits = Mapping[QueryClass, QueryLimits]
NO_LIMITS: Final[ClassLimits] = {}


class StoreReader(Protocol):
    """The reading side. Coroutines may be called from any event loop, also from several threads."""

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> "pa.Table":
        """Run one SELECT in a slot of its class and return its rows. A caller that is cancelled ends the query.

        Values only ever enter by server-side parameters: `{name:Type}` in the statement, `parameters[name]` here.
        Strings come back as string (never dictionary), DateTime64(6) as timestamp[us, tz=UTC].
        Raises StoreInvalid, StoreUnavailable, StoreCorrupt, and for a class that has limits StoreOverloaded (a
        StoreUnavailable) and QueryLimitExceeded.
        """


class Store(StoreReader, Protocol):
    """Reading and writing. In process one process writes; on a server any number, which agree on who writes what."""

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        """Insert one block of `rows` rows as exactly one part: after a crash all of its rows are there or none.

        With a token, a block whose token this table has taken lately (its window of the last N inserts with one) is
        dropped silently, whatever its rows are, so the caller looks afterwards. Without one every block is inserted.
        Raises StoreUnavailable, StoreInvalid."""

    async def command(self, sql: str) -> None:
        """Run a statement without rows (DDL, mutations). Raises StoreUnavailable, StoreInvalid."""

    async def close(self) -> None:
        """Finish what runs, then release the engine and its lock."""
