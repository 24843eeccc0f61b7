"""A small real gateway for tests of the sender: it decodes what it gets, refuses gaps, remembers every record, and
misbehaves as it is told to."""

import hashlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runstream.events.columns import Rows, read_group
from runstream.events.frame import Frame, InvalidFrame, decode_frame, split_frames
from runstream.events.protocol import (
    ACKNOWLEDGES,
    ASSET_HEADER,
    PROBLEM_TYPE,
    PROTOCOL,
    PROTOCOL_HEADER,
    asset_mark,
    receipt_of,
)

#: (step, time in us, {metric: value}) of a row, or the event as a dict.
Record = tuple[int, int, dict[str, float]] | dict[str, Any]


@dataclass
class Faults:
    """Chances, each per request of frames, in this order. `seed` makes a run of one sender repeatable."""

    drop: float = 0.0  # cut off before anything was read as a request
    lose_response: float = 0.0  # everything is taken, and the connection is cut before the response
    repeat: float = 0.0  # the request is carried out once more later, as a proxy does that retries
    refuse_500: float = 0.0
    refuse_429: float = 0.0
    half_409: float = 0.0  # a 409 although nothing was missing
    delay_s: float = 0.0  # at most, before the response
    seed: int = 0


@dataclass
class Taken:
    """What one writer sent."""

    records: dict[int, Record] = field(default_factory=dict)
    next_seq: int = 0
    key: str = ""
    heartbeats: int = 0
    duplicates: int = 0
    heard_s: list[float] = field(default_factory=list)


class Collector:
    """Serves on 127.0.0.1 at a free port until `close`. Attributes may be read and set at any time."""

    def __init__(self, faults: Faults | None = None, port: int = 0) -> None:
        self.faults = faults or Faults()
        self.guard = threading.Lock()
        self.writers: dict[str, Taken] = {}
        self.assets: dict[str, bytes] = {}
        self.bodies: list[int] = []
        self.authorizations: set[str | None] = set()
        self.statuses: Counter[int] = Counter()
        self.gaps: list[str] = []
        #: What no sender may ever do: another record under a number that was used.
        self.conflicts: list[str] = []
        #: Returns (status, problem) to refuse a request, or None. Called with (writer_id, first, end) of each frame.
        self.refusal: Callable[[str, int, int], tuple[int, dict[str, Any]] | None] | None = None
        self.whole_refusal: tuple[int, dict[str, str], dict[str, Any]] | None = None
        self._random = random.Random(self.faults.seed)
        handler = type("Handler", (_Handler,), {"collector": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def chance(self, probability: float) -> bool:
        with self.guard:
            return self._random.random() < probability

    def delay(self) -> float:
        with self.guard:
            return self._random.random() * self.faults.delay_s

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Carry out a request: all of it or nothing. Returns the response's status and fields."""
        try:
            frames = [(header, decode_frame(data)) for header, data in split_frames(body)]
        except InvalidFrame as error:
            return 400, {"title": "invalid frame", "detail": str(error)}
        with self.guard:
            expected = {header.writer_id: self._taken(header.writer_id).next_seq for header, _ in frames}
            for header, _ in frames:
                refused = self.refusal(header.writer_id, header.first_seq, header.end_seq) if self.refusal else None
                if refused:
                    return refused
                if header.first_seq > expected[header.writer_id]:
                    self.gaps.append(f"{header.writer_id}: {header.first_seq} > {expected[header.writer_id]}")
                    known = {header.writer_id: self._taken(header.writer_id).next_seq}
                    return 409, {"title": "gap", "expected": known}
                expected[header.writer_id] = max(expected[header.writer_id], header.end_seq)
            self.bodies.append(len(body))
            for header, frame in frames:
                taken = self._taken(header.writer_id)
                taken.key = header.key
                taken.heard_s.append(time.monotonic())
                taken.heartbeats += header.first_seq == header.end_seq
                records = records_of(frame)
                for seq, record in records.items():
                    if not header.first_seq <= seq < header.end_seq:
                        self.conflicts.append(f"{header.writer_id}: {seq} in [{header.first_seq}, {header.end_seq})")
                    if seq < taken.next_seq:
                        taken.duplicates += 1
                        if not same(taken.records[seq], record):
                            self.conflicts.append(f"{header.writer_id}: another record {seq}: {record}")
                    else:
                        taken.records[seq] = record
                taken.next_seq = max(taken.next_seq, header.end_seq)
            by_writer: dict[str, list[memoryview]] = {}
            for header, data in split_frames(body):
                by_writer.setdefault(header.writer_id, []).append(data)
            return 200, {
                **ACKNOWLEDGES,
                "receipt": receipt_of(frame for frames in by_writer.values() for frame in frames),
                "positions": "0:1",
                "writers": {header.writer_id: self._taken(header.writer_id).next_seq for header, _ in frames},
            }

    def wait_for(self, done: Callable[[], bool], timeout_s: float = 240.0) -> bool:
        """Poll until `done()`; False if that took too long."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            with self.guard:
                if done():
                    return True
            time.sleep(0.01)
        return False

    def _taken(self, writer_id: str) -> Taken:
        return self.writers.setdefault(writer_id, Taken())


def same(one: Record, other: Record) -> bool:
    """Equal, NaN to NaN, by their texts: a fast way to the same result."""
    return one == other or repr(one) == repr(other)


def event_at(records: Mapping[int, Record], seq: int) -> dict[str, Any]:
    """The event that a writer has at this place; fails where it has a row."""
    event = records[seq]
    assert isinstance(event, dict), event
    return event


def records_of(frame: Frame) -> dict[int, Record]:
    records: dict[int, Record] = {}
    first = frame.header.first_seq
    for seq, event in json.loads(frame.events) if frame.events else ():
        assert seq not in records
        records[seq] = event
    for group in frame.groups:
        columns = read_group(group, first)
        if isinstance(columns, Rows):
            values = columns.values.tolist()
            for seq, step, at, row in zip(
                columns.seqs.tolist(), columns.steps.tolist(), columns.at_us.tolist(), values, strict=True
            ):
                assert seq not in records
                records[seq] = (step, at, dict(zip(columns.metrics, row, strict=True)))
        else:
            ragged: dict[int, Record] = {}
            for seq, step, at, index, value in zip(
                columns.seqs.tolist(),
                columns.steps.tolist(),
                columns.at_us.tolist(),
                columns.index.tolist(),
                columns.values.tolist(),
                strict=True,
            ):
                assert seq not in records
                row = ragged.setdefault(seq, (step, at, {}))
                assert isinstance(row, tuple)
                row[2][columns.metrics[index]] = value
            records |= ragged
    return records


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders are killed in the middle of requests here: nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector: Collector
    # Otherwise the delayed acknowledgement of the response's first packet holds back the second for 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        faults = self.collector.faults
        self.collector.authorizations.add(self.headers.get("Authorization"))
        assert self.headers["Content-Type"] == "application/vnd.runstream.frames"
        if self.collector.chance(faults.drop):
            self._cut()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]):
            return  # the sender died: a real gateway never sees a whole request
        refused = self._misbehave(faults)
        if refused is not None:
            self._respond(*refused)
            return
        status, fields = self.collector.take(body)
        if self.collector.chance(faults.repeat):
            threading.Timer(self.collector.delay() + 0.05, self.collector.take, (body,)).start()
        time.sleep(self.collector.delay())
        if self.collector.chance(faults.lose_response):
            self._cut()
            return
        self._respond(status, fields)

    def do_HEAD(self) -> None:
        sha256 = self.path.rsplit("/", 1)[1]
        stored = self.collector.assets.get(sha256)
        self.send_response(404 if stored is None else 200)
        self.send_header(PROTOCOL_HEADER, str(PROTOCOL))
        if stored is not None:
            self.send_header(ASSET_HEADER, asset_mark(sha256, len(stored)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        if self.collector.chance(self.collector.faults.drop):
            self._cut()
            return
        data = self.rfile.read(int(self.headers["Content-Length"]))
        sha256 = self.path.rsplit("/", 1)[1]
        if hashlib.sha256(data).hexdigest() != sha256:
            self._respond(422, {"type": PROBLEM_TYPE + "asset-mismatch", "title": "the bytes have another digest"})
            return
        self.collector.assets[sha256] = data
        self._respond(201, {**ACKNOWLEDGES, "sha256": sha256, "size_bytes": len(data)})

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _misbehave(self, faults: Faults) -> tuple[int, dict[str, Any], dict[str, str]] | None:
        chance = self.collector.chance
        if self.collector.whole_refusal is not None:
            status, headers, fields = self.collector.whole_refusal
            return status, fields, headers
        if chance(faults.refuse_500):
            return 500, {"title": "injected"}, {}
        if chance(faults.refuse_429):
            return 429, {"title": "injected"}, {"Retry-After": "0"}
        if chance(faults.half_409):
            with self.collector.guard:
                expected = {writer: taken.next_seq for writer, taken in self.collector.writers.items()}
            return 409, {"title": "injected", "expected": expected}, {}
        return None

    def _respond(self, status: int, fields: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.collector.statuses[status] += 1
        if status >= 400:
            fields = {"type": PROBLEM_TYPE + ("gap" if status == 409 else "injected"), **fields}
        data = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header(PROTOCOL_HEADER, str(PROTOCOL))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
