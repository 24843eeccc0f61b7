"""A channel with a gateway in memory and a clock that only moves when it is told to: no network, no thread."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from kit.sending.collector import Record, records_of
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.clock import Clock
from runstream.events import limits
from runstream.events.frame import decode_frame, split_frames
from runstream.events.protocol import (
    ACKNOWLEDGES,
    ASSET_HEADER,
    PROBLEM_TYPE,
    PROTOCOL,
    PROTOCOL_HEADER,
    asset_mark,
    receipt_of,
)
from runstream.sender.assets import AssetUploads
from runstream.sender.channel import Channel, Target
from runstream.sender.transport import Response, Unreachable
from runstream.sender.writers import SpooledWriter

URL = "http://gateway"
OURS = {PROTOCOL_HEADER.lower(): str(PROTOCOL)}


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def clock(self) -> Clock:
        return Clock(lambda: int(self.now_s * 1e9), lambda: self.now_s)


class Gateway:
    """Takes frames like a real one. `script` holds what it does instead, one entry a request."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.expected: dict[str, int] = {}
        self.records: dict[str, dict[int, Record]] = {}
        self.assets: dict[str, bytes] = {}
        self.script: list[Response | Exception] = []
        self.refuse: Callable[[str, Record], bool] = lambda _writer, _record: False
        self.requests: list[tuple[float, list[tuple[str, int, int]]]] = []
        self.sizes: list[int] = []
        self.lose_response = False

    def request(
        self, method: str, path: str, body: bytes | BinaryIO | None, headers: Mapping[str, str], timeout_s: float = 60.0
    ) -> Response:
        if method in ("HEAD", "PUT"):
            return self._asset(method, path.rsplit("/", 1)[1], body)
        assert isinstance(body, bytes)
        assert len(body) <= limits.MAX_REQUEST_BYTES
        frames = list(split_frames(body))
        self.sizes.append(len(body))
        self.requests.append((self.time.now_s, [(head.writer_id, head.first_seq, head.end_seq) for head, _ in frames]))
        if self.script:
            response = self.script.pop(0)
            if isinstance(response, Exception):
                raise response
            return acknowledged(body, json.loads(response.body)) if response.status == 200 else response
        return self._take(body)

    def _asset(self, method: str, sha256: str, body: bytes | BinaryIO | None) -> Response:
        if method == "HEAD":
            if sha256 not in self.assets:
                return Response(404, OURS, b"")
            return Response(200, OURS | {ASSET_HEADER.lower(): asset_mark(sha256, len(self.assets[sha256]))}, b"")
        assert body is not None
        assert not isinstance(body, bytes)
        self.assets[sha256] = body.read()
        told = {**ACKNOWLEDGES, "sha256": sha256, "size_bytes": len(self.assets[sha256])}
        return Response(201, OURS, json.dumps(told).encode())

    def _take(self, body: bytes) -> Response:
        responses = {}
        for head, data in split_frames(body):
            expected = self.expected.setdefault(head.writer_id, 0)
            if head.first_seq > expected:
                return problem(409, expected={head.writer_id: expected})
            records = records_of(decode_frame(data))
            if any(self.refuse(head.writer_id, record) for record in records.values()):
                return problem(422, title="bad record", writer_id=head.writer_id)
            for seq, record in records.items():
                self.records.setdefault(head.writer_id, {}).setdefault(seq, record)
            responses[head.writer_id] = self.expected[head.writer_id] = max(expected, head.end_seq)
        if self.lose_response:
            self.lose_response = False
            raise Unreachable("cut off")
        return acknowledged(body, {"positions": "0:1", "writers": responses})

    def close(self) -> None:
        """The next request comes all the same."""

    def abort(self) -> None:
        """Nothing is under way: a request is answered before it returns."""


def acknowledged(body: bytes, fields: Mapping[str, Any]) -> Response:
    """What a gateway says of a body that it took."""
    told = {**ACKNOWLEDGES, "receipt": receipt_of_body(body), **fields}
    return Response(200, OURS, json.dumps(told).encode())


def receipt_of_body(body: bytes) -> str:
    by_writer: dict[str, list[memoryview]] = {}
    for head, data in split_frames(body):
        by_writer.setdefault(head.writer_id, []).append(data)
    return receipt_of(frame for frames in by_writer.values() for frame in frames)


def problem(status: int, headers: Mapping[str, str] | None = None, **fields: Any) -> Response:
    kind = "gap" if status == 409 else "injected"
    told = {"type": PROBLEM_TYPE + kind, "title": "injected", **fields}
    return Response(status, OURS | dict(headers or {}), json.dumps(told).encode())


class Bench:
    """A channel with its gateway and clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.spool = tmp_path
        self.time = Time()
        self.gateway = Gateway(self.time)
        self.uploads = AssetUploads(self.gateway, {}, lambda: 0.5, lambda: self.time.now_s)
        self.channel = Channel(Target(URL, None), self.gateway, self.uploads, self.time.clock(), lambda: 0.5)
        self.made = 0

    def writer(self, **options: int) -> SpoolMaker:
        """A writer that said that its run started."""
        self.made += 1
        maker = SpoolMaker(self.spool, writer_info(f"{self.made:032x}", URL), **options)
        maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
        return maker

    def adopt(self, maker: SpoolMaker) -> SpooledWriter:
        writer = SpooledWriter(maker.folder, maker.info, self.spool / "rejected", self.time.clock())
        self.channel.adopt(writer)
        return writer

    def run(self, for_s: float) -> None:
        """Let the channel do what it wants to, the time passing only while it rests."""
        until_s = self.time.now_s + for_s
        for _ in range(100_000):
            rest_s = self.channel.step()
            assert rest_s >= 0
            if self.time.now_s + rest_s > until_s:
                break
            self.time.now_s += rest_s
        else:
            raise AssertionError("the channel never rests")
        self.time.now_s = until_s

    def sent(self, maker: SpoolMaker) -> dict[int, Record]:
        return self.gateway.records.get(maker.info.writer_id, {})
