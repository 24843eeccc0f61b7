"""What the processes of a cluster tell Prometheus, and how long the tables have been behind."""

import asyncio
import itertools
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

import runstream_model
import runstream_processors
from runstream.events.positions import Positions
from runstream_infra.cluster.disks import StoreDisks
from runstream_infra.cluster.following import Following, LagClock
from runstream_infra.cluster.metrics import GatewayProcessMetrics, QueryMetrics, WorkerMetrics, store_metric, timed
from runstream_infra.metrics import CAUSES
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.health import Disk
from runstream_service.log import LogUnavailable
from runstream_service.metrics import add_operations
from runstream_service.problems import problem_middleware
from runstream_service.store import StoreUnavailable


def test_lag_is_the_age_of_the_oldest_end_that_the_tables_have_not_reached() -> None:
    clock = LagClock()
    clock.look({0: 5}, Positions.after(0, 4), 10.0)
    assert clock.lag_s(0, Positions.after(0, 4), 11.0) == 0.0, "all of it is visible"
    clock.look({0: 8}, Positions.after(0, 4), 12.0)
    clock.look({0: 20}, Positions.after(0, 4), 15.0)
    assert clock.lag_s(0, Positions.after(0, 4), 16.0) == 4.0, "since the look at 12 something has been missing"
    assert clock.lag_s(0, Positions.after(0, 7), 16.0) == 1.0, "what was seen at 12 is there, what came until 15 is not"
    assert clock.lag_s(0, Positions.after(0, 19), 99.0) == 0.0
    clock.look({0: 20}, Positions.after(0, 19), 20.0)
    clock.look({0: 21}, Positions.after(0, 19), 30.0)
    assert clock.lag_s(0, Positions.after(0, 19), 31.0) == 1.0, "an earlier delay does not count again"


def test_an_idle_partition_and_an_unknown_one_are_not_behind() -> None:
    clock = LagClock()
    clock.look({0: 0}, Positions(), 0.0)
    assert (clock.lag_s(0, Positions(), 1e6), clock.lag_s(7, Positions(), 1e6)) == (0.0, 0.0)


def test_an_outage_of_days_is_remembered_in_bounded_memory_and_to_the_second_it_began() -> None:
    clock = LagClock()
    for second in range(20_000):
        clock.look({0: second + 1}, Positions(), float(second))
    assert len(clock._ends[0]) <= 1024
    assert clock.lag_s(0, Positions(), 20_000.0) == 20_000.0
    half = clock.lag_s(0, Positions.after(0, 10_000), 20_000.0)
    assert half == pytest.approx(9_999, rel=1 / 256)


class Ends:
    """A log of which only the end is asked."""

    def __init__(self, *responses: dict[int, int] | LogUnavailable) -> None:
        self.responses = list(responses)

    async def next_offsets(self) -> dict[int, int]:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, LogUnavailable):
            raise response
        return response


async def followed(visible: Positions, *responses: dict[int, int] | LogUnavailable) -> Following:
    """After as many looks as there are answers, one a second of its own clock."""
    log, seconds = Ends(*responses), iter(range(10_000))
    following = Following(log, lambda: visible, lambda: float(next(seconds)), 0.0)  # type: ignore[arg-type]
    task = asyncio.create_task(following.run())
    for _ in range(2 * len(responses)):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return following


def worker(resumed: bool = True, trouble: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(resumed=resumed, trouble=trouble)


def counts(**told: Any) -> SimpleNamespace:
    """Of all workers of a process, also of those that ended."""
    fields = {"records": 0, "points": 0, "failures": 0, "overtaken": 0, "quarantined": {}}
    return SimpleNamespace(**{**fields, **told})


def shown(collector: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


async def test_a_worker_tells_of_its_own_partitions_whose_place_it_knows() -> None:
    visible = Positions.after(1, 3)
    following = await followed(visible, {0: 9, 1: 8, 2: 7, 3: 6})
    workers = SimpleNamespace(
        workers={1: worker(), 2: worker(resumed=False, trouble="the store is away"), 3: worker()},
        counts=counts(records=7, overtaken=1),
    )
    registry = shown(WorkerMetrics(workers, following))  # type: ignore[arg-type]
    value = registry.get_sample_value
    assert value("runstream_worker_partitions") == 3
    assert value("runstream_worker_records_total") == 7
    assert value("runstream_worker_overtaken_total") == 1
    assert (value("runstream_worker_resumed"), value("runstream_worker_troubled")) == (0, 1)
    assert value("runstream_lag_records", {"partition": "1"}) == 4
    assert value("runstream_lag_records", {"partition": "3"}) == 6, "a new partition has no commit row yet"
    assert value("runstream_lag_records", {"partition": "0"}) is None, "another worker's"
    assert value("runstream_lag_records", {"partition": "2"}) is None, "it does not know how far the tables are"
    assert value("runstream_lag_seconds", {"partition": "1"}) > 0  # type: ignore[operator]


async def test_every_cause_of_quarantine_is_counted_from_zero() -> None:
    following = await followed(Positions(), {})
    counted = counts(quarantined={"fold_error": 2, "of_tomorrow": 1})
    registry = shown(WorkerMetrics(SimpleNamespace(workers={0: worker()}, counts=counted), following))  # type: ignore[arg-type]
    found = {cause: registry.get_sample_value("runstream_quarantined_total", {"cause": cause}) for cause in CAUSES}
    assert found == {cause: 2 if cause == "fold_error" else 0 for cause in CAUSES}
    assert registry.get_sample_value("runstream_quarantined_total", {"cause": "of_tomorrow"}) == 1


def test_the_causes_are_those_that_the_processors_write() -> None:
    written = set()
    packages = (runstream_model, runstream_processors)
    for path in (path for package in packages for path in Path(str(package.__file__)).parent.rglob("*.py")):
        text = path.read_text()
        written |= set(re.findall(r'Decoded\(record, None, "(\w+)"', text))
        written |= set(re.findall(r'Rejected\([^"\n]*"(\w+)"', text))
        written |= set(re.findall(r'_quarantine\([^"\n]*"(\w+)"', text))
    assert written == set(CAUSES)


async def test_a_query_server_tells_of_all_partitions_once_it_has_looked() -> None:
    away = LogUnavailable("the brokers are away")
    following = await followed(Positions.after(0, 1), {0: 4, 1: 2}, away)
    visibility = SimpleNamespace(trouble="it has not looked into the store yet", looked_at_s=None)
    disks = SimpleNamespace(found=(Disk("clickhouse-0", "default", 5, 9),))
    registry = shown(QueryMetrics(following, visibility, disks))  # type: ignore[arg-type]
    of_disk = {"host": "clickhouse-0", "disk": "default"}
    assert registry.get_sample_value("runstream_store_disk_free_bytes", of_disk) == 5
    assert registry.get_sample_value("runstream_store_disk_bytes", of_disk) == 9
    assert registry.get_sample_value("runstream_store_reachable") == 0
    assert registry.get_sample_value("runstream_lag_records", {"partition": "0"}) is None
    visibility.trouble, visibility.looked_at_s = None, time.monotonic()
    assert registry.get_sample_value("runstream_store_reachable") == 1
    assert registry.get_sample_value("runstream_lag_records", {"partition": "0"}) == 2, "the last answer stays"
    assert registry.get_sample_value("runstream_lag_records", {"partition": "1"}) == 2
    visibility.trouble = "the store is away"
    assert registry.get_sample_value("runstream_store_reachable") == 0
    assert registry.get_sample_value("runstream_lag_records", {"partition": "0"}) == 2


@pytest.mark.parametrize(
    ("trouble", "looked_at_s", "reached"),
    [
        (None, 100.0, 1),
        (None, 80.0, 0),  # it hangs: no error yet, and no response either
        (None, None, 0),
        ("the store is away", 100.0, 0),
    ],
)
def test_a_store_that_errs_or_hangs_is_not_reachable(
    trouble: str | None, looked_at_s: float | None, reached: int
) -> None:
    visibility = SimpleNamespace(trouble=trouble, looked_at_s=looked_at_s)
    [sample] = store_metric(visibility, lambda: 101.0).samples  # type: ignore[arg-type]
    assert sample.value == reached


def test_a_gateway_tells_what_waits_for_kafka() -> None:
    log, visibility = SimpleNamespace(pending_bytes=123), SimpleNamespace(trouble=None, looked_at_s=time.monotonic())
    registry = shown(GatewayProcessMetrics(log, visibility))  # type: ignore[arg-type]
    assert registry.get_sample_value("runstream_log_pending_bytes") == 123
    assert registry.get_sample_value("runstream_store_reachable") == 1


@pytest.mark.store
async def test_the_store_s_disks_are_requested_and_a_store_that_is_away_leaves_the_last_response(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await ChdbStore.open(tmp_path)
    disks = StoreDisks(store, look_every_s=0.01)
    task = asyncio.create_task(disks.run())
    while not disks.found:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.01)
    [disk] = disks.found
    assert 0 < disk.free_bytes < disk.total_bytes
    assert disk.name == "default"

    requested = asyncio.Event()

    async def away(*_: object, **__: object) -> None:
        requested.set()
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(store, "query", away)
    await requested.wait()
    await asyncio.sleep(0.02)
    assert len(disks.found) == 1
    assert not task.done(), "it will ask again"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()


@pytest.mark.sockets
async def test_responses_are_timed_by_route_and_status_and_live_streams_are_not() -> None:
    async def run_of(request: web.Request) -> web.Response:
        if request.match_info["run"] == "missing":
            raise web.HTTPNotFound
        return web.json_response({})

    async def live(_: web.Request) -> web.Response:
        return web.Response(content_type="text/event-stream")

    registry = CollectorRegistry()
    clock = itertools.count()
    app = web.Application(middlewares=[timed(registry, lambda: float(next(clock))), problem_middleware()])
    app.router.add_get("/runs/{run}", run_of)
    app.router.add_get("/live", live)
    add_operations(app, registry)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        for path in ("/runs/a", "/runs/b", "/runs/missing", "/live", "/healthz", "/nothing"):
            async with client.get(path) as response:
                await response.read()
    await runner.cleanup()
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "runstream_query_seconds_count"
    }
    assert counted == {("/runs/{run}", "200"): 2, ("/runs/{run}", "404"): 1, ("unknown", "404"): 1}
    took = registry.get_sample_value("runstream_query_seconds_sum", {"route": "/runs/{run}", "status": "200"})
    assert took == 2.0, "a second of its clock each"
