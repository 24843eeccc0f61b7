"""The store: read models in ClickHouse, as a server or in process (chDB). Only processors write to it.

Two implementations stand behind `Store`; tests/conformance/test_store.py holds both to what is written here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa


class StoreError(Exception):
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """Not now: it is away, overloaded or out of disk. The insert may or may not have happened: look before
    inserting again."""


class StoreInvalid(StoreError):
    """The statement, its parameters or the data are wrong: trying again will not help."""


class StoreCorrupt(StoreError):
    """Files of the store are damaged. Trying again will not help; the message says how to go on without them."""


class StoreBusy(StoreError):
    """Another process holds the data directory; the message names it and what to do."""


class StoreReader(Protocol):
    """The reading side. Coroutines may be called from any event loop, also from several threads."""

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT and return its rows.

        Values only ever enter by server-side parameters: `{name:Type}` in the statement, `parameters[name]` here.
        Strings come back as string (never dictionary), DateTime64(6) as timestamp[us, tz=UTC].
        Raises StoreInvalid, StoreUnavailable, StoreCorrupt.
        """


class Store(StoreReader, Protocol):
    """Reading and writing. In process one process writes; on a server any number, which agree on who writes what."""

    async def insert(self, table: str, columns: Sequence[str], block: bytes, rows: int, *, token: str = "") -> None:
        """Insert one block of `rows` rows, given in ClickHouse's Native format, as exactly one part: after a crash
        all of its rows are there or none.

        With a token, a block whose token this table has taken lately (its window of the last N inserts with one) is
        dropped silently, whatever its rows are, so the caller looks afterwards. Without one every block is inserted.
        Raises StoreUnavailable, StoreInvalid."""

    async def command(self, sql: str) -> None:
        """Run a statement without rows (DDL, mutations). Raises StoreUnavailable, StoreInvalid."""

    async def close(self) -> None:
        """Finish what runs, then release the engine and its lock."""
