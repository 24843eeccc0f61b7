"""One process of each kind. Each serves /healthz, /readyz and /metrics beside what it is for, and ends on SIGTERM."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final, Literal

from aiohttp import web
from faust.auth import SASLCredentials, SSLCredentials
from prometheus_client import CollectorRegistry

from runstream.errors import InvalidSetting
from runstream_infra.cluster.disks import StoreDisks
from runstream_infra.cluster.following import Following
from runstream_infra.cluster.metrics import GatewayProcessMetrics, QueryMetrics, WorkerMetrics, timed
from runstream_infra.cluster.refold_watch import RefoldWatch
from runstream_infra.cluster.refolding import ClusterRefolding
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.cluster.store import ClusterStore
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_infra.listening import StartFailed, guarded_runner, listen, stop_on_signals
from runstream_infra.maintenance import maintain
from runstream_infra.routes import OWN_ROUTES
from runstream_infra.status import add_status
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.log.kafka.brokers import BrokerWatch, ask_brokers
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_processors.generations import CURRENT, Versions
from runstream_processors.hosting.faust_app import GroupSettings, WorkerApp, make_app
from runstream_processors.hosting.generations import GenerationWorkers
from runstream_processors.store.health import probe
from runstream_processors.worker.guarding import CrashDirectory, locked_slot
from runstream_protocols.all import ACCESS, ROUTES, add_reads, add_writes
from runstream_protocols.protocol import ReadingSide, WritingSide
from runstream_query.http.routes import add_query
from runstream_query.lookup import StoreLookup
from runstream_service.assets import AssetError
from runstream_service.auth import ApiKeys, InsecureBind, InvalidKey, auth_middleware, check_bind
from runstream_service.log import LogError
from runstream_service.logs import configure_logging
from runstream_service.metrics import ReadinessCheck, add_operations, key_counter, process_registry
from runstream_service.origins import add_answer_headers
from runstream_service.problems import problem_middleware
from runstream_service.proxies import TRUSTED_PROXIES
from runstream_service.store import StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

Role = Literal["gateway", "worker", "query-server"]

#: How long leaving the group may take. Without brokers Faust takes a minute, and who stops this process kills it then.
_LEAVE_S: Final = 10.0
#: The pause after a failed try to reach the store at the start.
_STORE_RETRY_S: Final = 2.0


def run_role(
    role: Role,
    settings: RoleSettings,
    on_ready: Callable[[str], None],
    *,
    on_step: Callable[[str], None] = lambda step: None,
    versions: Versions = CURRENT,
) -> int:
    """Serve until SIGINT or SIGTERM. Blocks; call it from the main thread.

    on_ready: called once with the address, when the port is open; `/readyz` says when the rest is, too. on_step: see
    `ClusterRefolding` (fault tests). versions: of the read models. Returns 0 after an orderly end, 1 if the process
    gave up by itself. Raises StartFailed.
    """
    configure_logging(settings.log_format)
    os.umask(0o077)
    serve = {"gateway": _serve_gateway, "worker": _serve_worker, "query-server": _serve_query}[role]
    try:
        return asyncio.run(serve(settings, versions, on_ready, on_step))
    except (LogError, StoreError, AssetError, InvalidKey, InsecureBind, InvalidSetting, OSError) as error:
        raise StartFailed(str(error)) from error


async def _serve_gateway(settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None], _: Any) -> int:
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        log = await KafkaWriter.open(settings.kafka)
        stack.push_async_callback(log.close)
        # It takes in data while the store is away: only answers that wait for a position need it.
        visibility = StoreVisibility()
        visibility.start()
        stack.push_async_callback(visibility.close)
        stores: list[ClusterStore] = []
        _run_within(stack, _find_store(settings, versions, visibility, stores, stack))

        app, registry = _application(settings, {"brokers": _watched_brokers(settings, stack)})
        registry.register(GatewayProcessMetrics(log, visibility))
        assets = settings.open_assets()
        lookup = StoreLookup(lambda: stores[0] if stores else None)
        gateway = add_gateway(
            app,
            log=log,
            assets=assets,
            visibility=visibility,
            settings=settings.limits.gateway,
            lookup=lookup,
            registry=registry,
        )
        add_writes(app, WritingSide(gateway, assets, lookup))
        async with _listening(app, registry, settings, on_ready):
            await stop.wait()
    return 0


async def _serve_query(settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None], _: Any) -> int:
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        opened = await _open_log_and_store(settings, versions, stop, stack)
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
            _run_within(stack, work)
        app, registry = _application(settings, {"store": store_ready}, {"read_models": refolding.note})
        disks = StoreDisks(store)
        _run_within(stack, disks.run())
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
        async with _listening(app, registry, settings, on_ready):
            await stop.wait()
    return 0


async def _serve_worker(
    settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None], on_step: Callable[[str], None]
) -> int:
    stop = stop_on_signals()
    deaths: list[BaseException] = []

    def on_death(error: BaseException) -> None:
        logger.critical("a worker gave up: %s", error)
        deaths.append(error)
        stop.set()

    async with AsyncExitStack() as stack:
        opened = await _open_log_and_store(settings, versions, stop, stack)
        if opened is None:
            return 0
        log, store = opened
        workers = GenerationWorkers(on_death)
        stack.push_async_callback(workers.close)
        crashes = _crash_directory(settings, stack)
        refolding = ClusterRefolding(store, log, workers, settings, crashes, on_death, on_step=on_step)
        await refolding.fold()
        following, watch = Following(log, refolding.visible), RefoldWatch(store, log)
        maintaining = maintain(store, settings.store.engine_profile)
        for work in (refolding.run(), following.run(), watch.run(), maintaining):
            _run_within(stack, work)

        def committed() -> dict[int, int]:
            visible = refolding.visible().next_offsets
            return {part: visible[part] for part in workers.workers if part in visible}

        group = make_app(_group(settings), workers, committed=committed)

        async def group_ready() -> str | None:
            return None if workers.settled else "the group has not assigned partitions to it, or none for long"

        async def workers_ready() -> str | None:
            return next((worker.trouble for worker in workers.workers.values() if worker.trouble), None)

        checks = {"brokers": _watched_brokers(settings, stack), "group": group_ready, "workers": workers_ready}
        app, registry = _application(settings, checks, {"read_models": lambda: refolding.trouble or watch.note()})
        registry.register(WorkerMetrics(workers, following))
        async with _listening(app, registry, settings, on_ready):
            await _member_until(group, stop)
    return 1 if deaths or group.crashed else 0


def _crash_directory(settings: RoleSettings, stack: AsyncExitStack) -> CrashDirectory | None:
    """Of this process alone; without one a record that ends processes is not found, so that is said."""
    try:
        directory = settings.worker_dir()
        slot, release = locked_slot(directory)
        stack.callback(release)
        return CrashDirectory.open(slot)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        logger.warning(
            "no directory for the marks of workers, so a record that ends this process would end it again after each "
            "start: set RUNSTREAM_WORKER_STATE_DIR to one that can be written (%s)",
            error,
        )
        return None


async def _member_until(group: WorkerApp, stop: asyncio.Event) -> None:
    """Be a member of the group until `stop` is set or Faust gives up (then it has logged why)."""
    await group.start()
    try:
        stopped = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(group.wait_until_stopped())
        await asyncio.wait((stopped, crashed), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        crashed.cancel()
    finally:
        stopping = asyncio.create_task(group.stop())
        await asyncio.wait((stopping,), timeout=_LEAVE_S)
        if not stopping.done():
            logger.warning("the group was not left within %.0f s: the brokers are away", _LEAVE_S)


def _application(
    settings: RoleSettings,
    checks: Mapping[str, ReadinessCheck],
    notes: Mapping[str, Callable[[], str | None]] | None = None,
) -> tuple[web.Application, CollectorRegistry]:
    keys = ApiKeys.from_plain(settings.api_keys)
    check_bind(settings.host, keys)
    registry, access = process_registry(), settings.access
    guard = auth_middleware(
        keys,
        (settings.host,),
        key_counter(registry),
        protocols=ACCESS,
        local_metrics=access.local_metrics,
    )
    app = web.Application(
        middlewares=[problem_middleware(), guard], client_max_size=settings.limits.gateway.max_request_bytes
    )
    app[TRUSTED_PROXIES] = access.trusted_proxies
    add_answer_headers(app)
    add_operations(app, registry, checks, notes or {})
    return app, registry


@asynccontextmanager
async def _listening(
    app: web.Application, registry: CollectorRegistry, settings: RoleSettings, on_ready: Callable[[str], None]
) -> AsyncIterator[None]:
    runner = guarded_runner(app, settings.limits, registry)
    await runner.setup()
    try:
        on_ready(await listen(runner, settings.host, settings.port))
        yield
        logger.info("stopping: no new requests")
    finally:
        await runner.cleanup()


async def _open_log_and_store(
    settings: RoleSettings, versions: Versions, stop: asyncio.Event, stack: AsyncExitStack
) -> tuple[KafkaReader, ClusterStore] | None:
    """What is read from and written to, closed again with `stack`; None if `stop` is set before the store answers."""
    log = await KafkaReader.open(settings.kafka)
    stack.push_async_callback(log.close)
    store = await _until_stopped(_open_store(settings, versions), stop)
    if store is None:
        return None
    stack.push_async_callback(store.close)
    return log, store


async def _open_store(settings: RoleSettings, versions: Versions) -> ClusterStore:
    """Connect and bring the tables up to date, however long the store is away."""
    limits = settings.limits.query.class_limits()
    while True:
        try:
            return await ClusterStore.open(settings.store, settings.generations, limits=limits, versions=versions)
        except StoreUnavailable as error:
            logger.warning("the store cannot be used, the next try is in %.0f s: %s", _STORE_RETRY_S, error)
            await asyncio.sleep(_STORE_RETRY_S)


async def _find_store(
    settings: RoleSettings,
    versions: Versions,
    visibility: StoreVisibility,
    stores: list[ClusterStore],
    stack: AsyncExitStack,
) -> None:
    try:
        store = await _open_store(settings, versions)
    except StoreError as error:
        visibility.trouble = str(error)
        logger.error("the store cannot be used, so no answer can wait until its data are visible: %s", error)
        return
    stack.push_async_callback(store.close)
    stores.append(store)
    visibility.committed = store.committed
    await store.follow()


async def _until_stopped(opening: Awaitable[ClusterStore], stop: asyncio.Event) -> ClusterStore | None:
    """What it opens; None if `stop` is set before."""
    task = asyncio.ensure_future(opening)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        await _cancelled(task)
        return None
    return await task


def _watched_brokers(settings: RoleSettings, stack: AsyncExitStack) -> ReadinessCheck:
    """Whether they answer. A gateway's appends would not tell: one that is not ready gets no requests."""
    watch = BrokerWatch(partial(ask_brokers, settings.kafka))
    _run_within(stack, watch.run())
    return watch.trouble


def _run_within(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run it beside everything else, until `stack` is left."""
    stack.push_async_callback(_cancelled, asyncio.create_task(work))


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _group(settings: RoleSettings) -> GroupSettings:
    kafka = settings.kafka
    return GroupSettings(
        bootstrap=tuple(kafka.bootstrap.split(",")),
        topic=kafka.topic,
        group=settings.worker_group,
        session_s=settings.worker_session_s,
        heartbeat_s=min(1.0, settings.worker_session_s / 6),
        credentials=_credentials(kafka),
    )


def _credentials(kafka: KafkaSettings) -> Any:
    """The same as Faust takes them; None without TLS and password. Raises InvalidSetting."""
    arguments = kafka.client_arguments()
    context = arguments.get("ssl_context")
    if "sasl_mechanism" in arguments:
        return SASLCredentials(
            username=arguments["sasl_plain_username"],
            password=arguments["sasl_plain_password"],
            mechanism=arguments["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context=context) if context is not None else None
