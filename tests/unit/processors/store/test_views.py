"""The views: the newest state of a key, whatever the parts, at the cost of the columns and keys that are asked for."""

import math
from typing import Any

import pytest

from runstream_model.projections import PROJECTIONS
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import TABLES, column_names, encode_rows, newest_view

pytestmark = pytest.mark.store

NOW_US = 1_770_000_000_000_000
VIEWS = {projection.view: name for name, projection in PROJECTIONS.items() if projection.view is not None}
BLANK: dict[str, Any] = {"Array": [], "Bool": False, "Nullable": None, "String": "", "LowCardinality": "", "Map": {}}


async def add(store: ChdbStore, table: str, *rows: dict[str, Any]) -> None:
    """One insert; columns that a row leaves out are blank."""
    blank = {name: BLANK.get(kind.split("(")[0], 0) for name, kind in TABLES[table].items()}
    await store.insert(table, column_names(table), encode_rows(table, [blank | row for row in rows]), len(rows))


async def rows_of(store: ChdbStore, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await store.query(sql, parameters)).to_pylist()
    return rows


@pytest.mark.parametrize(("view", "table"), VIEWS.items())
async def test_a_view_has_the_columns_of_its_table(models: ChdbStore, view: str, table: str) -> None:
    described = await rows_of(
        models,
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {view:String}"
        " ORDER BY position",
        view=view,
    )
    # An aggregate of a LowCardinality is the plain type; readers get plain strings anyway.
    plain = {row["name"]: row["type"].replace("LowCardinality(String)", "String") for row in described}
    wanted = {column.name: column.type for column in PROJECTIONS[table].viewed}
    assert plain == {name: kind.replace("LowCardinality(String)", "String") for name, kind in wanted.items()}
    assert list(plain) == list(wanted)


@pytest.mark.parametrize(("view", "table"), VIEWS.items())
async def test_the_migrations_end_in_the_view_of_the_projection(models: ChdbStore, view: str, table: str) -> None:
    sql = (
        "SELECT create_table_query AS statement, as_select FROM system.tables "
        "WHERE database = currentDatabase() AND name = {view:String}"
    )
    (migrated,) = await rows_of(models, sql, view=view)
    await models.command(f"DROP VIEW {view}")
    await models.command(newest_view(PROJECTIONS[table]))
    assert await rows_of(models, sql, view=view) == [migrated]
    assert migrated["as_select"].startswith("SELECT")


async def test_the_newest_state_is_read_in_any_order_of_inserts_and_parts(models: ChdbStore) -> None:
    for offset in (5, 9, 7):
        await add(models, "run_states", {"run": "r", "name": f"at {offset}", "tags": [f"{offset}"], "offset": offset})
    for merged in (False, True):
        if merged:
            await models.command("OPTIMIZE TABLE run_states FINAL")
        (row,) = await rows_of(models, "SELECT name, tags, offset FROM runs WHERE run = 'r'")
        assert row == {"name": "at 9", "tags": ["9"], "offset": 9}


async def test_newest_null_hides_an_older_value(models: ChdbStore) -> None:
    await add(models, "run_states", {"run": "r", "ended_at": NOW_US, "offset": 1})
    await add(models, "run_states", {"run": "r", "ended_at": None, "offset": 2})
    await add(models, "attribute_states", {"run": "r", "name": "lr", "number": 0.5, "offset": 1})
    await add(models, "attribute_states", {"run": "r", "name": "lr", "number": None, "offset": 2})
    await add(models, "asset_states", {"run": "r", "asset": "a", "step": 3, "offset": 1})
    await add(models, "asset_states", {"run": "r", "asset": "a", "step": None, "offset": 2})
    assert await rows_of(models, "SELECT ended_at AS v FROM runs") == [{"v": None}]
    assert await rows_of(models, "SELECT number AS v FROM attributes") == [{"v": None}]
    assert await rows_of(models, "SELECT step AS v FROM assets") == [{"v": None}]


async def test_newest_nan_hides_an_older_number(models: ChdbStore) -> None:
    await add(models, "summary_states", {"run": "r", "metric": "m", "last": 1.0, "total": 1.0, "offset": 1})
    await add(models, "summary_states", {"run": "r", "metric": "m", "last": math.nan, "total": -0.0, "offset": 2})
    (row,) = await rows_of(models, "SELECT last, total FROM summaries")
    assert math.isnan(row["last"])
    assert math.copysign(1, row["total"]) == -1


async def test_commit_rows_are_no_watermarks(models: ChdbStore) -> None:
    await add(
        models,
        "watermark_states",
        {"key": "", "writer": "", "part": 0, "offset": 9},
        {"key": "r", "writer": "w", "part": 0, "offset": 4, "seen": [0, 5]},
        {"key": "r", "writer": "v", "part": 0, "offset": 3, "seen": [0, 2, 3, 4]},
    )
    rows = await rows_of(models, "SELECT key, writer, seen FROM watermarks ORDER BY writer")
    assert [(row["writer"], row["seen"]) for row in rows] == [("v", [0, 2, 3, 4]), ("w", [0, 5])]


async def plan(store: ChdbStore, sql: str) -> str:
    return "\n".join((await store.query(f"EXPLAIN {sql}"))["explain"].to_pylist())


async def test_a_view_reads_only_the_columns_that_are_requested(models: ChdbStore) -> None:
    await add(models, "summary_states", {"run": "r", "metric": "loss"})
    tree = await plan(models, "header = 1 SELECT run, last FROM summaries WHERE metric = 'loss'")
    reading = tree[tree.index("ReadFromMergeTree") :]
    assert "last" in reading
    for other in ("minimum", "total_digits", "first_at"):
        assert other not in reading


@pytest.mark.parametrize(
    ("view", "condition", "column"),
    [
        ("summaries", "run = 'r-3' AND metric = 'm'", "run"),
        ("summaries", "run IN ('r-3', 'r-4')", "run"),
        ("runs", "run = 'r-3'", "run"),
        ("attributes", "run = 'r-3' AND kind = 'parameter'", "run"),
        ("assets", "run IN ['r-3']", "run"),
        ("artifacts", "key IN ['r-3', 'r-4']", "key"),
        ("artifacts", "startsWith(key, 'r-3')", "key"),
        ("artifact_versions", "artifact = 'r-3' AND ordinal < 3", "artifact"),
        ("watermarks", "key IN ['r-3']", "key"),
    ],
)
async def test_a_filter_on_keys_reaches_the_primary_key(
    models: ChdbStore, view: str, condition: str, column: str
) -> None:
    await add(models, VIEWS[view], *({column: f"r-{i}", "offset": i} for i in range(10)))
    tree = await plan(models, f"indexes = 1 SELECT * FROM {view} WHERE {condition}")
    index = tree[tree.index("PrimaryKey") :]
    assert "Condition: true" not in index
    assert column in index[: index.index("Condition")]
