"""The table `generations`: what happened to each generation of the read models, in rows that are only ever added.

It lies in the database that the store was opened with, which is that of the first generation too, and outlives all of
them. No migration makes it, because those belong to one generation.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from runstream.clock import SYSTEM_CLOCK
from runstream_processors.generations import (
    Generations,
    GenerationsMismatch,
    Recorded,
    Stage,
    Versions,
    first_generation,
    generations_of,
)
from runstream_processors.store.native import block
from runstream_processors.store.profiles import PLAIN, EngineProfile
from runstream_processors.store.tables import TOKENS_REMEMBERED
from runstream_service.store import Store, StoreInvalid, StoreReader, StoreUnavailable

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
#: Stages of tables that several processes share are recorded with tokens (`append`).
_REMEMBER: Final = f"ALTER TABLE {TABLE} MODIFY SETTING non_replicated_deduplication_window = {TOKENS_REMEMBERED}"
#: What the table's comment says, where processes share the tables: how often each of them looks at it.
_POLL: Final = re.compile(r"poll_s=([0-9.]+)")
_COMMENT: Final = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
#: An engine that dies between a token and its row does so once.
_MOST_ATTEMPTS: Final = 5
#: Tables that were made before generations were recorded.
_HAS_TABLES: Final = (
    "SELECT count() AS n FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
)

Clock = Callable[[], int]


async def read_generations(store: StoreReader) -> Generations | None:
    """What the table says; None if no generation was recorded yet. `store` has the base database. Raises
    StoreUnavailable, StoreInvalid."""
    return generations_of(await _rows(store))


async def record(store: Store, row: Recorded, clock_us: Clock = SYSTEM_CLOCK.at_us, *, token: str = "") -> None:
    """Add a row, durably. The same row twice means the same as once. Raises StoreUnavailable: then it may be there."""
    values: tuple[Any, ...] = (row.number, row.stage.value, dict(row.versions), row.detail, clock_us())
    columns = [(name, kind, [value]) for (name, kind), value in zip(_COLUMNS.items(), values, strict=True)]
    await store.insert(TABLE, list(_COLUMNS), block(columns), 1, token=token)


async def append(store: Store, row: Recorded, after: int, clock_us: Clock = SYSTEM_CLOCK.at_us) -> bool:
    """Add a row to a table that has exactly `after` rows, and return whether it is there.

    Of several that are added behind the same rows the table takes one, as with the blocks of workers (`worker.claims`):
    their token names the place. Raises StoreUnavailable: then it may be there, or come to be.
    """
    for attempt in range(_MOST_ATTEMPTS):
        await record(store, row, clock_us, token=f"{after}:{attempt}")
        rows = await _rows(store)
        if len(rows) > after:
            return row in rows
    raise StoreUnavailable(
        f"the table {TABLE} took a row {_MOST_ATTEMPTS} times and does not have it: look into its log"
    )


async def _rows(store: StoreReader) -> list[Recorded]:
    rows = await store.query(
        f"SELECT generation, stage, mapKeys(versions) AS names, mapValues(versions) AS numbers, detail FROM {TABLE}"
    )
    return [
        Recorded(
            row["generation"],
            _stage(row["stage"]),
            dict(zip(row["names"], row["numbers"], strict=True)),
            row["detail"],
        )
        for row in rows.to_pylist()
    ]


def _stage(name: str) -> Stage:
    try:
        return Stage(name)
    except ValueError:
        raise GenerationsMismatch(
            f"a generation of the read models is at a stage {name!r} that this build does not know: it was made by a "
            "newer runstream, upgrade this one"
        ) from None


async def ensure_generations(
    store: Store,
    wanted: Versions,
    adopted: Versions,
    *,
    profile: EngineProfile = PLAIN,
    clock_us: Clock = SYSTEM_CLOCK.at_us,
    poll_s: float | None = None,
) -> Generations:
    """What the table says, made and filled at a first start: tables that are there already are the first generation
    with the versions `adopted`, tables that are still to be made are one with those of `wanted`. poll_s: see
    `shared_poll_s`, of a table that is made now. Raises StoreUnavailable, StoreInvalid."""
    create = _CREATE if poll_s is None else f"{_CREATE} COMMENT '{_comment(poll_s)}'"
    for statement in (*profile.statements(create), *profile.statements(_REMEMBER)):
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


async def shared_poll_s(store: Store, wanted_s: float, *, profile: EngineProfile = PLAIN) -> float:
    """Return how often the processes that share the tables look at this one. It is the same for all: the table keeps
    it as its comment, and whoever came first decided. Raises StoreUnavailable, StoreInvalid."""
    comment = await _comment_of(store)
    if not comment:  # the table is from before it was kept
        for statement in profile.statements(f"ALTER TABLE {TABLE} MODIFY COMMENT '{_comment(wanted_s)}'"):
            await store.command(statement)
        comment = await _comment_of(store)
    found = _POLL.fullmatch(comment)
    if found is None:
        raise StoreInvalid(
            f"the comment of the table {TABLE} is {comment[:100]!r}: let all processes stop, and set it to "
            f"{_comment(wanted_s)!r} with ALTER TABLE {TABLE} MODIFY COMMENT"
        )
    return float(found[1])


async def _comment_of(store: StoreReader) -> str:
    comments: list[str] = (await store.query(_COMMENT, {"name": TABLE}))["comment"].to_pylist()
    return comments[0] if comments else ""


def _comment(poll_s: float) -> str:
    return f"poll_s={poll_s:g}"
