"""A channel: one connection to one gateway, one request at a time, and the writers that are pinned to it."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from runstream.clock import Clock
from runstream.events import limits
from runstream.events.protocol import receipt_of
from runstream.sender.assets import AssetState, AssetUploads, Impossible, Stored
from runstream.sender.backoff import Backoff
from runstream.sender.responses import Accepted, Failing, Later, Refused, Rewind, Stuck, meaning_of
from runstream.sender.status import ChannelStatus, WriterStatus
from runstream.sender.transport import Transport, Unreachable
from runstream.sender.writers import HEARTBEAT_S, SHA256, STUCK_RETRY_S, Part, SpooledWriter
from runstream.spool.format import Acked, SpoolCorrupt
from runstream.spool.reader import EventRecord

log = logging.getLogger("runstream.sender")

FRAMES_PATH: Final = "/ingest/v1/frames"
FRAMES_TYPE: Final = "application/vnd.runstream.frames"

#: A quarter of what a gateway takes: large enough that a sync a request costs nothing, small enough to be repeated.
MAX_BODY_BYTES: Final = limits.MAX_REQUEST_BYTES // 4
#: On a line of 1 Mbit/s this takes half a second.
_LEAST_BODY_BYTES: Final = 64_000
#: Small requests wait this long after the one before, so that slow writers share them.
LINGER_S: Final = 0.1
#: What was in the last request, before compression, from which on there is no point in waiting for more.
_PLENTY_BYTES: Final = 1_000_000
_SHORTEST_REST_S: Final = 0.005
_LONGEST_REST_S: Final = 0.1
#: A channel with nothing to send looks at its writers this often, or, where they are so many that this would take more
#: than a five-hundredth of a core, less often, up to the longest rest.
_IDLE_REST_S: Final = 0.04
_IDLE_SHARE: Final = 500
#: How often a writer that shows nothing is looked at closely: rotation, lock, heartbeat.
_LOOK_S: Final = 1.0
#: The same for one whose process is about to go: somebody may wait to see how the run ended.
_ENDING_LOOK_S: Final = 0.1
_STATUS_S: Final = 1.0
#: Frames of a request. One of 100 metrics is 0.5 kB, so a request of as many stays below the body's bound.
MAX_PARTS: Final = 4_000
_DISK_RETRY_S: Final = 5.0
#: A writer has two files open, or three while it goes from one segment to the next.
MAX_FILES: Final = 16_384
#: How long a writer waits that has only an event in front of which an upload is missing.
_HELD_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """Where writers send: a gateway and a key; and where their frames go instead, if `ingest` is set."""

    url: str
    api_key: str | None
    ingest: str = ""

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class Channel:
    """`step` is for one thread; `adopt` and `status` for any. All waiting is the caller's, except for the gateway."""

    def __init__(
        self,
        target: Target,
        transport: Transport,
        uploads: AssetUploads,
        clock: Clock,
        uniform: Callable[[], float],
        max_files: int = MAX_FILES,
    ) -> None:
        """max_files: of its writers, together. Beyond it writers are parked: looked at once a second, and closed
        again."""
        self._max_files = max_files
        self.target = target
        self.status = ChannelStatus(target.url)
        self._transport = transport
        self._uploads = uploads
        self._clock = clock
        self._backoff = Backoff(uniform)
        self._headers: Mapping[str, str] = {"Content-Type": FRAMES_TYPE, **target.headers()}
        self._arriving: deque[SpooledWriter] = deque()
        self._writers: list[SpooledWriter] = []
        self._state, self._last_error = "idle", ""
        self._not_before_s = self._last_sent_s = self._status_at_s = float("-inf")
        self._rest_s = _SHORTEST_REST_S
        self._plenty = False
        self._max_body_bytes = MAX_BODY_BYTES
        self._max_parts: int | None = None
        self._rewinds = 0
        self._requests = self._records_sent = self._bytes_sent = 0

    def adopt(self, writer: SpooledWriter) -> None:
        """Send for this writer from the next step on."""
        self._arriving.append(writer)

    def step(self) -> float:
        """Look at every writer, send one request if there is anything to send. Returns the rest to take, in seconds."""
        while self._arriving:
            self._writers.append(self._arriving.popleft())
        now = self._clock.monotonic_s()
        if now >= self._status_at_s:
            self._publish(now)
        if now < self._not_before_s:
            return min(self._not_before_s - now, _LONGEST_REST_S)
        ready = [writer for writer in self._writers if self._wants(writer, now)]
        if ready and not self._plenty and now < self._last_sent_s + LINGER_S:
            return min(self._last_sent_s + LINGER_S - now, _LONGEST_REST_S)
        parts = self._collect(ready, now)
        if not parts:
            self._plenty = False
            self._rest_s = min(self._rest_s * 2, self._longest_rest_s(now))
            return self._rest_s
        self._rest_s = _SHORTEST_REST_S
        self._send(parts)
        return 0.0

    def _longest_rest_s(self, began_s: float) -> float:
        """How long a channel rests that looked at its writers since `began_s`, and found nothing."""
        looked_s = self._clock.monotonic_s() - began_s
        return min(max(_IDLE_REST_S, looked_s * _IDLE_SHARE), _LONGEST_REST_S)

    def close(self) -> None:
        """Release every writer and the connection."""
        for writer in [*self._writers, *self._arriving]:
            writer.close()
        self._transport.close()

    def abort(self) -> None:
        """From any thread: cut off the request under way."""
        self._transport.abort()

    def busy(self) -> bool:
        """Whether a writer lives or still has something to send. Damaged spools of dead writers do not count."""
        return bool(self._arriving) or any(not writer.settled for writer in self._writers)

    def _wants(self, writer: SpooledWriter, now: float) -> bool:
        if not (now >= writer.next_look_s or writer.begun_more()):
            return False
        return now >= writer.hold_until_s and not writer.settled

    def _collect(self, ready: list[SpooledWriter], now: float) -> list[Part]:
        """The parts of the next request: one frame of each writer in turn, then more of those that have more."""
        parts: list[Part] = []
        ends: dict[SpooledWriter, Acked] = {}
        size = raw = 0
        most = self._max_parts or MAX_PARTS
        turn = deque(ready)
        files = sum(writer.open_files for writer in self._writers)
        while turn and size < self._max_body_bytes and len(parts) < most:
            writer = turn.popleft()
            files -= writer.open_files
            part = self._part(writer, ends.get(writer), now)
            if files + writer.open_files > self._max_files:
                writer.park()
            files += writer.open_files
            if part is None:
                continue
            if writer.parked:
                writer.next_look_s = now  # there may be more
            parts.append(part)
            ends[writer] = part.window.end
            size, raw = size + len(part.frame), raw + part.window.raw_bytes
            if part.window.full:
                turn.append(writer)
        self._plenty = raw >= _PLENTY_BYTES or bool(turn)
        if turn:
            # Nobody starves behind a full request: who was served waits for the others now.
            self._writers.sort(key=ends.__contains__)
        return parts

    def _part(self, writer: SpooledWriter, after: Acked | None, now: float) -> Part | None:
        """The next frame of a writer; where it has nothing to say, whatever it needs to be looked after."""
        writer.parked = False
        try:
            part = None
            if after is not None or writer.begun_more() or writer.reader.moved_on(writer.place):
                part = self._next_part(writer, after or writer.place)
            if part is None and after is None:
                part = self._look_after(writer, now)
        except SpoolCorrupt as error:
            writer.give_up(str(error))
            return None
        except OSError as error:
            writer.hold(f"its spool cannot be used: {error}", _DISK_RETRY_S)
            return None
        except Exception as error:
            # A fault of ours in one writer's records must not hold up the others.
            log.exception("reading writer %s failed in an unexpected way", writer.writer_id)
            writer.hold(f"its records cannot be sent: {error!r}")
            return None
        return part

    def _look_after(self, writer: SpooledWriter, now: float) -> Part | None:
        """A writer with nothing to send: an upload that can never be, a heartbeat, or its end."""
        writer.next_look_s = now + _LOOK_S
        if writer.held_by is not None:
            state = self._asset_state(writer, writer.held_by)
            if isinstance(state, Impossible):
                writer.set_aside_next(state.reason)
                return self._next_part(writer, writer.place)
            writer.hold_until_s = now + _HELD_S
        silent, ending = now >= writer.heard_s + HEARTBEAT_S, writer.ending
        if ending:
            writer.next_look_s = now + _ENDING_LOOK_S
        if not silent and not ending and now < writer.seen_alive_s + HEARTBEAT_S:
            return None
        if writer.alive():
            writer.seen_alive_s = now
            return writer.beat() if silent else None
        if writer.held_by is None and not writer.conclude() and not writer.settled:
            writer.next_look_s = now
        return None

    def _next_part(self, writer: SpooledWriter, after: Acked) -> Part | None:
        def may_send(event: EventRecord) -> bool:
            return event.type != "asset_logged.v1" or isinstance(self._asset_state(writer, event), Stored)

        return writer.next_part(after, min(limits.TARGET_FRAME_RAW_BYTES, self._max_body_bytes), may_send)

    def _asset_state(self, writer: SpooledWriter, event: EventRecord) -> AssetState:
        sha256 = str(event.fields.get("sha256"))
        # A digest that is none could name any file; the gateway refuses such an event.
        return self._uploads.state(sha256, writer.asset_path(sha256)) if SHA256.match(sha256) else Stored()

    def _send(self, parts: list[Part]) -> None:
        body = b"".join(part.frame for part in parts)
        self._last_sent_s = self._clock.monotonic_s()
        self._requests += 1
        try:
            response = self._transport.request("POST", FRAMES_PATH, body, self._headers)
        except Unreachable as error:
            if error.too_slow:
                self._max_body_bytes = max(len(body) // 2, _LEAST_BODY_BYTES)
            self._wait("retrying", str(error), self._backoff.next_wait_s())
            return
        receipt = receipt_of(part.frame for own in _by_writer(parts).values() for part in own)
        match meaning_of(response, self._clock.time_ns() / 1e9, receipt):
            case Accepted() as accepted:
                self._accepted(parts, accepted, len(body))
            case Rewind(expected, reason):
                self._rewound(parts, expected, reason)
            case Refused(status, writer_id, reason):
                self._refused(parts, status, writer_id, reason)
            case Stuck(reason):
                self._wait("stuck", reason, self._backoff.jittered_s(STUCK_RETRY_S))
            case Later(wait_s, reason):
                self._wait("retrying", reason, self._backoff.jittered_s(wait_s))
            case Failing(reason):
                self._wait("retrying", reason, self._backoff.next_wait_s())

    def _accepted(self, parts: list[Part], accepted: Accepted, size: int) -> None:
        next_seqs = accepted.next_seqs
        by_writer = _by_writer(parts)
        for writer, own in by_writer.items():
            if (next_seq := next_seqs.get(writer.writer_id)) is None:
                continue
            before = writer.place.next_seq
            try:
                writer.acknowledged(own, next_seq, accepted.position)
            except OSError as error:
                writer.hold(f"what was acknowledged cannot be written down: {error}", _DISK_RETRY_S)
            self._records_sent += max(writer.place.next_seq - before, 0)
            for event in (event for part in own for event in part.window.events):
                if event.type == "asset_logged.v1":
                    self._uploads.forget(str(event.fields.get("sha256")))
        self._bytes_sent += size
        missing = [writer.writer_id for writer in by_writer if writer.writer_id not in next_seqs]
        if missing:
            missed = f"the gateway's response leaves out {len(missing)} of {len(by_writer)} writers, as {missing[0]}"
            self._wait("retrying", accepted.left_out or missed, self._backoff.next_wait_s())
            return
        self._backoff.succeeded()
        self._rewinds = 0
        self._max_body_bytes = min(self._max_body_bytes * 2, MAX_BODY_BYTES)
        if self._max_parts is not None:
            self._max_parts = self._max_parts * 2 if self._max_parts < MAX_PARTS else None
        if self._last_error:
            log.info("%s takes records again", self.target.url)
        self._state, self._last_error, self._not_before_s = "sending", "", float("-inf")

    def _rewound(self, parts: list[Part], expected: Mapping[str, int], reason: str) -> None:
        writers = {part.writer.writer_id: part.writer for part in parts}
        known = [(writers[writer_id], seq) for writer_id, seq in expected.items() if writer_id in writers]
        moved = [self._moved(writer, seq) for writer, seq in known]
        self._rewinds += 1
        # The first time is what happens after a crash. Once more without anything accepted is a disagreement.
        if not any(moved) or self._rewinds > 2:
            self._wait("retrying", reason, self._backoff.next_wait_s())

    def _moved(self, writer: SpooledWriter, next_seq: int) -> bool:
        """Whether the writer goes on elsewhere, or is left alone for now: either way it is no reason to wait."""
        try:
            return writer.moved_back(next_seq) or writer.problem is not None
        except OSError as error:
            writer.hold(f"its spool cannot be used: {error}", _DISK_RETRY_S)
            return True

    def _refused(self, parts: list[Part], status: int, writer_id: str | None, reason: str) -> None:
        own = [part for part in parts if part.writer.writer_id == writer_id]
        if writer_id is None and len(parts) == 1:
            own = parts
        if own:
            own[0].writer.refused(own, reason)
        elif writer_id is None:
            self._max_parts = max(len(parts) // 2, 1)
        else:
            self._wait("retrying", f"{reason} (about {writer_id}, of which nothing was sent)", STUCK_RETRY_S)
        log.warning("%s refused a request of %d frames: %s", self.target.url, len(parts), reason)

    def _wait(self, state: str, reason: str, wait_s: float) -> None:
        now = self._clock.monotonic_s()
        self._not_before_s = now + wait_s
        if reason != self._last_error:
            log.warning("%s: %s (%s, next try in %.1f s)", self.target.url, reason, state, wait_s)
        self._state, self._last_error = state, reason
        self._status_at_s = now

    def _publish(self, now: float) -> None:
        """Say how it stands, about once a second and when something changed."""
        self._status_at_s = now + _STATUS_S
        for writer in self._writers:
            if writer.gone or writer.abandoned:
                writer.close()
        self._writers = [writer for writer in self._writers if not (writer.gone or writer.abandoned)]
        waits = now < self._not_before_s
        telling = []
        for writer in self._writers:
            if writer.begun_more() or writer.problem or writer.set_aside_count:
                backlog = writer.backlog()
                telling.append(
                    WriterStatus(
                        writer.writer_id,
                        writer.info.run_id,
                        writer.place.next_seq,
                        backlog.rows,
                        backlog.size_bytes,
                        writer.set_aside_count,
                        writer.problem,
                        writer.corrupt,
                    )
                )
        rows_waiting = sum(one.rows_waiting for one in telling)
        if not waits:
            self._state = "sending" if rows_waiting or now < self._last_sent_s + _STATUS_S else "idle"
        self.status = ChannelStatus(
            self.target.url,
            self._state,
            self._last_error or self._uploads.last_error,
            self._clock.at_us() + int((self._not_before_s - now) * 1e6) if waits else None,
            len(self._writers),
            rows_waiting,
            sum(one.bytes_waiting for one in telling),
            self._uploads.waiting,
            self._requests,
            self._records_sent,
            self._bytes_sent,
            tuple(telling),
        )


def _by_writer(parts: list[Part]) -> dict[SpooledWriter, list[Part]]:
    grouped: dict[SpooledWriter, list[Part]] = {}
    for part in parts:
        grouped.setdefault(part.writer, []).append(part)
    return grouped
