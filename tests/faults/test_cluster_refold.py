"""A real cluster goes from one generation of the read models to the next under load, while the worker that takes the
steps is killed at each of them, and query servers in between: whoever reads meets the old generation or the new one,
whole, and in the end every value is there once."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kit.cluster.check import Row, begin, checked
from kit.cluster.load import FrameLoad
from kit.cluster.processes import Cluster, DyingWorkers, wait_for, wait_while_moving
from kit.servers.dev_clickhouse import DevServer
from kit.servers.real_kafka import need_kafka
from runstream.api import API
from runstream.api.views.summaries import Summary
from runstream.errors import Unavailable
from runstream_processors.generations import CURRENT, Recorded, Stage
from runstream_processors.store.generations import record
from runstream_processors.store.http import HttpStore
from runstream_processors.store.resume import commits
from runstream_service.store import StoreError

#: What the worker dies of, in the order of the steps.
ALL_STEPS = (
    "building recorded",
    "tables made",
    "rebuilding: after points",
    "caught up",
    "compared",
    "ready recorded",
    "serving recorded",
    "retired recorded",
    "tables dropped",
)
#: Those of them that change what readers are told. `make faults` dies at all.
FEW_STEPS = ("building recorded", "rebuilding: after points", "compared", "serving recorded", "tables dropped")
STEPS = ALL_STEPS if "RUNSTREAM_KILLS" in os.environ else FEW_STEPS
#: At these a query server dies, too, which the supervisor starts again.
QUERY_SERVER_DIES = ("compared", "serving recorded")
#: The database of the generation that is built.
SECOND = "runstream_generation_2"
PARTITIONS = 2
FRAMES_A_STEP = 60
#: A lease of two seconds, and no grace beyond it.
PACE = {"RUNSTREAM_GENERATIONS_POLL_S": "0.2", "RUNSTREAM_GENERATIONS_GRACE_S": "0"}
#: Of a build whose summaries had no standard deviation.
OLDER = {**CURRENT, "summary_states": 1}

pytestmark = pytest.mark.timeout(900)


class Reader(threading.Thread):
    """Reads the summaries of a run that has ended, at every query server in turn, until it is stopped."""

    def __init__(self, urls: list[str], run: str, wanted: list[Summary]) -> None:
        super().__init__(daemon=True)
        self._apis = [API(url=url) for url in urls]
        self._run, self._wanted = run, without_deviations(wanted)
        self._deviations = {summary.metric: summary.std for summary in wanted}
        self._stopped = threading.Event()
        self.old = self.new = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._stopped.wait(0.05):
            for api in self._apis:
                try:
                    self._compare(list(api.summaries(self._run)))
                except Unavailable:
                    continue  # it was killed, or does not know which generation serves

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)

    def _compare(self, found: list[Summary]) -> None:
        deviations = {summary.metric: summary.std for summary in found}
        if without_deviations(found) != self._wanted:
            self.wrong.append(f"{found}")
        elif set(deviations.values()) == {None}:
            self.old += 1
        elif repr(deviations) == repr(self._deviations):
            self.new += 1
        else:
            self.wrong.append(f"{deviations}")


def without_deviations(summaries: list[Summary]) -> list[str]:
    return sorted(repr(replace(summary, std=None)) for summary in summaries)


@contextmanager
def paused_worker(cluster: Cluster) -> Iterator[None]:
    """The supervisor's worker stands still; it wakes with what it knew before."""
    process = cluster.send("worker", 0, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def as_an_older_build_left_them(cluster: Cluster) -> None:
    """The tables say that they are of an older version, and lack what that one did not have."""
    store = await HttpStore.open(cluster.store_settings())
    await store.command(
        "ALTER TABLE summary_states UPDATE std = NULL, squares_exponent = 0, squares_digits = [] WHERE true "
        "SETTINGS mutations_sync = 2"
    )
    await store.command("TRUNCATE TABLE generations")
    await record(store, Recorded(1, Stage.SERVING, OLDER))
    await store.close()


async def folded(cluster: Cluster) -> int:
    """How many records are folded into the generations that are there."""
    store = await HttpStore.open(cluster.store_settings())
    count = 0
    for database in ("runstream", SECOND):
        with suppress(StoreError):  # its tables are not made yet, or gone
            count += sum(commit.next_offset for commit in (await commits(store, database)).values())
    await store.close()
    return count


def settled_run(cluster: Cluster) -> tuple[str, list[Summary]]:
    """A run that has ended, and its summaries."""
    with FrameLoad("settled", cluster.kafka_settings(), PARTITIONS) as load:
        load.append(FRAMES_A_STEP)
        load.end()
        run = load.runs()[0]
    ends = sum(asyncio.run(begin(cluster)).values())
    wait_while_moving(lambda: asyncio.run(folded(cluster)) == ends, lambda: asyncio.run(folded(cluster)), "the load")
    summaries = list(API(url=cluster.processes("query-server")[0].address).summaries(run))
    assert summaries
    assert None not in {summary.std for summary in summaries}
    return run, summaries


def test_kills_at_every_step_leave_the_old_or_the_new_and_lose_nothing(tmp_path: Path) -> None:
    need_kafka()
    options = ("--workers", "1", "--gateways", "1", "--queries", "2", "--partitions", str(PARTITIONS))
    with DevServer(tmp_path / "store") as store:
        environment = {**PACE, "RUNSTREAM_CLICKHOUSE_URL": store.url}
        with Cluster(tmp_path / "cluster", *options, environment=environment, forked=True) as cluster:
            run, wanted = settled_run(cluster)
            reader = Reader([process.address for process in cluster.processes("query-server")], run, wanted)
            load = FrameLoad("refold", cluster.kafka_settings(), PARTITIONS)
            begun = asyncio.run(begin(cluster))
            with paused_worker(cluster), load:
                asyncio.run(as_an_older_build_left_them(cluster))
                reader.start()
                died(cluster, load)
                load.end()
            row = asyncio.run(checked(cluster, Row("refold", ""), [load], begun, SECOND))
            wait_for(lambda: reader.new > 0, 200, "the new generation to be read")
            reader.stop()
            cluster.wait_until_ready()
            status = API(url=cluster.url).server.status()
    assert row.holds, row
    assert reader.wrong == []
    assert reader.old > 0
    assert status.read_models is not None
    assert (status.read_models.serving, status.read_models.building) == (2, None)
    print(f"\n{len(STEPS)} kills; {row.points} points; read {reader.old} times the old, {reader.new} times the new")


def died(cluster: Cluster, load: FrameLoad) -> None:
    """Workers die at each step, one behind the other; what is logged meanwhile is folded by the next."""
    with DyingWorkers(cluster) as workers:
        for step in STEPS:
            began_s = time.monotonic()
            workers.start(step, 1)
            load.append(FRAMES_A_STEP)
            wait_while_moving(lambda: not workers.living, lambda: asyncio.run(folded(cluster)), f"a death at {step}")
            assert workers.died_at[-1] == step
            print(f"{step}: {time.monotonic() - began_s:.1f} s")
            if step in QUERY_SERVER_DIES:
                cluster.send("query-server", 0)
