"""The worker's and the log's metrics for Prometheus, read when they are asked for."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream.events.positions import Positions
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.worker.loop import Counts, Worker
from runstream_service.visibility import Visibility

#: Why something is in quarantine. Each is counted from 0, or the first one would be no increase that an alert sees.
CAUSES: Final = (
    *("invalid_frame", "unsupported_frame", "wrong_key"),  # the whole record
    "too_many_gaps",  # the whole record: of one writer
    "too_many_writers",  # the whole record, or the starts and ends of a frame
    *("invalid_event", "unknown_event", "invalid_group"),  # a part of it
    "fold_error",  # the build's own fault
    "brought_down_worker",  # a process died of it
)


class EmbeddedMetrics(Collector):
    """What the worker did since the start, and how far the tables are behind the log."""

    def __init__(self, log: EmbeddedLog, worker: Worker, visibility: Visibility) -> None:
        self._log = log
        self._worker = worker
        self._visibility = visibility

    def collect(self) -> Iterable[Metric]:
        yield from worker_metrics(self._worker.counts, [self._worker])
        yield pending_metric(self._log.pending_bytes)
        yield from position_metrics(self._log.ends(), self._visibility.visible())


def pending_metric(pending_bytes: int) -> Metric:
    """What was handed to the log and is not durable yet."""
    return GaugeMetricFamily(
        "runstream_log_pending_bytes", "Bytes handed to the log and not yet durable.", pending_bytes
    )


def worker_metrics(counts: Counts, running: Collection[Worker]) -> Iterable[Metric]:
    """Of the workers of a process. `counts`: also of those that have ended, so that counters only grow."""
    yield CounterMetricFamily("runstream_worker_records", "Records folded since the start.", counts.records)
    yield CounterMetricFamily("runstream_worker_points", "Points written since the start.", counts.points)
    yield CounterMetricFamily("runstream_worker_failures", "Times a worker started over.", counts.failures)
    quarantined = CounterMetricFamily(
        "runstream_quarantined", "Put into quarantine since the start, by cause.", labels=("cause",)
    )
    for cause in sorted({*CAUSES, *counts.quarantined}):
        quarantined.add_metric([cause], counts.quarantined.get(cause, 0))
    yield quarantined
    yield GaugeMetricFamily(
        "runstream_worker_resumed",
        "1 while every worker follows the log, 0 while one starts over.",
        all(w.resumed for w in running),
    )
    yield GaugeMetricFamily(
        "runstream_worker_troubled",
        "Workers whose last try to read or write did not work.",
        sum(w.trouble is not None for w in running),
    )


def position_metrics(ends: Mapping[int, int], visible: Positions) -> Iterable[Metric]:
    """By partition: the last offset of the log, of the tables, and what lies between. `ends`: next offsets."""
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
        last, seen = next_offset - 1, visible[part] - 1
        appended.add_metric([str(part)], last)
        shown.add_metric([str(part)], seen)
        lag.add_metric([str(part)], max(last - seen, 0))
    yield from (appended, shown, lag)
