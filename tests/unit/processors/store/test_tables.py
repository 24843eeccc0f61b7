"""The tables in code are the tables in the database."""

from typing import Any

import numpy as np
import pytest

from runstream_model.columns import Constant, Gaps
from runstream_model.projections import PROJECTIONS
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.native import InvalidColumn
from runstream_processors.store.tables import (
    OPTIONAL,
    TABLES,
    TOKENS_REMEMBERED,
    column_names,
    encode_columns,
    encode_rows,
)

pytestmark = pytest.mark.store

EXAMPLES: dict[str, Any] = {
    "Array": [],
    "Bool": False,
    "Nullable": None,
    "String": "x",
    "LowCardinality": "x",
    "Map": {"points": 7},
}


async def test_code_and_database_have_the_same_tables(models: ChdbStore) -> None:
    live = await models.query(
        """
        SELECT table, groupArray((name, type)) AS columns
        FROM (SELECT * FROM system.columns WHERE database = currentDatabase() ORDER BY table, position)
        WHERE table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')
          AND table != 'schema_migrations'
        GROUP BY table
        """
    )
    found = {row["table"]: [tuple(column.values()) for column in row["columns"]] for row in live.to_pylist()}
    assert found == {table: list(columns.items()) for table, columns in TABLES.items()}


async def test_tables_are_sorted_and_replaced_as_their_projections_say(models: ChdbStore) -> None:
    live = await models.query(
        "SELECT name, engine, sorting_key FROM system.tables WHERE database = currentDatabase() "
        "AND engine LIKE '%MergeTree' AND name != 'schema_migrations'"
    )
    found = {row["name"]: (row["engine"], row["sorting_key"]) for row in live.to_pylist()}
    assert found == {
        name: ("MergeTree" if projection.view is None else "ReplacingMergeTree", ", ".join(projection.key))
        for name, projection in PROJECTIONS.items()
    }


def all_names(table: str) -> tuple[str, ...]:
    return column_names(table, OPTIONAL.get(table, ()))


def example(table: str) -> dict[str, Any]:
    return {name: EXAMPLES.get(kind.split("(")[0], 1) for name, kind in TABLES[table].items()}


@pytest.mark.parametrize("table", TABLES)
async def test_rows_of_every_table_go_in_and_come_out(models: ChdbStore, table: str) -> None:
    await models.insert(table, all_names(table), encode_rows(table, [example(table)] * 2), 2)
    times = [f"toUnixTimestamp64Micro({name}) AS {name}" for name, kind in TABLES[table].items() if kind[:4] == "Date"]
    replaced = f"REPLACE ({', '.join(times)})" if times else ""
    (found, *_) = (await models.query(f"SELECT * {replaced} FROM {table}")).to_pylist()
    maps = {name: dict(found[name]) for name, kind in TABLES[table].items() if kind.startswith("Map(")}
    assert found | maps == example(table)


@pytest.mark.parametrize("table", TABLES)
async def test_every_table_remembers_tokens(models: ChdbStore, table: str) -> None:
    for _ in range(2):
        await models.insert(table, all_names(table), encode_rows(table, [example(table)]), 1, token="p0:1-1")
    assert (await models.query(f"SELECT count() AS n FROM {table}"))["n"].to_pylist() == [1]
    made = (await models.query(f"SHOW CREATE TABLE {table}")).column(0)[0].as_py()
    assert f"non_replicated_deduplication_window = {TOKENS_REMEMBERED}" in made


async def test_a_row_may_leave_out_the_tails_and_no_other_column(models: ChdbStore) -> None:
    rows = [example("watermark_states") | {"part": part, "tails": {"points": 7, "events": part}} for part in range(3)]
    del rows[1]["tails"]
    table = "watermark_states"
    await models.insert(table, column_names(table), encode_rows(table, rows), 3)
    found = await models.query("SELECT tails FROM watermark_states ORDER BY part")
    assert [dict(tails) for tails in found["tails"].to_pylist()] == [
        {"points": 7, "events": 0},
        {},
        {"points": 7, "events": 2},
    ]
    del rows[0]["seen"]
    with pytest.raises(InvalidColumn, match=r"row 0 for watermark_states: missing \['seen'\], unknown \[\]"):
        encode_rows(table, rows)


async def test_points_with_and_without_epochs_stand_side_by_side(models: ChdbStore) -> None:
    columns: dict[str, Any] = {
        name: Constant("x", 3) if "String" in kind else np.arange(3) for name, kind in TABLES["points"].items()
    }
    del columns["epoch"]
    for given in (
        columns,
        columns | {"step": np.arange(3, 6), "epoch": Gaps(np.array([7, -(2**63), 0]), np.array([False, True, False]))},
    ):
        names = column_names("points", given)
        assert ("epoch" in names) == ("epoch" in given)
        await models.insert("points", names, encode_columns("points", given, 3), 3)
    for _ in range(2):
        found = await models.query("SELECT epoch FROM points ORDER BY step")
        assert found["epoch"].to_pylist() == [None, None, None, 7, None, 0]
        await models.command("OPTIMIZE TABLE points FINAL")


def test_only_optional_columns_may_be_left_out() -> None:
    assert column_names("points") == tuple(name for name in TABLES["points"] if name not in ("epoch", "seq"))
    assert column_names("points", ["epoch", "seq"]) == tuple(TABLES["points"])
    assert column_names("run_states", ["epoch", "set_running"]) == tuple(TABLES["run_states"])
    with pytest.raises(InvalidColumn, match=r"unknown \['epoch'\]"):
        encode_columns("output", {name: [] for name in (*TABLES["output"], "epoch")}, 0)


def test_a_row_must_have_the_tables_columns() -> None:
    row = example("quarantine")
    with pytest.raises(InvalidColumn, match=r"row 1 for quarantine: missing \['body'\], unknown \['bodi'\]"):
        encode_rows("quarantine", [row, {**{k: v for k, v in row.items() if k != "body"}, "bodi": ""}])


def test_columns_must_be_the_tables_and_of_one_length() -> None:
    columns: dict[str, Any] = {
        name: Constant("x", 3) if "String" in kind else np.ones(3, np.uint8) for name, kind in TABLES["points"].items()
    }
    encode_columns("points", columns, 3)
    with pytest.raises(InvalidColumn, match="have 3 rows, not 4"):
        encode_columns("points", columns, 4)
    with pytest.raises(InvalidColumn, match=r"missing \['at'\]"):
        encode_columns("points", {name: data for name, data in columns.items() if name != "at"}, 3)
