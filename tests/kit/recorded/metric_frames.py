"""Rows -> frames as a sender makes them, and folds run over them as the worker runs them."""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kit.oracles.metrics import Delivery, Point, Row
from runstream.events.encoding import encode_frame, encode_ragged, encode_rows
from runstream.events.frame import Group, decode_frame
from runstream_model.columns import Coded, Gaps, Lists
from runstream_model.points import Accepted, PointBatch, collect
from runstream_model.seen import Seen
from runstream_model.summaries import SummaryFold
from runstream_processors.store.tables import TABLES, encode_columns

Names = tuple[str, ...]
_TIMES = pa.timestamp("us", "UTC")
_ARROW = {"Int64": pa.int64(), "UInt64": pa.uint64(), "UInt16": pa.uint16(), "Int32": pa.int32()}
_ARROW |= {"Float64": pa.float64(), "Nullable(Float64)": pa.float64()}
_ARROW |= {"Array(Int64)": pa.list_(pa.int64()), "DateTime64(6, 'UTC')": _TIMES}
_ARROW |= {"LowCardinality(String)": pa.string(), "String": pa.string()}
SUMMARY_SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in TABLES["summary_states"].items()])


def frame_bytes(delivery: Delivery, ragged: bool = False) -> bytes:
    """A frame with the delivery's rows: a group for each set of metrics, or one ragged group for all (always if some
    row has an epoch)."""
    ragged = ragged or any(row.epoch is not None for row in delivery.rows)
    groups = [_ragged_group(delivery)] if ragged and delivery.rows else _row_groups(delivery)
    return encode_frame(delivery.writer, delivery.run, delivery.first_seq, delivery.end_seq, b"", groups)


def _row_groups(delivery: Delivery) -> list[Group]:
    by_names: dict[Names, list[Row]] = {}
    for row in delivery.rows:
        by_names.setdefault(tuple(row.values), []).append(row)
    return [_row_group(names, rows, delivery.first_seq) for names, rows in by_names.items()]


def _row_group(names: Names, rows: list[Row], first_seq: int) -> Group:
    numbers = [row.seq - first_seq for row in rows]
    contiguous = numbers == list(range(numbers[0], numbers[0] + len(rows)))
    packed = b"".join(struct.pack(f"<qq{len(names)}d", row.step, row.at_ns, *row.values.values()) for row in rows)
    width = 16 + 8 * len(names)
    columns = b"".join(packed[byte::width] for byte in range(width))
    seqs = b"" if contiguous else struct.pack(f"<{len(rows)}I", *numbers)
    return encode_rows("\n".join(names).encode(), len(rows), columns, numbers[0], seqs)


def _ragged_group(delivery: Delivery) -> Group:
    names = sorted({name for row in delivery.rows for name in row.values}, reverse=True)
    rows = [
        (
            row.seq - delivery.first_seq,
            row.step,
            row.at_ns,
            [names.index(name) for name in row.values],
            list(row.values.values()),
        )
        for row in delivery.rows
    ]
    return encode_ragged(names, rows, [row.epoch for row in delivery.rows])


class FoldedLog:
    """What the worker does with the two folds and with watermarks, with a dict for a store."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Seen] = {}
        self.points: Counter[tuple[Any, ...]] = Counter()
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.fold = SummaryFold()

    def apply(self, batch: Sequence[tuple[Delivery, bytes]]) -> PointBatch:
        """Fold the frames of a batch."""
        accepted = []
        for delivery, data in batch:
            frame = decode_frame(data)
            writer = (frame.header.key, frame.header.writer_id)
            seen = Seen.from_flat(self.seen.get(writer, Seen()).to_flat())
            fresh = seen.fresh(frame.header.first_seq, frame.header.end_seq)
            self.seen[writer] = seen.with_range(frame.header.first_seq, frame.header.end_seq)
            accepted.append(Accepted(delivery.part, delivery.offset, frame, fresh))
        points, bad = collect(accepted)
        assert not bad
        self.points += counted(points)
        if unknown := self.fold.unknown_runs(points):
            self.fold.load(unknown, self._rows(unknown))
        self.fold.fold(points)
        return points

    def save(self) -> int:
        """Write what changed to the store; returns how many rows that were."""
        columns, count = self.fold.changed_columns()
        encode_columns("summary_states", columns, count)  # the store takes them as they are
        for values in rows_of({name: columns[name] for name in TABLES["summary_states"]}):
            row = dict(zip(TABLES["summary_states"], values, strict=True))
            self.stored[row["run"], row["metric"]] = row
        self.fold.mark_saved()
        return count

    def restart(self) -> None:
        """Throw memory away; the next batch loads what was saved."""
        self.fold = SummaryFold()

    def _rows(self, runs: set[str]) -> pa.Table:
        return pa.Table.from_pylist([row for key, row in self.stored.items() if key[0] in runs], SUMMARY_SCHEMA)


def rows_of(columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Columns as rows of plain values."""
    return list(zip(*(_plain(column) for column in columns.values()), strict=True))


def _plain(column: Any) -> list[Any]:
    match column:
        case Coded():
            return [column.dictionary[code] for code in column.codes.tolist()]
        case Lists():
            ends = np.cumsum(column.lengths).tolist()
            flat = _plain(column.flat)
            return [flat[end - length : end] for end, length in zip(ends, column.lengths.tolist(), strict=True)]
        case Gaps():
            both = zip(column.values.tolist(), column.absent.tolist(), strict=True)
            return [None if absent else value for value, absent in both]
        case _:
            return column if isinstance(column, list) else list(column.tolist())


def counted(batch: PointBatch) -> Counter[tuple[Any, ...]]:
    """A batch's rows of the table `points`, `with_bits` (0.0 and -0.0 are one key to a Counter). Where the batch has no
    epochs, the engine puts NULL."""
    columns = batch.columns()
    columns.setdefault("epoch", Gaps(np.zeros(batch.points), np.ones(batch.points, bool)))
    return Counter(map(with_bits, rows_of({name: columns[name] for name in TABLES["points"]})))


def point_rows(points: Iterable[Point]) -> Counter[tuple[Any, ...]]:
    """The oracle's points as the rows that the table `points` must get, `with_bits`."""
    return Counter(
        with_bits((p.run, p.metric, p.step, p.at_us, p.value, int(p.writer[:16], 16), p.part, p.offset, p.epoch, p.seq))
        for p in points
    )


def with_bits(values: Iterable[Any]) -> tuple[Any, ...]:
    """Floats as their bits (all NaN the same), everything else as it is: for comparing exactly."""
    return tuple(
        ("nan" if math.isnan(value) else struct.pack(">d", value)) if isinstance(value, float) else value
        for value in values
    )
