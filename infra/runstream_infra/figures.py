"""The worker's and the log's figures for Prometheus, read when they are asked for."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream.service.visibility import Visibility
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.worker.loop import Worker


class EmbeddedFigures(Collector):
    """What the worker did since the start, and how far the tables are behind the log."""

    def __init__(self, log: EmbeddedLog, worker: Worker, visibility: Visibility) -> None:
        self._log = log
        self._worker = worker
        self._visibility = visibility

    def collect(self) -> Iterable[Metric]:
        yield from self._of_the_worker()
        yield GaugeMetricFamily(
            "runstream_log_pending_bytes", "Bytes handed to the log and not yet durable.", self._log.pending_bytes
        )
        ends, visible = self._log.ends(), self._visibility.visible().offsets
        appended = GaugeMetricFamily(
            "runstream_log_last_offset", "Offset of the last durable record.", labels=("partition",)
        )
        shown = GaugeMetricFamily(
            "runstream_visible_offset", "Up to this offset every table has all records.", labels=("partition",)
        )
        lag = GaugeMetricFamily(
            "runstream_lag_records", "Durable records that are not in every table yet.", labels=("partition",)
        )
        for part, next_offset in ends.items():
            last, seen = next_offset - 1, visible.get(part, -1)
            appended.add_metric([str(part)], last)
            shown.add_metric([str(part)], seen)
            lag.add_metric([str(part)], max(last - seen, 0))
        yield from (appended, shown, lag)

    def _of_the_worker(self) -> Iterable[Metric]:
        worker = self._worker
        yield CounterMetricFamily("runstream_worker_records", "Records folded since the start.", worker.records)
        yield CounterMetricFamily("runstream_worker_points", "Points written since the start.", worker.points)
        yield CounterMetricFamily("runstream_worker_failures", "Times the worker started over.", worker.failures)
        quarantined = CounterMetricFamily(
            "runstream_quarantined", "Put into quarantine since the start, by cause.", labels=("cause",)
        )
        for cause, count in sorted(worker.quarantined.items()):
            quarantined.add_metric([cause], count)
        yield quarantined
        yield GaugeMetricFamily(
            "runstream_worker_resumed", "1 while the worker follows the log, 0 while it starts over.", worker.resumed
        )
