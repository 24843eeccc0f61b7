"""The reader of a spool: everything that was committed, in order, once; nothing else; damage named."""

import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.sending.collector import Record, records_of
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.events.encoding import transposed
from runstream.events.frame import decode_frame
from runstream.sender.ends import append_event
from runstream.sender.frames import frame_from_window
from runstream.spool.format import Acked, SpoolCorrupt, segment_path
from runstream.spool.reader import EventRecord, SpoolReader, Window

ID = "0123456789abcdef0123456789abcdef"


def make(tmp_path: Path, **options: int) -> SpoolMaker:
    return SpoolMaker(tmp_path, writer_info(ID, "http://gateway"), **options)


def decoded(window: Window) -> dict[int, Record]:
    """What a server reads from the frame of a window."""
    return records_of(decode_frame(frame_from_window(ID, "run-1", window)))


def read_all(reader: SpoolReader, max_bytes: int = 500_000) -> dict[int, Record]:
    """Everything, window after window, each checked to begin where the one before ended."""
    place = reader.first() or Acked()
    seen: dict[int, Record] = {}
    while (window := reader.read(place, max_bytes)).seqs:
        assert window.start == place
        records = decoded(window)
        assert all(place.next_seq <= seq < window.end.next_seq for seq in records)
        seen |= records
        place = window.end
    return seen


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.just("row"), st.integers(0, 5), st.integers(1, 40)),
        st.tuples(st.just("event"), st.text(max_size=30), st.just(1)),
        st.tuples(st.just("sparse"), st.integers(0, 300), st.integers(1, 3)),
    ),
    max_size=40,
)


@given(records=RECORDS, max_bytes=st.integers(1, 5_000), segment_bytes=st.integers(1_000, 5_000))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_hold_every_record_once(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, int | str, int]],
    max_bytes: int,
    segment_bytes: int,
) -> None:
    spool = make(tmp_path_factory.mktemp("s"), segment_bytes=segment_bytes)
    written: dict[int, Record] = {}
    for kind, what, times in records:
        for _ in range(times):
            step = spool.seq
            if kind == "event":
                written[spool.event(type="x.v1", text=what)] = {"type": "x.v1", "text": what}
            else:
                names = [f"m{i}" for i in range(int(what) % 7 + 1)] if kind == "row" else [f"sparse{what}"]
                values = [step * 0.5 + i for i in range(len(names))]
                written[spool.row(names, step, values, ns=step * 1000)] = (
                    step, step, dict(zip(names, values, strict=True))
                )  # fmt: skip
    assert read_all(SpoolReader(spool.folder), max_bytes) == written


def test_special_values_and_many_metrics_come_back_bit_by_bit(tmp_path: Path) -> None:
    spool = make(tmp_path)
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308]
    spool.row([f"m{i}" for i in range(6)], -(2**63), values)
    (record,) = read_all(SpoolReader(spool.folder)).values()
    assert isinstance(record, tuple)
    assert record[0] == -(2**63)
    assert struct.pack("<6d", *record[2].values()) == struct.pack("<6d", *values)


def test_rows_that_rarely_repeat_their_metrics_travel_as_one_ragged_group(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for i in range(20):
        spool.row(["common"], i, [float(i)])
        spool.row([f"rare{i}", f"rare{i + 1}"], i, [1.0, 2.0])
    window = SpoolReader(spool.folder).read(Acked())
    frame = decode_frame(frame_from_window(ID, "run-1", window))
    assert [group.rows for group in frame.groups] == [20, 20]
    assert [group.layout for group in frame.groups] == [1, 2]


def test_a_record_without_its_mark_is_not_read_until_it_has_it(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.row(["a"], 0, [1.0])
    begin = spool.at
    spool.row(["a"], 1, [2.0], commit=False)
    reader = SpoolReader(spool.folder)
    window = reader.read(Acked())
    assert window.seqs == 1
    assert reader.has_more(window.end)
    assert reader.read(window.end).seqs == 0
    spool.at = begin
    spool.row(["a"], 1, [2.0])
    assert decoded(reader.read(window.end)) == {1: (1, 0, {"a": 2.0})}


@pytest.mark.parametrize("last", ["row", "event", "schema"])
def test_a_torn_last_record_is_left_out_at_every_byte(tmp_path: Path, last: str) -> None:
    """The record is written byte by byte in the order of its bytes; what was there before it always comes back."""
    spool = make(tmp_path, segment_bytes=4096)
    for i in range(3):
        spool.row(["a", "b"], i, [1.0, 2.0])
    spool.event(type="run_started.v1")
    begin = spool.at
    if last == "row":
        spool.row(["a", "b"], 9, [3.5, 4.5])
    elif last == "event":
        spool.event(type="run_finished.v1", status="finished")
    else:
        spool.row(["new"], 9, [3.5])
    whole = spool.path.read_bytes()
    end, seqs = spool.at, spool.seq
    for cut in range(begin, end):
        spool.path.write_bytes(whole[:cut].ljust(len(whole), b"\0"))
        reader = SpoolReader(spool.folder)
        for _ in range(2):
            assert reader.read(Acked()).seqs == 4, cut
        reader.close()
        # The sender says behind it that the writer is lost, after which nothing of the torn record is left.
        place = SpoolReader(spool.folder).read(Acked()).end
        append_event(spool.folder, ID, place, b'{"type":"writer_lost.v1"}', 5)
        records = read_all(SpoolReader(spool.folder))
        assert sorted(records) == [0, 1, 2, 3, 4], cut
        assert records[4] == {"type": "writer_lost.v1"}
    spool.path.write_bytes(whole)
    assert SpoolReader(spool.folder).read(Acked()).seqs == seqs


def test_a_file_that_is_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=2048)
    for i in range(10):
        spool.row(["a"], i, [1.0])
    whole = spool.path.read_bytes()
    begin = len(whole.rstrip(b"\0")) - 3 * 32
    for size in range(begin, begin + 96):
        spool.path.write_bytes(whole[:size])
        rows = 7 + (size - begin) // 32
        assert SpoolReader(spool.folder).read(Acked()).seqs == rows


@pytest.mark.parametrize(
    ("garbage", "named"),
    [
        (struct.pack("<I", 77).ljust(20, b"x"), "unknown kind 77"),
        (struct.pack("<I", 0x10005).ljust(20, b"x"), "schema 5"),
        (struct.pack("<II", 2, 2**31).ljust(20, b"x"), "2147483648 bytes"),
        (struct.pack("<II4sI", 2, 4, b"{{{{", 0x5AC0FFEE), "no JSON"),
        (struct.pack("<II2sI", 2, 2, b"[]", 0x5AC0FFEE), "no JSON object"),
    ],
)
def test_garbage_is_named_with_its_place_after_what_stands_before_it(
    tmp_path: Path, garbage: bytes, named: str
) -> None:
    spool = make(tmp_path)
    spool.row(["a"], 0, [1.0])
    place = spool.at
    spool.raw(garbage)
    reader = SpoolReader(spool.folder)
    window = reader.read(Acked())
    assert window.seqs == 1
    with pytest.raises(SpoolCorrupt, match=rf"00000000\.rows.*byte {place}|byte {place}.*00000000\.rows") as caught:
        reader.read(window.end)
    assert named in str(caught.value)


def test_bytes_that_made_no_sense_for_a_moment_are_no_damage(tmp_path: Path) -> None:
    """A reader may see half of a kind that is just being written."""
    spool = make(tmp_path)
    spool.row(["a"], 0, [1.0])
    begin = spool.at
    spool.raw(struct.pack("<I", 3))
    reader = SpoolReader(spool.folder)
    window = reader.read(Acked())
    assert reader.unsure
    assert reader.read(window.end).seqs == 0
    spool.at = begin
    spool.row(["a"], 1, [2.0])
    assert reader.read(window.end).seqs == 1
    assert not reader.unsure


def test_another_file_in_place_of_a_segment_is_named(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.path.write_bytes(b"not a segment" * 100)
    with pytest.raises(SpoolCorrupt, match="no spool segment"):
        SpoolReader(spool.folder).read(Acked())


def test_the_next_segment_is_followed_and_a_gap_between_two_is_named(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.row(["a"], 0, [1.0])
    reader = SpoolReader(spool.folder)
    window = reader.read(Acked())
    assert not reader.moved_on(window.end)
    spool.rotate()
    assert reader.moved_on(window.end)
    assert reader.read(window.end).end == window.end  # stays in the segment that has a record
    spool.row(["b"], 1, [2.0])
    following = reader.read(window.end)
    assert (following.seqs, following.end.segment) == (1, 1)
    spool.seq += 5
    spool.rotate()
    spool.row(["b"], 7, [2.0])
    with pytest.raises(SpoolCorrupt, match=r"00000002\.rows begins with number 7"):
        reader.read(following.end)


def test_deleting_what_is_acknowledged_keeps_the_rest_readable(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=2048)
    for i in range(300):
        spool.row(["a"], i, [float(i)])
    reader = SpoolReader(spool.folder)
    middle = reader.locate(150)
    assert middle is not None
    reader.forget_before(middle)
    assert not segment_path(spool.folder, 0).exists()
    assert reader.locate(0) is None
    assert min(decoded(SpoolReader(spool.folder).read(middle))) == 150
    assert reader.first() == Acked(reader.first().next_seq, middle.segment, 64)  # type: ignore[union-attr]
    with pytest.raises(SpoolCorrupt, match="is missing"):
        reader.read(Acked())


def test_every_number_is_found_and_none_that_is_not_there(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=1024)
    for i in range(60):
        spool.row(["a"], i, [1.0]) if i % 3 else spool.event(type="e")
    reader = SpoolReader(spool.folder)
    for seq in range(60):
        place = reader.locate(seq)
        assert place is not None
        assert min(decoded(reader.read(place, max_seqs=1))) == seq
    end = reader.locate(60)
    assert end is not None
    assert reader.read(end).seqs == 0
    assert reader.locate(61) is None


def test_the_backlog_counts_what_is_committed_behind_a_place(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=2048)
    for i in range(100):
        spool.row(["a"], i, [1.0])
    reader = SpoolReader(spool.folder)
    place = reader.locate(30)
    assert place is not None
    assert reader.backlog(place).rows == 70
    for i in range(50):
        spool.row(["a"], i, [1.0])
    backlog = reader.backlog(place)
    assert backlog.rows == 120
    assert 120 * 32 <= backlog.size_bytes <= 120 * 32 + 4 * 200
    assert reader.backlog(reader.last(place)).rows == 0


def test_bounds_hold_and_one_record_always_passes(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for i in range(100):
        spool.row(["a"], i, [1.0])
    reader = SpoolReader(spool.folder)
    window = reader.read(Acked(), max_bytes=300)
    assert window.full
    assert window.raw_bytes <= 300
    assert window.seqs == (300 - len("a")) // 28
    assert reader.read(Acked(), max_bytes=1).seqs == 1
    assert reader.read(Acked(), max_seqs=7).seqs == 7


def test_an_event_that_may_not_be_sent_ends_the_window(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.row(["a"], 0, [1.0])
    spool.event(type="asset_logged.v1")
    spool.row(["a"], 1, [1.0])
    reader = SpoolReader(spool.folder)

    def may_send(event: EventRecord) -> bool:
        return event.type != "asset_logged.v1"

    window = reader.read(Acked(), may_send=may_send)
    assert window.seqs == 1
    assert window.held_by is not None
    assert window.held_by.seq == 1
    assert reader.read(Acked()).seqs == 3


def test_it_knows_whether_a_writer_ended_also_from_the_middle_of_the_last_segment(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.event(type="run_started.v1")
    spool.event(type="run_finished.v1")
    reader = SpoolReader(spool.folder)
    end = reader.read(Acked()).end
    assert reader.ended
    again = SpoolReader(spool.folder)
    assert again.read(end).seqs == 0
    assert again.ended
    spool.event(type="run_started.v1", resumed=True)
    again.read(end)
    assert not again.ended


def test_a_place_that_is_not_the_beginning_of_a_record_is_named(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for i in range(5):
        spool.row(["a"], i, [1.0])
    with pytest.raises(SpoolCorrupt, match=r"no record of .* begins at byte 141"):
        SpoolReader(spool.folder).read(Acked(4, 0, 64 + 13 + 2 * 32))


@given(rows=st.integers(1, 30), width=st.integers(9, 40), head=st.integers(0, 4), tail=st.integers(0, 4))
def test_both_ways_to_transpose_agree(rows: int, width: int, head: int, tail: int) -> None:
    data = os.urandom(rows * width)
    columns = [data[i::width] for i in range(head, width - tail)]
    assert transposed(data, width, head, tail) == b"".join(columns)
