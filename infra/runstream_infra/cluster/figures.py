"""A worker process's figures for Prometheus, read when they are asked for."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream.events.positions import Positions
from runstream_infra.figures import position_figures, worker_figures
from runstream_processors.hosting.partitions import PartitionWorkers


class WorkerFigures(Collector):
    """What this process's workers did since the start, and how far behind their partitions are.

    `ends`: the next offset of each partition when it was last asked.
    """

    def __init__(
        self, workers: PartitionWorkers, ends: Callable[[], Mapping[int, int]], visible: Callable[[], Positions]
    ) -> None:
        self._workers = workers
        self._ends = ends
        self._visible = visible

    def collect(self) -> Iterable[Metric]:
        running = dict(self._workers.workers)
        yield from worker_figures([*self._workers.ended, *running.values()])
        yield GaugeMetricFamily("runstream_worker_partitions", "Partitions that this process folds.", len(running))
        yield CounterMetricFamily(
            "runstream_worker_overtaken",
            "Times another process turned out to fold the same partition.",
            sum(worker.overtaken for worker in [*self._workers.ended, *running.values()]),
        )
        # Only its own partitions: a sum over all processes counts each once.
        yield from position_figures({part: self._ends().get(part, 0) for part in running}, self._visible())
