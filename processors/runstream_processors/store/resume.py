"""Where the fold goes on after a start: what the store holds decides it (docs/design/exactly-once.md)."""

from collections.abc import Mapping
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


async def ends(store: StoreReader, table: str, commits: Mapping[int, Commit]) -> dict[int, int]:
    """For each of the partitions the last offset that has rows in `table`; one without rows is absent.

    Beyond the commit that is what the table says: a crash, or another worker, left it there, and it must not be
    inserted again. Up to the commit it is what the commit row says: the rows may be gone with a deleted run.
    Raises StoreUnavailable, StoreInvalid.
    """
    rows = await store.query(*beyond_statement(table, commits))
    found = {part: commit.tails[table] for part, commit in commits.items() if table in commit.tails}
    for row in rows.to_pylist():
        found[row["part"]] = max(row["last"], found.get(row["part"], NOTHING))
    return found


def beyond_statement(table: str, commits: Mapping[int, Commit]) -> tuple[str, dict[str, Any]]:
    """The statement that finds what a table holds beyond the commits, and its parameters. Its minmax index over (part,
    offset) leaves only the newest rows to be read. Raises StoreInvalid for a table that is none of ours."""
    if table not in TABLES:
        raise StoreInvalid(f"{table!r} is none of the read models' tables: {sorted(TABLES)}")
    places, parameters = ["false"], {}
    for i, (part, commit) in enumerate(sorted(commits.items())):
        parameters[f"part_{i}"] = part
        places.append(f"(part = {{part_{i}:UInt16}})")
        if commit.next_offset:
            parameters[f"offset_{i}"] = commit.next_offset
            places[-1] = f"(part = {{part_{i}:UInt16}} AND offset >= {{offset_{i}:UInt64}})"
    return f"SELECT part, max(offset) AS last FROM {table} WHERE {' OR '.join(places)} GROUP BY part", parameters
