"""Where the fold goes on after a start: what the store holds decides it (docs/design/exactly-once.md)."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from runstream.service.store import StoreInvalid, StoreReader
from runstream_processors.store.tables import TABLES


async def committed(store: StoreReader) -> dict[int, int]:
    """For each partition the offset of its commit row: every table holds everything up to it.

    A partition without a commit row is absent (count it as -1). Raises StoreUnavailable, StoreInvalid.
    """
    rows = await store.query(
        "SELECT part, max(offset) AS last FROM watermark_states WHERE key = '' AND writer = '' GROUP BY part"
    )
    return _by_partition(rows)


async def ahead(store: StoreReader, table: str, committed: Mapping[int, int]) -> dict[int, int]:
    """For each partition the highest offset in `table` beyond the committed one: what a crash left behind the
    last commit and must not be inserted again. Partitions without such rows are absent.

    The table's minmax index over (part, offset) leaves only the newest rows to be read.
    Raises StoreUnavailable, StoreInvalid.
    """
    return _by_partition(await store.query(*ahead_statement(table, committed)))


def ahead_statement(table: str, committed: Mapping[int, int]) -> tuple[str, dict[str, Any]]:
    """The statement of `ahead` and its parameters. Raises StoreInvalid for a table that is none of ours."""
    if table not in TABLES:
        raise StoreInvalid(f"{table!r} is none of the read models' tables: {sorted(TABLES)}")
    beyond = [f"(part = {{part_{i}:UInt16}} AND offset > {{offset_{i}:UInt64}})" for i in range(len(committed))]
    parameters: dict[str, Any] = {"known": sorted(committed)}
    for i, (part, offset) in enumerate(sorted(committed.items())):
        parameters |= {f"part_{i}": part, f"offset_{i}": offset}
    where = " OR ".join(["part NOT IN {known:Array(UInt16)}", *beyond])
    return f"SELECT part, max(offset) AS last FROM {table} WHERE {where} GROUP BY part", parameters


def _by_partition(rows: pa.Table) -> dict[int, int]:
    return dict(sorted(zip(rows["part"].to_pylist(), rows["last"].to_pylist(), strict=True)))
