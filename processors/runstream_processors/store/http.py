"""The store as a ClickHouse server, over HTTP. docs/design/clickhouse.md has the choices and their reasons."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final, Self, TypeVar

import clickhouse_connect
import clickhouse_connect.driver.exceptions
import lz4.frame
import pyarrow as pa
import urllib3.exceptions

from runstream_processors.store.failures import BUSY, MEND_SERVER, STARTING, error_code, store_error
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
from runstream_processors.store.settings import StoreSettings, command_settings, insert_settings, read_settings
from runstream_processors.store.slots import StoreSlots
from runstream_processors.store.threads import StoreThreads
from runstream_service.store import (
    NO_LIMITS,
    Block,
    ClassLimits,
    QueryClass,
    QueryLimits,
    StoreError,
    StoreUnavailable,
)

Result = TypeVar("Result")
#: How a slot asks: over the client of its class, with settings of its own.
_Slot = tuple[Any, dict[str, str]]

#: What the client raises. What urllib3 raises comes through where it reads a response.
_CLIENT_ERRORS: Final = (clickhouse_connect.driver.exceptions.Error, urllib3.exceptions.HTTPError, OSError)
#: The server ends what takes too long; this side gives it so much more to say so.
_GRACE_S: Final = 5
#: How long a request is repeated that a replicated table had no time for (`failures.BUSY`), and the first pause.
_BUSY_S: Final = 10.0
_BUSY_PAUSE_S: Final = 0.02
_BUSY_PAUSE_MAX_S: Final = 0.5

# Every failure is raised to our caller; the client's own warning about it would be a second line without its cause.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)


_UNLIMITED: Final = QueryLimits(1)
#: Where the end of a broken response is looked for: the server's message and its stack.
_TAIL_BYTES: Final = 16_384


class ServerEnded(Exception):
    """What a server wrote into a response that had begun."""


class HttpStore:
    """`runstream_service.store.Store` on a ClickHouse server. Any number of processes may use one server.

    Requests run in threads of their own, queries in the slots of their class, `insert_threads` inserts beside each
    other and one command at a time, each over a connection that is kept. All coroutines may be called from any event
    loop and thread. A caller that is cancelled gives up waiting: its query is killed; what else it asked for may still
    happen. An insert is sent once and never again: when the response is lost, StoreUnavailable says so and the caller
    looks.
    """

    def __init__(self, settings: StoreSettings, limits: ClassLimits, make: bool, grace_s: int = _GRACE_S) -> None:
        """Use `open`. Asks the server for its version and settings; raises what the client raises."""
        self._settings = settings
        self._grace_s = grace_s
        self._threads = StoreThreads(inserts=settings.insert_threads)
        self._limits = dict(limits)
        self._limits.setdefault(QueryClass.WORKER, QueryLimits(settings.query_threads))
        self._slots: StoreSlots[_Slot] = StoreSlots(self._limits, self._slot, self._kill, lambda _: None)
        #: Marks the queries of this process, of which the server may have any number.
        self._process = f"{uuid.uuid4().hex}-"
        self._readers: dict[QueryClass, Any] = {}
        self._opening = threading.Lock()
        self._clients: list[Any] = []
        try:
            self._client = self._connect(settings.timeout_s + grace_s)
            self._readers[QueryClass.WORKER] = self._client
            self._commander = self._connect(settings.command_timeout_s + grace_s)
            self._use_database(make)
        except BaseException:
            self._release()
            raise
        limit = {"max_execution_time": str(settings.timeout_s)}
        self._reading = self._known({**READ_SETTINGS, **limit, **read_settings(settings), "readonly": "2"})
        self._writing = {**WRITE_SETTINGS, **limit, **insert_settings(settings), "wait_end_of_query": "1"}

    @classmethod
    async def open(
        cls,
        settings: StoreSettings,
        *,
        limits: ClassLimits = NO_LIMITS,
        make: bool = True,
        grace_s: int = _GRACE_S,
    ) -> Self:
        """Connect to the server. `limits` are those of the classes of queries; WORKER has `query_threads` slots. make:
        the database, if it is missing. A connection waits `grace_s` longer than the server may work.

        Raises StoreUnavailable if it does not answer or the database is missing, StoreInvalid if it refuses (user,
        password, database).
        """
        check_identifier(settings.database, "database")
        return await asyncio.to_thread(cls._open, settings, limits, make, grace_s)

    @classmethod
    def _open(cls, settings: StoreSettings, limits: ClassLimits, make: bool, grace_s: int) -> Self:
        try:
            return cls(settings, limits, make, grace_s)
        except _CLIENT_ERRORS as error:
            raise _store_error(error, f"open {settings.database}", settings.url) from error

    @property
    def settings(self) -> StoreSettings:
        """What it was opened with: `settings.engine_profile` is for `migrate`."""
        return self._settings

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        """See `Store.query`. Under the replicated and the distributed profile it sees every insert that was answered
        before, by whichever replica."""
        self._threads.check_open()
        checked = dict(checked_parameters(sql, parameters or {}))
        return await self._slots.of(of).run(lambda slot: self._query(slot, sql, checked, of))

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
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
        await self._threads.close(self._close)

    def _query(self, slot: _Slot, sql: str, parameters: dict[str, Any], of: QueryClass) -> pa.Table:
        client, settings = slot
        limits = self._limits.get(of, _UNLIMITED)
        result = self._patient(
            lambda: client.raw_query(sql, parameters=parameters, settings=settings, fmt="Arrow"),
            sql,
            meant=lambda error: limit_met(error, of, limits),
        )
        try:
            return result_table(result, sql)
        except StoreError:
            # What goes wrong after the response began stands behind its first half.
            broken = ServerEnded(result[-_TAIL_BYTES:].decode(errors="replace"))
            if error_code(broken) is None:
                raise
            raise limit_met(broken, of, limits) or store_error(broken, sql, MEND_SERVER) from None

    def _slot(self, of: QueryClass, number: int) -> _Slot:
        """The client of a class, and a slot's settings. Raises StoreError."""
        with self._opening:
            if of not in self._readers:
                limits = self._limits[of]
                try:
                    self._readers[of] = self._connect(round(limits.time_s or self._settings.timeout_s) + self._grace_s)
                except _CLIENT_ERRORS as error:
                    raise _store_error(error, f"connect for {of.value} queries", self._settings.url) from error
                self._readers[of].database = self._settings.database
        settings = {**self._reading, **engine_limits(self._limits[of])}
        return self._readers[of], self._known({**settings, "log_comment": slot_name(of, number, self._process)})

    def _kill(self, of: QueryClass, numbers: Sequence[int]) -> None:
        """Under a profile of several servers, on each: behind a load balancer nobody knows which one has it."""
        names = [slot_name(of, number, self._process) for number in numbers]
        self._client.command(kill_statement(names, self._settings.engine_profile.on_cluster))

    def _insert(self, table: str, columns: Sequence[str], block: Block, token: str) -> None:
        settings = self._known({**self._writing, **token_settings(token)})
        # The client repeats an insert whose connection broke, if it has its bytes as bytes or text, but the server may
        # have taken them. A view of them it sends once.
        compressed = self._settings.compression == "lz4"
        once = memoryview(lz4.frame.compress(bytes(block)) if compressed else bytes(block))
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

    def _patient(
        self,
        request: Callable[[], Result],
        statement: str,
        busy: Set[int] = BUSY,
        meant: Callable[[BaseException], StoreError | None] = lambda error: None,
    ) -> Result:
        """Make a request; if the server did nothing because a replicated table is busy, make it again for a while.
        `meant`: what an error means, if it is known better than in general."""
        pause_s = _BUSY_PAUSE_S
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return request()
            except _CLIENT_ERRORS as error:
                if error_code(error) not in busy or time.monotonic() + pause_s > deadline:
                    raise meant(error) or _store_error(error, statement, self._settings.url) from error
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

    def _use_database(self, make: bool) -> None:
        database = self._settings.database
        found = self._client.command(
            "SELECT count() FROM system.databases WHERE name = {name:String}", parameters={"name": database}
        )
        if not found and not make:
            raise StoreUnavailable(f"there is no database {database} at {self._settings.url}")
        if not found:
            on_cluster = self._settings.engine_profile.on_cluster
            self._commander.command(
                f"CREATE DATABASE IF NOT EXISTS {database}{on_cluster}",
                settings=self._known(command_settings(self._settings)),
            )
        for client in self._clients:
            client.database = database

    def _close(self) -> None:
        self._slots.close()
        self._release()

    def _release(self) -> None:
        for client in self._clients:
            client.close()


def _store_error(error: BaseException, statement: str, url: str) -> StoreError:
    if error_code(error) is not None:
        return store_error(error, statement, MEND_SERVER)
    # Without a code there was no response of ClickHouse's. What the client says then repeats the whole request; what it
    # found is deeper down.
    reason: BaseException = error
    while (deeper := getattr(reason, "reason", None) or reason.__cause__) is not None and deeper is not reason:
        if not isinstance(deeper, BaseException):
            break
        reason = deeper
    text = " ".join(str(reason).split()) or type(reason).__name__
    return StoreUnavailable(
        f"no answer from ClickHouse at {url}: {text[:200]} (statement: {' '.join(statement.split())[:160]})"
    )
