"""Removing the tables of a generation from a server that several processes share."""

from typing import Final

from runstream_processors.store.generations import TABLE
from runstream_processors.store.http import HttpStore
from runstream_processors.store.profiles import EngineProfile

#: A server refuses to drop what is large, unless the statement says that it is meant.
_MEANT: Final = "SETTINGS max_table_size_to_drop = 0"
#: Views before what they read, and tables that are spread over others before those.
_TABLES: Final = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND name != {kept:String} "
    "ORDER BY engine != 'View', engine != 'Distributed', name"
)


async def drop_tables(store: HttpStore, database: str, profile: EngineProfile) -> None:
    """Remove a database that no process of the cluster uses; of the one that `store` is on, all tables but that of the
    generations. What is gone already is no error. Raises StoreUnavailable, StoreInvalid."""
    if database != store.settings.database:
        await store.command(f"DROP DATABASE IF EXISTS {database}{profile.on_cluster} SYNC {_MEANT}")
        return
    tables = await store.query(_TABLES, {"kept": TABLE})
    for name in tables["name"].to_pylist():
        await store.command(f"DROP TABLE IF EXISTS {name}{profile.on_cluster} SYNC {_MEANT}")
