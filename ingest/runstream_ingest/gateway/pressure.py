"""How much the gateway takes in at once. Beyond it a sender is told to wait; its spool keeps what waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Literal, Self

from aiohttp import web

from runstream.events.positions import Positions
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.shares import Shares, accounts_of
from runstream_service.problems import Problem
from runstream_service.visibility import Visibility

#: What a request is for. Frames have a capacity of their own, which nothing else can use up.
Purpose = Literal["frames", "other"]

_UPLOADS: Final = "uploads"


class Pressure:
    """What requests hold, and how far the read models are behind. Used from one event loop."""

    def __init__(self, settings: GatewaySettings, visibility: Visibility, metrics: GatewayMetrics) -> None:
        def shares(capacity: int) -> Shares:
            return Shares(capacity, settings.key_share_percent, settings.address_share_percent)

        self._settings = settings
        self._visibility = visibility
        self._metrics = metrics
        self._bytes: dict[Purpose, Shares] = {
            "frames": shares(settings.max_in_flight_bytes),
            "other": shares(int(settings.max_in_flight_bytes * settings.other_in_flight_share)),
        }
        self._uploads = shares(settings.max_uploads)
        self._waiting = shares(settings.max_waiting)
        self._appended = Positions()
        metrics.in_flight_bytes.set_function(lambda: sum(shares.held for shares in self._bytes.values()))

    def admitted(self, request: web.Request, purpose: Purpose) -> "Hold":
        """Return what the request holds until the end of a `with` block: nothing at first. Raises Problem (429)."""
        settings = self._settings
        if settings.max_lag_records is not None and (lag := self._lag_records()) > settings.max_lag_records:
            raise self._busy(
                "lag",
                f"The read models are {lag} records behind the log, {settings.max_lag_records} are allowed; send "
                f"again in {settings.retry_after_s} s.",
            )
        hold = Hold(self, self._bytes[purpose], accounts_of(request))
        # Nobody sends a body in vain for which there is no room.
        hold.check(min(request.content_length or 0, settings.max_in_flight_bytes // 64))
        return hold

    @contextmanager
    def uploading(self, request: web.Request) -> Iterator[None]:
        """One upload of a file, until the end of the block. Raises Problem (429)."""
        accounts = accounts_of(request)
        refusal = self._uploads.refusal(1, accounts)
        if refusal is not None:
            raise self._busy(_UPLOADS, f"Uploads: {refusal}; send again in {self._settings.retry_after_s} s.")
        self._uploads.take(1, accounts)
        try:
            yield
        finally:
            self._uploads.give_back(1, accounts)

    async def visible(self, request: web.Request | None, positions: Positions, timeout_s: float) -> bool:
        """Whether the positions can be read, when the wait is over: at once where too many wait already. `request`: for
        whom; None for the gateway itself."""
        accounts = accounts_of(request)
        if self._visibility.visible().covers(positions):
            return True
        if self._waiting.refusal(1, accounts) is not None:
            self._metrics.not_waited.inc()
            return False
        self._waiting.take(1, accounts)
        try:
            return await self._visibility.wait_for(positions, timeout_s)
        finally:
            self._waiting.give_back(1, accounts)

    def appended(self, positions: Positions) -> None:
        """Tell what has become durable."""
        self._appended = self._appended.merged(positions)

    def refused(self, refusal: str) -> Problem:
        """The response to a request for whose bytes there is no room."""
        return self._busy("in-flight", f"Bytes of requests: {refusal}; send again in {self._settings.retry_after_s} s.")

    def _lag_records(self) -> int:
        visible = self._visibility.visible()
        return sum(max(0, next_offset - visible[part]) for part, next_offset in self._appended)

    def _busy(self, cause: str, detail: str) -> Problem:
        self._metrics.pressed_back.labels(cause).inc()
        title = "The gateway takes nothing more at the moment"
        return Problem(429, "busy", title, detail, retry_after_s=self._settings.retry_after_s, cause=cause)


class Hold:
    """What one request holds of the gateway's memory, until the end of a `with` block at the latest."""

    __slots__ = ("_accounts", "_bytes", "_pressure", "_shares")

    def __init__(self, pressure: Pressure, shares: Shares, accounts: tuple[str, str]) -> None:
        self._pressure, self._shares, self._accounts = pressure, shares, accounts
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def check(self, size_bytes: int) -> None:
        """Raises Problem (429) where there is no room for so much more."""
        refusal = self._shares.refusal(size_bytes, self._accounts, self._bytes) if size_bytes else None
        if refusal is not None:
            raise self._pressure.refused(refusal)

    def grow(self, size_bytes: int) -> None:
        """Hold so much more. Raises Problem (429)."""
        self.check(size_bytes)
        self._shares.take(size_bytes, self._accounts)
        self._bytes += size_bytes

    def release(self) -> None:
        """Hold nothing any more."""
        self._shares.give_back(self._bytes, self._accounts)
        self._bytes = 0
