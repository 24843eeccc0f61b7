"""Faust as the host of workers: it joins the consumer group, keeps the membership alive, and tells what is assigned.

Data do not pass through Faust. An exception in one of its agents skips an event for ever, and its commits can pass a
gap; so there are no agents, its fetcher fetches nothing, and its offsets are a hint for tools that show a group's lag.
Each worker reads its partition by itself, from where the store says.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import faust
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.consumer import Fetcher
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP
from mode import Service

from runstream_processors.hosting.generations import GenerationWorkers

logger = logging.getLogger(__name__)

#: How often the group's coordinator hears that the workers live, and learns the committed offsets.
_PULSE_S: Final = 1.0
_COMMIT_S: Final = 5.0
#: Faust's consumer reads ahead one response a partition and is never asked for it: make it a small one.
_IDLE_FETCH_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How the workers of one store form a group. Times in seconds."""

    bootstrap: tuple[str, ...]
    topic: str
    group: str = "runstream-workers"
    #: A worker without a heartbeat for so long loses its partitions.
    session_s: float = 6.0
    heartbeat_s: float = 1.0
    #: A worker whose loop hangs for so long leaves the group, although its heartbeats go on.
    hang_s: float = 60.0
    credentials: Any = None


class MembershipLost(Exception):
    """The client cannot be a member of the group any more: end the process, and start it again."""


class _Pulse(Fetcher):
    """In the place of Faust's fetcher: asks for no records, and shows the coordinator that somebody is at home."""

    @Service.task
    async def _fetcher(self) -> None:
        app = self.app
        assert isinstance(app, WorkerApp)
        next_commit_s = 0.0
        committing: asyncio.Future[Any] | None = None
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            # A loop that hangs does not come here: then the membership runs out, although the heartbeats go on.
            await _touch(app.consumer)
            # Beside it: while the brokers are away a commit takes as long as that, which is no hanging.
            if loop.time() >= next_commit_s and (committing is None or committing.done()):
                next_commit_s = loop.time() + _COMMIT_S
                committing = self.add_future(self._commit(app))
            await self.sleep(_PULSE_S)

    async def _commit(self, app: "WorkerApp") -> None:
        offsets = {TP(app.topic_name, part): offset for part, offset in app.committed().items()}
        if offsets:
            try:
                await app.consumer._commit(offsets)  # type: ignore[attr-defined]
            except Exception as error:
                # A hint that did not arrive: a rebalance is under way, or the brokers are away.
                logger.debug("the group's offsets were not committed: %s", error)


class BalancedAssignor(PartitionAssignor):
    """Faust's assignor without replicas of tables: nobody has more than partitions / workers rounded up, everybody has
    one at least, and most stay where they are.

    With one replica, its default, who joins gets what the others have beyond that number: nothing, if a third joins two
    that fold four partitions.
    """

    def __init__(self, app: Any, replicas: int = 0) -> None:
        """As Faust makes it; `replicas` counts for nothing."""
        super().__init__(app, replicas=0)


class _PulseTransport(Transport):
    Fetcher = _Pulse


class WorkerApp(faust.App):
    """The group's member. `start` and `stop` are Faust's; signals are the caller's."""

    topic_name: str
    committed: Callable[[], Mapping[int, int]]

    def _new_transport(self) -> Any:
        return _PulseTransport(self.conf.broker_consumer, self, loop=self.loop)

    def _create_directories(self) -> None:
        """None: there are no tables of Faust's here, and the directory that this process is in may be read-only."""


def make_app(
    settings: GroupSettings,
    workers: GenerationWorkers,
    *,
    committed: Callable[[], Mapping[int, int]] = dict,
) -> WorkerApp:
    """A Faust app that is not started.

    committed: the next offset of each partition that this process folds, as far as the store has it.
    """
    app = WorkerApp(
        settings.group,
        broker=[f"kafka://{address}" for address in settings.bootstrap],
        broker_credentials=settings.credentials,
        PartitionAssignor=BalancedAssignor,
        store="memory://",
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        broker_session_timeout=settings.session_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_rebalance_timeout=max(10.0, settings.session_s),
        broker_max_poll_interval=settings.hang_s,
        consumer_max_fetch_size=_IDLE_FETCH_BYTES,
        consumer_auto_offset_reset="latest",
    )
    app.topic_name, app.committed = settings.topic, committed
    app.topics.add(app.topic(settings.topic, acks=False, internal=False))

    # Strong references: a signal would forget handlers that nothing else holds.
    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(*_: Any, **__: Any) -> None:
        workers.doubt()

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(_: Any, partitions: Collection[TP], **__: Any) -> None:
        workers.assign({tp.partition for tp in partitions if tp.topic == settings.topic})

    return app


async def _touch(consumer: Any) -> None:
    """Count as a poll. Asking for records would wait for a rebalance that is under way, and hold up the thread in which
    Faust's consumer lives, which that rebalance needs.

    A poll also takes notice of what went wrong in the client's own tasks, which wait for that, or have ended. Then this
    raises MembershipLost: nothing would ever be assigned to this process again.
    """
    assert isinstance(consumer, Consumer)
    thread = consumer._thread
    client = thread._consumer
    if client is None or client._fetcher is None or client._coordinator is None:
        return

    async def touch() -> None:
        with client._fetcher._subscriptions.fetch_context():
            pass
        try:
            client._coordinator.check_errors()
        except (Exception, asyncio.CancelledError) as error:
            raise MembershipLost(
                f"Kafka's client gave up the membership of the group ({type(error).__name__}: {error}): this process "
                "has to be started again"
            ) from error

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(touch(), thread.thread_loop))
