"""What becomes of a writer's frames: the pure decision, over any order of sending."""

from hypothesis import given
from hypothesis import strategies as st

from runstream.events.frame import FrameHeader
from runstream_ingest.gateway.frames import Sent, verdict

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
