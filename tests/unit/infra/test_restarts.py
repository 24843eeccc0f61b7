"""When the supervisor of a local cluster starts again what died."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from runstream_infra.cluster import local
from runstream_infra.cluster.local import Child, LocalCluster


def child_of(directory: Path, program: str = "pass") -> Child:
    return Child(
        role="worker",
        index=0,
        command=[sys.executable, "-c", program],
        environment={},
        address="http://127.0.0.1:1",
        log=directory / "worker-0.log",
    )


def test_who_dies_again_and_again_waits_longer_and_who_lived_does_not(tmp_path: Path) -> None:
    child, now_s, pauses = child_of(tmp_path), 1000.0, []
    for lived_s in (1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0, 10.0, 1.0):
        child.started_at_s = now_s
        now_s += lived_s
        child.notice_death(now_s)
        pauses.append(child.begin_again_at_s - now_s)
        now_s = child.begin_again_at_s
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 0.5, 1.0]


class SlowKafka:
    """One dead broker, whose start takes until somebody lets it."""

    def __init__(self, directory: Path, brokers: int) -> None:
        self.starting, self.may_start = threading.Event(), threading.Event()
        self.nodes = [self]
        self.bootstrap = self.address = "127.0.0.1:1"
        self.alive, self.pid, self.log_path = False, None, directory / "broker.log"

    def start_node(self, number: int) -> None:
        self.starting.set()
        assert self.may_start.wait(120)
        self.alive = True


@pytest.mark.sockets
async def test_what_else_died_does_not_wait_for_a_broker_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "KafkaCluster", SlowKafka)
    supervisor = local._Supervisor(LocalCluster(data_dir=tmp_path, clickhouse_url="http://127.0.0.1:1"))
    child = child_of(tmp_path)
    supervisor._roles = [child]
    kafka, stop = supervisor._kafka, asyncio.Event()
    assert isinstance(kafka, SlowKafka)
    keeping = asyncio.create_task(supervisor._keep_kafka(stop))
    assert await asyncio.to_thread(kafka.starting.wait, 30)

    child.start()
    assert child.process is not None
    child.process.wait(120)
    async with asyncio.timeout(240):
        while child.restarts < 1:
            supervisor._look()
            await asyncio.sleep(0.05)
    assert not kafka.alive

    kafka.may_start.set()
    stop.set()
    await keeping
    assert kafka.alive
    assert child.process is not None
    child.process.wait(120)
