"""The store in process: ClickHouse's engine (chDB) on a directory of its own. docs/design/store.md has the figures."""

import asyncio
import os
import queue
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
from runstream.service.store import StoreBusy, StoreCorrupt, StoreInvalid, StoreUnavailable
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
from runstream_processors.store.parameters import checked_parameters
from runstream_processors.store.requests import (
    READ_SETTINGS,
    WRITE_SETTINGS,
    answered_table,
    check_identifier,
    check_insert,
    token_settings,
)
from runstream_processors.store.threads import StoreThreads

#: What the engine and its client raise. chdb's streams raise a bare RuntimeError.
ENGINE_ERRORS: Final = (RuntimeError, ChdbError, clickhouse_connect.driver.exceptions.Error)


class ChdbStore:
    """`runstream.service.store.Store` on chDB. One process a directory, one directory a process.

    Reads run in threads of their own (`query_threads`), beside the write, of which there is one at a time, and beside
    commands, of which there is one at a time too. All coroutines may be called from any event loop and thread. A
    caller that is cancelled gives up waiting; what it asked for may still happen.
    """

    def __init__(self, lock: int, path: Path, database: str, query_threads: int, settings: Mapping[str, str]) -> None:
        """Use `open`. Opens the engine and all its connections; raises what the engine raises."""
        self._lock = lock
        self._merges_give_way = False
        self._readers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connections: list[Any] = []
        try:
            self._threads = StoreThreads(reads=query_threads, inserts=1)
            memory_bytes = psutil.virtual_memory().total
            options = engine_options(memory_bytes)
            self._writer = self._connect(chdb.connect(connection_string(path, options)))  # type: ignore[no-untyped-call]
            self._writer.query(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic")
            self._writer.query(f"USE {database}")
            for name, value in {**WRITE_SETTINGS, **settings}.items():
                self._writer.query(f"SET {name} = {quoted(value)}")
            self._lost_before = self._lost = int(str(self._writer.query(LOST_WRITES)))
            self._commander = self._connect(
                clickhouse_connect.get_client(
                    interface="chdb", path=str(path), database=database, settings=dict(settings)
                )
            )
            reading = {**READ_SETTINGS, **query_limits(memory_bytes), **settings, "readonly": "2"}
            for _ in range(query_threads):
                self._readers.put(
                    self._connect(
                        clickhouse_connect.get_client(
                            interface="chdb", path=str(path), database=database, settings=reading
                        )
                    )
                )
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
    ) -> Self:
        """Lock `directory` (made if it is missing) and open the engine in it. `settings` are ClickHouse settings for
        every connection; `database` is made if it is missing.

        Raises StoreBusy if another process, or this one, has it open; StoreCorrupt if the engine does not start on what
        is there; StoreUnavailable if the directory cannot be used.
        """
        check_identifier(database, "database")
        return await asyncio.to_thread(cls._open, directory.resolve(), query_threads, dict(settings or {}), database)

    @classmethod
    def _open(cls, directory: Path, query_threads: int, settings: Mapping[str, str], database: str) -> Self:
        try:
            make_tight(directory)
            lock = locked(directory)
        except OSError as error:
            raise StoreUnavailable(f"the data directory {directory} cannot be used: {error}") from error
        try:
            return cls(lock, directory / "engine", database, query_threads, settings)
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

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `Store.query`. Waits for a free reading thread. Bytes in a String column that are no UTF-8 stay as they
        are (select `hex(column)` to read them)."""
        return await self._threads.read(self._query, sql, checked_parameters(sql, parameters or {}))

    async def insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, *, token: str = "") -> None:
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
        return int((await self.query(LOST_WRITES))["n"][0].as_py()) - self._lost_before

    async def close(self) -> None:
        """See `Store.close`. A second call does nothing."""
        await self._threads.close(self._release)

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        client = self._readers.get()
        try:
            answer = client.raw_query(sql, parameters=dict(parameters), fmt="Arrow")
        except ENGINE_ERRORS as error:
            raise store_error(error, sql) from error
        finally:
            self._readers.put(client)
        return answered_table(answer, sql)

    def _insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, token: str) -> None:
        if not self._merges_give_way:
            # The engine starts these threads with its first table, so they may not be there before.
            self._merges_give_way = set_priority_of_merges(own_niceness() + MERGE_NICENESS) == MERGE_THREADS
        # Not by `send_insert`: with a full disk its `finish` reports all rows as written, raises nothing, and nothing
        # is there (chDB 26.9). A statement that reads a file says if there is no room to begin with.
        statement = f"INSERT INTO {table} ({', '.join(columns)})"
        self._check_written(self._lost, statement)
        settings = ", ".join(f"{name} = {quoted(value)}" for name, value in token_settings(token).items())
        with memory_file(block) as path:
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

    def _release(self) -> None:
        # The engine keeps its threads, and gives them other work when it is opened again.
        set_priority_of_merges(own_niceness())
        for connection in reversed(self._connections):
            connection.close()
        os.close(self._lock)
