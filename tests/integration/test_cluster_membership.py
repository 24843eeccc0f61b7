"""The group's member against a real Kafka: what keeps its membership alive, and what ends it with the process."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.servers import real_kafka
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_processors.hosting.faust_app import GroupSettings, MembershipLost, WorkerApp, make_app

pytestmark = pytest.mark.timeout(900)

PARTITIONS = 3


class Assigned:
    """In the place of the workers: what was assigned."""

    def __init__(self) -> None:
        self.partitions: set[int] = set()
        self.times = 0
        self.all = asyncio.Event()

    def assign(self, partitions: set[int]) -> None:
        self.partitions = partitions
        self.times += 1
        if len(partitions) == PARTITIONS:
            self.all.set()

    def doubt(self) -> None:
        self.partitions = set()


@asynccontextmanager
async def member(workers: Assigned, **changed: Any) -> AsyncIterator[WorkerApp]:
    """A member of a group of its own, that has all partitions of a topic."""
    settings = real_kafka.settings(real_kafka.bootstrap(), partitions=PARTITIONS)
    log = await KafkaWriter.open(settings)
    await log.close()
    group = GroupSettings(
        bootstrap=(settings.bootstrap,),
        topic=settings.topic,
        group=uuid.uuid4().hex,
        session_s=6.0,
        heartbeat_s=0.2,
        hang_s=changed.pop("hang_s", 60.0),
    )
    app = make_app(group, workers, **changed)  # type: ignore[arg-type]
    await app.start()
    try:
        await asyncio.wait_for(workers.all.wait(), 120)
        yield app
    finally:
        await app.stop()


async def test_a_commit_that_takes_for_ever_ends_no_membership() -> None:
    """While the brokers are away a commit waits for them; meanwhile the process must go on to show that it lives."""
    workers = Assigned()
    began = asyncio.Event()

    async with member(workers, hang_s=2.0, committed=lambda: {0: 1}) as app:

        async def never_ending(_: Any) -> None:
            began.set()
            await asyncio.Event().wait()

        app.consumer._commit = never_ending  # type: ignore[attr-defined]
        await asyncio.wait_for(began.wait(), 120)
        await asyncio.sleep(5.0)
        assert workers.partitions == set(range(PARTITIONS))
        assert workers.times == 1, "it left the group and joined it again"


@pytest.mark.parametrize("how", ["ended", "waits"])
async def test_a_client_that_gave_up_ends_the_process(how: str) -> None:
    """Nothing else would tell: heartbeats end, the partitions go to others, and nothing is ever assigned again."""
    workers = Assigned()
    async with member(workers) as app:
        thread: Any = app.consumer._thread  # type: ignore[attr-defined]
        coordinator = thread._consumer._coordinator
        if how == "ended":
            thread.thread_loop.call_soon_threadsafe(coordinator._coordination_task.cancel)
        else:

            async def push() -> None:
                await coordinator._push_error_to_user(RuntimeError("not allowed"))

            asyncio.run_coroutine_threadsafe(push(), thread.thread_loop)
        await asyncio.wait_for(app.wait_until_stopped(), 120)
        assert app.crashed
        assert isinstance(app.crash_reason, MembershipLost)
