"""The crash matrix: a cluster of real processes under load, of which each part is killed, paused or cut off.

After every cell, value by value: what was produced is in the log, folded and visible, no point is doubled, and every
summary is the oracle's. In the end a rebuild from the log gives the same tables; with RUNSTREAM_KILLS=N after every
cell, each of which then does its worst N times at least. RUNSTREAM_SEED says when (1). docs/crash-matrix.md has a
longer run.
"""

import asyncio
import json
import os
import random
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.children.worker import STEPS
from kit.cluster.check import Load, Row, begin, checked, folded, unlike_rebuilt
from kit.cluster.load import CellTrainers, FrameLoad, KilledTrainers
from kit.cluster.processes import SESSION_S, Cluster, DyingWorkers, end, status_of, wait_for, wait_while_moving
from kit.cluster.table import table_of
from kit.sending.kills import await_sender, kill_sender
from kit.servers.dev_clickhouse import DevServer
from kit.servers.proxy import FaultyProxy
from kit.servers.real_kafka import need_kafka
from runstream.sender.sync import sync
from runstream_processors.worker.inserts import COMMIT

KILLS = int(os.environ.get("RUNSTREAM_KILLS", "0"))
SEED = int(os.environ.get("RUNSTREAM_SEED", "1"))
#: Two for each worker at least; each start of a worker looks where to go on in all of its own.
PARTITIONS = 8 if KILLS else 4
#: What is appended while a worker starts that is to die at a step: events for every table in each partition.
FRAMES_A_STEP = 300
ROWS: list[Row] = []

pytestmark = pytest.mark.timeout(1200 + 60 * KILLS)


def times(least: int) -> int:
    return max(least, KILLS)


@dataclass(frozen=True)
class Matrix:
    """The cluster that the cells share, and its store, which the tests start and end themselves."""

    cluster: Cluster
    store: DevServer


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    need_kafka()
    directory = tmp_path_factory.mktemp("matrix")
    options = ("--workers", "2", "--gateways", "2", "--queries", "1", "--partitions", str(PARTITIONS))
    with DevServer(directory / "store") as store:
        # Batches of the workers, which take most of the CPU time, are fewer than users have.
        environment = {"RUNSTREAM_CLICKHOUSE_URL": store.url, "RUNSTREAM_WORKER_MIN_CYCLE_S": "1"}
        with Cluster(directory / "cluster", *options, environment=environment, forked=True) as cluster:
            yield Matrix(cluster, store)


@dataclass
class Cell:
    """One row of the matrix while it is made."""

    name: str
    cluster: Cluster
    folder: Path
    begun: dict[int, int]
    rebuilds: bool
    loads: list[Load] = field(default_factory=list)
    source: random.Random = field(default_factory=lambda: random.Random(SEED))

    def pause(self, most_s: float) -> None:
        time.sleep(self.source.random() * most_s)

    def prove(self, kills: str) -> None:
        """Everything that was produced is acknowledged by now; compare it with what is visible."""
        self.cluster.wait_until_ready()
        row = Row(self.name, kills)
        row = asyncio.run(checked(self.cluster, row, self.loads, self.begun, rebuilds=self.rebuilds))
        ROWS.append(row)
        assert row.holds, row


@contextmanager
def cell(name: str, cluster: Cluster, folder: Path, rebuilds: bool = KILLS > 0) -> Iterator[Cell]:
    cluster.wait_until_ready()
    yield Cell(name, cluster, folder, dict(asyncio.run(begin(cluster))), rebuilds)


@contextmanager
def under_trainers(
    name: str, cluster: Cluster, folder: Path, url: str = "", rebuilds: bool = KILLS > 0
) -> Iterator[tuple[Cell, CellTrainers]]:
    """A cell with trainers that log until `end` is called."""
    prefix = re.sub("[^a-z]+", "_", name)
    with (
        cell(name, cluster, folder, rebuilds) as made,
        CellTrainers(prefix, folder / "trainers", url or cluster.url) as trainers,
    ):
        made.loads.append(trainers)
        wait_for(lambda: (trainers.spool / "writers").exists(), 200, "the first trainer")
        time.sleep(1.0)
        try:
            yield made, trainers
        finally:
            kill_sender(trainers.spool)


def test_trainers_are_killed(matrix: Matrix, tmp_path: Path) -> None:
    with cell("trainer", matrix.cluster, tmp_path) as made:
        trainers = KilledTrainers(tmp_path / "trainers", matrix.cluster.url)
        made.loads.append(trainers)
        kills = 0
        try:
            while kills < times(4):
                trainers.refill()
                made.pause(0.6)
                kills += trainers.kill(made.source.choice(list(trainers.living)))
        finally:
            trainers.close()
        assert sync(trainers.spool, timeout_s=120).left == ()
        kill_sender(trainers.spool)
        made.prove(f"{kills} SIGKILL")


def test_the_sender_is_killed(matrix: Matrix, tmp_path: Path) -> None:
    with under_trainers("sender", matrix.cluster, tmp_path) as (made, trainers):
        kills = 0
        while kills < times(4):
            await_sender(trainers.spool)
            made.pause(1.0)
            kills += kill_sender(trainers.spool)
        trainers.end()
        made.prove(f"{kills} SIGKILL")


def test_requests_are_lost_repeated_delayed_and_reordered(matrix: Matrix, tmp_path: Path) -> None:
    with (
        FaultyProxy(matrix.cluster.url, SEED) as network,
        under_trainers("network", matrix.cluster, tmp_path, network.url) as (made, trainers),
    ):
        wanted = times(30)
        wait_for(lambda: network.faults.total() - network.faults["none"] >= wanted, 200 + wanted, f"{wanted} faults")
        network.healthy = True
        trainers.end()
        made.prove(f"{network.faults.total() - network.faults['none']} requests")
        assert len(network.faults) >= 6


@pytest.mark.parametrize("role", ["gateway", "worker"])
def test_processes_are_killed_at_random(matrix: Matrix, tmp_path: Path, role: str) -> None:
    with under_trainers(role, matrix.cluster, tmp_path) as (made, trainers):
        for number in range(times(2)):
            if number % 2:  # the other kills may meet one that starts
                matrix.cluster.wait_until_ready()
            made.pause(2.0)
            matrix.cluster.send(role, made.source.randrange(2))
        trainers.end()
        made.prove(f"{times(2)} SIGKILL")


@contextmanager
def paused(cluster: Cluster, role: str) -> Iterator[None]:
    """All processes of a role stand still."""
    stopped = [cluster.send(role, index, signal.SIGSTOP) for index in range(len(cluster.processes(role)))]
    try:
        yield
    finally:
        for process in stopped:
            os.kill(process.pid, signal.SIGCONT)


def steps_to_die_at(source: random.Random) -> list[str]:
    """Without KILLS a sixth of the steps, and with them those around the commit row: test_worker_kills walks through
    all of them in one process."""
    if len(STEPS) <= KILLS:
        steps = [step for _ in range(KILLS // len(STEPS)) for step in STEPS]
    else:
        around = [step for step in STEPS if step.endswith(COMMIT)]
        others = [step for step in STEPS if step not in around]
        steps = around + source.sample(others, max(KILLS, len(STEPS) // 6) - len(around))
    source.shuffle(steps)
    return steps


# As long as it takes: it ends when nothing moves for two minutes.
@pytest.mark.timeout(1800 + 60 * KILLS)
def test_workers_are_killed_between_every_two_steps(matrix: Matrix, tmp_path: Path) -> None:
    with cell("worker, at each step", matrix.cluster, tmp_path) as made:
        steps = steps_to_die_at(made.source)
        load = FrameLoad("steps", matrix.cluster.kafka_settings(), PARTITIONS, SEED)
        made.loads.append(load)
        # The cluster's own workers stand still meanwhile, so that each step is come to, and find out at the end.
        with paused(matrix.cluster, "worker"), load, DyingWorkers(matrix.cluster) as workers:
            for step in steps:
                # The first visit may be among what another worker left half written.
                workers.start(step, made.source.choice((1, 1, 2, 3)))
                load.append(FRAMES_A_STEP)
                wait_while_moving(
                    lambda: not workers.living, lambda: asyncio.run(folded(matrix.cluster)), f"a death at {step}"
                )
                assert workers.died_at[-1] == step
            assert sorted(workers.died_at) == sorted(steps)
            load.end()
        made.prove(f"{len(steps)} SIGKILL")


def test_a_paused_worker_wakes_after_its_partitions_moved(matrix: Matrix, tmp_path: Path) -> None:
    cluster = matrix.cluster
    with under_trainers("worker, paused", cluster, tmp_path) as (made, trainers):
        for number in range(times(1)):
            made.pause(2.0)
            chosen = number % 2
            process = cluster.send("worker", chosen, signal.SIGSTOP)
            try:
                folding = cluster.processes("worker")[1 - chosen].address
                wait_for(lambda url=folding: partitions_of(url) == PARTITIONS, 200, "its partitions to move")  # type: ignore[misc]
                made.pause(2.0)
            finally:
                os.kill(process.pid, signal.SIGCONT)
            made.pause(3.0)
        trainers.end()
        made.prove(f"{times(1)} SIGSTOP")
        wait_for(lambda: all(partitions_of(p.address) > 0 for p in cluster.processes("worker")), 200, "both to fold")


def partitions_of(url: str) -> int:
    """How many partitions the worker at this address folds."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
    except OSError:
        return -1
    return next(int(float(line.split()[-1])) for line in lines if line.startswith("runstream_worker_partitions "))


def partitions_folded_by(cluster: Cluster) -> int:
    """How many partitions the workers of the supervisor fold."""
    return sum(partitions_of(process.address) for process in cluster.processes("worker"))


def test_workers_join_and_leave(matrix: Matrix, tmp_path: Path) -> None:
    cluster = matrix.cluster
    with under_trainers("worker, joins and leaves", cluster, tmp_path) as (made, trainers):
        for number in range(times(2)):
            joined = cluster.start_worker()
            wait_for(lambda: 0 < partitions_folded_by(cluster) < PARTITIONS, 200, "the new one to get partitions")
            made.pause(2.0)
            assert end(joined, signal.SIGKILL if number % 2 else signal.SIGTERM) == (-9 if number % 2 else 0)
            wait_for(lambda: partitions_folded_by(cluster) == PARTITIONS, 200, "the others to get them back")
        trainers.end()
        made.prove(f"{times(2)} joins")


def test_the_store_is_killed(matrix: Matrix, tmp_path: Path) -> None:
    with under_trainers("store", matrix.cluster, tmp_path) as (made, trainers):
        for _ in range(times(2)):
            made.pause(2.0)
            matrix.store.kill()
            made.pause(0.5)
            matrix.store.start()
        trainers.end()
        made.prove(f"{times(2)} SIGKILL")


def test_the_store_is_away_and_hangs(matrix: Matrix, tmp_path: Path) -> None:
    cluster = matrix.cluster
    with under_trainers("store, outage", cluster, tmp_path) as (made, trainers):
        for number in range(times(2)):
            made.pause(1.0)
            if number % 2:
                os.kill(matrix.store.pid, signal.SIGSTOP)
                time.sleep(2.0 * SESSION_S)
                os.kill(matrix.store.pid, signal.SIGCONT)
                continue
            matrix.store.kill()
            before = asyncio.run(begin(cluster))
            wait_for(lambda: refuses_reads(cluster.url), 200, "reads to be answered with 503 problem+json")
            time.sleep(2.0 * SESSION_S)
            after = asyncio.run(begin(cluster))
            assert sum(after.values()) > sum(before.values()), "gateways take in data while the store is away"
            matrix.store.start()
        trainers.end()
        made.prove(f"{times(2)} outages")
        assert status_of(f"{cluster.url}/api/v1/runs") == 200


def refuses_reads(url: str) -> bool:
    """Whether a read is refused as it should be while the store is away; fails if it is an error of ours."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/runs", timeout=120):
            return False
    except urllib.error.HTTPError as error:
        status, kind, body = error.code, error.headers["Content-Type"], error.read()
    assert (status, kind.split(";")[0]) == (503, "application/problem+json"), body
    return bool(json.loads(body)["status"] == 503)


def test_the_only_broker_is_killed(matrix: Matrix, tmp_path: Path) -> None:
    with under_trainers("broker, the only one", matrix.cluster, tmp_path) as (made, trainers):
        for _ in range(times(1)):
            made.pause(2.0)
            matrix.cluster.send("kafka", 0)
            time.sleep(1.0)
        trainers.end()
        made.prove(f"{times(1)} SIGKILL")


def test_everything_fails_at_once(matrix: Matrix, tmp_path: Path) -> None:
    """Faults of all kinds on top of each other, at random, with nothing whole in between."""
    cluster = matrix.cluster
    with under_trainers("all of them", cluster, tmp_path) as (made, trainers):
        for _ in range(times(4)):
            made.pause(1.5)
            match made.source.randrange(6):
                case 0 | 1:
                    cluster.send("worker", made.source.randrange(2))
                case 2:
                    cluster.send("gateway", made.source.randrange(2))
                case 3:
                    matrix.store.kill()
                    made.pause(1.0)
                    matrix.store.start()
                case 4:
                    cluster.send("kafka", 0)
                case _:
                    process = cluster.send("worker", made.source.randrange(2), signal.SIGSTOP)
                    time.sleep(1.5 * SESSION_S)
                    os.kill(process.pid, signal.SIGCONT)
        trainers.end()
        made.prove(f"{times(4)} faults")


def test_a_rebuild_gives_the_tables_of_all_cells(matrix: Matrix) -> None:
    matrix.cluster.wait_until_ready()
    assert asyncio.run(unlike_rebuilt(matrix.cluster)) == []


def test_one_of_three_brokers_is_killed(tmp_path: Path) -> None:
    need_kafka()
    options = ("--workers", "1", "--queries", "1", "--brokers", "3", "--partitions", "4")
    with (
        Cluster(tmp_path / "cluster", *options, forked=True) as cluster,
        under_trainers("broker, of three", cluster, tmp_path, rebuilds=True) as (made, trainers),
    ):
        for number in range(times(1)):
            made.pause(2.0)
            cluster.send("kafka", (number + SEED) % 3)
            time.sleep(1.0)
            cluster.wait_until_ready()
        trainers.end()
        made.prove(f"{times(1)} SIGKILL")


def test_the_matrix_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    if not ROWS:
        pytest.skip("no cell has run")
    with capsys.disabled():
        print(f"\n{table_of(ROWS)}")
    if path := os.environ.get("RUNSTREAM_MATRIX"):
        Path(path).write_text(table_of(ROWS))
    assert all(row.holds for row in ROWS)
