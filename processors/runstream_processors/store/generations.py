"""The table `generations`: what happened to each generation of the read models, in rows that are only ever added.

It lies in the database that the store was opened with, which is that of the first generation too, and outlives all of
them. No migration makes it, because those belong to one generation.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from runstream.clock import SYSTEM_CLOCK
from runstream_processors.generations import (
    ADOPTED,
    CURRENT,
    Generations,
    GenerationsMismatch,
    Recorded,
    Stage,
    Versions,
    check_not_newer,
    differences,
    first_generation,
    generations_of,
)
from runstream_processors.store.migrate import migrate
from runstream_processors.store.native import block
from runstream_processors.store.profiles import PLAIN, EngineProfile
from runstream_service.store import Store, StoreReader, StoreUnavailable

TABLE: Final = "generations"
_COLUMNS: Final[Mapping[str, str]] = {
    "generation": "UInt32",
    "stage": "LowCardinality(String)",
    "versions": "Map(LowCardinality(String), UInt64)",
    "detail": "String",
    "at": "DateTime64(6, 'UTC')",
}
_CREATE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())}) "
    "ENGINE = MergeTree ORDER BY generation SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, "
    "min_rows_to_fsync_after_merge = 1, max_suspicious_broken_parts = 0, auto_statistics_types = ''"
)
#: Tables that were made before generations were recorded.
_HAS_TABLES: Final = (
    "SELECT count() AS n FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
)

Clock = Callable[[], int]


async def read_generations(store: StoreReader) -> Generations | None:
    """What the table says; None if no generation was recorded yet. `store` has the base database. Raises
    StoreUnavailable, StoreInvalid."""
    rows = await store.query(
        f"SELECT generation, stage, mapKeys(versions) AS names, mapValues(versions) AS numbers, detail FROM {TABLE}"
    )
    return generations_of(
        Recorded(
            row["generation"],
            Stage(row["stage"]),
            dict(zip(row["names"], row["numbers"], strict=True)),
            row["detail"],
        )
        for row in rows.to_pylist()
    )


async def record(store: Store, row: Recorded, clock_us: Clock = SYSTEM_CLOCK.at_us) -> None:
    """Add a row, durably. The same row twice means the same as once. Raises StoreUnavailable: then it may be there."""
    values: tuple[Any, ...] = (row.number, row.stage.value, dict(row.versions), row.detail, clock_us())
    columns = [(name, kind, [value]) for (name, kind), value in zip(_COLUMNS.items(), values, strict=True)]
    await store.insert(TABLE, list(_COLUMNS), block(columns), 1)


async def ensure_generations(
    store: Store,
    wanted: Versions,
    adopted: Versions,
    *,
    profile: EngineProfile = PLAIN,
    clock_us: Clock = SYSTEM_CLOCK.at_us,
) -> Generations:
    """What the table says, made and filled at a first start: tables that are there already are the first generation
    with the versions `adopted`, tables that are still to be made are one with those of `wanted`. Raises
    StoreUnavailable, StoreInvalid."""
    for statement in profile.statements(_CREATE):
        await store.command(statement)
    found = await read_generations(store)
    if found is not None:
        return found
    has_tables = (await store.query(_HAS_TABLES))["n"][0].as_py() > 0
    # Another process that made the tables meanwhile recorded them before.
    found = await read_generations(store)
    if found is not None:
        return found
    await record(store, first_generation(adopted if has_tables else wanted), clock_us)
    found = await read_generations(store)
    if found is None:
        raise StoreUnavailable(f"the table {TABLE} does not show what was just recorded in it: try again")
    return found


async def make_tables(store: Store, profile: EngineProfile) -> None:
    """Bring the tables that the processes of a cluster share up to date, and record what they are. Raises
    GenerationsMismatch, and changes nothing, if they are of other versions than this build folds: a cluster does not
    build them anew by itself. Raises StoreUnavailable, StoreInvalid."""
    found = await ensure_generations(store, CURRENT, ADOPTED, profile=profile)
    differing = differences(found.serving.versions, CURRENT)
    check_not_newer(differing)
    if differing:
        raise GenerationsMismatch(
            f"the tables are of other versions of the read models than this build folds "
            f"({', '.join(map(str, differing))}), and a cluster does not build them anew by itself: fold the log into "
            "another database and let all processes use it (docs/runbook.md, Rebuild the tables), or go back to the "
            "build before"
        )
    await migrate(store, profile=profile)
