"""Batches of Comet's client as frames: each is read as what was sent."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from runstream.events import limits
from runstream.events.columns import Ragged, read_group
from runstream.events.control import OthersLogged, OutputAppended
from runstream.events.frame import decode_frame
from runstream.events.names import NO_EPOCH, NO_STEP
from runstream_model.decoding import decode_events
from runstream_protocols.comet.writes.frames import Line, output_frames, value_of
from runstream_protocols.kit.points import Value, values_frames
from runstream_protocols.kit.statements import MAX_NUMBERS, Statement

KEY = "k" * 32
AT_MS = 1_795_276_541_365
AT_US = AT_MS * 1000

Point = tuple[str, int, int, float, int]


def sent(*values: Value, content: bytes = b"content") -> list[bytes]:
    return values_frames(Statement(KEY, content, AT_US), values)


def value(number: Any, name: str = "x", at_ms: int = AT_MS, **fields: Any) -> Value:
    return value_of({"metricName": name, "metricValue": number, "timestamp": at_ms, **fields})


def points(frames: Sequence[bytes]) -> list[Point]:
    """Metric, step, time in us, value, epoch of every point, in the order of the frames."""
    found: list[Point] = []
    for frame in map(decode_frame, frames):
        for group in frame.groups:
            columns = read_group(group, frame.header.first_seq)
            assert isinstance(columns, Ragged)
            count = len(columns.values)
            epochs = [NO_EPOCH] * count if columns.epochs is None else columns.epochs.tolist()
            names = [columns.metrics[index] for index in columns.index]
            found += zip(
                names, columns.steps.tolist(), columns.at_us.tolist(), columns.values.tolist(), epochs, strict=True
            )
    return found


def events(frames: Sequence[bytes]) -> list[Any]:
    """Every event; none may be one that the fold refuses."""
    found: list[Any] = []
    for frame in map(decode_frame, frames):
        taken, rejected = decode_events(frame)
        assert rejected == []
        found += [event for _, event in taken]
    return found


def numbers(frames: Sequence[bytes]) -> list[tuple[str, int, int]]:
    headers = [decode_frame(frame).header for frame in frames]
    return [(header.writer_id, header.first_seq, header.end_seq) for header in headers]


def test_points_are_read_as_they_were_sent() -> None:
    frames = sent(
        value(1.5, step=3, epoch=0),
        value("NaN", "y"),
        value(True, "ünï / ☃", context="train", step=-1),
        value(2**53 + 1),
        value("-Infinity", step="4", epoch="2"),
        value(10**400),
        Value("no time", 1, 1.0, None, None, None),
    )
    found = points(frames)
    nan = found.pop(1)
    assert (nan[:3], math.isnan(nan[3])) == (("y", NO_STEP, AT_US), True)
    assert found == [
        ("x", 3, AT_US, 1.5, 0),
        ("train_ünï / ☃", -1, AT_US, 1.0, NO_EPOCH),
        ("x", NO_STEP, AT_US + 1, 2.0**53, NO_EPOCH),
        ("x", 4, AT_US + 2, -math.inf, 2),
        ("x", NO_STEP, AT_US + 3, math.inf, NO_EPOCH),
        ("no time", NO_STEP, AT_US, 1.0, NO_EPOCH),
    ]


def test_what_is_no_number_is_kept_beside_and_costs_nothing_else() -> None:
    frames = sent(
        value(1), value("text ☃"), value(None), value([1, {"a": 2}], "y"), value("x" * 100_000, "z"), value(2)
    )
    assert [one[3] for one in points(frames)] == [1.0, 2.0]
    others = events(frames)
    assert all(isinstance(one, OthersLogged) for one in others)
    assert [one.values for one in others[:3]] == [{"x": "text ☃"}, {"x": None}, {"y": [1, {"a": 2}]}]
    assert others[3].values["z"].endswith("(100000 characters, cut: log long texts as assets)")


def test_many_values_are_several_frames_in_their_order() -> None:
    frames = sent(*(value(n, step=n) for n in range(2 * MAX_NUMBERS + 5)))
    assert [end - first for _, first, end in numbers(frames)] == [MAX_NUMBERS, MAX_NUMBERS, 5]
    assert [one[3] for one in points(frames)] == list(map(float, range(2 * MAX_NUMBERS + 5)))


def test_a_batch_of_long_names_and_texts_fits_into_frames() -> None:
    """Nothing of it repeats, so that nothing can be compressed."""
    letters = [chr(0x4E00 + n * 7_919 % 20_000) for n in range(1_000_000)]
    texts = ["".join(letters[n * 1_000 : (n + 1) * 1_000]) for n in range(1_000)]
    frames = sent(*(value(text if n % 2 else n, text[:166]) for n, text in enumerate(texts)))
    assert len(points(frames)) == len(events(frames)) == 500
    assert max(map(len, frames)) <= limits.MAX_FRAME_BYTES


@pytest.mark.parametrize(("before", "behind"), [(1, 999), (500, 500), (3, 40), (999, 1)])
def test_points_of_a_millisecond_keep_their_order_across_batches(before: int, behind: int) -> None:
    first = [value(-2, at_ms=AT_MS - 5), *(value(n) for n in range(before))]
    second = [*(value(before + n) for n in range(behind)), value(-1, at_ms=AT_MS + 1)]
    found = points(sent(*first, content=b"1") + sent(*second, content=b"2"))
    assert [one[3] for one in sorted(found, key=lambda point: point[2])] == [-2, *range(before + behind), -1]
    assert {at_us // 1000 for _, _, at_us, number, _ in found if number >= 0} == {AT_MS}


def test_more_points_than_a_millisecond_has_microseconds_stay_within_it() -> None:
    found = points(sent(*(value(n) for n in range(3_000))))
    assert [one[2] for one in found] == [AT_US + min(n, 999) for n in range(3_000)]


def test_the_latest_time_that_can_be_sent_can_be_packed() -> None:
    for at_ms in (9_223_372_036_000, 9_223_372_036_854, 10_413_791_999_999, 2**63, -1, 0):
        ((_, _, at_us, _, _),) = points(sent(value(1, at_ms=at_ms)))
        assert 0 <= at_us * 1000 < 2**63


def printed(*texts: str, is_error: bool = False, first: int = AT_US) -> list[Line]:
    return [Line(first + number, text, is_error) for number, text in enumerate(texts)]


def test_lines_are_read_in_their_order_by_one_writer() -> None:
    frames = output_frames(KEY, printed("a\n", "b\n"), AT_US) + output_frames(KEY, printed("c", first=AT_US + 2), AT_US)
    assert "".join(one.text for one in events(frames)) == "a\nb\nc"
    (first, second) = numbers(frames)
    assert first[0] == second[0]
    assert first[2] <= second[1]
    assert output_frames(KEY, printed("a\n", "b\n"), AT_US) == frames[:1], "the same again"


def test_streams_are_told_apart() -> None:
    lines = [*printed("out"), *printed("err", is_error=True, first=AT_US + 1), *printed("out", first=AT_US + 2)]
    found = events(output_frames(KEY, lines, AT_US))
    assert [(one.stream, one.text) for one in found] == [("stdout", "out"), ("stderr", "err"), ("stdout", "out")]


@pytest.mark.parametrize("size", [0, 1, 31_999, 32_000, 32_001, 5_000_000])
@pytest.mark.parametrize("letter", ["x", "☃", "\x1b"])
def test_lines_of_any_length_fit(size: int, letter: str) -> None:
    lines = printed("before\n", letter * size, "behind\n")
    frames = output_frames(KEY, lines, AT_US)
    found = events(frames)
    assert all(isinstance(one, OutputAppended) for one in found)
    assert "".join(one.text for one in found) == f"before\n{letter * size}behind\n"
    ranges = numbers(frames)
    assert all(before[2] <= after[1] for before, after in pairwise(ranges))


def test_a_line_that_cannot_be_compressed_fits() -> None:
    line = "".join(chr(0x4E00 + n * 7_919 % 20_000) for n in range(5_000_000))
    frames = output_frames(KEY, printed(line), AT_US)
    assert "".join(one.text for one in events(frames)) == line
    assert max(map(len, frames)) <= limits.MAX_FRAME_BYTES


def test_no_lines_and_empty_lines_are_no_frames() -> None:
    assert output_frames(KEY, [], AT_US) == output_frames(KEY, printed("", ""), AT_US) == []
