"""The engine behind the development server: each request is a session of its own, on a thread of a pool."""

import asyncio
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import chdb
import psutil
from chdb import ChdbError

from runstream_infra.dev_clickhouse.statements import Insert, Refused
from runstream_processors.store.engine import (
    connection_string,
    engine_options,
    locked,
    memory_file,
    query_limits,
    quoted,
)
from runstream_service.store import StoreUnavailable

_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CODE: Final = re.compile(r"Code: (\d+)\.")
_UNKNOWN_EXCEPTION: Final = 1002
_UNKNOWN_SETTING: Final = 115
#: Statements beside each other. Whoever asks has bounds by class: two query servers (4 heavy, 4 light, 4 look-ups, 2
#: live, 2 probes each), two gateways and two workers (some 8 each) have 64. With fewer, heavy queries would hold up
#: what workers insert, and the statements that kill queries.
THREADS: Final = 64


@dataclass(frozen=True, slots=True)
class Request:
    """One statement (with the rows that came with it), and how it is to be run."""

    statement: str | Insert
    database: str = ""
    settings: Mapping[str, str] | None = None
    #: By name, as ClickHouse's HTTP interface takes them (`param_NAME`).
    parameters: Mapping[str, str] | None = None
    #: The format of a response whose statement names none.
    default_format: str = "TabSeparated"


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: its bytes, and the metrics that ClickHouse's summary has."""

    body: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int


class Engine:
    """chDB on a directory, which is locked. One engine a process.

    A session is a connection that is opened for the request and closed behind it (0.1 ms): settings and database of one
    request cannot reach another. Statements run beside each other on `threads` threads, inserts too.
    """

    def __init__(self, lock: int, path: Path, threads: int, config: Path | None) -> None:
        """Use `open`."""
        self._lock = lock
        memory_bytes = psutil.virtual_memory().total
        self._limits = query_limits(memory_bytes)
        options = engine_options(memory_bytes) | ({"config-file": str(config.resolve())} if config else {})
        self._target = connection_string(path, options)
        # The first connection starts the engine with its options; while it is open the engine runs.
        self._anchor: Any = chdb.connect(self._target)  # type: ignore[no-untyped-call]
        self._threads = ThreadPoolExecutor(threads, "engine")
        self.time_zone = self._anchor.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()

    @classmethod
    def open(cls, directory: Path, *, threads: int = THREADS, config: Path | None = None) -> Self:
        """Lock `directory` (made if it is missing) and start the engine in it. Blocks.

        config: a ClickHouse configuration file, for macros and clusters whose shards are databases of this engine.

        Raises StoreBusy if a process has it open, StoreUnavailable if it cannot be used or the engine does not start.
        """
        directory = directory.resolve()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = locked(directory)
        except OSError as error:
            raise StoreUnavailable(f"the data directory {directory} cannot be used: {error}") from error
        try:
            return cls(lock, directory / "engine", threads, config)
        except (RuntimeError, ChdbError) as error:
            os.close(lock)
            raise StoreUnavailable(f"the engine does not start in {directory}: {error}") from error

    async def run(self, request: Request) -> Result:
        """Run it and wait. A caller that is cancelled gives up waiting; the statement goes on. Raises Refused."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, request)

    def close(self) -> None:
        """Wait for what runs, then stop the engine and give the lock back. Blocks."""
        self._threads.shutdown(wait=True)
        self._anchor.close()
        os.close(self._lock)

    def _run(self, request: Request) -> Result:
        session: Any = chdb.connect(self._target)  # type: ignore[no-untyped-call]
        try:
            if request.database:
                session.query(f"USE `{request.database.replace('`', '``')}`")
            session.query(f"SET {_assignments({**self._limits, **(request.settings or {})})}")
            statement = request.statement
            if isinstance(statement, Insert):
                # As in runstream_processors.store.chdb: from a file in memory, because the connection's own streaming
                # insert reports rows as written that found no room on the disk.
                with memory_file([statement.data]) as path:
                    return _result(session.query(statement.from_file(quoted(path)), "TabSeparated"))
            if ";" in statement:
                # The engine would run several statements one behind the other; a server refuses them.
                session.query("SELECT formatQuerySingleLine({q:String})", "Null", params={"q": _escaped(statement)})
            return _result(session.query(statement, request.default_format, params=dict(request.parameters or {})))
        except (RuntimeError, ChdbError) as error:
            raise _refused(error) from error
        finally:
            session.close()


def _assignments(settings: Mapping[str, str]) -> str:
    for name in settings:
        if not _SETTING.match(name):
            raise Refused(_UNKNOWN_SETTING, f"Setting {name} is neither a builtin setting nor started with a prefix")
    return ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())


def _escaped(text: str) -> str:
    """A parameter's value as the engine takes it: escaped as in TabSeparated."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _result(found: Any) -> Result:
    return Result(
        found.bytes() or b"",
        int(found.rows_read() or 0),
        int(found.bytes_read() or 0),
        int(found.rows_written() or 0),
        int(found.bytes_written() or 0),
    )


def _refused(error: BaseException) -> Refused:
    text = str(error)
    found = _CODE.search(text)
    return Refused(int(found[1]) if found else _UNKNOWN_EXCEPTION, text[found.start() :] if found else text)
