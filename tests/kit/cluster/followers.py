"""The processes of a cluster on one server of tables, each with a store and a coordinator, over one log; time is an
argument."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.recorded.seeded import recorded
from kit.servers.dev_clickhouse import DevServer
from runstream.events.positions import Positions
from runstream_infra.cluster.refolding import ClusterRefolding
from runstream_infra.cluster.settings import GenerationSettings, RoleSettings
from runstream_infra.cluster.shared_tables import SharedTables
from runstream_infra.cluster.store import ClusterStore
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.coordinating import Coordinator
from runstream_processors.generations import (
    CURRENT,
    Generation,
    Versions,
)
from runstream_processors.hosting.generations import GenerationWorkers
from runstream_processors.store.profiles import Kind
from runstream_processors.store.settings import StoreSettings
from runstream_processors.worker.loop import Worker
from runstream_service.visibility import Progress

#: Of a build whose summaries had no standard deviation.
OLDER: Versions = {**CURRENT, "summary_states": 1}
FACTS = recorded(11, runs=4, frames=60)
SETTINGS = GenerationSettings()


class Clock:
    """What time it is."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Followers:
    """The processes of a cluster on one server, each with a store and a coordinator, and its log."""

    def __init__(self, url: str, database: str, profile: Kind = "plain") -> None:
        self.settings = StoreSettings(url=url, database=database, profile=profile)
        self.clock = Clock()
        self.log = MemoryLog(1)
        self.stores: list[ClusterStore] = []

    async def start(self, versions: Versions = CURRENT) -> ClusterStore:
        store = await ClusterStore.open(self.settings, SETTINGS, versions=versions, monotonic_s=self.clock)
        self.stores.append(store)
        return store

    def coordinator(self, store: ClusterStore, steps: list[str]) -> Coordinator:
        return Coordinator(
            SharedTables(store, self.log),
            lease_s=SETTINGS.lease_s,
            grace_s=SETTINGS.grace_s,
            wanted=store.versions,
            on_step=steps.append,
            monotonic_s=self.clock,
        )

    def worker(self, store: ClusterStore) -> ClusterRefolding:
        deaths: list[BaseException] = []
        kafka = KafkaSettings(bootstrap="127.0.0.1:1")
        settings = RoleSettings(kafka=kafka, store=self.settings, assets="nowhere", generations=SETTINGS)
        return ClusterRefolding(store, self.log, GenerationWorkers(deaths.append), settings, None, deaths.append)

    async def fold(self, store: ClusterStore, generation: Generation) -> None:
        tables = await store.attach(generation)
        end = Positions(await self.log.next_offsets())
        await Worker(self.log, tables, Progress(), versions=lambda: generation.versions).catch_up(end)


@asynccontextmanager
async def followers(server: DevServer, database: str, profile: Kind = "plain") -> AsyncIterator[Followers]:
    found = Followers(server.url, database, profile)
    try:
        yield found
    finally:
        for store in found.stores:
            await store.close()
