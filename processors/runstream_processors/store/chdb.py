"""The store in process: ClickHouse's engine (chDB) on a directory of its own (docs/design/store.md)."""

import asyncio
import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import chdb
import clickhouse_connect
import clickhouse_connect.driver.exceptions
import psutil
import pyarrow as pa
from chdb import ChdbError

from runstream.private import make_tight
from runstream_processors.store.engine import (
    LOST_WRITES,
    MERGE_NICENESS,
    MERGE_THREADS,
    connection_string,
    engine_options,
    locked,
    memory_file,
    own_niceness,
    query_limits,
    quoted,
    set_priority_of_merges,
)
from runstream_processors.store.failures import store_error
from runstream_processors.store.limits import engine_limits, limit_met
from runstream_processors.store.parameters import checked_parameters
from runstream_processors.store.requests import (
    READ_SETTINGS,
    WRITE_SETTINGS,
    check_identifier,
    check_insert,
    kill_statement,
    result_table,
    slot_name,
    token_settings,
)
from runstream_processors.store.slots import StoreSlots
from runstream_processors.store.threads import StoreThreads
from runstream_service.store import (
    NO_LIMITS,
    Block,
    ClassLimits,
    QueryClass,
    QueryLimits,
    StoreBusy,
    StoreCorrupt,
    StoreInvalid,
    StoreUnavailable,
)

#: What one query of a class may have of the machine's memory, in process, where its limit says more. Four heavy ones
#: have a third together and four light ones an eighth: below the half that the engine may use for everything.
_MEMORY_SHARES: Final[Mapping[QueryClass, int]] = {QueryClass.HEAVY: 12, QueryClass.WORKER: 4}
_MEMORY_SHARE: Final = 32

#: What the engine and its client raise. chdb's streams raise a bare RuntimeError.
ENGINE_ERRORS: Final = (RuntimeError, ChdbError, clickhouse_connect.driver.exceptions.Error)


class ChdbStore:
    """`runstream_service.store.Store` on chDB. One process a directory, one directory a process.

    Queries run in the slots of their class, each in a thread and over a connection of its own, beside the write, of
    which there is one at a time, and beside commands, of which there is one at a time too. All coroutines may be called
    from any event loop and thread. A caller that is cancelled gives up waiting: its query is killed; what else it asked
    for may still happen.
    """

    def __init__(
        self,
        lock: int | None,
        path: Path,
        database: str,
        query_threads: int,
        settings: Mapping[str, str],
        limits: ClassLimits,
    ) -> None:
        """Use `open` or `beside`. Opens the engine and its connections; raises what the engine raises. lock: of the
        directory; None where another store of this engine has it."""
        self._lock = lock
        self._merges_give_way = False
        self._path, self._database, self._settings = path, database, settings
        self._query_threads, self._given_limits = query_threads, limits
        #: Slots of two databases of one engine must not be taken for each other when a query is killed.
        self._tag = "" if lock is not None else f"{database}-"
        self._memory_bytes = memory_bytes = psutil.virtual_memory().total
        self._limits = {of: _within(memory_bytes, of, given) for of, given in limits.items()}
        self._limits.setdefault(QueryClass.WORKER, QueryLimits(query_threads))
        self._connections: list[Any] = []
        self._killer: Any = None
        self._killing = threading.Lock()
        try:
            self._threads = StoreThreads(inserts=1)
            self._slots: StoreSlots[Any] = StoreSlots(self._limits, self._reader, self._kill, self._discard)
            options = engine_options(memory_bytes)
            self._writer = self._connect(chdb.connect(connection_string(path, options)))  # type: ignore[no-untyped-call]
            self._writer.query(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic")
            self._writer.query(f"USE {database}")
            for name, value in {**WRITE_SETTINGS, **settings}.items():
                self._writer.query(f"SET {name} = {quoted(value)}")
            self._lost_before = self._lost = int(str(self._writer.query(LOST_WRITES)))
            self._commander = self._client(settings)
        except BaseException:
            self._release()
            raise

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        query_threads: int = 4,
        settings: Mapping[str, str] | None = None,
        database: str = "runstream",
        limits: ClassLimits = NO_LIMITS,
    ) -> Self:
        """Lock `directory` (made if it is missing) and open the engine in it. `settings` are ClickHouse settings for
        every connection; `database` is made if it is missing. `query_threads` are the slots of WORKER, `limits` those
        of the other classes.

        Raises StoreBusy if another process, or this one, has it open; StoreCorrupt if the engine does not start on what
        is there; StoreUnavailable if the directory cannot be used.
        """
        check_identifier(database, "database")
        return await asyncio.to_thread(
            cls._open, directory.resolve(), query_threads, dict(settings or {}), database, limits
        )

    @classmethod
    def _open(
        cls, directory: Path, query_threads: int, settings: Mapping[str, str], database: str, limits: ClassLimits
    ) -> Self:
        try:
            make_tight(directory)
            lock = locked(directory)
        except OSError as error:
            raise StoreUnavailable(f"the data directory {directory} cannot be used: {error}") from error
        try:
            return cls(lock, directory / "engine", database, query_threads, settings, limits)
        except ENGINE_ERRORS as error:
            if "EmbeddedServer already initialized" in str(error):
                raise StoreBusy(
                    f"this process has another store open, and chDB holds one a process: close it before opening "
                    f"{directory} ({error})"
                ) from error
            if "initializing EmbeddedServer" in str(error):
                raise StoreCorrupt(
                    f"the engine does not start in {directory}: files of a table are damaged (standard error has the "
                    "engine's own words). Move that directory away: the next start makes the tables again from the log"
                ) from error
            raise store_error(error, f"open {directory}") from error

    @property
    def database(self) -> str:
        """The database that statements mean which name none."""
        return self._database

    async def beside(self, database: str) -> "ChdbStore":
        """A store on another database of the same engine, made if it is missing, with the same settings and limits.
        Close it before this one. Raises StoreUnavailable, StoreInvalid."""
        check_identifier(database, "database")
        return await asyncio.to_thread(self._beside, database)

    def _beside(self, database: str) -> "ChdbStore":
        try:
            return ChdbStore(None, self._path, database, self._query_threads, self._settings, self._given_limits)
        except ENGINE_ERRORS as error:
            raise store_error(error, f"open the database {database}") from error

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        """See `Store.query`. Bytes in a String column that are no UTF-8 stay as they are (select `hex(column)` to read
        them)."""
        self._threads.check_open()
        checked = dict(checked_parameters(sql, parameters or {}))
        return await self._slots.of(of).run(lambda client: self._query(client, sql, checked, of))

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        """See `Store.insert`. `block` must be one Native block; StoreInvalid if it has another number of rows.
        Tokens need tables that remember them (`non_replicated_deduplication_window`, migration 0003).

        Raises StoreCorrupt once a write to the engine's files was lost, by this insert or by anything before it: what
        it left is only known when the store is closed and opened again."""
        check_insert(table, columns, block, rows)
        if rows:
            await self._threads.insert(self._insert, table, columns, block, rows, token)

    async def command(self, sql: str) -> None:
        """See `Store.command`. Raises StoreCorrupt as `insert` does."""
        await self._threads.command(self._command, sql)

    async def lost_writes(self) -> int:
        """How many writes to its files the engine has lost since this store was opened, those of merges among them.
        If there are any, close it and open it again: the engine then looks at every part. Raises StoreUnavailable."""
        return int((await self.query(LOST_WRITES, of=QueryClass.PROBE))["n"][0].as_py()) - self._lost_before

    async def close(self) -> None:
        """See `Store.close`. A second call does nothing."""
        await self._threads.close(self._close)

    def _query(self, client: Any, sql: str, parameters: dict[str, Any], of: QueryClass) -> pa.Table:
        try:
            result = client.raw_query(sql, parameters=parameters, fmt="Arrow")
        except ENGINE_ERRORS as error:
            met = limit_met(error, of, self._limits.get(of, _UNLIMITED))
            raise met or store_error(error, sql) from error
        return result_table(result, sql)

    def _client(self, settings: Mapping[str, str]) -> Any:
        return self._connect(
            clickhouse_connect.get_client(
                interface="chdb", path=str(self._path), database=self._database, settings=dict(settings)
            )
        )

    def _reader(self, of: QueryClass, number: int) -> Any:
        """The connection of a slot. Raises what the engine means."""
        reading = {
            **READ_SETTINGS,
            **query_limits(self._memory_bytes),
            **engine_limits(self._limits[of]),
            **self._settings,
            "log_comment": slot_name(of, number, self._tag),
            "readonly": "2",
        }
        try:
            return self._client(reading)
        except ENGINE_ERRORS as error:
            raise store_error(error, f"open a connection for {of.value} queries") from error

    def _kill(self, of: QueryClass, numbers: Sequence[int]) -> None:
        with self._killing:
            if self._killer is None:
                self._killer = self._client({})
            try:
                self._killer.command(kill_statement([slot_name(of, number, self._tag) for number in numbers]))
            except ENGINE_ERRORS:
                killer, self._killer = self._killer, None
                self._discard(killer)
                raise

    def _discard(self, client: Any) -> None:
        """Of a query that fails after its result began, the engine keeps what it had by then and puts it before the
        result of the connection's next query (chDB 26.9): rows of somebody else, or nothing that can be read."""
        self._connections.remove(client)
        client.close()

    def _insert(self, table: str, columns: Sequence[str], block: Block, rows: int, token: str) -> None:
        if not self._merges_give_way:
            # The engine starts these threads with its first table, so they may not be there before.
            self._merges_give_way = set_priority_of_merges(own_niceness() + MERGE_NICENESS) == MERGE_THREADS
        # Not by `send_insert`: with a full disk its `finish` reports all rows as written, raises nothing, and nothing
        # is there (chDB 26.9). A statement that reads a file says if there is no room to begin with.
        statement = f"INSERT INTO {table} ({', '.join(columns)})"
        self._check_written(self._lost, statement)
        settings = ", ".join(f"{name} = {quoted(value)}" for name, value in token_settings(token).items())
        with memory_file(block.pieces) as path:
            try:
                written = self._writer.query(
                    f"{statement} FROM INFILE {quoted(path)} SETTINGS {settings} FORMAT Native"
                ).rows_written()
                lost = int(str(self._writer.query(LOST_WRITES)))
            except Exception as error:
                raise store_error(error, statement) from error
        self._check_written(lost, statement)
        if written != rows:
            raise StoreInvalid(f"{written} rows went into {table} instead of {rows}: give one block an insert")

    def _command(self, sql: str) -> None:
        try:
            self._commander.command(sql)
            lost = int(str(self._commander.command(LOST_WRITES)))
        except ENGINE_ERRORS as error:
            raise store_error(error, sql) from error
        self._check_written(lost, sql)

    def _check_written(self, lost: int, statement: str) -> None:
        self._lost = max(self._lost, lost)
        if lost > self._lost_before:
            raise StoreCorrupt(
                f"the engine lost {lost - self._lost_before} writes to its files and went on: the disk is full or "
                f"fails. Close the store and open it again, which looks at every part (statement: {statement[:80]})"
            )

    def _connect(self, connection: Any) -> Any:
        self._connections.append(connection)
        return connection

    def _close(self) -> None:
        self._slots.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            # The engine keeps its threads, and gives them other work when it is opened again.
            set_priority_of_merges(own_niceness())
        for connection in reversed(self._connections):
            connection.close()
        if self._lock is not None:
            os.close(self._lock)


_UNLIMITED: Final = QueryLimits(1)


def _within(memory_bytes: int, of: QueryClass, limits: QueryLimits) -> QueryLimits:
    """The limits on a machine with so much memory, which the engine shares with everything else."""
    share_bytes = memory_bytes // _MEMORY_SHARES.get(of, _MEMORY_SHARE)
    return dataclasses.replace(limits, memory_bytes=min(share_bytes, limits.memory_bytes or share_bytes))
