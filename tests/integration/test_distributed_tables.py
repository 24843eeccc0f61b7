"""The distributed profile's tables, as far as one engine without Keeper and without a network can be a cluster.

The cluster is one shard, which is the development server itself; the local tables are not replicated, and statements
come to it without ON CLUSTER. So this shows that the tables over the local ones take inserts, tokens and every query;
what goes between servers it cannot show.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.servers.dev_clickhouse import DevServer
from kit.servers.one_shard import CONFIGURATION, runnable
from runstream_processors.store.http import HttpStore
from runstream_processors.store.maintenance import complete_roll_up
from runstream_processors.store.migrate import shipped
from runstream_processors.store.resume import Commit, commits, ends
from runstream_processors.store.settings import StoreSettings
from runstream_processors.store.tables import OPTIONAL, TABLES, column_names, encode_rows

BLANK: dict[str, Any] = {"Array": [], "Bool": False, "Nullable": None, "String": "", "LowCardinality": "", "Map": {}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    (folder / "engine.xml").write_text(CONFIGURATION)
    with DevServer(folder / "data", "--engine-config", str(folder / "engine.xml")) as server:
        yield server


@pytest.fixture
async def store(server: DevServer) -> AsyncIterator[HttpStore]:
    """A store with all tables of the distributed profile, in a database of its own."""
    database = f"test_{uuid.uuid4().hex}"
    # The plain profile makes the database without ON CLUSTER.
    await (await HttpStore.open(StoreSettings(url=server.url, database=database))).close()
    store = await HttpStore.open(StoreSettings(url=server.url, database=database, profile="distributed"))
    for statement in (statement for migration in shipped() for statement in migration.statements()):
        for made in store.settings.engine_profile.statements(statement):
            await store.command(runnable(made))
    yield store
    await store.command(f"DROP DATABASE {database} SYNC")
    await store.close()


def row(table: str, **values: Any) -> dict[str, Any]:
    return {name: BLANK.get(kind.split("(")[0], 0) for name, kind in TABLES[table].items()} | values


async def insert(store: HttpStore, table: str, *rows: dict[str, Any], token: str = "") -> None:
    block = encode_rows(table, [row(table, **given) for given in rows])
    await store.insert(table, column_names(table, OPTIONAL.get(table, ())), block, len(rows), token=token)


async def rows_of(store: HttpStore, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await store.query(sql)).to_pylist()
    return rows


async def test_a_block_is_one_part_of_the_local_table(store: HttpStore) -> None:
    for table in TABLES:
        await insert(store, table, *({"part": 3, "offset": offset} for offset in range(5)))
        (found,) = await rows_of(
            store,
            "SELECT count() AS parts, sum(rows) AS rows FROM system.parts "
            f"WHERE active AND database = currentDatabase() AND table = '{table}_local'",
        )
        # Five states of one key are one row of one part.
        kept = 1 if table.endswith("_states") else 5
        assert found == {"parts": 1, "rows": kept}, table
        assert await rows_of(store, f"SELECT count() AS n, max(offset) AS last FROM {table}") == [
            {"n": kept, "last": 4}
        ]


async def test_points_need_no_epoch_and_may_have_one(store: HttpStore) -> None:
    for epochs in ({}, {"epoch": 7}):
        given = {name: value for name, value in row("points", part=3).items() if name != "epoch"} | epochs
        await store.insert("points", column_names("points", epochs), encode_rows("points", [given]), 1)
    assert await rows_of(store, "SELECT epoch FROM points ORDER BY epoch") == [{"epoch": 7}, {"epoch": None}]
    assert await rows_of(store, "SELECT count() AS n FROM points WHERE epoch = 7") == [{"n": 1}]


@pytest.mark.parametrize("table", ["points", "watermark_states"])
async def test_a_token_is_taken_once(store: HttpStore, table: str) -> None:
    for token in ("p1:0-2", "p1:0-2", "p1:3-5"):
        await insert(store, table, {"part": 1}, token=token)
    assert await rows_of(store, f"SELECT count() AS n FROM {table}") == [{"n": 2}]


async def test_views_read_the_newest_state_of_a_key(store: HttpStore) -> None:
    for offset, name in ((1, "old"), (2, "new")):
        for part in range(3):
            await insert(store, "run_states", {"run": f"r{part}", "name": name, "part": part, "offset": offset})
    found = await rows_of(store, "SELECT run, name FROM runs ORDER BY run")
    assert found == [{"run": f"r{part}", "name": "new"} for part in range(3)]
    assert await rows_of(store, "SELECT name FROM runs WHERE run = 'r1'") == [{"name": "new"}]


async def test_tables_may_be_joined_over_all_shards(store: HttpStore) -> None:
    for part in range(4):
        await insert(store, "run_states", {"run": f"r{part}", "part": part})
        await insert(store, "output", {"run": f"r{part}", "part": part})
    requested = "SELECT count() AS n FROM output WHERE run IN (SELECT run FROM runs)"
    assert await rows_of(store, requested) == [{"n": 4}]
    # With more than one shard a server refuses this, unless the settings say that it means the rows of all of them.
    assert await rows_of(store, "SELECT getSetting('distributed_product_mode') AS mode") == [{"mode": "global"}]


async def test_where_each_partition_goes_on_is_found(store: HttpStore) -> None:
    for part in range(4):
        await insert(store, "watermark_states", {"part": part, "offset": part * 10, "tails": {"points": part}})
        await insert(store, "points", {"part": part, "offset": part * 10 + 5})
    found = await commits(store)
    assert {part: Commit(commit.next_offset, dict(commit.tails)) for part, commit in found.items()} == {
        part: Commit(part * 10 + 1, {"points": part}) for part in range(4)
    }
    wanted = {part: part * 10 + 5 for part in range(4)}
    assert await ends(store, ["points", "output"], found) == {"points": wanted, "output": {}}


async def test_the_roll_up_is_looked_for_in_the_local_table(store: HttpStore) -> None:
    await insert(store, "points", {"run": "r", "metric": "m"})
    profile = store.settings.engine_profile
    parts = f"SELECT count() AS n FROM {profile.system('parts')} WHERE database = currentDatabase() AND table = "
    assert await rows_of(store, f"{parts}'{profile.local('points')}'") == [{"n": 1}]
    assert await complete_roll_up(store, older_than_s=3600, profile=profile) == 0
