"""The embedded server's store, which mends itself: everything in it can be made again from the log.

The engine does not notice that a write to its files failed (`engine.LOST_WRITES`), so on a full disk a part may be
active whose files are empty. This store keeps the engine from a disk that is nearly full, finds out when a write was
lost all the same, and opens the engine anew, which looks at every part. If one is damaged, the directory is set aside
and an empty one takes its place.

It holds the generations of the read models, each in a database of the one engine (`runstream_processors.generations`).
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa

from runstream_processors.generations import ADOPTED, CURRENT, Generation, Generations, Recorded, Versions
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.databases import EngineDatabases
from runstream_processors.store.generations import ensure_generations, record
from runstream_processors.store.profiles import EMBEDDED
from runstream_service.store import (
    NO_LIMITS,
    Block,
    ClassLimits,
    QueryClass,
    StoreCorrupt,
    StoreError,
    StoreInvalid,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

#: Room that is left free, so that what runs ends before the disk is full: 256 MiB, or 5 % of a disk below 5 GiB. A disk
#: that somebody fills with 1 GB/s gets there in a quarter of a second; we look ten times a second.
_RESERVE_BYTES: Final = 256 * 1024**2
_RESERVE_SHARE: Final = 20
_LOOK_EVERY_S: Final = 0.1
#: Asking the engine takes 2 ms of CPU.
_ASK_EVERY_LOOKS: Final = 10
#: Between two tries to open the store anew.
_RETRY_S: Final = 5.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class SelfRepairingStore:
    """`runstream_service.store.Store` on the generation that serves in a directory of chDB's, and with `watch`.

    While it is opened anew every call raises StoreUnavailable, and those that run may. All coroutines of `Store` may
    be called from any event loop and thread; `open`, `watch` and `close` belong to one loop.
    """

    def __init__(
        self,
        directory: Path,
        databases: EngineDatabases,
        reaches_back: Callable[[], Awaitable[bool]],
        clock: Callable[[], datetime],
        limits: ClassLimits,
        versions: Versions,
    ) -> None:
        """Use `open`."""
        self._limits = limits
        self._directory = directory
        self._databases: EngineDatabases | None = databases
        self._away = "the store is closed: open it again"
        self._reaches_back = reaches_back
        self._clock = clock
        #: Of the read models, as this process folds them.
        self.versions = versions
        self._reserve_bytes = min(_RESERVE_BYTES, shutil.disk_usage(directory).total // _RESERVE_SHARE)
        self._merges_stopped = False
        #: Whether the engine is known to have lost a write.
        self._lost = False
        self._changing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        reaches_back: Callable[[], Awaitable[bool]],
        clock: Callable[[], datetime] = utc_now,
        limits: ClassLimits = NO_LIMITS,
        versions: Versions = CURRENT,
    ) -> Self:
        """Open the store in `directory` and bring the tables of the generation that serves up to date; a damaged store
        is set aside first, under a name with the time, if `reaches_back` says that the log still has everything that
        was in it. versions: of tables that are made now.

        Raises what `ChdbStore.open` and `migrate` raise: StoreCorrupt if the log does not have everything any more,
        StoreUnavailable if there is no room for the tables beside the damaged ones.
        """
        directory = directory.resolve()
        databases = await _opened(directory, reaches_back, clock, limits, versions)
        return cls(directory, databases, reaches_back, clock, limits, versions)

    async def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        of: QueryClass = QueryClass.WORKER,
        database: str | None = None,
    ) -> pa.Table:
        """See `ChdbStore.query`. What fails after a write was lost is StoreUnavailable: the files are to blame.
        database: one that is attached; None: that of the generation that serves."""
        with self._current(database) as store:
            try:
                return await store.query(sql, parameters, of=of)
            except (StoreCorrupt, StoreInvalid) as error:
                if await store.lost_writes() == 0:
                    raise
                self._lost = True
                raise StoreUnavailable(f"the engine lost writes, the store will be opened anew: {error}") from error

    async def insert(
        self,
        table: str,
        columns: Sequence[str],
        block: Block,
        rows: int,
        *,
        token: str = "",
        database: str | None = None,
    ) -> None:
        """See `ChdbStore.insert`. Raises StoreUnavailable, and inserts nothing, while the disk is nearly full."""
        with self._current(database, block.size) as store, self._noting_loss():
            await store.insert(table, columns, block, rows, token=token)

    async def command(self, sql: str, *, database: str | None = None) -> None:
        """See `ChdbStore.command`. Raises StoreUnavailable, and does nothing, while the disk is nearly full."""
        with self._current(database, len(sql)) as store, self._noting_loss():
            await store.command(sql)

    @property
    def serving(self) -> Generation:
        """The generation that serves. Raises StoreUnavailable."""
        return self._opened_databases().serving

    def database_of(self, generation: Generation) -> str:
        """The database that a generation has here. Raises StoreUnavailable."""
        return self._opened_databases().database_of(generation)

    async def generations(self) -> Generations:
        """What is recorded of the generations. Raises StoreUnavailable."""
        return await ensure_generations(self._control(), self.versions, ADOPTED, profile=EMBEDDED)

    async def record(self, row: Recorded) -> None:
        """Record durably that a generation came to a stage. Raises StoreUnavailable: then it may be recorded."""
        await record(self._control(), row)

    async def attach(self, database: str) -> "DatabaseStore":
        """A store on a database beside the one that serves, made if it is missing, with its tables. It is as long open
        as this one and until `drop`. Raises StoreUnavailable."""
        async with self._changing:
            with self._noting_loss():
                await self._opened_databases().attach(database)
        return DatabaseStore(self, database)

    def serve(self, generation: Generation) -> None:
        """From now on queries and inserts mean this one, which is attached. Raises StoreUnavailable."""
        self._opened_databases().serve(generation)

    async def drop(self, database: str) -> None:
        """Remove a database that does not serve, once its last reader has left. Raises StoreUnavailable."""
        async with self._changing:
            with self._noting_loss():
                await self._opened_databases().drop(database)

    async def close(self) -> None:
        """See `Store.close`. Waits for the end of what `watch` is at; cancel that first."""
        async with self._changing:
            databases, self._databases = self._databases, None
            self._away = "the store is closed: open it again"
            if databases is not None:
                await databases.close()

    async def watch(self, look_every_s: float = _LOOK_EVERY_S) -> None:
        """Stop merges while the disk is nearly full, and open the store anew when a write was lost and there is room
        again; until then it is read only. Runs until it is cancelled; what goes wrong is logged and tried again."""
        looks = 0
        while True:
            await asyncio.sleep(look_every_s)
            looks += 1
            try:
                await self._look(ask=looks % _ASK_EVERY_LOOKS == 0)
            except (StoreError, OSError) as error:
                logger.warning("the store needs repair, the next try is in %.0f s: %s", _RETRY_S, error)
                await asyncio.sleep(_RETRY_S)

    def _opened_databases(self) -> EngineDatabases:
        if self._databases is None:
            raise StoreUnavailable(self._away)
        return self._databases

    def _control(self) -> "DatabaseStore":
        """The store with the table of generations."""
        return DatabaseStore(self, self._opened_databases().base.database)

    @contextmanager
    def _current(self, database: str | None, size_bytes: int = 0) -> Iterator[ChdbStore]:
        """The store of a database, for something that writes so much (0: that reads)."""
        databases = self._opened_databases()
        free_bytes = _free_bytes(self._directory) if size_bytes else 0
        if size_bytes and free_bytes < self._reserve_bytes + size_bytes:
            raise StoreUnavailable(
                f"NOT_ENOUGH_SPACE: {free_bytes} bytes are free on the disk of {self._directory}, of which "
                f"{self._reserve_bytes} stay in reserve: make room"
            )
        with databases.using(database) as store:
            yield store

    async def _look(self, ask: bool) -> None:
        free_bytes = _free_bytes(self._directory)
        if ask and self._databases is not None and not self._lost:
            self._lost = await self._databases.base.lost_writes() > 0
        if self._lost or self._databases is None:
            # On a full disk the new one would lose writes as well, and the old one may still be read.
            if free_bytes >= self._reserve_bytes:
                # Half a change would leave an engine open that nobody has: a cancellation does not reach it.
                await asyncio.shield(self._open_anew())
            return
        stop = free_bytes < (2 if self._merges_stopped else 1) * self._reserve_bytes
        if stop != self._merges_stopped:
            # Merges write for longer than an insert, and give up their sources. They stop within a block.
            with self._noting_loss():
                await self._databases.base.command(f"SYSTEM {'STOP' if stop else 'START'} MERGES")
            self._merges_stopped = stop

    @contextmanager
    def _noting_loss(self) -> Iterator[None]:
        try:
            yield
        except StoreCorrupt:
            self._lost = True
            raise

    async def _open_anew(self) -> None:
        async with self._changing:
            attached: tuple[str, ...] = ()
            if self._databases is not None:
                logger.warning("the engine lost writes to its files; the store is opened anew, to look at every part")
                databases, self._databases = self._databases, None
                self._away = "the store is being opened anew: ask again in some seconds"
                attached = databases.attached
                await databases.close()
            try:
                databases = await _opened(self._directory, self._reaches_back, self._clock, self._limits, self.versions)
                for database in attached:
                    # In a directory that took the place of a damaged one, none of them is there.
                    if await databases.is_there(database):
                        await databases.attach(database)
            except StoreError as error:
                self._away = f"the store could not be opened anew: {error}"
                raise
            self._databases = databases
            self._merges_stopped = self._lost = False


class DatabaseStore:
    """`runstream_service.store.Store` on one database of a SelfRepairingStore, whichever serves."""

    def __init__(self, store: SelfRepairingStore, database: str) -> None:
        self._store = store
        self.database = database

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        """See `SelfRepairingStore.query`."""
        return await self._store.query(sql, parameters, of=of, database=self.database)

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        """See `SelfRepairingStore.insert`."""
        await self._store.insert(table, columns, block, rows, token=token, database=self.database)

    async def command(self, sql: str) -> None:
        """See `SelfRepairingStore.command`."""
        await self._store.command(sql, database=self.database)

    async def close(self) -> None:
        """Do nothing: `SelfRepairingStore.close` closes all databases."""


def _free_bytes(directory: Path) -> int:
    """How much room there is, also while the directory is being exchanged."""
    try:
        return shutil.disk_usage(directory).free
    except FileNotFoundError:
        return shutil.disk_usage(directory.parent).free


async def _opened(
    directory: Path,
    reaches_back: Callable[[], Awaitable[bool]],
    clock: Callable[[], datetime],
    limits: ClassLimits,
    versions: Versions,
) -> EngineDatabases:
    try:
        return await EngineDatabases.open(directory, limits=limits, versions=versions)
    except StoreCorrupt as error:
        if not await reaches_back():
            raise StoreCorrupt(
                f"{error}. It is not done for you, because the log does not reach back to its beginning: what is only "
                "in the store would be missing"
            ) from error
        aside = await asyncio.to_thread(_set_aside, directory, clock())
        logger.warning(
            "the store was damaged, so it lies in %s now and the tables are made again from the log, which has all of "
            "it; remove that directory when nobody wants to look at it (%s)",
            aside,
            error,
        )
    return await EngineDatabases.open(directory, limits=limits, versions=versions)


def _set_aside(directory: Path, now: datetime) -> Path:
    """Rename `directory`. Raises StoreUnavailable if its tables do not fit on the disk a second time."""
    size_bytes = sum(entry.stat().st_size for entry in directory.rglob("*") if entry.is_file())
    free_bytes = _free_bytes(directory)
    if free_bytes < size_bytes:
        raise StoreUnavailable(
            f"the store in {directory} is damaged and can be made again from the log, but that needs about "
            f"{size_bytes} bytes beside it and {free_bytes} are free: make room, or remove that directory"
        )
    aside = directory.with_name(f"{directory.name}.damaged-{now:%Y%m%dT%H%M%S}")
    number = 1
    while aside.exists():
        number += 1
        aside = directory.with_name(f"{directory.name}.damaged-{now:%Y%m%dT%H%M%S}.{number}")
    os.rename(directory, aside)
    return aside
