"""A cluster whose tables an older build left, and who reads while the next generation is built beside them."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from kit.cluster.check import begin
from kit.cluster.load import FrameLoad
from kit.cluster.processes import Cluster, wait_while_moving
from runstream.api import API
from runstream.api.views.summaries import Summary
from runstream.errors import Unavailable
from runstream_processors.generations import CURRENT, Recorded, Stage
from runstream_processors.store.generations import record
from runstream_processors.store.http import HttpStore
from runstream_processors.store.resume import commits
from runstream_service.store import StoreError

#: The database of the generation that is built.
SECOND = "runstream_generation_2"
PARTITIONS = 2
FRAMES_A_STEP = 60
#: A lease of two seconds, and no grace beyond it.
PACE = {"RUNSTREAM_GENERATIONS_POLL_S": "0.2", "RUNSTREAM_GENERATIONS_GRACE_S": "0"}
#: Of a build whose summaries had no standard deviation.
OLDER = {**CURRENT, "summary_states": 1}


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
