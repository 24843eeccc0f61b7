"""Stores that have their tables: made once by each process that runs tests, and copied for each store.

The migrations take a second of CPU time, a copy of what they made a tenth of it. What they do is tested in
tests/unit/processors/store/test_migrate.py, and servers that are started as users do make their tables themselves.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from kit import children
from kit.children.forked import run_forked
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.tables import TABLES
from runstream_service.store import Store

_Kind = TypeVar("_Kind", bound=ChdbStore)


async def open_migrated(directory: Path, **options: Any) -> ChdbStore:
    """Open a store with empty tables in a directory that is new or empty. options: those of `ChdbStore.open`."""
    return await open_migrated_as(ChdbStore, directory, **options)


async def open_migrated_as(kind: type[_Kind], directory: Path, **options: Any) -> _Kind:
    """Open a store of another kind with empty tables in a directory that is new or empty."""
    assert not directory.exists() or not any(directory.iterdir()), f"{directory} holds something already"
    shutil.copytree(await _made(), directory, symlinks=True, dirs_exist_ok=True)
    return await kind.open(directory, **options)


def place_tables(data: Path) -> None:
    """Give a server's data directory the tables that its first start makes, unless it has some."""
    if (data / "store").exists():
        return
    made = _folder() / "server"
    if not made.exists():
        done = run_forked("kit.children.tables", made, environment=children.environment())
        assert done.returncode == 0, done.stderr
    shutil.copytree(made / "store", data / "store", symlinks=True)


async def empty(store: Store) -> None:
    """Remove all rows of the read models."""
    # Not of those without rows: to empty a table takes as long as a query.
    found = await store.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0")
    for table in TABLES.keys() & set(found["name"].to_pylist()):
        await store.command(f"TRUNCATE TABLE {table}")


async def _made() -> Path:
    """Return the directory of a closed store with empty tables."""
    directory = _folder() / "store"
    if not directory.exists():
        arriving = Path(tempfile.mkdtemp(dir=_folder()))
        store = await ChdbStore.open(arriving)
        await migrate(store)
        await store.close()
        arriving.rename(directory)
    return directory


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="runstream-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
