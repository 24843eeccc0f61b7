"""What the gateway counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: From a lone append to an SSD (about 0.1 ms) to one behind a full queue on a slow disk.
_LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class GatewayMetrics:
    """The counters of one gateway; one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "runstream_gateway_requests", "Requests by route and status.", ("route", "status"), registry=registry
        )
        self.received_bytes = Counter(
            "runstream_gateway_received_bytes", "Bytes of bodies by route.", ("route",), registry=registry
        )
        self.frames = Counter("runstream_gateway_frames", "Frames appended to the log.", registry=registry)
        self.duplicates = Counter(
            "runstream_gateway_duplicate_frames", "Frames that were durable before and left out.", registry=registry
        )
        self.heartbeats_left_out = Counter(
            "runstream_gateway_heartbeats_left_out", "Heartbeats that came too soon after another.", registry=registry
        )
        self.gaps = Counter(
            "runstream_gateway_gaps_refused", "Writers whose frames began behind a gap.", registry=registry
        )
        self.invalid = Counter("runstream_gateway_invalid_requests", "Bodies with an invalid frame.", registry=registry)
        self.pressed_back = Counter(
            "runstream_gateway_pressed_back", "Requests answered 429, by cause.", ("cause",), registry=registry
        )
        self.not_waited = Counter(
            "runstream_gateway_not_waited",
            "Responses that did not wait for visibility, because too many did.",
            registry=registry,
        )
        self.append_s = Histogram(
            "runstream_gateway_append_seconds",
            "From handing records to the log until they are durable.",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.in_flight_bytes = Gauge(
            "runstream_gateway_in_flight_bytes", "Bytes of requests that are being taken in.", registry=registry
        )
        self.writers = Gauge("runstream_gateway_writers", "Writers that are remembered.", registry=registry)
