"""A worker: a member of the group that folds the log into the store."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from faust.auth import SASLCredentials, SSLCredentials

from runstream_infra.cluster.following import Following
from runstream_infra.cluster.metrics import WorkerMetrics
from runstream_infra.cluster.process import (
    application,
    listening,
    open_log_and_store,
    run_within,
    watched_brokers,
)
from runstream_infra.cluster.refold_watch import RefoldWatch
from runstream_infra.cluster.refolding import ClusterRefolding
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.listening import stop_on_signals
from runstream_infra.maintenance import maintain
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_processors.generations import Versions
from runstream_processors.hosting.faust_app import GroupSettings, WorkerApp, make_app
from runstream_processors.hosting.generations import GenerationWorkers
from runstream_processors.worker.guarding import CrashDirectory, locked_slot

logger = logging.getLogger(__name__)

#: How long leaving the group may take. Without brokers Faust takes a minute, and who stops this process kills it then.
_LEAVE_S: Final = 10.0


async def serve(
    settings: RoleSettings, versions: Versions, on_ready: Callable[[str], None], on_step: Callable[[str], None]
) -> int:
    """Serve until a signal or until a worker gives up; see `roles.run_role`."""
    stop = stop_on_signals()
    deaths: list[BaseException] = []

    def on_death(error: BaseException) -> None:
        logger.critical("a worker gave up: %s", error)
        deaths.append(error)
        stop.set()

    async with AsyncExitStack() as stack:
        opened = await open_log_and_store(settings, versions, stop, stack)
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
            run_within(stack, work)

        def committed() -> dict[int, int]:
            visible = refolding.visible().next_offsets
            return {part: visible[part] for part in workers.workers if part in visible}

        group = make_app(_group(settings), workers, committed=committed)

        async def group_ready() -> str | None:
            return None if workers.settled else "the group has not assigned partitions to it, or none for long"

        async def workers_ready() -> str | None:
            return next((worker.trouble for worker in workers.workers.values() if worker.trouble), None)

        checks = {"brokers": watched_brokers(settings, stack), "group": group_ready, "workers": workers_ready}
        app, registry = application(settings, checks, {"read_models": lambda: refolding.trouble or watch.note()})
        registry.register(WorkerMetrics(workers, following))
        async with listening(app, registry, settings, on_ready):
            await _member_until(group, stop)
    return 1 if deaths or group.crashed else 0


def _crash_directory(settings: RoleSettings, stack: AsyncExitStack) -> CrashDirectory | None:
    """Of this process alone; without one a record that ends processes is not found, so the log says that."""
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
