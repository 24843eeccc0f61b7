"""How much the gateway takes in at once. Beyond it a sender is told to wait; its spool keeps what waits."""

from collections.abc import Iterator
from contextlib import contextmanager

from runstream.events.positions import Positions
from runstream.service.problems import Problem
from runstream.service.visibility import Visibility
from runstream_ingest.gateway.figures import GatewayFigures
from runstream_ingest.gateway.settings import GatewaySettings


class Pressure:
    """Bytes of requests in flight, and how far the read models are behind. Used from one event loop."""

    def __init__(self, settings: GatewaySettings, visibility: Visibility, figures: GatewayFigures) -> None:
        self._settings = settings
        self._visibility = visibility
        self._figures = figures
        self._in_flight_bytes = 0
        self._appended = Positions()

    @contextmanager
    def admitted(self, size_bytes: int) -> Iterator[None]:
        """Count a request of that size until the end of the block. Raises Problem (429)."""
        settings = self._settings
        # A lone request always passes, or one larger than the bound could never be taken.
        if self._in_flight_bytes and self._in_flight_bytes + size_bytes > settings.max_in_flight_bytes:
            raise self._wait(
                "in-flight",
                f"{self._in_flight_bytes} bytes of requests are being taken in and {size_bytes} more are beyond "
                f"{settings.max_in_flight_bytes}; send again in {settings.retry_after_s} s.",
            )
        lag = self._lag_records()
        if settings.max_lag_records is not None and lag > settings.max_lag_records:
            raise self._wait(
                "lag",
                f"The read models are {lag} records behind the log, {settings.max_lag_records} are allowed; send "
                f"again in {settings.retry_after_s} s.",
            )
        self._in_flight_bytes += size_bytes
        self._figures.in_flight_bytes.set(self._in_flight_bytes)
        try:
            yield
        finally:
            self._in_flight_bytes -= size_bytes
            self._figures.in_flight_bytes.set(self._in_flight_bytes)

    def appended(self, positions: Positions) -> None:
        """Tell what has become durable."""
        self._appended = self._appended.merged(positions)

    def _lag_records(self) -> int:
        visible = self._visibility.visible().offsets
        return sum(max(0, offset - visible.get(partition, -1)) for partition, offset in self._appended)

    def _wait(self, cause: str, detail: str) -> Problem:
        self._figures.pressed_back.labels(cause).inc()
        title = "The gateway takes nothing more at the moment"
        return Problem(429, "busy", title, detail, retry_after_s=self._settings.retry_after_s, cause=cause)
