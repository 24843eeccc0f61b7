"""Reading from the store: the statements of one request, and Python values of large results made off the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, TypeVarTuple

import pyarrow as pa

from runstream_query.repositories.statements.parameters import Parameters
from runstream_service.store import QueryClass, StoreReader

#: Beyond so much a request's results are made into Python values and JSON in threads, in slices of so many values (2 ms
#: in which nothing else gets the interpreter) or bytes.
LARGE_BYTES: Final = 131_072
_LARGE_VALUES: Final = 8_192
_SLICE_VALUES: Final = 4_096
_SLICE_BYTES: Final = 262_144

T = TypeVar("T")
Given = TypeVarTuple("Given")


@dataclass(slots=True)
class Usage:
    """What one request has read from the store."""

    read_bytes: int = 0

    @property
    def is_large(self) -> bool:
        """Return whether Python values of it are to be made in a thread."""
        return self.read_bytes > LARGE_BYTES


class Reader:
    """Runs the statements of one request, all in slots of one class, and counts what they return."""

    def __init__(self, store: StoreReader, of: QueryClass) -> None:
        self._store = store
        self._of = of
        self.usage = Usage()

    async def table(self, sql: str, parameters: Parameters) -> pa.Table:
        """Return the result of a statement. Raises what `StoreReader.query` raises."""
        table = await self._store.query(sql, parameters.values, of=self._of)
        self.usage.read_bytes += table.nbytes
        return table

    async def rows(self, sql: str, parameters: Parameters) -> list[dict[str, Any]]:
        """Return the rows of a statement. Raises what `StoreReader.query` raises."""
        return await rows_of(await self.table(sql, parameters))

    async def records(self, make: Callable[[Mapping[str, Any]], T], sql: str, parameters: Parameters) -> list[T]:
        """Return what `make`, a pure function, makes of each row. Raises what `StoreReader.query` raises."""
        return await records_of(make, await self.table(sql, parameters))

    async def off_loop(self, work: Callable[[*Given], T], *given: *Given) -> T:
        """Return what `work`, a pure function, makes of what was read: in a thread if that is much."""
        return await asyncio.to_thread(work, *given) if self.usage.is_large else work(*given)


def is_large(table: pa.Table) -> bool:
    """Return whether the table is to be made into Python values in a thread."""
    return bool(table.num_rows * table.num_columns > _LARGE_VALUES or table.nbytes > LARGE_BYTES)


async def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table, made in a thread if they are many."""
    if not is_large(table):
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows
    return await asyncio.to_thread(rows_in_slices, table)


async def records_of(make: Callable[[Mapping[str, Any]], T], table: pa.Table) -> list[T]:
    """Return what `make`, a pure function, makes of each row, in a thread if they are many."""
    if not is_large(table):
        return [make(row) for row in table.to_pylist()]
    return await asyncio.to_thread(lambda: [make(row) for row in rows_in_slices(table)])


def rows_in_slices(table: pa.Table) -> list[dict[str, Any]]:
    """Return what `to_pylist` does, without holding the interpreter for long. For a thread."""
    rows: list[dict[str, Any]] = []
    size_bytes = max(1, table.nbytes // max(1, table.num_rows))
    step = max(1, min(_SLICE_VALUES // max(1, table.num_columns), _SLICE_BYTES // size_bytes))
    for begin in range(0, table.num_rows, step):
        rows.extend(table.slice(begin, step).to_pylist())
    return rows
