"""Engine profiles: what becomes of each statement.

No Keeper runs here, so replicated tables cannot be made: every statement of every profile is parsed by the engine, its
engines and settings are looked up among those that the engine has, and what is left when the replicas are taken out is
run. test_distributed.py runs the distributed tables over local ones.
"""

import re

import pytest

from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.maintenance import complete_roll_up
from runstream_processors.store.migrate import SchemaMismatch, migrate, shipped
from runstream_processors.store.profiles import EMBEDDED, PLAIN, EngineProfile
from runstream_processors.store.tables import TABLES, TOKENS_REMEMBERED
from runstream_service.store import StoreInvalid

REPLICATED = EngineProfile("replicated")
DISTRIBUTED = EngineProfile("distributed", cluster="runs", keeper_path="/runstream")
MEMORIES = "CREATE TABLE IF NOT EXISTS memories (part UInt16, a Int8) ENGINE = ReplacingMergeTree(a) ORDER BY a"


def statements(profile: EngineProfile) -> list[str]:
    return [
        made
        for migration in shipped()
        for statement in migration.statements()
        for made in profile.statements(statement)
    ]


def without_replicas(statement: str) -> str:
    """As it can be run without Keeper and without a cluster."""
    statement = re.sub(r" ON CLUSTER '[^']*'", "", statement)
    statement = re.sub(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, )?([^)]*)\)", r"ENGINE = \1(\2)", statement)
    return re.sub(
        r"replicated_deduplication_window = (\d+), .*", r"non_replicated_deduplication_window = \1", statement
    )


def test_plain_changes_nothing() -> None:
    assert statements(PLAIN) == [text for migration in shipped() for text in migration.statements()]


def test_a_replicated_table_names_its_path_and_its_replica_by_macros() -> None:
    (made,) = REPLICATED.statements(MEMORIES)
    assert made == (
        "CREATE TABLE IF NOT EXISTS memories ON CLUSTER '{cluster}' (part UInt16, a Int8) ENGINE = ReplicatedReplacing"
        "MergeTree('/clickhouse/tables/{shard}/{database}/memories', '{replica}', a) ORDER BY a"
    )


def test_without_a_cluster_ddl_is_left_to_the_database() -> None:
    assert not [made for made in statements(EngineProfile("replicated", cluster="")) if "ON CLUSTER" in made]


def test_a_distributed_table_lies_over_local_ones_and_a_run_on_one_shard() -> None:
    local, over = DISTRIBUTED.statements(MEMORIES)
    assert local.startswith("CREATE TABLE IF NOT EXISTS memories_local ON CLUSTER 'runs' (part UInt16, a Int8) ENGINE")
    assert "ReplicatedReplacingMergeTree('/runstream/{shard}/{database}/memories_local', '{replica}', a)" in local
    assert over == (
        "CREATE TABLE IF NOT EXISTS memories ON CLUSTER 'runs' AS memories_local "
        "ENGINE = Distributed('runs', currentDatabase(), memories_local, part)"
    )


def test_a_view_may_be_replaced() -> None:
    view = "CREATE OR REPLACE VIEW memory AS SELECT a FROM memories"
    assert DISTRIBUTED.statements(view) == ["CREATE OR REPLACE VIEW memory ON CLUSTER 'runs' AS SELECT a FROM memories"]


def test_every_table_can_be_sharded_by_the_partition_of_its_rows() -> None:
    assert all(kinds["part"] == "UInt16" for kinds in TABLES.values())


def test_applied_migrations_are_known_to_all_shards() -> None:
    (made,) = DISTRIBUTED.statements(
        "CREATE TABLE IF NOT EXISTS schema_migrations (a Int8) ENGINE = MergeTree ORDER BY a"
    )
    assert "MergeTree('/runstream/all/{database}/schema_migrations', '{shard}-{replica}') ORDER BY" in made


def test_columns_are_added_on_both_levels_and_settings_on_the_lower_one() -> None:
    column = "ALTER TABLE memories ADD COLUMN IF NOT EXISTS b Int8"
    assert DISTRIBUTED.statements(column) == [
        "ALTER TABLE memories_local ON CLUSTER 'runs' ADD COLUMN IF NOT EXISTS b Int8",
        "ALTER TABLE memories ON CLUSTER 'runs' ADD COLUMN IF NOT EXISTS b Int8",
    ]
    assert DISTRIBUTED.statements("ALTER TABLE memories MODIFY SETTING non_replicated_deduplication_window = 9") == [
        "ALTER TABLE memories_local ON CLUSTER 'runs' MODIFY SETTING replicated_deduplication_window = 9, "
        "replicated_deduplication_window_seconds = 604800"
    ]


def test_the_embedded_store_remembers_no_tokens_and_is_the_plain_one_besides() -> None:
    left_out = set(statements(PLAIN)) - set(statements(EMBEDDED))
    assert left_out == {
        f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = {TOKENS_REMEMBERED}"
        for table in TABLES
    }
    assert [statement for statement in statements(PLAIN) if statement not in left_out] == statements(EMBEDDED)


@pytest.mark.parametrize("profile", [REPLICATED, DISTRIBUTED])
def test_every_table_remembers_tokens_and_fetches_what_is_broken(profile: EngineProfile) -> None:
    made = statements(profile)
    for table in TABLES:
        (altered,) = [
            text for text in made if text.startswith(f"ALTER TABLE {profile.local(table)} ") and "window" in text
        ]
        assert f"MODIFY SETTING replicated_deduplication_window = {TOKENS_REMEMBERED}, " in altered
    assert "non_replicated" not in "".join(made)
    assert "max_suspicious_broken_parts" not in "".join(made)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE memories", "cannot rewrite: DROP TABLE"),
        ("RENAME TABLE a TO b", "cannot rewrite"),
        ("ALTER TABLE a DROP COLUMN b", "cannot rewrite"),
        ("CREATE TABLE IF NOT EXISTS a (n UInt8) ENGINE = Log", "table a names 0 engines"),
    ],
)
def test_a_statement_that_it_does_not_know_is_refused(statement: str, message: str) -> None:
    assert PLAIN.statements(statement) == [statement]
    with pytest.raises(StoreInvalid, match=message):
        REPLICATED.statements(statement)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "distributed", "cluster": ""},
        {"kind": "replicated", "cluster": "a' b"},
        {"kind": "replicated", "keeper_path": "/a'/b"},
        {"kind": "replicated", "keeper_path": "a/b"},
    ],
)
def test_names_that_cannot_stand_in_a_statement_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(StoreInvalid):
        EngineProfile(**arguments)  # type: ignore[arg-type]


@pytest.mark.store
@pytest.mark.parametrize("profile", [REPLICATED, DISTRIBUTED], ids=["replicated", "distributed"])
async def test_the_engine_knows_every_statement_engine_and_setting(store: ChdbStore, profile: EngineProfile) -> None:
    known = (
        await store.query(
            "SELECT (SELECT groupArray(name) FROM system.table_engines) AS engines, "
            "(SELECT groupArray(name) FROM system.replicated_merge_tree_settings) AS settings"
        )
    ).to_pylist()[0]
    for statement in statements(profile):
        formatted = (await store.query("SELECT formatQuery({q:String}) AS f", {"q": statement}))["f"][0].as_py()
        assert ("ON CLUSTER" in formatted) == bool(profile.cluster)
        assert set(re.findall(r"^ENGINE = (\w+)", formatted, re.MULTILINE)) <= set(known["engines"])
        clause = formatted.partition("SETTING")[2]
        assert set(re.findall(r"(\w+) = ", clause)) <= set(known["settings"]), statement


@pytest.mark.store
async def test_without_replicas_the_replicated_tables_are_the_plain_ones(store: ChdbStore) -> None:
    for statement in statements(REPLICATED):
        await store.command(without_replicas(statement))
    made = await store.query(
        "SELECT name, engine, sorting_key FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    columns = await store.query(
        "SELECT table, name, type, compression_codec FROM system.columns WHERE database = currentDatabase() "
        "AND table != 'schema_migrations' ORDER BY table, position"
    )
    for name in made["name"].to_pylist():
        await store.command(f"DROP TABLE {name} SYNC")
    await migrate(store)
    assert columns.equals(
        await store.query(
            "SELECT table, name, type, compression_codec FROM system.columns WHERE database = currentDatabase() "
            "AND table != 'schema_migrations' ORDER BY table, position"
        )
    )
    again = await store.query(
        "SELECT name, engine, sorting_key FROM system.tables WHERE database = currentDatabase() "
        "AND name != 'schema_migrations' ORDER BY name"
    )
    assert made.equals(again)


@pytest.mark.store
async def test_tables_of_another_profile_are_refused(store: ChdbStore) -> None:
    await migrate(store)
    with pytest.raises(SchemaMismatch, match="made for the profile plain, this process has replicated"):
        await migrate(store, profile=REPLICATED)
    await migrate(store)


@pytest.mark.store
async def test_the_roll_up_is_completed_where_the_rows_are(store: ChdbStore) -> None:
    await migrate(store)
    assert await complete_roll_up(store, older_than_s=0) == 0
    assert DISTRIBUTED.system("parts") == "clusterAllReplicas('runs', system.parts)"
    assert DISTRIBUTED.statements("ALTER TABLE points MATERIALIZE PROJECTION buckets") == [
        "ALTER TABLE points_local ON CLUSTER 'runs' MATERIALIZE PROJECTION buckets"
    ]
