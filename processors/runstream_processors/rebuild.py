"""Rebuilding the read models from the log, and comparing two stores by what they hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runstream.events.positions import Positions
from runstream_model.projections import PROJECTIONS
from runstream_processors.comparing import compared_name
from runstream_processors.generations import CURRENT, Versions
from runstream_processors.store.migrate import migrate
from runstream_processors.store.profiles import EMBEDDED
from runstream_processors.worker.guarding import CrashGuard
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.log import LogReader
from runstream_service.store import Store, StoreReader
from runstream_service.visibility import Progress

#: What is compared: tables of added rows as they stand, tables of states by the newest state of each key.
COMPARED: Final = tuple(map(compared_name, PROJECTIONS.values()))


@dataclass(frozen=True, slots=True)
class TableHash:
    """Equal for equal sets of rows (with their multiplicity), whatever their order and parts."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """One read model in the tables in use and in those that were made beside them."""

    table: str
    live: TableHash
    fresh: TableHash

    @property
    def equal(self) -> bool:
        return self.live == self.fresh


def compared(live: Mapping[str, TableHash], fresh: Mapping[str, TableHash]) -> tuple[ComparedTable, ...]:
    """What `table_hashes` says of two stores, side by side."""
    return tuple(ComparedTable(table, live[table], fresh[table]) for table in live)


async def table_hashes(store: StoreReader, *, with_offsets: bool = True) -> dict[str, TableHash]:
    """The hash of every read model. Reads all of it. Without places the partitions and offsets that rows come from
    are left out, for logs of different shape. Raises StoreUnavailable."""
    columns = "*" if with_offsets else "* EXCEPT (part, offset)"
    hashes = {}
    for table in COMPARED:
        # A sum of 128-bit hashes counts a doubled row, which an exclusive or would cancel.
        sql = f"""
            SELECT count() AS n, hex(sum(reinterpretAsUInt128(sipHash128(tuple({columns}))))) AS digest FROM {table}
        """
        row = (await store.query(sql)).to_pylist()[0]
        hashes[table] = TableHash(row["n"], row["digest"])
    return hashes


async def rebuild(
    log: LogReader,
    store: Store,
    settings: WorkerSettings | None = None,
    *,
    guard: CrashGuard | None = None,
    versions: Versions = CURRENT,
) -> Positions:
    """Fold the log, as far as it reaches now, into a store that is empty or lags behind (its tables are made here).

    guard: knows the records that are not to be decoded because processes died of them. versions: of the projections in
    the store. Returns the position up to which it was folded. Raises LogCorrupt, StoreUnavailable, StoreInvalid.
    """
    await migrate(store, profile=EMBEDDED)
    end = Positions(await log.next_offsets())
    await Worker(log, store, Progress(), settings, guard=guard, versions=lambda: versions).catch_up(end)
    return end
