"""The store in process: ClickHouse's engine (chDB) on a directory of its own. docs/design/store.md has the figures."""

import asyncio
import fcntl
import functools
import os
import queue
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import chdb
import clickhouse_connect
import clickhouse_connect.driver.exceptions
import psutil
import pyarrow as pa
from chdb import ChdbError

from runstream.service.store import StoreBusy, StoreCorrupt, StoreInvalid, StoreUnavailable
from runstream_processors.store.failures import store_error
from runstream_processors.store.native import InvalidColumn, block_rows
from runstream_processors.store.parameters import checked_parameters

Result = TypeVar("Result")

#: What the engine and its client raise. chdb's streams raise a bare RuntimeError.
ENGINE_ERRORS: Final = (RuntimeError, ChdbError, clickhouse_connect.driver.exceptions.Error)

_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
#: Merges take as much CPU as inserts, and nobody waits for them: beside one other thread a quarter of a core is theirs
#: (the kernel weighs 335 against 1,024), which still keeps up with inserts, and all of an idle one.
MERGE_NICENESS: Final = 5
#: More would only compete with the inserts.
MERGE_THREADS: Final = 2

#: How reads answer: plain strings, no dictionaries, and bytes that are copied nowhere else and so need no compression.
READ_SETTINGS: Final[Mapping[str, str]] = {
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    "output_format_arrow_compression_method": "none",
}
#: One insert is one part: a block is never cut, never joined with another, never written by two threads, and never
#: put aside to be written later.
WRITE_SETTINGS: Final[Mapping[str, str]] = {
    "async_insert": "0",
    "max_insert_threads": "1",
    "input_format_parallel_parsing": "0",
    "max_block_size": "1000000000",
    "max_insert_block_size": "1000000000",
    "max_insert_block_size_bytes": "0",
    "min_insert_block_size_rows": "0",
    "min_insert_block_size_bytes": "0",
}


def engine_options(memory_bytes: int) -> dict[str, str]:
    """The engine's own options on a machine with so much memory, which it shares with a training process.

    Half of the memory at most for everything; caches of at most 1/32 each (mark and index caches hold what is
    hot, and refill from the page cache).
    """
    cache_bytes = str(memory_bytes // 32)
    return {
        "max_server_memory_usage": str(memory_bytes // 2),
        "mark_cache_size": cache_bytes,
        "index_mark_cache_size": cache_bytes,
        "primary_index_cache_size": cache_bytes,
        "background_pool_size": str(MERGE_THREADS),
        "background_schedule_pool_size": "2",
        "background_common_pool_size": "1",
        "log-level": "none",
    }


def query_limits(memory_bytes: int) -> dict[str, str]:
    """What one read may use: a quarter of the memory, of which half before it sorts and groups on disk."""
    return {
        "max_memory_usage": str(memory_bytes // 4),
        "max_bytes_before_external_group_by": str(memory_bytes // 8),
        "max_bytes_before_external_sort": str(memory_bytes // 8),
    }


class ChdbStore:
    """`runstream.service.store.Store` on chDB. One process a directory, one directory a process.

    Reads run in threads of their own (`query_threads`), beside the write, of which there is one at a time, and beside
    commands, of which there is one at a time too. All coroutines may be called from any event loop and thread. A
    caller that is cancelled gives up waiting; what it asked for may still happen.
    """

    def __init__(self, lock: int, path: str, database: str, query_threads: int, settings: Mapping[str, str]) -> None:
        """Use `open`. Opens the engine and all its connections; raises what the engine raises."""
        self._lock = lock
        self._closed = False
        self._merges_give_way = False
        self._readers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._read_threads = ThreadPoolExecutor(query_threads, "store-read")
        self._write_thread = ThreadPoolExecutor(1, "store-write")
        self._command_thread = ThreadPoolExecutor(1, "store-command")
        memory_bytes = psutil.virtual_memory().total
        options = engine_options(memory_bytes)
        self._connections: list[Any] = []
        try:
            self._writer = self._connect(chdb.connect(f"{path}?{_joined(options)}"))  # type: ignore[no-untyped-call]
            self._writer.query(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic")
            self._writer.query(f"USE {database}")
            for name, value in {**WRITE_SETTINGS, **settings}.items():
                self._writer.query(f"SET {name} = {_quoted(value)}")
            self._commander = self._connect(
                clickhouse_connect.get_client(interface="chdb", path=path, database=database, settings=dict(settings))
            )
            reading = {**READ_SETTINGS, **query_limits(memory_bytes), **settings, "readonly": "2"}
            for _ in range(query_threads):
                self._readers.put(
                    self._connect(
                        clickhouse_connect.get_client(interface="chdb", path=path, database=database, settings=reading)
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
        if not _IDENTIFIER.match(database):
            raise StoreInvalid(f"database {database!r} cannot be used: give lower-case letters, digits and '_'")
        return await asyncio.to_thread(cls._open, directory.resolve(), query_threads, dict(settings or {}), database)

    @classmethod
    def _open(cls, directory: Path, query_threads: int, settings: Mapping[str, str], database: str) -> Self:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = _locked(directory)
        except OSError as error:
            raise StoreUnavailable(f"the data directory {directory} cannot be used: {error}") from error
        try:
            return cls(lock, str(directory / "engine"), database, query_threads, settings)
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
        return await self._in(self._read_threads, self._query, sql, checked_parameters(sql, parameters or {}))

    async def insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, *, token: str = "") -> None:
        """See `Store.insert`. `block` must be one Native block; StoreInvalid if it has another number of rows.
        Tokens need tables that remember them (`non_replicated_deduplication_window`, migration 0003)."""
        for name in (table, *columns):
            if not _IDENTIFIER.match(name):
                raise StoreInvalid(f"{name!r} is no name of a table or column of ours")
        try:
            said = block_rows(block)
        except InvalidColumn as error:
            raise StoreInvalid(f"nothing was inserted into {table}: {error}") from None
        if said != rows:
            raise StoreInvalid(f"the block for {table} says {said} rows, the caller {rows}: nothing was inserted")
        if rows:
            await self._in(self._write_thread, self._insert, table, columns, block, rows, token)

    async def command(self, sql: str) -> None:
        """See `Store.command`."""
        await self._in(self._command_thread, self._command, sql)

    async def close(self) -> None:
        """See `Store.close`. A second call does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._release)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[..., Result], *arguments: Any) -> Result:
        if self._closed:
            raise StoreUnavailable("the store is closed: open it again")
        try:
            future = threads.submit(functools.partial(work, *arguments))
        except RuntimeError as error:
            raise StoreUnavailable("the store is closing: open it again") from error
        return await asyncio.wrap_future(future)

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        client = self._readers.get()
        try:
            answer = client.raw_query(sql, parameters=dict(parameters), fmt="Arrow")
            return pa.ipc.open_file(pa.BufferReader(answer)).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreInvalid(f"the statement gives no single table: {' '.join(sql.split())[:160]}") from error
        except ENGINE_ERRORS as error:
            raise store_error(error, sql) from error
        finally:
            self._readers.put(client)

    def _insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, token: str) -> None:
        if not self._merges_give_way:
            # The engine starts these threads with its first table, so they may not be there before.
            self._merges_give_way = _set_priority_of_merges(_own_niceness() + MERGE_NICENESS) == MERGE_THREADS
        # Not by `send_insert`: with a full disk its `finish` reports all rows as written, raises nothing, and nothing
        # is there (chDB 26.9; tests/faults/test_disk_full.py). A statement that reads a file says what went wrong.
        statement = f"INSERT INTO {table} ({', '.join(columns)})"
        with _memory_file(block) as path:
            try:
                written = self._writer.query(
                    f"{statement} FROM INFILE {_quoted(path)} SETTINGS {token_settings(token)} FORMAT Native"
                ).rows_written()
            except Exception as error:
                raise store_error(error, statement) from error
        if written != rows:
            raise StoreInvalid(f"{written} rows went into {table} instead of {rows}: give one block an insert")

    def _command(self, sql: str) -> None:
        try:
            self._commander.command(sql)
        except ENGINE_ERRORS as error:
            raise store_error(error, sql) from error

    def _connect(self, connection: Any) -> Any:
        self._connections.append(connection)
        return connection

    def _release(self) -> None:
        for threads in (self._read_threads, self._write_thread, self._command_thread):
            threads.shutdown(wait=True)
        # The engine keeps its threads, and gives them other work when it is opened again.
        _set_priority_of_merges(_own_niceness())
        for connection in reversed(self._connections):
            connection.close()
        os.close(self._lock)


def token_settings(token: str) -> str:
    """The settings of an insert with this token ("" for none), as they stand in its statement."""
    # insert_deduplicate = 0 alone changes nothing in this engine (26.9): deduplicate_insert has the last word.
    if not token:
        return "insert_deduplicate = 0, deduplicate_insert = 'disable'"
    return f"insert_deduplicate = 1, deduplicate_insert = 'enable', insert_deduplication_token = {_quoted(token)}"


def _own_niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set_priority_of_merges(niceness: int) -> int:
    """Give the engine's merging threads another priority than inserts, reads and a training process beside them;
    returns how many were found. Without privileges it can only become lower: then nothing changes.

    On Linux every thread has a priority of its own; elsewhere nothing changes. The engine's setting for it
    (os_threads_nice_value_merge_mutate) does nothing without CAP_SYS_NICE.
    """
    found = 0
    for comm in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # it has ended meanwhile
            if comm.read_text().startswith("MergeMutate"):
                found += 1
                os.setpriority(os.PRIO_PROCESS, int(comm.parent.name), niceness)
    return found


@contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    """A path under which the engine reads `data`: in memory, so that a full disk cannot be in the way, where the
    system has such files, else in the temporary folder."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    with os.fdopen(os.memfd_create("runstream-block"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _locked(directory: Path) -> int:
    """A descriptor that holds the lock of `directory`; any death gives the lock back. Raises StoreBusy."""
    path = directory / "LOCK"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        whose = "this process" if holder == str(os.getpid()) else f"process {holder}"
        raise StoreBusy(
            f"the data directory {directory} is open in {whose}: stop that server, or give another directory"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _joined(options: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in options.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
