"""A lane against a gateway in memory: no network, no thread, a clock that only moves when it is told to."""

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from collector import Record, _records
from spool_maker import SpoolMaker, writer_info

from runstream.clock import Clock
from runstream.events import limits
from runstream.events.frame import decode_frame, split_frames
from runstream.sender.assets import AssetUploads
from runstream.sender.lane import MAX_BODY_BYTES, Lane, Target
from runstream.sender.transport import Answer, Unreachable
from runstream.sender.writers import SpooledWriter
from runstream.spool.format import Acked, segment_numbers

URL = "http://gateway"


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
        self.script: list[Answer | Exception] = []
        self.refuse: Callable[[str, Record], bool] = lambda _writer, _record: False
        self.requests: list[tuple[float, list[tuple[str, int, int]]]] = []
        self.sizes: list[int] = []
        self.lose_answer = False

    def request(
        self, method: str, path: str, body: bytes | BinaryIO | None, headers: Mapping[str, str], timeout_s: float = 60.0
    ) -> Answer:
        if method in ("HEAD", "PUT"):
            return self._asset(method, path.rsplit("/", 1)[1], body)
        assert isinstance(body, bytes)
        assert len(body) <= limits.MAX_REQUEST_BYTES
        frames = list(split_frames(body))
        self.sizes.append(len(body))
        self.requests.append((self.time.now_s, [(head.writer_id, head.first_seq, head.end_seq) for head, _ in frames]))
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self._take(body)

    def _asset(self, method: str, sha256: str, body: bytes | BinaryIO | None) -> Answer:
        if method == "HEAD":
            return Answer(200 if sha256 in self.assets else 404, {}, b"")
        assert body is not None
        assert not isinstance(body, bytes)
        self.assets[sha256] = body.read()
        return Answer(201, {}, b"")

    def _take(self, body: bytes) -> Answer:
        answers = {}
        for head, data in split_frames(body):
            expected = self.expected.setdefault(head.writer_id, 0)
            if head.first_seq > expected:
                return problem(409, expected={head.writer_id: expected})
            records = _records(decode_frame(data))
            if any(self.refuse(head.writer_id, record) for record in records.values()):
                return problem(422, title="bad record", writer_id=head.writer_id)
            for seq, record in records.items():
                self.records.setdefault(head.writer_id, {}).setdefault(seq, record)
            answers[head.writer_id] = self.expected[head.writer_id] = max(expected, head.end_seq)
        if self.lose_answer:
            self.lose_answer = False
            raise Unreachable("cut off")
        return Answer(200, {}, json.dumps({"positions": "0:1", "writers": answers}).encode())

    def close(self) -> None:
        pass


def problem(status: int, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    return Answer(status, headers or {}, json.dumps({"title": "injected", **fields}).encode())


class Bench:
    """A lane with its gateway and clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.spool = tmp_path
        self.time = Time()
        self.gateway = Gateway(self.time)
        self.uploads = AssetUploads(self.gateway, {}, lambda: 0.5, lambda: self.time.now_s)
        self.lane = Lane(Target(URL, None), self.gateway, self.uploads, self.time.clock(), lambda: 0.5)
        self.made = 0

    def writer(self, **options: int) -> SpoolMaker:
        """A writer that said that its run started."""
        self.made += 1
        maker = SpoolMaker(self.spool, writer_info(f"{self.made:032x}", URL), **options)
        maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
        return maker

    def adopt(self, maker: SpoolMaker) -> SpooledWriter:
        writer = SpooledWriter(maker.folder, maker.info, self.spool / "rejected", self.time.clock())
        self.lane.adopt(writer)
        return writer

    def run(self, for_s: float) -> None:
        """Let the lane do what it wants to, the time passing only while it rests."""
        until_s = self.time.now_s + for_s
        for _ in range(100_000):
            rest_s = self.lane.step()
            assert rest_s >= 0
            if self.time.now_s + rest_s > until_s:
                break
            self.time.now_s += rest_s
        else:
            raise AssertionError("the lane never rests")
        self.time.now_s = until_s

    def sent(self, maker: SpoolMaker) -> dict[int, Record]:
        return self.gateway.records.get(maker.info.writer_id, {})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_many_writers_share_a_request_and_each_is_acknowledged(bench: Bench) -> None:
    makers = [bench.writer() for _ in range(50)]
    for maker in makers:
        for i in range(20):
            maker.row(["a", "b"], i, [i, -i])
        bench.adopt(maker)
    bench.run(0.5)
    assert len(bench.gateway.requests) == 1
    for maker in makers:
        assert sorted(bench.sent(maker)) == list(range(21))
        assert Acked.read(maker.folder).next_seq == 21


def test_slow_writers_wait_a_little_for_each_other_and_nobody_waits_long(bench: Bench) -> None:
    maker = bench.writer()
    bench.adopt(maker)
    for i in range(200):
        maker.row(["a"], i, [1.0])
        bench.run(0.01)
        assert len(bench.sent(maker)) >= maker.seq - 25
    assert len(bench.gateway.requests) <= 25


def test_a_backlog_is_sent_in_large_requests_without_resting_between_them(bench: Bench) -> None:
    makers = [bench.writer(segment_bytes=1 << 20) for _ in range(3)]
    for maker in makers:
        for i in range(20_000):
            maker.row(["a", "b"], i, [i * 0.1, i * 0.7])
        bench.adopt(maker)
    began = bench.time.now_s
    bench.run(0.05)
    assert all(len(bench.sent(maker)) == 20_001 for maker in makers)
    assert {at for at, _ in bench.gateway.requests} == {began}
    assert all(segment_numbers(maker.folder) == [maker.number] for maker in makers)


def test_a_lost_answer_is_sent_again_and_stored_once(bench: Bench) -> None:
    maker = bench.writer()
    bench.adopt(maker)
    bench.gateway.lose_answer = True
    bench.run(1.0)
    assert len(bench.gateway.requests) == 2
    assert Acked.read(maker.folder).next_seq == 1


def test_failures_are_retried_for_ever_ever_more_slowly(bench: Bench) -> None:
    maker = bench.writer()
    bench.adopt(maker)
    bench.gateway.script = [Unreachable("refused")] * 40
    bench.run(3600.0)
    times = [at for at, _ in bench.gateway.requests]
    waits = [later - at for at, later in itertools.pairwise(times)]
    assert waits[0] < 0.11
    assert max(waits[:41]) <= 15.2
    assert waits[:9] == sorted(waits[:9])
    assert len(bench.sent(maker)) == 1
    assert bench.lane.status.last_error is None


def test_it_says_while_it_retries_why_and_what_waits(bench: Bench) -> None:
    maker = bench.writer()
    maker.row(["a"], 0, [1.0])
    bench.adopt(maker)
    bench.gateway.script = [Unreachable("connection refused by nobody")] * 10
    bench.run(2.0)
    status = bench.lane.status
    assert (status.state, status.rows_waiting) == ("retrying", 2)
    assert "refused by nobody" in (status.last_error or "")
    assert status.next_try_us is not None
    assert status.telling[0].writer_id == maker.info.writer_id


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_only_a_person_can_change_is_stuck_and_tried_every_15_s(bench: Bench, status: int) -> None:
    bench.adopt(bench.writer())
    bench.gateway.script = [problem(status, detail="the key is unknown")] * 4
    bench.run(62.0)
    assert 4 <= len(bench.gateway.requests) <= 5
    bench.gateway.script = [problem(status, detail="the key is unknown")]
    bench.adopt(bench.writer())
    bench.run(5.0)
    assert bench.lane.status.state == "stuck"
    assert "the key is unknown" in (bench.lane.status.last_error or "")


def test_a_rest_that_the_gateway_asks_for_is_kept(bench: Bench) -> None:
    bench.adopt(bench.writer())
    bench.gateway.script = [problem(429, {"retry-after": "7"}), problem(503, {"retry-after": "2"})]
    bench.run(20.0)
    first, second, third = (at for at, _ in bench.gateway.requests[:3])
    assert 7.0 <= second - first <= 9.0
    assert 2.0 <= third - second <= 2.7


def test_it_goes_back_to_what_the_gateway_expects(bench: Bench) -> None:
    maker = bench.writer()
    for i in range(9):
        maker.row(["a"], i, [1.0])
    bench.adopt(maker)
    bench.run(0.3)
    bench.gateway.expected[maker.info.writer_id] = 4
    del bench.gateway.records[maker.info.writer_id]
    maker.row(["a"], 9, [1.0])
    bench.run(1.0)
    assert sorted(bench.sent(maker)) == list(range(4, 11))
    assert Acked.read(maker.folder).next_seq == 11


def test_a_gateway_that_lost_what_the_spool_no_longer_has_is_told_loudly_and_slowly(bench: Bench) -> None:
    maker = bench.writer(segment_bytes=2048)
    other = bench.writer()
    for i in range(300):
        maker.row(["a"], i, [1.0])
    bench.adopt(maker)
    bench.adopt(other)
    bench.run(1.0)
    assert segment_numbers(maker.folder)[0] > 0
    bench.gateway.expected[maker.info.writer_id] = 0
    for i in range(5):
        maker.row(["a"], i, [1.0])
    before = len(bench.gateway.requests)
    bench.run(60.0)
    told = next(one for one in bench.lane.status.telling if one.writer_id == maker.info.writer_id)
    assert "expects number 0" in (told.problem or "")
    assert told.rows_waiting == 5
    tries = [
        1 for _, frames in bench.gateway.requests[before:] if any(frame[0] == maker.info.writer_id for frame in frames)
    ]
    assert 3 <= len(tries) <= 6
    other.row(["a"], 1, [1.0])
    bench.run(1.0)
    assert len(bench.sent(other)) == 2


def test_one_record_that_is_refused_for_ever_costs_only_itself(bench: Bench) -> None:
    maker, other = bench.writer(), bench.writer()
    for i in range(100):
        maker.row(["a"], i, [float(i)])
    other.row(["a"], 0, [1.0])
    writer = bench.adopt(maker)
    bench.adopt(other)
    bench.gateway.refuse = lambda _, record: isinstance(record, tuple) and record[2] == {"a": 42.0}
    bench.run(10.0)
    records = bench.sent(maker)
    assert sorted(records) == list(range(101))
    assert records[43]["type"] == "points_dropped.v1"  # type: ignore[call-overload, index]
    assert sum(isinstance(record, tuple) for record in records.values()) == 99
    assert len(bench.sent(other)) == 2
    (kept,) = (bench.spool / "rejected").glob("*.frame")
    assert _records(decode_frame(kept.read_bytes())) == {43: (42, 0, {"a": 42.0})}
    told = json.loads(kept.with_suffix(".json").read_text())
    assert (told["first_seq"], told["end_seq"]) == (43, 44)
    assert "bad record" in told["reason"]
    assert writer.set_aside_count == 1
    assert len(bench.gateway.requests) < 40


def test_a_writer_of_which_everything_is_refused_is_no_flood(bench: Bench) -> None:
    maker = bench.writer()
    for i in range(5000):
        maker.row(["a"], i, [1.0])
    bench.adopt(maker)
    bench.gateway.refuse = lambda _, record: isinstance(record, tuple)
    bench.run(60.0)
    assert max(bench.sent(maker)) >= 4096
    assert len(bench.gateway.requests) < 100
    assert len(list((bench.spool / "rejected").glob("*.json"))) < 30


def test_a_refusal_that_names_nobody_is_narrowed_down(bench: Bench) -> None:
    makers = [bench.writer() for _ in range(8)]
    for maker in makers:
        bench.adopt(maker)
    bad = makers[5].info.writer_id
    take = bench.gateway._take

    def anonymous(body: bytes) -> Answer:
        held = [head.writer_id for head, data in split_frames(body)
                if any(isinstance(record, dict) and record["type"] == "run_started.v1"
                       for record in _records(decode_frame(data)).values())]  # fmt: skip
        return problem(413) if bad in held else take(body)

    bench.gateway._take = anonymous  # type: ignore[method-assign]
    bench.run(30.0)
    assert all(bench.sent(maker)[0]["type"] == "run_started.v1" for maker in makers if maker.info.writer_id != bad)  # type: ignore[call-overload, index]
    assert bench.sent(makers[5])[0]["type"] == "points_dropped.v1"  # type: ignore[call-overload, index]


def test_too_slow_a_line_gets_smaller_requests(bench: Bench) -> None:
    maker = bench.writer(segment_bytes=1 << 20)
    noise = random.Random(1)
    for i in range(60_000):
        maker.row(["a", "b"], i, [noise.random(), noise.random()])
    bench.adopt(maker)
    bench.gateway.script = [Unreachable("timed out", too_slow=True)] * 3
    bench.run(5.0)
    sizes = bench.gateway.sizes
    assert sizes[0] > 4 * sizes[3]
    assert sizes[3] < 100_000
    assert len(bench.sent(maker)) == 60_001
    assert bench.lane._max_body_bytes == MAX_BODY_BYTES


def test_a_silent_living_writer_is_heard_every_5_s(bench: Bench) -> None:
    maker = bench.writer()
    bench.adopt(maker)
    bench.run(31.0)
    beats = [frames for _, frames in bench.gateway.requests if frames[0][1] == frames[0][2]]
    assert 5 <= len(beats) <= 7
    assert beats[0] == [(maker.info.writer_id, 1, 1)]


def test_a_dead_writer_that_did_not_finish_is_lost_and_its_folder_removed(bench: Bench) -> None:
    maker = bench.writer()
    maker.row(["a"], 0, [1.0])
    maker.row(["a"], 1, [1.0], commit=False)
    bench.adopt(maker)
    bench.run(1.0)
    maker.die()
    bench.run(10.0)
    records = bench.sent(maker)
    assert sorted(records) == [0, 1, 2]
    assert records[2]["type"] == "writer_lost.v1"  # type: ignore[call-overload, index]
    assert str(maker.info.pid) in records[2]["reason"]  # type: ignore[call-overload, index]
    assert not maker.folder.exists()
    assert not bench.lane.busy()


def test_a_writer_that_finished_is_removed_without_being_lost(bench: Bench) -> None:
    maker = bench.writer()
    maker.event(type="run_finished.v1", at_us=5)
    bench.adopt(maker)
    bench.run(3.0)
    assert maker.folder.exists()  # it still holds its lock: it waits for the acknowledgement
    maker.die()
    bench.run(3.0)
    assert len(bench.sent(maker)) == 2
    assert not maker.folder.exists()


def test_nothing_of_a_dead_writer_is_removed_before_it_is_acknowledged(bench: Bench) -> None:
    maker = bench.writer()
    maker.event(type="run_finished.v1", at_us=5)
    maker.die()
    bench.gateway.script = [Unreachable("away")] * 8
    bench.adopt(maker)
    bench.run(2.0)
    assert maker.folder.exists()
    bench.run(60.0)
    assert len(bench.sent(maker)) == 2
    assert not maker.folder.exists()


def test_a_damaged_spool_is_set_aside_after_what_is_whole_and_the_others_go_on(bench: Bench) -> None:
    maker, other = bench.writer(), bench.writer()
    maker.row(["a"], 0, [1.0])
    maker.raw(b"\x4d\0\0\0" + b"garbage" * 5)
    bench.adopt(maker)
    bench.adopt(other)
    bench.run(12.0)
    assert len(bench.sent(maker)) == 2
    told = next(one for one in bench.lane.status.telling if one.writer_id == maker.info.writer_id)
    assert told.corrupt
    assert "unknown kind 77" in (told.problem or "")
    assert "unknown kind 77" in json.loads((maker.folder / "corrupt").read_text())["reason"]
    beats = [frames for _, frames in bench.gateway.requests if (maker.info.writer_id, 2, 2) in frames]
    assert len(beats) >= 1  # its process lives all the same
    other.row(["a"], 0, [1.0])
    bench.run(1.0)
    assert len(bench.sent(other)) == 2
    for each in (maker, other):
        each.die()
    bench.run(10.0)
    assert maker.folder.exists()
    assert not other.folder.exists()
    assert not bench.lane.busy()


def asset_event(data: bytes, **fields: Any) -> dict[str, Any]:
    return {
        "type": "asset_logged.v1",
        "at_us": 1,
        "asset_id": "a",
        "name": "n",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        **fields,
    }


def test_an_asset_is_there_before_its_event_and_holds_up_nobody_else(bench: Bench) -> None:
    maker, other = bench.writer(), bench.writer()
    event = asset_event(b"picture")
    copy = maker.folder / "assets" / event["sha256"]
    copy.parent.mkdir()
    copy.write_bytes(b"picture")
    maker.row(["a"], 0, [1.0])
    maker.event(**event)
    maker.row(["a"], 1, [1.0])
    bench.adopt(maker)
    bench.adopt(other)
    bench.run(12.0)
    assert sorted(bench.sent(maker)) == [0, 1]
    assert sorted(bench.sent(other)) == [0]
    assert [f for _, frames in bench.gateway.requests for f in frames if f == (maker.info.writer_id, 2, 2)]
    assert bench.lane.status.uploads_waiting == 1
    while bench.uploads.step() == 0.0:
        assert bench.gateway.assets == {event["sha256"]: b"picture"}
    bench.run(1.0)
    assert sorted(bench.sent(maker)) == [0, 1, 2, 3]
    assert not copy.exists()


def test_an_asset_that_is_nowhere_is_set_aside_with_the_reason_unless_the_gateway_has_it(bench: Bench) -> None:
    maker = bench.writer()
    gone, there = asset_event(b"gone"), asset_event(b"there")
    bench.gateway.assets[there["sha256"]] = b"there"
    for event in (there, gone):
        maker.event(**event)
    maker.row(["a"], 0, [1.0])
    bench.adopt(maker)
    for _ in range(5):
        bench.run(1.0)
        bench.uploads.step()
    records = bench.sent(maker)
    assert records[1] == there
    assert records[2]["type"] == "points_dropped.v1"  # type: ignore[call-overload, index]
    assert gone["sha256"] in records[2]["reason"]  # type: ignore[call-overload, index]
    assert records[3] == (0, 0, {"a": 1.0})
    (kept,) = (bench.spool / "rejected").glob("*.records")
    assert json.loads(kept.read_bytes()) == gone


def test_a_digest_that_is_a_path_opens_nothing(bench: Bench) -> None:
    maker = bench.writer()
    event = asset_event(b"x") | {"sha256": "../../../../etc/passwd"}
    maker.event(**event)
    bench.adopt(maker)
    bench.run(1.0)
    assert bench.uploads.waiting == 0
    assert bench.sent(maker)[1] == event


def test_a_new_sender_goes_on_where_the_one_before_stopped(bench: Bench) -> None:
    maker = bench.writer(segment_bytes=2048)
    for i in range(150):
        maker.row(["a"], i, [float(i)])
    bench.adopt(maker)
    bench.run(1.0)
    for i in range(150):
        maker.row(["a"], i, [float(i)])
    following = Lane(Target(URL, None), bench.gateway, bench.uploads, bench.time.clock(), lambda: 0.5)
    bench.lane = following
    bench.adopt(maker)
    before = len(bench.gateway.requests)
    bench.run(1.0)
    assert bench.gateway.requests[before][1][0][1] == 151
    assert len(bench.sent(maker)) == 301


def test_a_damaged_acked_file_only_costs_sending_again(bench: Bench) -> None:
    maker = bench.writer(segment_bytes=2048)
    for i in range(150):
        maker.row(["a"], i, [float(i)])
    bench.adopt(maker)
    bench.run(1.0)
    (maker.folder / "acked").write_bytes(b"nonsense")
    bench.lane = Lane(Target(URL, None), bench.gateway, bench.uploads, bench.time.clock(), lambda: 0.5)
    maker.row(["a"], 150, [1.0])
    bench.adopt(maker)
    bench.run(1.0)
    assert sorted(bench.sent(maker)) == list(range(152))


def test_a_spool_that_ends_before_what_the_gateway_has_is_told_while_its_writer_lives(bench: Bench) -> None:
    maker = bench.writer()
    bench.gateway.expected[maker.info.writer_id] = 10
    bench.adopt(maker)
    bench.run(5.0)
    (told,) = bench.lane.status.telling
    assert "only written up to 1" in (told.problem or "")
    maker.die()
    bench.run(40.0)
    assert not maker.folder.exists()
