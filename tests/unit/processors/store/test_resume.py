"""Where the fold goes on: the commit rows, and what a crash left beyond them."""

from typing import Any

import numpy as np
import pytest

from runstream_model.columns import Coded, ColumnData
from runstream_processors.store import resume
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.resume import Commit
from runstream_processors.store.tables import TABLES, column_names, encode_columns, encode_rows
from runstream_service.store import StoreInvalid

pytestmark = pytest.mark.store


async def mark(store: ChdbStore, *rows: tuple[str, str, int, int]) -> None:
    """Watermark rows as (key, writer, part, offset)."""
    full: list[dict[str, Any]] = [
        {"key": k, "writer": w, "seen": [], "last_seen_at": 0, "ended": False, "part": p, "offset": o, "tails": {}}
        for k, w, p, o in rows
    ]
    for row in full:
        # An old row must not win over a new one, whatever is in it.
        row["tails"] = {"points": row["offset"] - 1, "events": 0} if row["key"] == "" and row["offset"] else {}
    block = encode_rows("watermark_states", full)
    await store.insert("watermark_states", column_names("watermark_states"), block, len(rows))


async def add_points(store: ChdbStore, part: int, offsets: np.ndarray, run: str = "r") -> None:
    rows = len(offsets)
    zeros = np.zeros(rows, np.uint8)
    columns: dict[str, ColumnData] = {
        "run": Coded([run], zeros),
        "metric": Coded(["m"], zeros),
        "step": offsets.astype(np.int64),
        "at": zeros,
        "value": np.zeros(rows),
        "writer": zeros,
        "part": np.full(rows, part),
        "offset": offsets.astype(np.uint64),
    }
    await store.insert("points", column_names("points"), encode_columns("points", columns, rows), rows)


async def ends_of(store: ChdbStore, table: str, commits: dict[int, Commit]) -> dict[int, int]:
    """What is found of one table."""
    return (await resume.ends(store, [table], commits))[table]


async def test_nothing_is_committed_in_an_empty_store(models: ChdbStore) -> None:
    assert await resume.commits(models) == {}
    assert await ends_of(models, "points", {}) == {}
    assert await ends_of(models, "points", {0: Commit()}) == {}


async def test_commit_rows_count_and_watermarks_of_writers_do_not(models: ChdbStore) -> None:
    await mark(models, ("", "", 0, 3), ("r", "w", 0, 99), ("", "", 7, 0))
    await mark(models, ("", "", 0, 8), ("r", "", 7, 99))
    assert await resume.commits(models) == {0: Commit(9, {"points": 7, "events": 0}), 7: Commit(1)}


async def test_rows_beyond_the_commit_are_found_in_each_partition(models: ChdbStore) -> None:
    await add_points(models, 0, np.array([1, 2, 3]))
    await add_points(models, 1, np.array([10, 11]))
    await add_points(models, 2, np.array([5]))
    assert await ends_of(models, "points", {0: Commit(), 1: Commit(), 2: Commit()}) == {0: 3, 1: 11, 2: 5}
    assert await ends_of(models, "points", {0: Commit(4), 1: Commit(11)}) == {1: 11}
    assert await ends_of(models, "points", {0: Commit(4), 1: Commit(12), 2: Commit(6), 9: Commit(1)}) == {}
    assert await ends_of(models, "points", {2: Commit(1)}) == {2: 5}, "another worker's partitions"


async def test_up_to_the_commit_its_row_says_where_a_table_ends(models: ChdbStore) -> None:
    """A deleted run's rows may have been the last ones: the table must not seem to end before them."""
    await add_points(models, 0, np.array([1, 2, 3]))
    tails = {"points": 7, "events": 9}
    assert await ends_of(models, "points", {0: Commit(9, tails)}) == {0: 7}
    assert await ends_of(models, "output", {0: Commit(9, tails)}) == {}
    await add_points(models, 0, np.array([9]))
    assert await ends_of(models, "points", {0: Commit(9, tails)}) == {0: 9}


async def test_every_table_can_be_queried_and_all_at_once(models: ChdbStore) -> None:
    await add_points(models, 1, np.array([5, 7]))
    done = {0: Commit(4, {"output": 3}), 1: Commit(5)}
    found = await resume.ends(models, list(TABLES), done)
    assert found == {table: {} for table in TABLES} | {"points": {1: 7}, "output": {0: 3}}
    for table in TABLES:
        assert await resume.ends(models, [table], done) == {table: found[table]}


async def test_only_our_tables_can_be_queried(models: ChdbStore) -> None:
    with pytest.raises(StoreInvalid, match="none of the read models' tables"):
        await resume.ends(models, ["points", "system.parts"], {})


async def test_points_that_were_committed_long_ago_are_not_read(models: ChdbStore) -> None:
    for part in range(2):
        for begin in range(0, 1_600_000, 800_000):
            await add_points(models, part, np.arange(begin, begin + 800_000) // 100, f"run of part {part}")
    await models.command("OPTIMIZE TABLE points FINAL")
    await add_points(models, 0, np.array([16_000]), "run of part 0")
    done = {0: Commit(16_000), 1: Commit(16_000)}
    assert await ends_of(models, "points", done) == {0: 16_000}
    sql = resume.beyond_statement(["points"], done)
    explained = await models.query(f"EXPLAIN indexes = 1 {sql[0]}", sql[1])
    granules = [line for line in explained["explain"].to_pylist() if "Granules:" in line]
    read, whole = map(int, granules[-1].split()[-1].split("/"))
    assert whole > 380
    assert read < whole / 5
