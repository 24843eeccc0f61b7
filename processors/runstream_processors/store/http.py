"""The store as a ClickHouse server, over HTTP. docs/design/clickhouse.md has the choices and their reasons."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final, Self, TypeVar

import clickhouse_connect
import clickhouse_connect.driver.exceptions
import lz4.frame
import pyarrow as pa
import urllib3.exceptions

from runstream.service.store import StoreError, StoreUnavailable
from runstream_processors.store.failures import BUSY, MEND_SERVER, STARTING, error_code, store_error
from runstream_processors.store.parameters import checked_parameters
from runstream_processors.store.requests import (
    READ_SETTINGS,
    WRITE_SETTINGS,
    answered_table,
    check_identifier,
    check_insert,
    token_settings,
)
from runstream_processors.store.settings import StoreSettings, command_settings, insert_settings, read_settings
from runstream_processors.store.threads import StoreThreads

Result = TypeVar("Result")

#: What the client raises. What urllib3 raises comes through where it reads an answer.
_CLIENT_ERRORS: Final = (clickhouse_connect.driver.exceptions.Error, urllib3.exceptions.HTTPError, OSError)
#: The server ends what takes too long; this side gives it so much more to say so.
_GRACE_S: Final = 5
#: How long a request is repeated that a replicated table had no time for (`failures.BUSY`), and the first pause.
_BUSY_S: Final = 10.0
_BUSY_PAUSE_S: Final = 0.02
_BUSY_PAUSE_MAX_S: Final = 0.5

# Every failure is raised to our caller; the client's own warning about it would be a second line without its cause.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)


class HttpStore:
    """`runstream.service.store.Store` on a ClickHouse server. Any number of processes may use one server.

    Requests run in threads of their own, `query_threads` reads and `insert_threads` inserts beside each other and one
    command at a time, each over a connection that is kept. All coroutines may be called from any event loop and thread.
    A caller that is cancelled gives up waiting; what it asked for may still happen. An insert is sent once and never
    again: when the answer is lost, StoreUnavailable says so and the caller looks.
    """

    def __init__(self, settings: StoreSettings) -> None:
        """Use `open`. Asks the server for its version and settings; raises what the client raises."""
        self._settings = settings
        self._threads = StoreThreads(reads=settings.query_threads, inserts=settings.insert_threads)
        self._clients: list[Any] = []
        try:
            self._client = self._connect(settings.timeout_s + _GRACE_S)
            self._commander = self._connect(settings.command_timeout_s + _GRACE_S)
            self._make_database()
        except BaseException:
            self._release()
            raise
        limit = {"max_execution_time": str(settings.timeout_s)}
        self._reading = self._known({**READ_SETTINGS, **limit, **read_settings(settings), "readonly": "2"})
        self._writing = {**WRITE_SETTINGS, **limit, **insert_settings(settings), "wait_end_of_query": "1"}

    @classmethod
    async def open(cls, settings: StoreSettings) -> Self:
        """Connect to the server; the database is made if it is missing.

        Raises StoreUnavailable if it does not answer, StoreInvalid if it refuses (user, password, database).
        """
        check_identifier(settings.database, "database")
        return await asyncio.to_thread(cls._open, settings)

    @classmethod
    def _open(cls, settings: StoreSettings) -> Self:
        try:
            return cls(settings)
        except _CLIENT_ERRORS as error:
            raise _store_error(error, f"open {settings.database}", settings.url) from error

    @property
    def settings(self) -> StoreSettings:
        """What it was opened with: `settings.engine_profile` is for `migrate`."""
        return self._settings

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `Store.query`. Waits for a free reading thread. Under the replicated and the distributed profile it sees
        every insert that was answered before, by whichever replica."""
        return await self._threads.read(self._query, sql, checked_parameters(sql, parameters or {}))

    async def insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, *, token: str = "") -> None:
        """See `Store.insert`. `block` must be one Native block; StoreInvalid if it has another number of rows. Tokens
        need tables that remember them (migration 0003). Under the distributed profile all rows of a block must have the
        same `part`: then they go to one shard, as one part."""
        check_insert(table, columns, block, rows)
        if rows:
            await self._threads.insert(self._insert, table, columns, block, token)

    async def command(self, sql: str) -> None:
        """See `Store.command`. On a cluster it returns when every server has run it."""
        await self._threads.command(self._command, sql)

    async def close(self) -> None:
        """Wait for the requests that run, then close the connections. A second call does nothing."""
        await self._threads.close(self._release)

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        answer = self._patient(
            lambda: self._client.raw_query(sql, parameters=dict(parameters), settings=self._reading, fmt="Arrow"), sql
        )
        return answered_table(answer, sql)

    def _insert(self, table: str, columns: Sequence[str], block: bytes, token: str) -> None:
        settings = self._known({**self._writing, **token_settings(token)})
        # The client repeats an insert whose connection broke, if it has its bytes as bytes or text, but the server may
        # have taken them. A view of them it sends once.
        compressed = self._settings.compression == "lz4"
        once = memoryview(lz4.frame.compress(block) if compressed else block)
        self._patient(
            lambda: self._client.raw_insert(
                table,
                column_names=columns,
                insert_block=once,
                settings=settings,
                compression="lz4" if compressed else None,
            ),
            f"INSERT INTO {table} ({', '.join(columns)})",
        )

    def _command(self, sql: str) -> None:
        settings = self._known(command_settings(self._settings))
        self._patient(lambda: self._commander.command(sql, settings=settings), sql, BUSY | STARTING)

    def _patient(self, request: Callable[[], Result], statement: str, busy: Set[int] = BUSY) -> Result:
        """Make a request; if the server did nothing because a replicated table is busy, make it again for a while."""
        pause_s = _BUSY_PAUSE_S
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return request()
            except _CLIENT_ERRORS as error:
                if error_code(error) not in busy or time.monotonic() + pause_s > deadline:
                    raise _store_error(error, statement, self._settings.url) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _BUSY_PAUSE_MAX_S)

    def _known(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Those that this server has, or that belong to the interface: an older server lacks some, and what they
        prevent."""
        server, interface = self._client.server_settings, self._client.valid_transport_settings
        return {name: value for name, value in settings.items() if name in server or name in interface}

    def _connect(self, timeout_s: int) -> Any:
        s = self._settings
        client = clickhouse_connect.get_client(
            interface="https" if s.secure else "http",
            host=s.host,
            port=s.port,
            username=s.user,
            password=s.password.get_secret_value(),
            ca_cert=str(s.ca_file) if s.ca_file else None,
            client_cert=str(s.client_cert_file) if s.client_cert_file else None,
            client_cert_key=str(s.client_key_file) if s.client_key_file else None,
            # A certificate shown besides a password; without one it is who we are.
            tls_mode="strict" if s.client_cert_file and s.password.get_secret_value() else None,
            connect_timeout=s.connect_timeout_s,
            send_receive_timeout=timeout_s,
            compress=False,
            query_retries=0,
            autogenerate_session_id=False,
            dedicated_pool=True,
        )
        self._clients.append(client)
        return client

    def _make_database(self) -> None:
        database = self._settings.database
        found = self._client.command(
            "SELECT count() FROM system.databases WHERE name = {name:String}", parameters={"name": database}
        )
        if not found:
            on_cluster = self._settings.engine_profile.on_cluster
            self._commander.command(
                f"CREATE DATABASE IF NOT EXISTS {database}{on_cluster}",
                settings=self._known(command_settings(self._settings)),
            )
        for client in self._clients:
            client.database = database

    def _release(self) -> None:
        for client in self._clients:
            client.close()


def _store_error(error: BaseException, statement: str, url: str) -> StoreError:
    if error_code(error) is not None:
        return store_error(error, statement, MEND_SERVER)
    # Without a code there was no answer of ClickHouse's. What the client says then repeats the whole request; what it
    # found is deeper down.
    reason: BaseException = error
    while (deeper := getattr(reason, "reason", None) or reason.__cause__) is not None and deeper is not reason:
        if not isinstance(deeper, BaseException):
            break
        reason = deeper
    said = " ".join(str(reason).split()) or type(reason).__name__
    return StoreUnavailable(
        f"no answer from ClickHouse at {url}: {said[:200]} (statement: {' '.join(statement.split())[:160]})"
    )
