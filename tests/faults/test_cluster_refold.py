"""A real cluster goes from one generation of the read models to the next under load, while the worker that takes the
steps is killed at each of them, and query servers in between: whoever reads meets the old generation or the new one,
whole, and in the end every value is there once."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from kit.cluster.check import Row, begin, checked
from kit.cluster.load import FrameLoad
from kit.cluster.processes import Cluster, DyingWorkers, wait_for, wait_while_moving
from kit.cluster.refolding import (
    FRAMES_A_STEP,
    PACE,
    PARTITIONS,
    SECOND,
    Reader,
    as_an_older_build_left_them,
    folded,
    paused_worker,
    settled_run,
)
from kit.servers.dev_clickhouse import DevServer
from kit.servers.real_kafka import need_kafka
from runstream.api import API

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

pytestmark = pytest.mark.timeout(900)


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
