"""Metrics of a cluster's processes for Prometheus, read when they are asked for.

Workers and query servers both say how far the partitions are behind: workers for those that they fold, query servers
for all, so that it can be seen when nobody folds one. Take the maximum over processes, not the sum.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream_infra.cluster.disks import StoreDisks
from runstream_infra.cluster.following import Following
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_infra.metrics import pending_metric, position_metrics, worker_metrics
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_processors.hosting.generations import GenerationWorkers
from runstream_service.auth import OPEN_PATHS

#: There is a look every second, of a row a partition.
_LOOKED_LATELY_S: Final = 15.0
#: From a response out of memory to a full read of a long curve.
_RESPONSE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class WorkerMetrics(Collector):
    """What this process's workers did since the start, and how far behind their partitions are."""

    def __init__(self, workers: GenerationWorkers, following: Following) -> None:
        self._workers = workers
        self._following = following

    def collect(self) -> Iterable[Metric]:
        running = dict(self._workers.workers)
        counts = self._workers.counts
        yield from worker_metrics(counts, running.values())
        yield GaugeMetricFamily("runstream_worker_partitions", "Partitions that this process folds.", len(running))
        yield CounterMetricFamily(
            "runstream_worker_overtaken",
            "Times another process turned out to fold the same partition.",
            counts.overtaken,
        )
        # A worker that has not found its place yet does not know how far the tables are.
        known = self._following.visible().next_offsets
        yield from lag_metrics(
            self._following, [part for part, worker in running.items() if worker.resumed or part in known]
        )


class QueryMetrics(Collector):
    """How far behind all partitions are, as a query server sees it; whether the store answers, and its room."""

    def __init__(self, following: Following, visibility: StoreVisibility, disks: StoreDisks) -> None:
        self._following = following
        self._visibility = visibility
        self._disks = disks

    def collect(self) -> Iterable[Metric]:
        yield store_metric(self._visibility)
        if self._visibility.looked_at_s is not None:
            yield from lag_metrics(self._following, self._following.ends)
        labels = ("host", "disk")
        free = GaugeMetricFamily("runstream_store_disk_free_bytes", "Room on the store's disks.", labels=labels)
        total = GaugeMetricFamily("runstream_store_disk_bytes", "Size of the store's disks.", labels=labels)
        for disk in self._disks.found:
            free.add_metric([disk.host, disk.name], disk.free_bytes)
            total.add_metric([disk.host, disk.name], disk.total_bytes)
        yield from (free, total)


def timed(registry: CollectorRegistry, monotonic_s: Callable[[], float] = time.monotonic) -> Middleware:
    """A middleware that counts requests by route and status and how long their responses took. Live streams are left
    out: they last as long as somebody looks."""
    took = Histogram(
        "runstream_query_seconds",
        "From a request to the end of its response, by route and status.",
        ("route", "status"),
        buckets=_RESPONSE_BUCKETS_S,
        registry=registry,
    )

    @web.middleware
    async def time_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        began_s = monotonic_s()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        if route not in OPEN_PATHS and response.content_type != "text/event-stream":
            took.labels(route, str(response.status)).observe(monotonic_s() - began_s)
        return response

    return time_request


class GatewayProcessMetrics(Collector):
    """What waits for Kafka's acknowledgement, and whether this gateway reaches the store."""

    def __init__(self, log: KafkaWriter, visibility: StoreVisibility) -> None:
        self._log = log
        self._visibility = visibility

    def collect(self) -> Iterable[Metric]:
        yield store_metric(self._visibility)
        yield pending_metric(self._log.pending_bytes)


def lag_metrics(following: Following, parts: Collection[int]) -> Iterable[Metric]:
    """By partition: ends, what is visible, and how far behind that is in records and in seconds."""
    yield from position_metrics({part: following.ends.get(part, 0) for part in parts}, following.visible())
    lag = GaugeMetricFamily(
        "runstream_lag_seconds",
        "For how long the oldest record that is not in every table yet has been seen in the log.",
        labels=("partition",),
    )
    for part in parts:
        lag.add_metric([str(part)], following.lag_s(part))
    yield lag


def store_metric(visibility: StoreVisibility, monotonic_s: Callable[[], float] = time.monotonic) -> Metric:
    """Whether the last look into the store worked, and not long ago: a store that hangs gives no error for a minute."""
    looked_at_s = visibility.looked_at_s
    reached = visibility.trouble is None and looked_at_s is not None and monotonic_s() - looked_at_s < _LOOKED_LATELY_S
    return GaugeMetricFamily("runstream_store_reachable", "1 while the store answers this process, else 0.", reached)
