"""Where the fold goes on after a start: what the store holds decides it (docs/design/exactly-once.md)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runstream.events.positions import Positions
from runstream_processors.store.tables import TABLES
from runstream_service.store import StoreInvalid, StoreReader

#: The offset of the last row of a table that has none yet.
NOTHING: Final = -1


@dataclass(frozen=True, slots=True)
class Commit:
    """How far a partition is folded. Every table holds every record before `next_offset`; `tails` has, for each table,
    the record of its last row at that time, which may be beyond. The stored row has the offset of the last record
    instead: here and in `row_of_commit` one is made of the other."""

    next_offset: int = 0
    tails: Mapping[str, int] = field(default_factory=dict)


async def commits(store: StoreReader, database: str = "") -> dict[int, Commit]:
    """The newest commit row of each partition that has one. database: another one than the store is on. Raises
    StoreUnavailable, StoreInvalid."""
    table = f"{database}.watermark_states" if database else "watermark_states"
    rows = await store.query(
        f"""SELECT part, max(offset) AS last, mapKeys(argMax(tails, offset)) AS tables,
            mapValues(argMax(tails, offset)) AS offsets
        FROM {table} WHERE key = '' AND writer = '' GROUP BY part"""
    )
    return {
        row["part"]: Commit(row["last"] + 1, dict(zip(row["tables"], row["offsets"], strict=True)))
        for row in rows.to_pylist()
    }


async def committed(store: StoreReader, database: str = "") -> Positions:
    """Up to where every table is complete. Raises StoreUnavailable, StoreInvalid."""
    return Positions({part: commit.next_offset for part, commit in (await commits(store, database)).items()})


async def ends(store: StoreReader, tables: Collection[str], commits: Mapping[int, Commit]) -> dict[str, dict[int, int]]:
    """Return for each table the last offset with rows in it, of each of the partitions; one without rows is absent.

    Beyond the commit that is what the table says: a crash, or another worker, left it there, and it must not be
    inserted again. Up to the commit it is what the commit row says: the rows may be gone with a deleted run.
    Raises StoreUnavailable, StoreInvalid.
    """
    rows = await store.query(*beyond_statement(tables, commits))
    found = {
        table: {part: commit.tails[table] for part, commit in commits.items() if table in commit.tails}
        for table in tables
    }
    for row in rows.to_pylist():
        of_table = found[row["name"]]
        of_table[row["part"]] = max(row["last"], of_table.get(row["part"], NOTHING))
    return found


def beyond_statement(tables: Collection[str], commits: Mapping[int, Commit]) -> tuple[str, dict[str, Any]]:
    """Return the statement that finds what the tables hold beyond the commits, and its parameters. One for all of them:
    a worker that takes over many partitions would wait for as many statements for each. The minmax index of a table
    over (part, offset) leaves only the newest rows to be read. Raises StoreInvalid for a table that is none of ours."""
    if unknown := sorted(set(tables) - TABLES.keys()):
        raise StoreInvalid(f"{unknown} are none of the read models' tables: {sorted(TABLES)}")
    places, parameters = ["false"], {}
    for i, (part, commit) in enumerate(sorted(commits.items())):
        parameters[f"part_{i}"] = part
        places.append(f"(part = {{part_{i}:UInt16}})")
        if commit.next_offset:
            parameters[f"offset_{i}"] = commit.next_offset
            places[-1] = f"(part = {{part_{i}:UInt16}} AND offset >= {{offset_{i}:UInt64}})"
    where = " OR ".join(places)
    selects = [
        f"SELECT '{table}' AS name, part, max(offset) AS last FROM {table} WHERE {where} GROUP BY part"
        for table in tables
    ]
    return " UNION ALL ".join(selects), parameters
