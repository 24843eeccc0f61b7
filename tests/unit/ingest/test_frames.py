"""What becomes of a writer's frames: the pure decision, over any order of sending."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events.encoding import encode_frame, encode_ragged, encode_rows, transposed
from runstream.events.frame import FrameHeader, InvalidFrame, read_checked
from runstream_ingest.gateway.frames import Sent, are_plain, verdict

WRITER = "a1" * 16


def sent(number: int, first_seq: int, end_seq: int) -> Sent:
    return Sent(number, FrameHeader(57, WRITER, "run", first_seq, end_seq), memoryview(b""))


bounds = st.tuples(st.integers(0, 12), st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))
requests = st.lists(st.lists(bounds, min_size=1, max_size=4), max_size=12)


@given(requests, st.booleans())
def test_the_log_never_has_a_gap_and_holds_all_that_was_acknowledged(
    sendings: list[list[tuple[int, int]]], beats: bool
) -> None:
    next_seq: int | None = None
    begin = 0
    held: set[int] = set()
    for sending in sendings:
        frames = [sent(number, first, end) for number, (first, end) in enumerate(sending)]
        found = verdict(frames, next_seq, beats)
        if found.gap is not None:
            assert found.appended == []
            assert found.gap == found.next_seq
            assert any(first > found.gap for first, _ in sending)
            continue
        if next_seq is None:
            begin = sending[0][0]
        left_out = [frame for frame in frames if frame not in found.appended]
        assert len(left_out) == found.duplicates + found.heartbeats_left_out
        held |= {seq for frame in found.appended for seq in range(frame.header.first_seq, frame.header.end_seq)}
        assert found.next_seq >= max(end for _, end in sending)
        next_seq = found.next_seq
        assert held >= set(range(begin, next_seq))
        assert sum(frame.header.first_seq == frame.header.end_seq for frame in found.appended) <= (1 if beats else 0)


def test_sending_everything_again_appends_nothing() -> None:
    frames = [sent(0, 0, 3), sent(1, 3, 4), sent(2, 4, 9)]
    first = verdict(frames, None, True)
    again = verdict(frames, first.next_seq, True)
    assert (first.next_seq, len(first.appended)) == (9, 3)
    assert (again.next_seq, again.appended, again.duplicates) == (9, [], 3)


PLAIN = encode_rows(b"loss", 2, transposed(struct.pack("<qqdqqd", 1, 10, 0.5, 2, 20, 0.25), 24), 0)
RAGGED = encode_ragged(["loss"], [(0, 1, 10, [0], [0.5])])
EVENTS = b'[[0,{"event":"x"}]]'


@pytest.mark.parametrize(
    ("frames", "is_plain"),
    [
        ([], True),
        ([encode_frame(WRITER, "run-1", 0, 0)], True),
        ([encode_frame(WRITER, "run-1", 0, 1, EVENTS)], True),
        ([encode_frame(WRITER, "run-1", 0, 2, b"", [PLAIN])], True),
        ([encode_frame(WRITER, "run-1", 0, 2, EVENTS, [PLAIN])] * 3, True),
        ([encode_frame(WRITER, "run-1", 0, 2, EVENTS, [PLAIN])] * 4, False),
        ([encode_frame(WRITER, "run-1", 0, 4, b"", [PLAIN, PLAIN])], False),
        (
            [encode_frame(WRITER, "run-1", 0, 2, b"", [PLAIN]), encode_frame(WRITER, "run-1", 0, 1, b"", [RAGGED])],
            False,
        ),
        ([encode_frame(WRITER, "run-1", 0, 1, EVENTS, [RAGGED])], False),
    ],
)
def test_bodies_that_are_checked_soon_are_told_from_others(frames: list[bytes], is_plain: bool) -> None:
    assert are_plain(memoryview(b"".join(frames)), 3) is is_plain


@given(st.data())
def test_what_passes_for_plain_has_nothing_to_unpack(data: st.DataObject) -> None:
    """Whatever a body claims: either it does not pass, or checking it finds no group that would be unpacked."""
    groups = data.draw(st.lists(st.sampled_from([PLAIN, RAGGED]), max_size=2))
    body = bytearray(encode_frame(WRITER, "run-1", 0, 10, data.draw(st.sampled_from([b"", EVENTS])), groups))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body[8:12] = zlib.crc32(body[12:]).to_bytes(4, "little")
    body = body[: data.draw(st.integers(0, len(body)))]
    if not body or not are_plain(memoryview(body), 3):
        return
    try:
        _, unpacked = read_checked(memoryview(body), 0)
    except InvalidFrame:
        return
    assert not unpacked
