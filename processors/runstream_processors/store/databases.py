"""The databases of one engine in process: the one that serves, and those that are made or given up beside it."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from runstream_processors.generations import ADOPTED, CURRENT, Generation, Versions, check_not_newer, differences
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.generations import TABLE, ensure_generations
from runstream_processors.store.migrate import migrate
from runstream_processors.store.profiles import EMBEDDED
from runstream_service.store import NO_LIMITS, ClassLimits, StoreUnavailable

#: Between two looks whether the last reader of a database has left.
_LEAVE_LOOK_S: Final = 0.02


class EngineDatabases:
    """Stores on the databases of an engine that is open. `using` may be called from any thread, the rest from one loop.

    The base is the database that the engine was opened with; it is open as long as the engine.
    """

    def __init__(self, base: ChdbStore, serving: Generation) -> None:
        """Use `open`."""
        self.base = base
        self._serving = serving
        self._stores = {base.database: base}
        self._users: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    async def open(cls, directory: Path, *, limits: ClassLimits = NO_LIMITS, versions: Versions = CURRENT) -> Self:
        """Open the engine in `directory` and bring the tables of the generation that serves up to date; tables that are
        made now are of these versions. Raises what `ChdbStore.open` and `migrate` raise; GenerationsMismatch for tables
        that a newer build folded."""
        base = await ChdbStore.open(directory, limits=limits)
        try:
            found = await ensure_generations(base, versions, ADOPTED, profile=EMBEDDED)
            check_not_newer(differences(found.serving.versions, versions))
            databases = cls(base, found.serving)
            await databases.attach(databases.database_of(found.serving))
        except BaseException:
            await base.close()
            raise
        return databases

    @property
    def serving(self) -> Generation:
        """The generation whose database is meant where none is named."""
        return self._serving

    def database_of(self, generation: Generation) -> str:
        """The database that a generation has here."""
        return generation.database(self.base.database)

    @contextmanager
    def using(self, database: str | None) -> Iterator[ChdbStore]:
        """The store on a database (None: on the one that serves), which is not closed while the block lasts. Raises
        StoreUnavailable if it is not attached."""
        with self._lock:
            name = database or self.database_of(self._serving)
            store = self._stores.get(name)
            if store is None:
                raise StoreUnavailable(f"the database {name} of the store is not open: it was given up")
            self._users[name] += 1
        try:
            yield store
        finally:
            with self._lock:
                self._users[name] -= 1

    async def attach(self, database: str) -> None:
        """Open a database, made if it is missing, and bring its tables up to date. Raises StoreUnavailable."""
        store = self._stores.get(database) or await self.base.beside(database)
        try:
            await migrate(store, profile=EMBEDDED)
        except BaseException:
            if database not in self._stores:
                await store.close()
            raise
        with self._lock:
            self._stores[database] = store

    async def is_there(self, database: str) -> bool:
        """Whether the engine has this database."""
        found = await self.base.query(
            "SELECT count() AS n FROM system.databases WHERE name = {name:String}", {"name": database}
        )
        return bool(found["n"][0].as_py())

    @property
    def attached(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._stores)

    def serve(self, generation: Generation) -> None:
        """From now on its database is meant where none is named; queries that run stay where they are. Raises
        StoreUnavailable if it is not attached."""
        with self._lock:
            if (database := self.database_of(generation)) not in self._stores:
                raise StoreUnavailable(f"the database {database} of the store is not open and cannot serve")
            self._serving = generation

    async def drop(self, database: str) -> None:
        """Wait until nobody uses a database that does not serve, close it and remove what it holds. Raises
        StoreUnavailable."""
        store = self._stores.get(database, self.base)
        if store is not self.base:
            with self._lock:
                del self._stores[database]
        await self._left(database)
        if database == self.base.database:
            await self._empty_base()
            return
        if store is not self.base:
            await store.close()
        await self.base.command(f"DROP DATABASE IF EXISTS {database} SYNC")

    async def close(self) -> None:
        """Close all of them, the base last."""
        with self._lock:
            others = [store for store in self._stores.values() if store is not self.base]
            self._stores = {}
        for store in others:
            await store.close()
        await self.base.close()

    async def _left(self, database: str) -> None:
        while True:
            with self._lock:
                if not self._users[database]:
                    return
            await asyncio.sleep(_LEAVE_LOOK_S)

    async def _empty_base(self) -> None:
        """Remove the tables of the first generation. What is known of all generations stays."""
        tables = await self.base.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name != {kept:String} "
            "ORDER BY engine != 'View', name",
            {"kept": TABLE},
        )
        for name in tables["name"].to_pylist():
            await self.base.command(f"DROP TABLE IF EXISTS {name} SYNC")
