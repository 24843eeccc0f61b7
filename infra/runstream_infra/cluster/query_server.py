"""A query server: serves reads from the store."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from runstream_infra.cluster.disks import StoreDisks
from runstream_infra.cluster.following import Following
from runstream_infra.cluster.metrics import QueryMetrics, timed
from runstream_infra.cluster.process import application, listening, open_log_and_store, run_within
from runstream_infra.cluster.refold_watch import RefoldWatch
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.cluster.shared_tables import SharedTables
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_infra.listening import stop_on_signals
from runstream_infra.rebuild_requests import add_rebuilds
from runstream_infra.routes import OWN_ROUTES
from runstream_infra.status import add_status
from runstream_processors.coordinating import request_rebuild
from runstream_processors.generations import Versions
from runstream_processors.store.health import probe
from runstream_protocols.all import ROUTES, add_reads
from runstream_protocols.protocol import ReadingSide
from runstream_query.http.routes import add_query


async def serve(settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None]) -> int:
    """Serve until a signal; see `roles.run_role`."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        opened = await open_log_and_store(settings, versions, stop, stack)
        if opened is None:
            return 0
        log, store = opened
        visibility = StoreVisibility(store.committed)
        visibility.start()
        stack.push_async_callback(visibility.close)

        async def store_ready() -> str | None:
            await probe(store)
            return visibility.trouble

        following, refolding = Following(log, visibility.visible), RefoldWatch(store, log)
        for work in (store.follow(), following.run(), refolding.run()):
            run_within(stack, work)
        app, registry = application(settings, {"store": store_ready}, {"read_models": refolding.note})
        disks = StoreDisks(store)
        run_within(stack, disks.run())
        registry.register(QueryMetrics(following, visibility, disks))
        app.middlewares.insert(0, timed(registry))
        add_status(
            app,
            log=log,
            store=store,
            visibility=visibility,
            data_dir=None,
            settings=settings,
            refolding=lambda: refolding.status,
        )
        add_rebuilds(app, partial(request_rebuild, SharedTables(store, log), store.versions))
        assets, limits = settings.open_assets(), settings.limits.query
        add_query(
            app,
            store=store,
            visibility=visibility,
            log=log,
            assets=assets,
            settings=limits,
            others=OWN_ROUTES,
            protocols=ROUTES,
        )
        add_reads(app, ReadingSide(store, visibility, assets, limits))
        async with listening(app, registry, settings, on_ready):
            await stop.wait()
    return 0
