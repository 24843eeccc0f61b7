"""The worker's and the log's figures for Prometheus, read when they are asked for."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream.service.visibility import Visibility
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.worker.loop import Worker


class EmbeddedFigures(Collector):
    """Lag is in records: appended to the log and not yet visible in every table."""

    def __init__(self, log: EmbeddedLog, worker: Worker, visibility: Visibility) -> None:
        self._log = log
        self._worker = worker
        self._visibility = visibility

    def collect(self) -> Iterable[Metric]:
        worker = self._worker
        yield CounterMetricFamily("runstream_worker_records", "Records folded since the start", worker.records)
        yield CounterMetricFamily("runstream_worker_points", "Points written since the start", worker.points)
        yield CounterMetricFamily("runstream_worker_failures", "Times the worker started over", worker.failures)
        resumed = GaugeMetricFamily("runstream_worker_resumed", "1 while the worker follows the log", worker.resumed)
        yield resumed
        pending = GaugeMetricFamily("runstream_log_pending_bytes", "Accepted and not yet durable", 0)
        pending.samples.clear()
        pending.add_metric([], self._log.pending_bytes)
        yield pending
        visible = GaugeMetricFamily("runstream_visible_offset", "Last offset in every table", labels=["partition"])
        for part, offset in self._visibility.visible():
            visible.add_metric([str(part)], offset)
        yield visible
