"""The store of a cluster's process: the tables of the generation that serves, whichever that is at the moment.

The table `generations` is read again and again (`look`); what a process does between two looks is decided by
`runstream_processors.following`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Self

import pyarrow as pa

from runstream.events.positions import Positions
from runstream_infra.cluster.settings import GenerationSettings
from runstream_processors.following import Knowledge, readable
from runstream_processors.generations import (
    ADOPTED,
    CURRENT,
    Generation,
    Generations,
    Versions,
    check_not_newer,
    differences,
    is_newer,
)
from runstream_processors.store.generations import ensure_generations, read_generations, shared_poll_s
from runstream_processors.store.http import HttpStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.resume import committed
from runstream_processors.store.settings import StoreSettings
from runstream_service.store import NO_LIMITS, Block, ClassLimits, QueryClass, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)


class ClusterStore:
    """`runstream_service.store.Store` on the generation that serves. Belongs to one event loop.

    A query runs in one generation from its beginning to its end. While the table of generations cannot be read for
    longer than the lease, every call raises StoreUnavailable.
    """

    def __init__(
        self,
        base: HttpStore,
        settings: GenerationSettings,
        limits: ClassLimits,
        versions: Versions,
        monotonic_s: Callable[[], float],
    ) -> None:
        """Use `open`."""
        self._base = base
        self._limits = limits
        self._monotonic_s = monotonic_s
        #: As all processes of the cluster have them.
        self.settings = settings
        self._knowledge = Knowledge(versions, settings.lease_s)
        self._stores: dict[int, HttpStore] = {}
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        #: Of the read models, as this process folds them.
        self.versions = versions

    @classmethod
    async def open(
        cls,
        store: StoreSettings,
        settings: GenerationSettings,
        *,
        limits: ClassLimits = NO_LIMITS,
        versions: Versions = CURRENT,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Connect, and bring the tables of the generation that serves up to date; tables that are made now are of these
        versions. Raises what `HttpStore.open` and `migrate` raise; GenerationsMismatch for tables that a newer build
        folded."""
        base = await HttpStore.open(store, limits=limits)
        try:
            found = await ensure_generations(
                base, versions, ADOPTED, profile=store.engine_profile, poll_s=settings.poll_s
            )
            check_not_newer(differences(found.serving.versions, versions))
            shared = await _shared(settings, base)
        except BaseException:
            await base.close()
            raise
        opened = cls(base, shared, limits, versions, monotonic_s)
        try:
            await opened.look()
        except BaseException:
            await opened.close()
            raise
        return opened

    @property
    def base(self) -> HttpStore:
        """The store with the table of generations."""
        return self._base

    @property
    def generations(self) -> Generations:
        """What the last look found."""
        found = self._knowledge.found
        assert found is not None, "open looks"
        return found

    def note(self) -> str | None:
        """Return what readiness says of the generations where nobody looks how far the next one is."""
        found = self.generations
        if found.building is None:
            return None
        step = "is about to take over from" if found.ready else "is being built beside"
        return f"generation {found.building.number} {step} generation {found.serving.number}, which serves"

    async def look(self) -> Generations:
        """Read the table of generations, and act on it from now on. Raises StoreUnavailable, StoreInvalid."""
        asked_at_s = self._monotonic_s()
        found = await read_generations(self._base)
        if found is None:
            raise StoreUnavailable("no generation of the read models is recorded any more: look into `generations`")
        await self.attach(readable(found, self.versions))
        if found.building is not None and found.ready and not is_newer(found.building.versions, self.versions):
            await self.attach(found.building)  # so that it can be read at once when it serves
        self._knowledge.learn(found, asked_at_s, self._monotonic_s())
        self._close_all_but(found)
        return found

    async def follow(self) -> None:
        """Look again and again, for ever."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                logger.warning("which generation of the read models serves is not told: %s", error)
            await asyncio.sleep(self.settings.poll_s)

    async def attach(self, generation: Generation, *, make: bool = False) -> HttpStore:
        """Return the store on a generation's tables, which are brought up to date when it is opened. make: its database
        if that is missing. Raises what `HttpStore.open` and `migrate` raise."""
        async with self._opening:
            store = self._stores.get(generation.number)
            if store is None:
                store = await self._opened(generation, make)
                self._stores[generation.number] = store
            return store

    def database_of(self, generation: Generation) -> str:
        """The database that a generation has here."""
        return generation.database(self._base.settings.database)

    async def committed(self) -> Positions:
        """Up to where every generation is complete that a process of the cluster may read. Raises StoreUnavailable."""
        awaited = self._knowledge.waits_for(self._monotonic_s())
        found = [await committed(self._base, self.database_of(generation)) for generation in awaited]
        if self._knowledge.waits_for(self._monotonic_s()) != awaited:
            raise StoreUnavailable("another generation of the read models counts since: look again")
        return reduce(Positions.common, found)

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        """See `HttpStore.query`."""
        return await self._serving().query(sql, parameters, of=of)

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        """See `HttpStore.insert`."""
        await self._serving().insert(table, columns, block, rows, token=token)

    async def command(self, sql: str) -> None:
        """See `HttpStore.command`."""
        await self._serving().command(sql)

    async def close(self) -> None:
        """See `HttpStore.close`."""
        stores, self._stores = list(self._stores.values()), {}
        await asyncio.gather(*self._closing, return_exceptions=True)
        for store in stores:
            if store is not self._base:
                await store.close()
        await self._base.close()

    def _serving(self) -> HttpStore:
        generation = self._knowledge.reads(self._monotonic_s())
        store = self._stores.get(generation.number)
        if store is None:
            raise StoreUnavailable("the store is closed: open it again")
        return store

    async def _opened(self, generation: Generation, make: bool) -> HttpStore:
        database = self.database_of(generation)
        settings = self._base.settings
        if database == settings.database:
            store = self._base
        else:
            wanted = settings.model_copy(update={"database": database})
            store = await HttpStore.open(wanted, limits=self._limits, make=make)
        try:
            await migrate(store, profile=settings.engine_profile)
        except BaseException:
            if store is not self._base:
                await store.close()
            raise
        return store

    def _close_all_but(self, found: Generations) -> None:
        """Close the stores on generations that are not there any more, once their last request is over."""
        there = {one.number for one in (found.serving, found.building, *found.former) if one is not None}
        for number in self._stores.keys() - there:
            store = self._stores.pop(number)
            if store is not self._base:
                closing = asyncio.create_task(store.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)


async def _shared(settings: GenerationSettings, base: HttpStore) -> GenerationSettings:
    """Return the settings as all processes of the cluster have them."""
    poll_s = await shared_poll_s(base, settings.poll_s, profile=base.settings.engine_profile)
    if poll_s != settings.poll_s:
        logger.warning(
            "RUNSTREAM_GENERATIONS_POLL_S is %g here, and %g counts, which the store keeps for all processes: set it "
            "to that (docs/configuration.md says how to change it for all)",
            settings.poll_s,
            poll_s,
        )
    return settings.model_copy(update={"poll_s": poll_s})
