"""From frames to columns: order, what is new, and groups that cannot be read."""

import struct

import numpy as np
import pytest

from runstream.events.encoding import encode_frame, encode_ragged, encode_rows
from runstream.events.frame import Frame, Group, decode_frame
from runstream_model.columns import Coded, ColumnData
from runstream_model.points import Accepted, collect

WRITER = "0123456789abcdef" * 2


def rows(names: list[str], values: list[list[float]], seqs: list[int] | None = None, base: int = 0) -> Group:
    packed = [struct.pack(f"<qq{len(row)}d", 10 + n, 5_000_000 + 1999 * n, *row) for n, row in enumerate(values)]
    columns = b"".join(b"".join(packed)[byte :: len(packed[0])] for byte in range(len(packed[0])))
    explicit = struct.pack(f"<{len(values)}I", *seqs) if seqs else b""
    return encode_rows("\n".join(names).encode(), len(values), columns, base, explicit)


def frame(groups: list[Group], first: int = 0, end: int = 10, run: str = "run") -> Frame:
    return decode_frame(encode_frame(WRITER, run, first, end, b"", groups))


def accepted(made: Frame, offset: int = 7, fresh: tuple[tuple[int, int], ...] | None = None) -> Accepted:
    return Accepted(1, offset, made, ((made.header.first_seq, made.header.end_seq),) if fresh is None else fresh)


def texts(column: ColumnData) -> list[str]:
    assert isinstance(column, Coded)
    return [column.dictionary[code] for code in column.codes]


def numbers(column: ColumnData) -> list[float]:
    assert isinstance(column, np.ndarray)
    found: list[float] = column.tolist()
    return found


def test_columns_are_ordered_by_run_metric_and_position() -> None:
    first = accepted(frame([rows(["b", "a"], [[1.0, 2.0], [3.0, 4.0]])], run="r2"), 8)
    second = accepted(frame([rows(["a"], [[5.0]])], first=10, end=20, run="r2"), 9)
    third = accepted(frame([encode_ragged(["z", "a"], [(0, 1, 2_000, [1, 0], [6.0, 7.0])])], run="r1"), 10)
    batch, bad = collect([second, third, first])
    assert not bad
    columns = batch.columns()
    values, offsets = numbers(columns["value"]), numbers(columns["offset"])
    assert list(zip(texts(columns["run"]), texts(columns["metric"]), values, offsets, strict=True)) == [
        ("r1", "a", 6.0, 10),
        ("r1", "z", 7.0, 10),
        ("r2", "a", 2.0, 8),
        ("r2", "a", 4.0, 8),
        ("r2", "a", 5.0, 9),
        ("r2", "b", 1.0, 8),
        ("r2", "b", 3.0, 8),
    ]
    assert numbers(columns["step"]) == [1, 1, 10, 11, 10, 10, 11]
    assert numbers(columns["at"]) == [2, 2, 5000, 5001, 5000, 5000, 5001]
    assert set(numbers(columns["writer"])) == {0x0123456789ABCDEF}
    assert set(numbers(columns["part"])) == {1}
    assert (batch.points, batch.runs()) == (7, {"r1", "r2"})


@pytest.mark.parametrize("seqs", [None, [2, 4, 7]])
def test_rows_that_are_not_fresh_are_left_out(seqs: list[int] | None) -> None:
    group = rows(["m"], [[1.0], [2.0], [3.0]], seqs, base=2)
    batch, _ = collect([accepted(frame([group], first=100, end=110), fresh=((100, 104), (107, 110)))])
    assert batch.values.tolist() == ([1.0, 2.0] if seqs is None else [1.0, 3.0])


def test_nothing_fresh_gives_an_empty_batch() -> None:
    batch, bad = collect([accepted(frame([rows(["m"], [[1.0]])]), fresh=())])
    assert (batch.points, batch.runs(), bad) == (0, set(), ())
    assert all(numbers(column) == [] for name, column in batch.columns().items() if name not in ("run", "metric"))
    assert collect([])[0].points == 0


@pytest.mark.parametrize(
    ("group", "detail"),
    [
        (rows(["m", "m"], [[1.0, 2.0]]), "twice"),
        (rows(["a\tb"], [[1.0]]), "control character"),
        (rows([" a"], [[1.0]]), "white space"),
        (rows(["m"], [[1.0]], [10]), "outside of [0, 10)"),
        (encode_ragged(["m"], [(0, 1, 2, [5], [1.0])]), "uses metric 5 of 1"),
        (encode_ragged(["m"], [(0, 1, 2, [0], [1.0]), (10, 1, 2, [0], [1.0])]), "outside of [0, 10)"),
    ],
)
def test_a_bad_group_does_not_stop_the_others(group: Group, detail: str) -> None:
    good = rows(["ok"], [[1.5], [2.5]])
    made = frame([good, group, rows(["too"], [[3.5]], [4])])
    batch, bad = collect([accepted(made)])
    assert batch.values.tolist() == [1.5, 2.5, 3.5]
    assert [(one.part, one.offset, one.item, one.key) for one in bad] == [(1, 7, 1, "run")]
    assert detail in bad[0].detail
    # Nothing is lost: the group stands in the frame exactly as it is handed on.
    assert bad[0].raw in encode_frame(WRITER, "run", 0, 10, b"", [good, group, rows(["too"], [[3.5]], [4])])


def test_after_filters_by_partition() -> None:
    both = [accepted(frame([rows(["m"], [[1.0]])]), 5), accepted(frame([rows(["m"], [[2.0]])], 10, 20), 6)]
    batch, _ = collect(both)
    assert batch.after({1: 5}).values.tolist() == [2.0]
    assert batch.after({0: 99, 1: -1}) is batch
    assert batch.after({1: 6}).points == 0
