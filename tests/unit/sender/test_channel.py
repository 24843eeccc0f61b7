"""A channel against a gateway in memory: no network, no thread, a clock that only moves when it is told to."""

import hashlib
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from kit.sending.channel_bench import URL, Bench, problem
from kit.sending.collector import event_at, records_of
from runstream.events.frame import decode_frame, split_frames
from runstream.sender.channel import Channel, Target
from runstream.sender.transport import Response, Unreachable
from runstream.spool.format import Acked, segment_numbers


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


def test_a_response_may_leave_writers_out_and_say_why(bench: Bench) -> None:
    """As where one partition of Kafka's does not answer."""
    taken, left = bench.writer(), bench.writer()
    for maker in (taken, left):
        bench.adopt(maker)
    body = {"writers": {taken.info.writer_id: 1}, "left_out": "partition 2 has no leader"}
    bench.gateway.script = [Response(200, {}, json.dumps(body).encode())]
    bench.channel.step()
    assert (Acked.read(taken.folder).next_seq, Acked.read(left.folder).next_seq) == (1, 0)
    bench.channel.step()
    assert (bench.channel.status.state, bench.channel.status.last_error) == ("retrying", "partition 2 has no leader")
    bench.run(3.0)
    assert Acked.read(left.folder).next_seq == 1
    assert not bench.channel.status.last_error


def test_a_lost_response_is_sent_again_and_stored_once(bench: Bench) -> None:
    maker = bench.writer()
    bench.adopt(maker)
    bench.gateway.lose_response = True
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
    assert bench.channel.status.last_error is None


def test_it_says_while_it_retries_why_and_what_waits(bench: Bench) -> None:
    maker = bench.writer()
    maker.row(["a"], 0, [1.0])
    bench.adopt(maker)
    bench.gateway.script = [Unreachable("connection refused by nobody")] * 10
    bench.run(2.0)
    status = bench.channel.status
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
    assert bench.channel.status.state == "stuck"
    assert "the key is unknown" in (bench.channel.status.last_error or "")


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
    told = next(one for one in bench.channel.status.telling if one.writer_id == maker.info.writer_id)
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
    assert event_at(records, 43)["type"] == "points_dropped.v1"
    assert sum(isinstance(record, tuple) for record in records.values()) == 99
    assert len(bench.sent(other)) == 2
    (kept,) = (bench.spool / "rejected").glob("*.frame")
    assert records_of(decode_frame(kept.read_bytes())) == {43: (42, 0, {"a": 42.0})}
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

    def anonymous(body: bytes) -> Response:
        held = [head.writer_id for head, data in split_frames(body)
                if any(isinstance(record, dict) and record["type"] == "run_started.v1"
                       for record in records_of(decode_frame(data)).values())]  # fmt: skip
        return problem(413) if bad in held else take(body)

    bench.gateway._take = anonymous  # type: ignore[method-assign]
    bench.run(30.0)
    assert all(
        event_at(bench.sent(maker), 0)["type"] == "run_started.v1" for maker in makers if maker.info.writer_id != bad
    )
    assert event_at(bench.sent(makers[5]), 0)["type"] == "points_dropped.v1"


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
    assert len(bench.sent(maker)) == 60_001
    assert max(sizes[4:]) > 1.5 * sizes[3]


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
    assert event_at(records, 2)["type"] == "writer_lost.v1"
    assert str(maker.info.pid) in event_at(records, 2)["reason"]
    assert not maker.folder.exists()
    assert not bench.channel.busy()


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
    told = next(one for one in bench.channel.status.telling if one.writer_id == maker.info.writer_id)
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
    assert not bench.channel.busy()


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
    assert bench.channel.status.uploads_waiting == 1
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
    assert event_at(records, 2)["type"] == "points_dropped.v1"
    assert gone["sha256"] in event_at(records, 2)["reason"]
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
    following = Channel(Target(URL, None), bench.gateway, bench.uploads, bench.time.clock(), lambda: 0.5)
    bench.channel = following
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
    bench.channel = Channel(Target(URL, None), bench.gateway, bench.uploads, bench.time.clock(), lambda: 0.5)
    maker.row(["a"], 150, [1.0])
    bench.adopt(maker)
    bench.run(1.0)
    assert sorted(bench.sent(maker)) == list(range(152))


def test_a_spool_that_ends_before_what_the_gateway_has_is_told_while_its_writer_lives(bench: Bench) -> None:
    maker = bench.writer()
    bench.gateway.expected[maker.info.writer_id] = 10
    bench.adopt(maker)
    bench.run(5.0)
    (told,) = bench.channel.status.telling
    assert "only written up to 1" in (told.problem or "")
    maker.die()
    bench.run(40.0)
    assert not maker.folder.exists()


def test_a_writer_whose_acknowledgement_cannot_be_written_holds_up_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, other = bench.writer(), bench.writer()
    writer = bench.adopt(maker)
    bench.adopt(other)

    def full(_place: Acked) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(writer, "_store", full)
        bench.run(12.0)
        assert Acked.read(other.folder).next_seq == 1
        assert "No space left" in (writer.problem or "")
        assert len(bench.gateway.requests) < 12
    bench.run(6.0)
    assert Acked.read(maker.folder).next_seq == 1
    assert writer.problem is None
