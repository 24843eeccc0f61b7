"""Migrations: applied once, in order, never edited, and finished after a crash in the middle."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.maintenance import complete_roll_up
from runstream_processors.store.migrate import Migration, SchemaMismatch, migrate, pending, shipped
from runstream_processors.store.native import block
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names, projected_envelope
from runstream_service.store import Block, StoreInvalid, StoreUnavailable

pytestmark = pytest.mark.store

ONE = Migration("0001_one.sql", "CREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = MergeTree ORDER BY a;\n")
TWO = Migration(
    "0002_two.sql",
    """
    -- a comment; with a semicolon, and it's quoted
    CREATE TABLE IF NOT EXISTS two (a Int8 COMMENT 'it\\'s; -- no end') ENGINE = MergeTree ORDER BY a;
    CREATE VIEW IF NOT EXISTS three AS SELECT a -- the only column
    FROM two;
    """,
)


def applied(*migrations: Migration) -> Sequence[tuple[str, str]]:
    return [(migration.name, migration.sha256) for migration in migrations]


def test_statements_end_at_semicolons_outside_texts_and_comments() -> None:
    table, view = TWO.statements()
    assert table.endswith("ORDER BY a")
    assert "'it\\'s; -- no end'" in table
    assert re.sub(r"\s+", " ", view) == "CREATE VIEW IF NOT EXISTS three AS SELECT a FROM two"
    assert Migration("x", "SELECT 1 -- ends in a comment").statements() == ["SELECT 1"]
    assert Migration("x", " ;; -- nothing\n").statements() == []


def test_what_is_not_applied_yet_is_pending() -> None:
    assert pending([ONE, TWO], []) == [ONE, TWO]
    assert pending([ONE, TWO], applied(ONE)) == [TWO]
    assert pending([ONE, TWO], applied(TWO, ONE)) == []


def test_an_edited_file_is_refused() -> None:
    edited = Migration(ONE.name, ONE.sql + "-- harmless?")
    with pytest.raises(SchemaMismatch, match=r"0001_one.sql was applied with sha256 \w{12}.* never edited"):
        pending([edited, TWO], applied(ONE))


def test_a_database_of_a_newer_build_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match=r"has migration 0002_two.sql, this build ends with 0001_one.sql.*upgrade"):
        pending([ONE], applied(ONE, TWO))


def test_a_migration_that_was_skipped_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match=r"skipped migration 0001_one.sql but has 0002_two.sql"):
        pending([ONE, TWO], applied(TWO))


def test_shipped_files_are_numbered_without_gaps() -> None:
    assert [int(migration.name[:4]) for migration in shipped()] == list(range(1, len(shipped()) + 1))


def test_every_shipped_statement_bears_being_run_twice() -> None:
    for migration in shipped():
        for statement in migration.statements():
            assert re.match(
                r"CREATE (TABLE|VIEW) IF NOT EXISTS |CREATE OR REPLACE VIEW |"
                r"ALTER TABLE \w+ (ADD COLUMN IF NOT EXISTS|MODIFY SETTING|"
                r"ADD PROJECTION IF NOT EXISTS|DROP PROJECTION IF EXISTS) ",
                statement,
            ), (migration.name, statement)


async def test_migrations_are_applied_once_and_remembered(store: ChdbStore) -> None:
    assert await migrate(store, [ONE], clock_us=lambda: 1_770_000_000_123_456) == [ONE.name]
    assert await migrate(store, [ONE, TWO]) == [TWO.name]
    assert await migrate(store, [ONE, TWO]) == []
    rows = await store.query("SELECT name, sha256, toUnixTimestamp64Micro(applied_at) AS at FROM schema_migrations")
    first = min(rows.to_pylist(), key=lambda row: row["name"])
    assert first == {"name": ONE.name, "sha256": ONE.sha256, "at": 1_770_000_000_123_456}
    with pytest.raises(SchemaMismatch):
        await migrate(store, [ONE])


async def test_rows_from_before_have_no_epoch_and_no_context(store: ChdbStore) -> None:
    """And their roll-up, which knows nothing of epochs, is still what views are read from."""
    files = shipped()
    (number,) = (n for n, migration in enumerate(files) if "epochs_and_contexts" in migration.name)
    await migrate(store, files[:number])
    await store.command("INSERT INTO asset_states (run, asset, offset) VALUES ('r', 'a', 1)")
    await store.command("INSERT INTO points (run, metric, step, value) SELECT 'r', 'm', number, 1 FROM numbers(50000)")
    await store.command("OPTIMIZE TABLE points FINAL")
    assert await migrate(store) == [migration.name for migration in files[number:]]
    assert (await store.query("SELECT context FROM assets"))["context"].to_pylist() == [""]
    counted = "SELECT count() AS n, count(epoch) AS epochs FROM points"
    assert (await store.query(counted)).to_pylist() == [{"n": 50_000, "epochs": 0}]
    await rolled_up(store)
    rolled = "SELECT metric, intDiv(step, 256) AS bucket, count() AS n FROM points WHERE run = 'r' GROUP BY ALL"
    for _ in range(2):
        found = await store.query(f"{rolled} SETTINGS force_optimize_projection = 1")
        assert sum(found["n"].to_pylist()) == 50_000
        await store.command("OPTIMIZE TABLE points FINAL")


async def rolled_up(store: ChdbStore) -> None:
    """Have maintenance make the roll-up of all parts."""
    without = "SELECT count() AS n FROM system.parts WHERE active AND table = 'points' AND empty(projections)"
    async with asyncio.timeout(240):
        while (await store.query(without))["n"].to_pylist() != [0]:
            await complete_roll_up(store, older_than_s=0)
            await asyncio.sleep(0.2)


async def test_an_earlier_roll_up_makes_way_for_the_present_one(store: ChdbStore) -> None:
    """Means are the same bits while parts are scanned, and once maintenance has made the roll-up."""
    files = shipped()
    (number,) = (n for n, migration in enumerate(files) if "exact_sums" in migration.name)
    await migrate(store, files[:number])
    random = "SELECT 'r', 'm', number, randCanonical(1) - 0.3 FROM numbers({}, 20000)"
    for first in (0, 20_000):
        await store.command(f"INSERT INTO points (run, metric, step, value) {random.format(first)}")
    await store.command("OPTIMIZE TABLE points FINAL")
    parts = "SELECT DISTINCT arrayJoin(projections) AS name FROM system.parts WHERE active AND table = 'points'"
    assert (await store.query(parts))["name"].to_pylist() == ["curve"]
    assert await migrate(store) == [migration.name for migration in files[number:]]
    parameters = Parameters()
    view = projected_envelope(Names(("r",), ("m",)), Range(), 512, parameters)
    scanned = await store.query(view, parameters.values)
    await rolled_up(store)
    assert (await store.query(parts))["name"].to_pylist() == ["buckets"]
    rolled = await store.query(f"{view} SETTINGS force_optimize_projection = 1", parameters.values)
    assert (rolled.num_rows, rolled.equals(scanned)) == (79, True)


async def test_the_shipped_migrations_apply(store: ChdbStore) -> None:
    assert await migrate(store) == [migration.name for migration in shipped()]
    assert await migrate(store) == []


async def test_tables_that_a_server_lacks_are_made_by_repeating(store: ChdbStore) -> None:
    await migrate(store, [ONE, TWO])
    await store.insert("one", ["a"], block([("a", "Int8", [7])]), 1)
    await store.command("DROP TABLE two SYNC")
    assert await migrate(store, [ONE, TWO]) == []
    assert await migrate(store, [ONE, TWO], repeat=True) == []
    found = await store.query("SELECT (SELECT count() FROM one) AS one, (SELECT count() FROM two) AS two")
    assert found.to_pylist() == [{"one": 1, "two": 0}]
    assert (await store.query("SELECT count() AS n FROM schema_migrations"))["n"].to_pylist() == [2]


async def test_a_file_that_two_processes_remember_is_one(store: ChdbStore) -> None:
    await migrate(store, [ONE])
    await store.command("INSERT INTO schema_migrations SELECT name, sha256, now() FROM schema_migrations")
    assert await migrate(store, [ONE, TWO]) == [TWO.name]


class DyingStore:
    """Passes on so many commands and inserts, then fails at each."""

    def __init__(self, store: ChdbStore, steps: int) -> None:
        self._store = store
        self._left = steps
        self.query = store.query
        self.close = store.close

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailable("died")

    async def command(self, sql: str) -> None:
        self._step()
        await self._store.command(sql)

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        self._step()
        await self._store.insert(table, columns, block, rows, token=token)


@pytest.mark.parametrize("steps", range(6))
async def test_a_crash_between_any_two_steps_is_finished_by_the_next_start(store: ChdbStore, steps: int) -> None:
    with pytest.raises(StoreUnavailable, match="died"):
        await migrate(DyingStore(store, steps), [ONE, TWO])
    await migrate(store, [ONE, TWO])
    tables = await store.query("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    assert tables["name"].to_pylist() == ["one", "schema_migrations", "three", "two"]
    assert (await store.query("SELECT count() AS n FROM schema_migrations"))["n"].to_pylist() == [2]


async def test_a_wrong_statement_is_not_remembered(store: ChdbStore) -> None:
    with pytest.raises(StoreInvalid):
        await migrate(store, [Migration("0001_wrong.sql", "CREATE TABLE nonsense;")])
    assert await migrate(store, [ONE]) == [ONE.name]
