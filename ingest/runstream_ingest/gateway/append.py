"""POST /ingest/v1/frames: check, append with one call, acknowledge when durable."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from pydantic_core import to_json

from runstream.events.positions import Positions
from runstream.events.protocol import ACKNOWLEDGES, receipt_of
from runstream_ingest.gateway.frames import (
    BadFrame,
    Sent,
    TooManyFrames,
    Verdict,
    are_plain,
    frames_by_writer,
    verdict,
)
from runstream_ingest.gateway.known_runs import KnownRuns
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.pressure import Pressure
from runstream_ingest.gateway.responses import position_members
from runstream_ingest.gateway.rights import WriterRights
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.gateway.writers import Writer, Writers
from runstream_service.access import Principal
from runstream_service.bodies import read_body, too_large
from runstream_service.log import LogWriter
from runstream_service.problems import Problem
from runstream_service.turns import Turns

#: Each takes 10 us: 0.5 ms.
_FRAMES_AT_ONCE: Final = 50
#: Frames of one group, each checked in 5 us: 1 ms.
_MAX_PLAIN_FRAMES: Final = 200


class Appender:
    """Hands records to the log, and measures that. Shared by frames and commands."""

    def __init__(self, log: LogWriter, pressure: Pressure, metrics: GatewayMetrics) -> None:
        self._log = log
        self._pressure = pressure
        self._metrics = metrics

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        """Returns when the records are durable. Raises LogUnavailable."""
        if not records:
            return Positions()
        start_s = time.perf_counter()
        positions = await self._log.append(records)
        self._metrics.append_s.observe(time.perf_counter() - start_s)
        self._metrics.frames.inc(len(records))
        self._pressure.appended(positions)
        return positions


class FramesHandler:
    """The handler. `monotonic_s` says when a writer's next heartbeat counts."""

    def __init__(
        self,
        appender: Appender,
        pressure: Pressure,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        rights: WriterRights,
        known_runs: KnownRuns,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._appender = appender
        self._pressure = pressure
        self._settings = settings
        self._metrics = metrics
        self._rights = rights
        self._known_runs = known_runs
        self._monotonic_s = monotonic_s
        self._writers = Writers(settings.remembered_writers)
        self._received_bytes = metrics.received_bytes.labels("frames")
        metrics.writers.set_function(lambda: len(self._writers))

    async def __call__(self, request: web.Request, principal: Principal) -> web.Response:
        limit = self._settings.max_request_bytes
        with self._pressure.admitted(request, "frames") as hold:
            body = await read_body(request, limit, self._settings.pace, hold.grow)
            self._received_bytes.inc(len(body))
            # A thread for the few that take long, or what others send waits meanwhile.
            takes_long = self._takes_long(body)
            sent = await asyncio.to_thread(self._checked, body) if takes_long else self._checked(body)
            await self._rights.check_frames(principal, (frame for frames in sent.values() for frame in frames))
            async with self._writers.held(sent) as writers:
                outcome = await self._take_in(sent, writers)
            receipt = receipt_of(frame.data for frames in sent.values() for frame in frames)
        payload = to_json({**ACKNOWLEDGES, "receipt": receipt, **outcome})
        return web.Response(body=payload, content_type="application/json", charset="utf-8")

    def _takes_long(self, body: bytes) -> bool:
        """Whether it would keep the event loop for more than about 2 ms to check the frames of a body."""
        settings = self._settings
        if len(body) <= settings.check_in_thread_bytes:
            return False
        return len(body) > settings.check_plain_in_thread_bytes or not are_plain(memoryview(body), _MAX_PLAIN_FRAMES)

    def _checked(self, body: bytes) -> Mapping[str, list[Sent]]:
        try:
            return frames_by_writer(memoryview(body), self._settings.max_frames_per_request)
        except BadFrame as error:
            self._metrics.invalid.inc()
            detail = f"{error}. Nothing of the request was taken."
            problem = Problem(422, "invalid-frame", "A frame cannot be used", detail, position=error.position)
            if error.writer_id is not None:
                problem.extensions["writer_id"] = error.writer_id
            raise problem from None
        except TooManyFrames as error:
            problem = too_large(self._settings.max_request_bytes)
            problem.detail = f"{error}."
            raise problem from None

    async def _take_in(self, sent: Mapping[str, list[Sent]], writers: Mapping[str, Writer]) -> dict[str, object]:
        """Append what is new; the writers' locks are held."""
        turns = Turns()
        now_s = self._monotonic_s()
        every_s = self._settings.heartbeat_every_s
        verdicts: dict[str, Verdict] = {}
        for writer_id, frames in sent.items():
            writer = writers[writer_id]
            self._check_key(writer, writer_id, frames)
            verdicts[writer_id] = verdict(frames, self._known(writer, frames), now_s - writer.beat_s >= every_s)
            if not len(verdicts) % _FRAMES_AT_ONCE:
                await turns.rest()
        self._refuse_gaps(verdicts)
        appended = sorted((frame for v in verdicts.values() for frame in v.appended), key=lambda frame: frame.number)
        records: list[tuple[bytes, bytes]] = []
        for begin in range(0, len(appended), _FRAMES_AT_ONCE):
            if begin:
                await turns.rest()
            some = appended[begin : begin + _FRAMES_AT_ONCE]
            records += [(frame.header.key.encode(), bytes(frame.data)) for frame in some]
        positions = await self._appender.append(records)
        appended_to = positions
        duplicates = left_out = 0
        for writer_id, found in verdicts.items():
            writer = writers[writer_id]
            if found.duplicates:
                appended_to = appended_to.merged(writer.positions)
                duplicates += found.duplicates
            left_out += found.heartbeats_left_out
            if found.beat:
                writer.beat_s = now_s
            if found.appended:
                writer.key = sent[writer_id][0].header.key
                if any(frame.header.end_seq > frame.header.first_seq for frame in found.appended):
                    self._known_runs.remember(writer.key)
                writer.next_seq = found.next_seq
                writer.positions = positions
        if duplicates:
            self._metrics.duplicates.inc(duplicates)
        if left_out:
            self._metrics.heartbeats_left_out.inc(left_out)
        return {
            **position_members(appended_to),
            "writers": {writer_id: found.next_seq for writer_id, found in verdicts.items()},
        }

    def _known(self, writer: Writer, frames: Sequence[Sent]) -> int | None:
        """The number that is expected of the writer; None takes what comes."""
        next_seq = writer.next_seq
        if next_seq is not None and frames[0].header.first_seq > next_seq and not self._settings.is_only_gateway:
            return None
        return next_seq

    def _check_key(self, writer: Writer, writer_id: str, frames: Sequence[Sent]) -> None:
        """A writer belongs to one run. Frames for another would pass for ones that are durable already, and be lost."""
        key = writer.key or frames[0].header.key
        for frame in frames:
            if frame.header.key != key:
                self._metrics.invalid.inc()
                raise Problem(
                    422,
                    "writer-of-another-run",
                    "The writer belongs to another run",
                    f"Writer {writer_id} writes {key!r}, and frame {frame.number} of the request is for "
                    f"{frame.header.key!r}: begin a writer of its own for each run. Nothing of the request was taken.",
                    writer_id=writer_id,
                )

    def _refuse_gaps(self, verdicts: Mapping[str, Verdict]) -> None:
        expected = {writer_id: found.gap for writer_id, found in verdicts.items() if found.gap is not None}
        if not expected:
            return
        self._metrics.gaps.inc(len(expected))
        some = ", ".join(f"{writer_id} at {seq}" for writer_id, seq in list(expected.items())[:3])
        raise Problem(
            409,
            "gap",
            "Frames are missing before these",
            f"{len(expected)} writers go on behind a gap; they are durable up to `expected` ({some}). Nothing of the "
            "request was taken: send again from there.",
            expected=expected,
        )
