"""What a hostile writer can make the folds hold: bounded, whatever few bytes unpack to."""

import json
import tracemalloc
from collections.abc import Callable

from runstream.events import limits
from runstream.events.control import ParametersLogged
from runstream.events.frame import Frame, FrameHeader
from runstream_model.attributes import rows_from_events
from runstream_model.decoding import decode_events
from runstream_model.seen import MOST_RANGES, Seen

GOOD = b'{"type":"run_archived.v1","at_us":1}'


def frame_of(events: bytes) -> Frame:
    return Frame(FrameHeader(0, "0" * 32, "run", 0, 2**40), events, ())


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_million_wrong_items_are_a_hundred_and_three() -> None:
    for item in (b"0", b"[0,0]", b"[]", b'"x"', b"[0,{}]"):
        for size in (200_000, 600_000):
            text = b"[[0,%b],%b]" % (GOOD, b",".join([item] * (size // len(item))))
            events, rejected = decode_events(frame_of(text))
            assert [seq for seq, _ in events] == [0]
            assert len(rejected) <= 103
            assert sum(len(one.body) for one in rejected) <= 2 * len(text)


def test_wrong_items_take_bounded_memory() -> None:
    text = b"[%b]" % b",".join([b"0"] * 200_000)
    assert peak_bytes(lambda: decode_events(frame_of(text))) < 250 * len(text)


def test_more_events_than_a_frame_can_have_are_rejected_together() -> None:
    count = limits.MAX_FRAME_EVENTS + 5
    text = b"[%b]" % b",".join(b"[%d,%b]" % (seq, GOOD) for seq in range(count))
    events, rejected = decode_events(frame_of(text))
    assert len(events) == limits.MAX_FRAME_EVENTS
    [rest] = rejected
    assert (rest.seq, len(json.loads(b"[" + rest.body))) == (None, 5)


def test_events_that_are_no_json_are_given_up_after_a_bounded_look() -> None:
    text = b"[[0,%b],[1,%b]" % (GOOD, b"[]," * 300_000)
    events, rejected = decode_events(frame_of(text))
    assert [seq for seq, _ in events] == [0]
    assert len(rejected) == 1


def test_names_of_nested_parameters_are_bounded() -> None:
    leaves = {f"k{number}": number for number in range(10_000)}
    value = {"x" * 100_000: leaves}
    event = ParametersLogged(at_us=1, values={"a": value})
    assert peak_bytes(lambda: rows_from_events("run", "0" * 32, [(0, event)], 0, 0)) < 40_000_000
    [row] = rows_from_events("run", "0" * 32, [(0, event)], 0, 0).attributes
    assert row["name"] == "a"
    assert json.loads(row["value"]) == value
    usual = ParametersLogged(at_us=1, values={"a": {"b": leaves}})
    assert len(rows_from_events("run", "0" * 32, [(0, usual)], 0, 0).attributes) == 10_000


def test_a_writer_has_a_bounded_number_of_gaps() -> None:
    seen = Seen(tuple((2 * number, 2 * number + 1) for number in range(MOST_RANGES)))
    assert not seen.has_room(2 * MOST_RANGES + 7, 2 * MOST_RANGES + 9)
    assert not seen.has_room(2**64 - 2, 2**64 - 1)
    assert seen.has_room(1, 2), "it closes a gap"
    assert seen.has_room(2 * MOST_RANGES - 1, 2 * MOST_RANGES + 5), "it goes on where the last range ends"
    assert seen.has_room(0, 1), "it is known"
    assert Seen().has_room(5, 6)
