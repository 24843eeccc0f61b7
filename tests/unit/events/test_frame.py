"""Frames: round trips, and bytes that nobody sane would send."""

import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import lz4.block
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events import limits
from runstream.events.columns import Ragged, Rows, check_lengths, read_group
from runstream.events.encoding import encode_events, encode_frame, encode_ragged, encode_rows, heartbeat, transposed
from runstream.events.frame import (
    EVENTS,
    GROUP,
    HEADER,
    LZ4,
    RAGGED,
    RAGGED_EPOCHS,
    ROWS_CONTIGUOUS,
    ROWS_EXPLICIT,
    STORED,
    Frame,
    FrameHeader,
    Group,
    InvalidFrame,
    UnsupportedFrame,
    decode_frame,
    read_checked,
    read_header,
    split_frames,
)
from runstream.events.names import NO_EPOCH

WRITER = "00112233445566778899aabbccddeeff"
I64 = st.integers(-(2**63), 2**63 - 1)
DOUBLE_BITS = st.integers(0, 2**64 - 1)
METRIC = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=8)
METRICS = st.lists(METRIC, min_size=1, max_size=5, unique=True)


def double(bits: int) -> float:
    value: float
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    return value


def bits(values: Any) -> list[int]:
    return np.ascontiguousarray(values).view(np.uint64).ravel().tolist()


@st.composite
def rows_groups(draw: st.DrawFn, explicit: bool) -> tuple[Group, tuple[Any, ...], int]:
    """A group, what is in it (names, seqs, steps, ns, bits of values), and how many numbers it needs."""
    names = draw(METRICS)
    rows = draw(st.lists(st.tuples(I64, I64, *[DOUBLE_BITS] * len(names)), min_size=1, max_size=40))
    base = draw(st.integers(0, 5))
    gaps = draw(st.lists(st.integers(1, 3), min_size=len(rows) - 1, max_size=len(rows) - 1))
    seqs = [base]
    for gap in gaps:
        seqs.append(seqs[-1] + (gap if explicit else 1))
    packed = b"".join(struct.pack(f"<qq{len(names)}Q", *row) for row in rows)
    packed_seqs = struct.pack(f"<{len(seqs)}I", *seqs) if explicit else b""
    columns = transposed(memoryview(packed), 16 + 8 * len(names))
    group = encode_rows("\n".join(names).encode(), len(rows), columns, base, packed_seqs)
    held = (tuple(names), seqs, [row[0] for row in rows], [row[1] for row in rows], [list(row[2:]) for row in rows])
    return group, held, seqs[-1] + 1


@settings(max_examples=examples(150), deadline=None)
@given(st.booleans().flatmap(lambda explicit: rows_groups(explicit)), st.integers(0, 2**63))
def test_rows_come_back_bit_by_bit(drawn: tuple[Group, tuple[Any, ...], int], first: int) -> None:
    group, (names, seqs, steps, ns, values), needed = drawn
    frame = decode_frame(encode_frame(WRITER, "run", first, first + needed, groups=[group]))
    read = read_group(frame.groups[0], first)
    assert isinstance(read, Rows)
    assert read.metrics == names
    assert read.seqs.tolist() == [first + seq for seq in seqs]
    assert read.steps.tolist() == steps
    assert read.at_us.tolist() == [at // 1000 for at in ns]
    assert bits(read.values) == [value for row in values for value in row]


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), METRICS, st.integers(0, 2**63))
def test_ragged_rows_come_back_bit_by_bit(data: st.DataObject, names: list[str], first: int) -> None:
    point = st.tuples(st.integers(0, len(names) - 1), DOUBLE_BITS)
    row = st.tuples(I64, I64, st.lists(point, max_size=5, unique_by=lambda pair: pair[0]))
    rows = data.draw(st.lists(row, min_size=1, max_size=30))
    epoch = st.none() | I64.filter(lambda epoch: epoch != NO_EPOCH)
    epochs = data.draw(st.none() | st.lists(epoch, min_size=len(rows), max_size=len(rows)))
    group = encode_ragged(
        names,
        [
            (2 * number, step, ns, [index for index, _ in points], [double(value) for _, value in points])
            for number, (step, ns, points) in enumerate(rows)
        ],
        epochs,
    )
    has_epochs = any(epoch is not None for epoch in epochs or ())
    assert group.layout == (RAGGED_EPOCHS if has_epochs else RAGGED)
    end = first + 2 * len(rows)
    read = read_group(decode_frame(encode_frame(WRITER, "run", first, end, groups=[group])).groups[0], first)
    assert isinstance(read, Ragged)
    flat = [
        (first + 2 * number, step, ns // 1000, index, value)
        for number, (step, ns, points) in enumerate(rows)
        for index, value in points
    ]
    columns = (read.seqs, read.steps, read.at_us, read.index)
    got = list(zip(*(column.tolist() for column in columns), bits(read.values), strict=True))
    # A signalling NaN may turn quiet on its way through a Python float; which NaN it was means nothing.
    assert [item[:4] for item in got] == [item[:4] for item in flat]
    assert [quiet(item[4]) for item in got] == [quiet(item[4]) for item in flat]
    assert (read.epochs is not None) == has_epochs
    if read.epochs is not None:
        by_row = zip(rows, epochs or (), strict=True)
        spread = [NO_EPOCH if epoch is None else epoch for (_, _, points), epoch in by_row for _ in points]
        assert read.epochs.tolist() == spread


def quiet(value: int) -> int | str:
    return "NaN" if double(value) != double(value) else value


@settings(max_examples=examples(100), deadline=None)
@given(
    st.sampled_from(["run", "a.b-c_9", "w/p", "größe/日本"]),
    st.integers(0, 2**64 - 1),
    st.integers(0, 1000),
    st.lists(st.binary(max_size=300), max_size=4),
)
def test_header_and_events_come_back(key: str, first: int, covered: int, events: list[bytes]) -> None:
    end = min(first + covered, 2**64 - 1)
    text = encode_events(list(enumerate(events)))
    data = encode_frame(WRITER, key, first, end, text)
    frame = decode_frame(memoryview(data))
    assert (frame.header.writer_id, frame.header.key) == (WRITER, key)
    assert (frame.header.first_seq, frame.header.end_seq, frame.header.size) == (first, end, len(data))
    assert frame.events == text
    assert [header for header, _ in split_frames(data * 3)] == [frame.header] * 3


def valid_frames() -> list[bytes]:
    rows = struct.pack("<qqdd", 1, 2, 3.0, 4.0) * 20
    columns = transposed(rows, 32)
    explicit = struct.pack("<20I", *range(3, 43, 2))
    return [
        heartbeat(WRITER, "run", 5),
        encode_frame(WRITER, "run", 0, 1, encode_events([(0, b'{"type":"run_archived.v1","at_us":1}')])),
        encode_frame(WRITER, "run", 0, 1, encode_events([(0, b'{"x":"%b"}' % (b"y" * 300))])),
        encode_frame(WRITER, "run", 7, 57, groups=[encode_rows(b"a\nb", 20, columns, 0)]),
        encode_frame(WRITER, "run", 7, 57, groups=[encode_rows(b"a\nb", 20, columns, 3, explicit)]),
        encode_frame(
            WRITER, "run", 7, 57, groups=[encode_ragged(["a", "b"], [(i, i, i, [1], [0.5]) for i in range(20)])]
        ),
        encode_frame(WRITER, "run", 7, 57, groups=[encode_ragged(["a"], [(0, 1, 2, [0], [0.5])])]),
        encode_frame(WRITER, "run", 7, 57, groups=[encode_ragged(["a"], [(0, 1, 2, [0], [0.5])], [3])]),
    ]


VALID = valid_frames()


def with_good_checksum(data: bytes) -> bytes:
    """So that what is behind the checksum's back gets tested as well: a client can send any bytes with a good one."""
    head = data[:4] + struct.pack("<I", len(data))
    return head + struct.pack("<I", zlib.crc32(data[12:])) + data[12:]


def read_everything(data: bytes) -> None:
    """Whatever is refused has to be refused by InvalidFrame: a ValueError of numpy is none."""
    try:
        for _ in split_frames(data):
            pass
    except InvalidFrame:
        pass
    try:
        frame = decode_frame(data)
    except InvalidFrame:
        return
    for group in frame.groups:
        try:
            read = read_group(group, frame.header.first_seq)
        except InvalidFrame:
            continue
        assert len(read.seqs) == len(read.steps) == len(read.at_us) == len(read.values)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200), st.booleans())
@example(b"", False)
@example(HEADER.pack(b"RS", 1, 0, 2**32 - 1, 0, b"\0" * 16, 0, 0, 255, 0, 2**16 - 1), True)
def test_random_bytes_are_refused_in_one_way(junk: bytes, begins_well: bool) -> None:
    read_everything(b"RS\x01\x00" + junk if begins_well else junk)


@settings(max_examples=examples(800), deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
    st.none() | st.integers(0, 2**16),
    st.binary(max_size=8),
    st.booleans(),
)
def test_changed_frames_are_refused_in_one_way(
    frame: bytes, changes: list[tuple[int, int]], cut: int | None, behind: bytes, checksum: bool
) -> None:
    changed = bytearray(frame)
    for at, value in changes:
        changed[at % len(changed)] = value
    data = bytes(changed[: cut % (len(frame) + 1)] if cut is not None else changed) + behind
    read_everything(with_good_checksum(data) if checksum and len(data) >= HEADER.size else data)


@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from([STORED, LZ4, 7]),
    st.sampled_from([ROWS_CONTIGUOUS, ROWS_EXPLICIT, RAGGED, RAGGED_EPOCHS, 9]),
    st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]),
    st.sampled_from([0, 1, 2**32 - 1]),
    st.sampled_from([0, 1, 2, 2**16 - 1]),
    st.sampled_from([0, 1, 2**32 - 1]),
    st.sampled_from([0, 1, 64, 16_000_000, 2**32 - 1]),
    st.binary(max_size=80),
    st.sampled_from([(0, 1), (0, 2**64 - 1), (2**64 - 3, 2**64 - 1)]),
)
def test_claimed_sizes_are_refused_in_one_way(
    codec: int,
    layout: int,
    rows: int,
    seq_base: int,
    metrics: int,
    names_size: int,
    raw_size: int,
    stored: bytes,
    covers: tuple[int, int],
) -> None:
    group = GROUP.pack(codec, layout, rows, seq_base, metrics, names_size, raw_size, len(stored)) + stored
    read_everything(hand_made(*covers, EVENTS.pack(STORED, 0, 0) + group, groups=1))


def hand_made(first: int, end: int, body: bytes, groups: int, key: bytes = b"run", **head: int) -> bytes:
    header = HEADER.pack(
        b"RS",
        head.get("version", 1),
        head.get("flags", 0),
        HEADER.size + len(key) + len(body),
        0,
        bytes.fromhex(WRITER),
        first,
        end,
        len(key),
        head.get("reserved", 0),
        groups,
    )
    return with_good_checksum(header + key + body)


def group_bytes(layout: int, rows: int, base: int, metrics: int, names: bytes, raw: bytes) -> bytes:
    return GROUP.pack(STORED, layout, rows, base, metrics, len(names), len(raw), len(raw)) + raw


NO_EVENTS = EVENTS.pack(STORED, 0, 0)
ONE_ROW = b"a" + struct.pack("<qqd", 0, 0, 0.0)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (hand_made(5, 4, NO_EVENTS, 0), "ends before it begins"),
        (hand_made(0, 0, NO_EVENTS, 0, key=b""), "no run id"),
        (hand_made(0, 0, NO_EVENTS, 0, key=b"-run"), "no run id"),
        (hand_made(0, 0, NO_EVENTS, 0, key=b"a/b/c"), "contains '/'"),
        (hand_made(0, 0, NO_EVENTS, 0, key=b"\xff"), "no run id"),
        (hand_made(0, 0, NO_EVENTS + b"x", 0), "1 bytes behind its last group"),
        (heartbeat(WRITER, "run", 5) + b"x", "were given as one frame"),
        (hand_made(0, 0, NO_EVENTS, 1), "begins behind the end"),
        (hand_made(0, 0, EVENTS.pack(STORED, 3, 2) + b"[]", 0), "2 bytes, which cannot unpack to 3"),
        (hand_made(0, 0, EVENTS.pack(LZ4, 9, 2) + b"[]", 0), "do not unpack"),
        (hand_made(0, 0, EVENTS.pack(LZ4, 2**31, 2) + b"[]", 0), "claim 2147483648 bytes"),
        (
            hand_made(0, 1, NO_EVENTS + group_bytes(ROWS_CONTIGUOUS, 1, 1, 1, b"a", ONE_ROW), 1),
            "number 1 of the 1 ",
        ),
        (hand_made(0, 1, NO_EVENTS + 2 * group_bytes(ROWS_CONTIGUOUS, 1, 0, 1, b"a", ONE_ROW), 2), "have 2 rows"),
        (hand_made(0, 1, NO_EVENTS + group_bytes(ROWS_CONTIGUOUS, 1, 0, 1, b"a", ONE_ROW[:-1]), 1), "do not fit"),
    ],
)
def test_what_does_not_fit_together_is_refused(data: bytes, error: str) -> None:
    with pytest.raises(InvalidFrame, match=error):
        decode_frame(data)


@pytest.mark.parametrize(
    "data",
    [
        hand_made(0, 0, NO_EVENTS, 0, version=2),
        hand_made(0, 0, NO_EVENTS, 0, flags=1),
        hand_made(0, 0, NO_EVENTS, 0, reserved=1),
        hand_made(0, 0, EVENTS.pack(2, 0, 0), 0),
        hand_made(0, 1, NO_EVENTS + group_bytes(4, 1, 0, 1, b"a", ONE_ROW), 1),
    ],
)
def test_a_frame_of_a_later_version_is_told_from_a_damaged_one(data: bytes) -> None:
    with pytest.raises(UnsupportedFrame, match="upgrade"):
        decode_frame(data)


@pytest.mark.parametrize("at", range(len(VALID[1])))
def test_every_changed_byte_is_noticed(at: int) -> None:
    changed = bytearray(VALID[1])
    changed[at] ^= 0x40
    with pytest.raises(InvalidFrame):
        decode_frame(bytes(changed))


@pytest.mark.parametrize("frame", VALID)
def test_every_cut_frame_is_noticed_and_the_frames_before_it_are_read(frame: bytes) -> None:
    for size in range(1, len(frame)):
        seen: list[FrameHeader] = []
        with pytest.raises(InvalidFrame):
            seen.extend(header for header, _ in split_frames(frame + frame[:size]))
        with pytest.raises(InvalidFrame):
            read_header(frame[:size])
        first = next(split_frames(frame + frame[:size]))
        assert first[0].size == len(first[1]) == len(frame)


def test_a_small_frame_cannot_take_much_memory() -> None:
    raw = b"a" + b"\0" * (24 * 600_000)
    bomb = lz4.block.compress(raw, store_size=False)
    assert len(bomb) < 100_000
    group = GROUP.pack(LZ4, ROWS_CONTIGUOUS, 600_000, 0, 1, 1, len(raw), len(bomb)) + bomb
    with pytest.raises(InvalidFrame, match="unpacks to 28800002 bytes"):
        decode_frame(hand_made(0, 2_000_000, NO_EVENTS + group + group, 2))
    assert limits.MAX_FRAME_RAW_BYTES < 28_800_002


@pytest.mark.parametrize(
    ("raw", "metrics", "names", "error"),
    [
        (b"a\na" + b"\0" * 32, 2, 3, "names a metric twice: a"),
        (b"a\nb" + b"\0" * 24, 1, 3, "names 2 metrics where its header says 1"),
        (b" a" + b"\0" * 24, 1, 2, "begins or ends with white space"),
        (b"\xff" + b"\0" * 24, 1, 1, "cannot be used"),
    ],
)
def test_metric_names_are_checked(raw: bytes, metrics: int, names: int, error: str) -> None:
    group = GROUP.pack(STORED, ROWS_CONTIGUOUS, 1, 0, metrics, names, len(raw), len(raw)) + raw
    frame = decode_frame(hand_made(0, 1, NO_EVENTS + group, 1))
    with pytest.raises(InvalidFrame, match=error):
        read_group(frame.groups[0], 0)


def _ragged(lengths: list[int], index: list[int]) -> Frame:
    rows = len(lengths)
    raw = b"a" + struct.pack(f"<{rows}I{rows}q{rows}q{rows}I", *range(rows), *range(rows), *range(rows), *lengths)
    raw += struct.pack(f"<{len(index)}I{len(index)}d", *index, *[0.0] * len(index))
    return decode_frame(hand_made(0, rows, NO_EVENTS + group_bytes(RAGGED, rows, 0, 1, b"a", raw), 1))


@pytest.mark.parametrize(
    ("lengths", "index", "error"),
    [([1, 2], [0, 0], "2 values where its rows say 3"), ([2**32 - 1], [0], "4294967295"), ([1], [1], "metric 1 of 1")],
)
def test_ragged_rows_are_checked(lengths: list[int], index: list[int], error: str) -> None:
    with pytest.raises(InvalidFrame, match=error):
        read_group(_ragged(lengths, index).groups[0], 0)


def test_a_group_without_epochs_has_the_bytes_that_it_always_had() -> None:
    rows = [(number, number, number, [0], [0.5]) for number in range(20)]
    plain = encode_ragged(["a"], rows)
    assert encode_ragged(["a"], rows, [None] * 20) == encode_ragged(["a"], rows, []) == plain
    # An epoch of its own costs a row eight bytes, of which lz4 leaves little.
    assert encode_ragged(["a"], rows, [7] * 20).raw_size == plain.raw_size + 8 * 20


@pytest.mark.parametrize("cut", [1, 8])
def test_epochs_are_part_of_the_size_that_is_checked(cut: int) -> None:
    raw = b"a" + struct.pack("<IqqIqId", 0, 1, 2, 1, 5, 0, 0.5)
    frame = decode_frame(hand_made(0, 1, NO_EVENTS + group_bytes(RAGGED_EPOCHS, 1, 0, 1, b"a", raw), 1))
    read = read_group(frame.groups[0], 0)
    assert isinstance(read, Ragged)
    assert (read.values.tolist(), read.epochs.tolist() if read.epochs is not None else None) == ([0.5], [5])
    with pytest.raises(InvalidFrame, match="do not fit 1 rows"):
        decode_frame(hand_made(0, 1, NO_EVENTS + group_bytes(RAGGED_EPOCHS, 1, 0, 1, b"a", raw[:-cut]), 1))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: encode_frame(WRITER, "run", 0, 0, b"\x00\x01" * 9_000_000), "18000000 bytes of events"),
        (lambda: encode_frame("xyz", "run", 0, 0), "32 hex digits"),
        (lambda: encode_frame(WRITER, "", 0, 0), "1 to 255 bytes"),
        (lambda: encode_frame(WRITER, "k" * 256, 0, 0), "1 to 255 bytes"),
        (lambda: encode_frame(WRITER, "run", 1, 0), "cannot cover"),
        (lambda: encode_frame(WRITER, "run", 0, 2**64), "cannot cover"),
        (lambda: encode_rows(b"a", 0, b"", 0), "no rows"),
        (lambda: encode_ragged(["a"], []), "no rows"),
        (lambda: encode_ragged(["a"], [(0, 0, 0, [0], [0.0])], [1, 2]), "2 epochs for 1 rows"),
        (lambda: encode_ragged(["a"], [(0, 0, 0, [0], [0.0])], [2**63]), "int64 or None"),
        (lambda: encode_ragged([f"m{i}" for i in range(20_001)], [(0, 0, 0, [0], [0.0])]), "20001 metrics"),
    ],
)
def test_what_cannot_be_a_frame_is_not_encoded(make: Callable[[], object], error: str) -> None:
    with pytest.raises(InvalidFrame, match=error):
        make()


def test_a_frame_that_is_too_large_says_what_to_do() -> None:
    noise = np.random.default_rng(1).bytes(limits.MAX_FRAME_BYTES)
    with pytest.raises(InvalidFrame, match="send fewer rows"):
        encode_frame(WRITER, "run", 0, 1, noise)


def is_taken(data: bytes) -> bool:
    """Whether a gateway takes a frame: the sizes that it claims, and the lengths inside of ragged groups."""
    try:
        _, ragged = read_checked(memoryview(data), 0)
        for group in ragged:
            check_lengths(group)
    except InvalidFrame:
        return False
    return True


def check_taken(data: bytes) -> None:
    """What a gateway takes no decoder refuses for a length, outside of packed bytes or inside of a ragged group; and
    what a gateway refuses a decoder refuses as well."""
    refused = refusal(data)
    assert is_taken(data) == (refused is None or "later version" in refused), refused


def refusal(data: bytes) -> str | None:
    """Why a decoder refuses it; None if it does not, or because of bytes that lz4 did not make."""
    try:
        frame = decode_frame(data)
        for group in frame.groups:
            check_lengths(group)
    except UnsupportedFrame as error:
        return f"later version: {error}" if "version" not in str(error) else str(error)
    except InvalidFrame as error:
        is_packed_wrong = re.search("do not unpack|bytes unpacked, where", str(error))
        return None if is_packed_wrong and is_taken(data) else str(error)
    return None


@settings(max_examples=examples(600), deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=3),
)
def test_a_gateway_takes_what_can_be_decoded(frame: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(frame)
    for at, value in changes:
        changed[at % len(changed)] = value
    check_taken(with_good_checksum(bytes(changed)))


@settings(max_examples=examples(600), deadline=None)
@given(
    st.sampled_from([STORED, LZ4]),
    st.sampled_from([ROWS_CONTIGUOUS, ROWS_EXPLICIT, RAGGED, RAGGED_EPOCHS]),
    st.lists(st.sampled_from([0, 1, 2, 5, 2**16, 2**30, 2**31 - 1, 2**32 - 1]), min_size=1, max_size=4),
    st.integers(0, 6),
    st.sampled_from([0, 1, 2, 2**32 - 1]),
    st.sampled_from([(0, 1), (0, 5), (7, 2**64 - 1), (2**64 - 6, 2**64 - 1)]),
)
def test_no_length_is_used_before_it_is_checked(
    codec: int, layout: int, lengths: list[int], values: int, index: int, covers: tuple[int, int]
) -> None:
    rows = len(lengths)
    raw = b"a" + struct.pack(f"<{rows}I{rows}q{rows}q{rows}I", *[0] * rows, *[0] * rows, *[0] * rows, *lengths)
    raw += b"\0" * (8 * rows if layout == RAGGED_EPOCHS else 0)
    raw += struct.pack(f"<{values}I", *[index] * values) + b"\0" * (8 * values)
    stored = lz4.block.compress(raw, store_size=False) if codec == LZ4 else raw
    head = GROUP.pack(codec, layout, rows, 0, 1, 1, len(raw), len(stored))
    data = hand_made(*covers, NO_EVENTS + head + stored, 1)
    assert peak_bytes(lambda: read_everything(data)) < 100_000
    assert peak_bytes(lambda: check_taken(data)) < 100_000
    if layout in (RAGGED, RAGGED_EPOCHS) and rows <= covers[1] - covers[0]:
        assert is_taken(data) == (sum(lengths) == values and (not values or index == 0))


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory that `work` held at once: of Python, lz4 and numpy."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def packed_frame(layout: int, rows: int, metrics: int, raw: bytes, codec: int = LZ4) -> bytes:
    stored = lz4.block.compress(raw, store_size=False) if codec == LZ4 else raw
    head = GROUP.pack(codec, layout, rows, 0, metrics, 1, len(raw), len(stored))
    return hand_made(0, 2**40, NO_EVENTS + head + stored, 1)


@pytest.mark.parametrize(
    "data",
    [
        packed_frame(ROWS_CONTIGUOUS, 400_000, 1, b"a" + bytes(24 * 400_000)),
        packed_frame(ROWS_EXPLICIT, 400_000, 1, b"a" + bytes(28 * 400_000)),
        packed_frame(RAGGED, 400_000, 1, b"a" + bytes(24 * 400_000)),
        packed_frame(RAGGED_EPOCHS, 300_000, 1, b"a" + bytes(32 * 300_000)),
        packed_frame(RAGGED_EPOCHS, 1, 1, b"a" + struct.pack("<IqqIq", 0, 0, 0, 1_000_000, 0) + bytes(12 * 1_000_000)),
    ],
)
def test_reading_takes_at_most_four_times_what_a_frame_unpacks_to(data: bytes) -> None:
    unpacked = sum(group.raw_size for group in decode_frame(data).groups)
    assert 8_000_000 < unpacked <= limits.MAX_FRAME_RAW_BYTES
    assert unpacked > 100 * len(data)
    peak = peak_bytes(lambda: read_group(decode_frame(data).groups[0], 0))
    assert unpacked < peak < 4 * unpacked
    assert peak_bytes(lambda: is_taken(data)) < 2.1 * unpacked


def test_a_frame_cannot_claim_more_than_its_bytes_can_unpack_to() -> None:
    for events, group in ((4_000_000, 24), (0, 15_000_000)):
        body = EVENTS.pack(LZ4, events, 4) + b"\0" * 4
        body += GROUP.pack(LZ4, ROWS_CONTIGUOUS, 1, 0, 1, group - 24, group, 4) + b"\0" * 4
        data = hand_made(0, 1, body, 1)
        assert not is_taken(data)
        assert peak_bytes(lambda data=data: read_everything(data)) < 50_000  # type: ignore[misc]
        with pytest.raises(InvalidFrame, match="unpack"):
            decode_frame(data)


@pytest.mark.parametrize("size", [128, 1_000, 65_536, 1_000_000, 3_999_999])
def test_what_lz4_makes_smallest_is_taken(size: int) -> None:
    data = encode_frame(WRITER, "run", 0, 1, b" " * size)
    assert is_taken(data)
    assert decode_frame(data).events == b" " * size


def test_many_groups_take_a_bounded_multiple_of_the_frame() -> None:
    packed = lz4.block.compress(b"a" + bytes(24), store_size=False)
    group = GROUP.pack(LZ4, ROWS_CONTIGUOUS, 1, 0, 1, 1, 25, len(packed)) + packed
    count = 400_000 // len(group)
    data = hand_made(0, count, NO_EVENTS + group * count, count)
    assert peak_bytes(lambda: decode_frame(data)) < 600 * count
    assert peak_bytes(lambda: is_taken(data)) < 600 * count
