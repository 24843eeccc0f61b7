"""What every process of the cluster has: its HTTP side, how it opens the log and the store, and work beside it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.cluster.store import ClusterStore
from runstream_infra.listening import guarded_runner, listen
from runstream_infra.loading import load_early
from runstream_ingest.log.kafka.brokers import BrokerWatch, ask_brokers
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_processors.generations import Versions
from runstream_protocols.all import ACCESS
from runstream_service.auth import ApiKeys, auth_middleware, check_bind
from runstream_service.metrics import ReadinessCheck, add_operations, key_counter, process_registry
from runstream_service.origins import add_response_headers
from runstream_service.problems import problem_middleware
from runstream_service.proxies import TRUSTED_PROXIES
from runstream_service.refusals import refusal_notices
from runstream_service.store import StoreUnavailable

logger = logging.getLogger(__name__)

#: The pause after a failed try to reach the store at the start.
_STORE_RETRY_S: Final = 2.0


def application(
    settings: RoleSettings,
    checks: Mapping[str, ReadinessCheck],
    notes: Mapping[str, Callable[[], str | None]] | None = None,
) -> tuple[web.Application, CollectorRegistry]:
    """Return the application that every process has, with its operations, and the registry of its metrics. checks: what
    `/readyz` needs; notes: what it only tells. Raises InvalidKey, InsecureBind."""
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
        middlewares=[problem_middleware(), refusal_notices(), guard],
        client_max_size=settings.limits.gateway.max_request_bytes,
    )
    app[TRUSTED_PROXIES] = access.trusted_proxies
    add_response_headers(app)
    add_operations(app, registry, checks, notes or {})
    return app, registry


@asynccontextmanager
async def listening(
    app: web.Application, registry: CollectorRegistry, settings: RoleSettings, on_ready: Callable[[str], None]
) -> AsyncIterator[None]:
    """Serve the application at the settings' address, which `on_ready` gets. Raises StartFailed,
    InvalidCertificate."""
    tls = settings.tls_context()
    runner = guarded_runner(app, settings.limits, registry)
    await runner.setup()
    try:
        on_ready(await listen(runner, settings.host, settings.port, tls))
        yield
        logger.info("stopping: no new requests")
    finally:
        await runner.cleanup()


async def open_log_and_store(
    settings: RoleSettings, versions: Versions, stop: asyncio.Event, stack: AsyncExitStack
) -> tuple[KafkaReader, ClusterStore] | None:
    """What is read from and written to, closed again with `stack`; None if `stop` is set before the store answers."""
    log = await KafkaReader.open(settings.kafka)
    stack.push_async_callback(log.close)
    store = await _until_stopped(open_store(settings, versions), stop)
    if store is None:
        return None
    stack.push_async_callback(store.close)
    return log, store


async def open_store(settings: RoleSettings, versions: Versions) -> ClusterStore:
    """Connect and bring the tables up to date, however long the store is away."""
    await asyncio.to_thread(load_early)
    limits = settings.limits.query.class_limits()
    while True:
        try:
            return await ClusterStore.open(settings.store, settings.generations, limits=limits, versions=versions)
        except StoreUnavailable as error:
            logger.warning("the store cannot be used, the next try is in %.0f s: %s", _STORE_RETRY_S, error)
            await asyncio.sleep(_STORE_RETRY_S)


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


def watched_brokers(settings: RoleSettings, stack: AsyncExitStack) -> ReadinessCheck:
    """Whether they answer. A gateway's appends would not tell: one that is not ready gets no requests."""
    watch = BrokerWatch(partial(ask_brokers, settings.kafka))
    run_within(stack, watch.run())
    return watch.trouble


def run_within(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run it beside everything else, until `stack` is left."""
    stack.push_async_callback(_cancelled, asyncio.create_task(work))


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
