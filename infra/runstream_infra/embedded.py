"""The embedded server: gateway, log, worker, store and query API in one process. The composition root."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from runstream.events.positions import Positions
from runstream.private import make_tight
from runstream_infra.folding_thread import FoldingThread
from runstream_infra.listening import StartFailed, first_of, guarded_runner, listen, stop_on_signals
from runstream_infra.loading import load_early
from runstream_infra.maintenance import maintain
from runstream_infra.metrics import EmbeddedMetrics
from runstream_infra.panels.hosting import PANELS, add_hosting, own_address
from runstream_infra.panels.passes import PanelPasses
from runstream_infra.panels.routes import DOCUMENT
from runstream_infra.panels.routes import ROUTES as PANEL_ROUTES
from runstream_infra.rebuild_requests import add_rebuilds
from runstream_infra.refolding import Refolding
from runstream_infra.routes import OWN_ROUTES
from runstream_infra.settings import ServerSettings
from runstream_infra.status import add_status
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.assets.objects import ObjectAssets
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.generations import CURRENT, Versions
from runstream_processors.store.health import probe
from runstream_processors.store.repairing import SelfRepairingStore
from runstream_processors.worker.guarding import CrashDirectory
from runstream_processors.worker.loop import Worker
from runstream_protocols.all import ACCESS, ROUTES, add_reads, add_writes
from runstream_protocols.protocol import ReadingSide, WritingSide
from runstream_query.http.routes import add_query
from runstream_query.lookup import StoreLookup
from runstream_service.assets import AssetError, AssetStorage
from runstream_service.auth import ApiKeys, InsecureBind, InvalidKey, auth_middleware, check_bind
from runstream_service.log import LogError
from runstream_service.logs import configure_logging
from runstream_service.metrics import add_operations, process_registry
from runstream_service.origins import add_response_headers
from runstream_service.problems import problem_middleware
from runstream_service.proxies import TRUSTED_PROXIES
from runstream_service.refusals import refusal_notices
from runstream_service.store import StoreError
from runstream_service.tls import InvalidCertificate
from runstream_service.visibility import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running server consists of."""

    log: EmbeddedLog
    store: SelfRepairingStore
    assets: AssetStorage
    progress: Progress
    worker: Worker
    refolding: Refolding


def run_embedded(
    settings: ServerSettings,
    on_ready: Callable[[str], None] | None = None,
    *,
    on_step: Callable[[str], None] = lambda step: None,
    versions: Versions = CURRENT,
) -> int:
    """Serve until SIGINT or SIGTERM, then finish what was accepted. Blocks; call it from the main thread.

    on_ready: called once with the address, when `/readyz` answers 200. on_step: see `TableWriter` and `Refolding`
    (fault tests). versions: of the read models. Returns 0 after an orderly end, 1 if the worker gave up (the log is
    damaged; the log line says where). Raises StartFailed.
    """
    configure_logging(settings.log_format)
    os.umask(0o077)  # what the store's engine makes as well
    try:
        return asyncio.run(_serve(settings, on_ready or (lambda url: None), on_step, versions))
    except (LogError, StoreError, AssetError, InvalidKey, InsecureBind, InvalidCertificate, OSError) as error:
        raise StartFailed(str(error)) from error


async def _serve(
    settings: ServerSettings, on_ready: Callable[[str], None], on_step: Callable[[str], None], versions: Versions
) -> int:
    keys = ApiKeys.from_plain(settings.api_keys)
    check_bind(settings.host, keys)
    tls = settings.tls_context()
    stop = stop_on_signals()
    loop = asyncio.get_running_loop()
    deaths: list[BaseException] = []

    def on_death(error: BaseException) -> None:
        deaths.append(error)
        loop.call_soon_threadsafe(stop.set)

    resumed = asyncio.Event()

    def step(name: str) -> None:
        if name == "resumed":
            loop.call_soon_threadsafe(resumed.set)
        on_step(name)

    async with open_parts(settings, step, versions) as parts:
        folding = FoldingThread(parts.worker, on_death)
        folding.start()
        maintenance = [asyncio.create_task(work) for work in (parts.store.watch(), maintain(parts.store))]
        refolding = asyncio.create_task(parts.refolding.run(folding))
        try:
            registry = process_registry()
            app = application(settings, keys, parts, registry)
            runner = guarded_runner(app, settings.limits, registry)
            await runner.setup()
            try:
                url = await listen(runner, settings.host, settings.port, tls)
                app[PANELS].listens_at(own_address(url, settings.host))
                await first_of(resumed, stop)
                if not stop.is_set():
                    on_ready(url)
                await stop.wait()
                logger.info("stopping: no new requests, folding what was accepted")
            finally:
                await runner.cleanup()
            await _ended(refolding)
            if not deaths:
                await _drain(parts, settings.drain_s)
        finally:
            await _ended(refolding)
            for task in maintenance:
                task.cancel()
            await folding.stop()
    return 1 if deaths else 0


@asynccontextmanager
async def open_parts(
    settings: ServerSettings,
    on_step: Callable[[str], None] = lambda step: None,
    versions: Versions = CURRENT,
) -> AsyncIterator[Parts]:
    """Open log, store and assets of a data directory, and close them in the opposite order."""
    async with AsyncExitStack() as stack:
        make_tight(settings.data_dir)
        await asyncio.to_thread(load_early)
        log = await asyncio.to_thread(
            EmbeddedLog.open,
            settings.log_dir,
            partitions=settings.partitions,
            retention_bytes=settings.log_retention_bytes,
            retention_s=settings.log_retention_s,
        )
        stack.push_async_callback(log.close)

        async def reaches_back() -> bool:
            """Whether the log has every record that was ever in it (a log without any was perhaps exchanged)."""
            begins, ends = await log.begin_offsets(), await log.next_offsets()
            return not any(begins.values()) and any(ends.values())

        store = await SelfRepairingStore.open(
            settings.store_dir,
            reaches_back=reaches_back,
            limits=settings.limits.query.class_limits(),
            versions=versions,
        )
        stack.push_async_callback(store.close)
        assets = ObjectAssets.at(settings.asset_url) if settings.asset_url else LocalAssets(settings.assets_dir)
        progress = Progress()
        crashes = CrashDirectory.open(settings.worker_dir)
        worker = Worker(
            log,
            store,
            progress,
            settings.limits.worker,
            crashes=crashes,
            versions=lambda: store.serving.versions,
            on_step=on_step,
        )
        refolding = Refolding(log, store, progress, settings.limits.worker, crashes, on_step=on_step)
        yield Parts(log, store, assets, progress, worker, refolding)


def application(
    settings: ServerSettings, keys: ApiKeys, parts: Parts, registry: CollectorRegistry | None = None
) -> web.Application:
    """All routes of the embedded server over opened parts; its metrics go into `registry`."""
    registry = registry if registry is not None else process_registry()
    access, passes = settings.access, PanelPasses()
    guard = auth_middleware(
        keys, (settings.host,), protocols=ACCESS, local_metrics=access.local_metrics, passes=passes.principal_of
    )
    app = web.Application(
        middlewares=[problem_middleware(), refusal_notices(), guard],
        client_max_size=settings.limits.gateway.max_request_bytes,
    )
    app[TRUSTED_PROXIES] = access.trusted_proxies
    add_response_headers(app)
    registry.register(EmbeddedMetrics(parts.log, parts.worker, parts.progress))

    async def worker_ready() -> str | None:
        if parts.worker.trouble is not None:
            return parts.worker.trouble
        return None if parts.worker.resumed else "it has not found its place in the log yet"

    async def store_ready() -> str | None:
        await probe(parts.store)
        return None

    def refold_note() -> str | None:
        status = parts.refolding.status
        return status.note if status is not None else None

    checks = {"worker": worker_ready, "store": store_ready}
    add_operations(app, registry, checks, {"read_models": refold_note})
    add_status(
        app,
        log=parts.log,
        store=parts.store,
        visibility=parts.progress,
        data_dir=settings.data_dir,
        settings=settings,
        refolding=lambda: parts.refolding.status,
    )
    add_rebuilds(app, parts.refolding.request)
    lookup = StoreLookup(lambda: parts.store)
    gateway = add_gateway(
        app,
        log=parts.log,
        assets=parts.assets,
        visibility=parts.progress,
        settings=settings.limits.gateway,
        lookup=lookup,
        registry=registry,
    )
    reading = ReadingSide(parts.store, parts.progress, parts.assets, settings.limits.query)
    writing = WritingSide(gateway, parts.assets, lookup, reading, settings.sealing())
    add_writes(app, writing)
    add_hosting(
        app,
        writing,
        settings.panels,
        passes,
        host=settings.host,
        has_keys=bool(keys),
        packages=settings.panel_packages_dir,
    )
    add_query(
        app,
        store=parts.store,
        visibility=parts.progress,
        log=parts.log,
        assets=parts.assets,
        settings=settings.limits.query,
        others=OWN_ROUTES,
        protocols={**ROUTES, DOCUMENT: PANEL_ROUTES},
    )
    add_reads(app, reading)
    return app


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _drain(parts: Parts, drain_s: float) -> None:
    """Wait until everything in the log is visible. What is not by then is folded by the next start."""
    end = Positions(await parts.log.next_offsets())
    if not await parts.progress.wait_for(end, drain_s):
        logger.warning("stopped after %.0f s with records left to fold; they are safe in the log", drain_s)
