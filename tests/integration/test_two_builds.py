"""Processes of two builds in one cluster, as in an upgrade: the older one knows an earlier version of a read model.

It is simulated by this build with the earlier version (`kit.children.other_build`), in processes as users start them.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kit import children
from kit.cluster.check import Row, begin, checked
from kit.cluster.load import FrameLoad
from kit.cluster.processes import Cluster, end, status_of, wait_for, wait_while_moving
from kit.cluster.refolding import (
    FRAMES_A_STEP,
    OLDER,
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
from runstream.api.views.server import ReadModels
from runstream.errors import Unavailable

pytestmark = pytest.mark.timeout(900)


def command(role: str) -> list[str]:
    return children.command("children.other_build", role, json.dumps(OLDER))


@contextmanager
def older(cluster: Cluster, role: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process of the older build, and its address."""
    environment = children.environment(cluster.role_environment())
    with (cluster.directory / "logs" / f"older-{role}.log").open("w") as log:
        child = subprocess.Popen(command(role), env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    assert child.stdout is not None
    try:
        yield child, child.stdout.readline().strip()
    finally:
        end(child)
        child.stdout.close()


def read_models(cluster: Cluster) -> ReadModels:
    found = API(url=cluster.processes("query-server")[0].address).server.status().read_models
    assert found is not None
    return found


def test_an_older_build_serves_beside_a_newer_one_until_its_tables_are_retired(tmp_path: Path) -> None:
    need_kafka()
    options = ("--workers", "1", "--gateways", "1", "--queries", "1", "--partitions", str(PARTITIONS))
    with DevServer(tmp_path / "store") as store:
        environment = {**PACE, "RUNSTREAM_CLICKHOUSE_URL": store.url}
        with Cluster(tmp_path / "cluster", *options, environment=environment, forked=True) as cluster:
            run, wanted = settled_run(cluster)
            load = FrameLoad("mixed", cluster.kafka_settings(), PARTITIONS)
            begun = asyncio.run(begin(cluster))
            with ExitStack() as stack, load:
                with paused_worker(cluster):
                    asyncio.run(as_an_older_build_left_them(cluster))
                    worker, _ = stack.enter_context(older(cluster, "worker"))
                    _, url = stack.enter_context(older(cluster, "query-server"))
                    load.append(FRAMES_A_STEP)
                    until_folded(cluster, "what the older worker alone folds")
                reader = Reader([cluster.processes("query-server")[0].address, url], run, wanted)
                reader.start()
                load.append(FRAMES_A_STEP)
                wait_for(lambda: reader.old > 1, 200, "both query servers to read the older tables")
                wait_for(lambda: 2 in (read_models(cluster).building, read_models(cluster).serving), 200, "the newer")
                assert end(worker) == 0, "the upgrade takes it away"
                load.append(FRAMES_A_STEP)
                wait_while_moving(
                    lambda: read_models(cluster).serving == 2, lambda: asyncio.run(folded(cluster)), "the switch"
                )
                load.append(FRAMES_A_STEP)
                load.end()
                wait_for(lambda: reader.new > 0, 200, "the newer tables to be read")
                wait_for(lambda: status_of(f"{url}/readyz") == 503, 200, "the older query server to be out of use")
                reader.stop()
                with pytest.raises(Unavailable):
                    list(API(url=url).summaries(run))
                refused = subprocess.run(
                    command("query-server"),
                    env=children.environment(cluster.role_environment()),
                    capture_output=True,
                    text=True,
                    check=False,
                )
                row = asyncio.run(checked(cluster, Row("two builds", ""), [load], begun, SECOND))
    assert reader.wrong == []
    assert row.holds, row
    assert (refused.returncode, "newer" in refused.stderr) == (1, True), refused.stderr


def until_folded(cluster: Cluster, what: str) -> None:
    """Wait until the first generation has all that is in the log now."""
    ends = sum(asyncio.run(begin(cluster)).values())
    wait_while_moving(lambda: asyncio.run(folded(cluster)) >= ends, lambda: asyncio.run(folded(cluster)), what)
