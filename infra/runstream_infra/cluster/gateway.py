"""A gateway: takes in frames, commands and files, and appends them to the log."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from runstream_infra.cluster.metrics import GatewayProcessMetrics
from runstream_infra.cluster.process import application, listening, open_store, run_within, watched_brokers
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.cluster.store import ClusterStore
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_infra.listening import stop_on_signals
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_processors.generations import Versions
from runstream_protocols.all import add_writes
from runstream_protocols.protocol import ReadingSide, WritingSide
from runstream_query.lookup import LateStore, StoreLookup
from runstream_service.store import StoreError

logger = logging.getLogger(__name__)


async def serve(settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None]) -> int:
    """Serve until a signal; see `roles.run_role`."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        log = await KafkaWriter.open(settings.kafka)
        stack.push_async_callback(log.close)
        # It takes in data while the store is away: only responses that wait for a position need it.
        visibility = StoreVisibility()
        visibility.start()
        stack.push_async_callback(visibility.close)
        stores: list[ClusterStore] = []
        run_within(stack, _find_store(settings, versions, visibility, stores, stack))

        checks, notes = {"brokers": watched_brokers(settings, stack)}, {"read_models": lambda: _noted(stores)}
        app, registry = application(settings, checks, notes)
        registry.register(GatewayProcessMetrics(log, visibility))
        assets = settings.open_assets()
        lookup = StoreLookup(lambda: _found(stores))
        gateway = add_gateway(
            app,
            log=log,
            assets=assets,
            visibility=visibility,
            settings=settings.limits.gateway,
            lookup=lookup,
            registry=registry,
        )
        reading = ReadingSide(LateStore(lambda: _found(stores)), visibility, assets, settings.limits.query)
        add_writes(app, WritingSide(gateway, assets, lookup, reading, settings.sealing()))
        async with listening(app, registry, settings, on_ready):
            await stop.wait()
    return 0


def _found(stores: Sequence[ClusterStore]) -> ClusterStore | None:
    """Return the store, once it is found."""
    return stores[0] if stores else None


def _noted(stores: Sequence[ClusterStore]) -> str | None:
    """What readiness says of the read models, once the store is found."""
    return stores[0].note() if stores else None


async def _find_store(
    settings: RoleSettings,
    versions: Versions,
    visibility: StoreVisibility,
    stores: list[ClusterStore],
    stack: AsyncExitStack,
) -> None:
    try:
        store = await open_store(settings, versions)
    except StoreError as error:
        visibility.trouble = str(error)
        logger.error("the store cannot be used, so no response can wait until its data are visible: %s", error)
        return
    stack.push_async_callback(store.close)
    stores.append(store)
    visibility.committed = store.committed
    await store.follow()
