"""A server's connections for Prometheus, read when they are asked for."""

from collections.abc import Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runstream_service.connections import Connections

#: Why a connection was closed or refused. Each is counted from 0, or the first one would be no increase that an alert
#: sees.
CAUSES: Final = (
    *("head_timeout", "head_too_large", "heads_full", "idle_timeout", "slow_body", "slow_reader"),
    *("evicted", "full", "address_full", "no_files", "responses_full"),
)


class ConnectionMetrics(Collector):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        connections = self._connections
        opened = GaugeMetricFamily("runstream_connections", "Open connections by state.", labels=("state",))
        for state, count in connections.counts().items():
            opened.add_metric([state], count)
        yield opened
        yield GaugeMetricFamily("runstream_connections_bound", "How many there may be.", connections.bound)
        closed = CounterMetricFamily(
            "runstream_connections_closed",
            "Connections that the server closed or refused to protect itself, by cause.",
            labels=("cause",),
        )
        for cause in sorted({*CAUSES, *connections.closed}):
            closed.add_metric([cause], connections.closed[cause])
        yield closed
        yield CounterMetricFamily(
            "runstream_unreadable_requests", "Requests that were no valid HTTP.", connections.unreadable
        )
        yield GaugeMetricFamily(
            "runstream_untaken_response_bytes",
            "Bytes of large responses that clients have not taken yet.",
            connections.untaken_bytes,
        )
