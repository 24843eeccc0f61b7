"""The points of a frame's groups as numpy columns. Server side: this module, alone in the contract, needs numpy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream.events import limits
from runstream.events.frame import (
    EPOCH_BYTES,
    RAGGED,
    RAGGED_EPOCHS,
    RAGGED_ROW_BYTES,
    RAGGED_VALUE_BYTES,
    ROW_FIXED_BYTES,
    ROWS_EXPLICIT,
    Group,
    InvalidFrame,
)
from runstream.events.names import InvalidName, check_metric

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]

_NS_PER_US: Final = 1000
#: From this many rows on, eight strided copies of single bytes are cheaper than one transposing copy (measured:
#: 2.4 against 3.5 ns a value at 100 rows, 4.9 against 4.0 at 10).
_BYTE_COPIES_FROM_ROWS: Final = 32


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with the same metrics. Shapes: seqs[n], steps[n], at_us[n] (microseconds since 1970 UTC), values[n, k]."""

    metrics: tuple[str, ...]
    seqs: U64
    steps: I64
    at_us: I64
    values: F64


@dataclass(frozen=True, slots=True)
class Ragged:
    """Single points of rows with differing metrics. `index` points into `metrics`; all other shapes are [points].

    epochs: `NO_EPOCH` for points that have none; None where no point of the group has one.
    """

    metrics: tuple[str, ...]
    seqs: U64
    steps: I64
    at_us: I64
    index: npt.NDArray[np.uint32]
    values: F64
    epochs: I64 | None = None


@dataclass(frozen=True, slots=True)
class StackedRows:
    """Groups of the same shape, read at once. Shapes: seqs, steps, at_us [groups, rows]; values [groups, k, rows].

    `seqs` count from the first_seq of the group's own frame; None where the caller has to count them from seq_base.
    """

    seqs: npt.NDArray[np.uint32] | None
    steps: I64
    at_us: I64
    values: F64


def metric_names(joined: bytes) -> tuple[str, ...]:
    """The names of a group, each checked and no name twice. Raises InvalidFrame."""
    count = joined.count(b"\n") + 1
    if count > limits.MAX_METRICS_PER_ROW:
        raise InvalidFrame(f"a group has {count} metrics: at most {limits.MAX_METRICS_PER_ROW} are allowed")
    try:
        names = tuple(check_metric(name) for name in joined.decode().split("\n"))
    except (UnicodeDecodeError, InvalidName) as error:
        raise InvalidFrame(f"a group's metric names cannot be used: {error}") from None
    if len(set(names)) != len(names):
        twice = [name for name, times in Counter(names).items() if times > 1]
        raise InvalidFrame(f"a group names a metric twice: {', '.join(twice[:5])}")
    return names


def read_group(group: Group, first_seq: int) -> Rows | Ragged:
    """The columns of a group, which `decode_frame` returned, of a frame that begins at `first_seq`. That explicit
    sequence numbers lie in the frame's range is the caller's to check. Takes at most four times the memory of the
    unpacked group. Raises InvalidFrame."""
    raw = group.raw()
    metrics = metric_names(raw[: group.names_size])
    if len(metrics) != group.metrics:
        raise InvalidFrame(f"a group names {len(metrics)} metrics where its header says {group.metrics}")
    if group.layout in (RAGGED, RAGGED_EPOCHS):
        return _read_ragged(group, metrics, raw, first_seq)
    n, at = group.rows, group.names_size
    if group.layout == ROWS_EXPLICIT:
        seqs = np.frombuffer(raw, "<u4", n, at).astype(np.uint64) + np.uint64(first_seq)
        at += 4 * n
    else:
        seqs = np.arange(first_seq + group.seq_base, first_seq + group.seq_base + n, dtype=np.uint64)
    words = _words(np.frombuffer(raw, np.uint8, offset=at).reshape(1, -1, n))[0]
    integers = words[:2].view("<i8")
    return Rows(metrics, seqs, integers[0], integers[1] // _NS_PER_US, words[2:].view("<f8").T)


def read_stack(bodies: Sequence[bytes], rows: int, metrics: int, explicit: bool) -> StackedRows:
    """Groups of the layout `ROWS_EXPLICIT` or `ROWS_CONTIGUOUS` that have the same number of rows and metrics.

    bodies: what follows the names in each group's raw bytes; sizes are the caller's to check. Nothing is copied into
    rows: values come metric by metric, as they travel.
    """
    stacked = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(bodies), -1)
    seqs = None
    if explicit:
        seqs = np.ascontiguousarray(stacked[:, : 4 * rows]).view("<u4")
        stacked = stacked[:, 4 * rows :]
    planes = stacked.reshape(len(bodies), ROW_FIXED_BYTES + 8 * metrics, rows)
    integers = _words(planes[:, :ROW_FIXED_BYTES]).view("<i8")
    values = _words(planes[:, ROW_FIXED_BYTES:]).view("<f8")
    return StackedRows(seqs, integers[:, 0], integers[:, 1] // _NS_PER_US, values)


def _words(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """planes[groups, 8 * k, rows], each plane one byte of a word -> words[groups, k, rows], little-endian."""
    groups, width, rows = planes.shape
    split = planes.reshape(groups, width // 8, 8, rows)
    if rows < _BYTE_COPIES_FROM_ROWS:
        return np.ascontiguousarray(split.transpose(0, 1, 3, 2)).view("<u8")[..., 0]
    words = np.empty((groups, width // 8, rows, 8), np.uint8)
    for byte in range(8):
        words[..., byte] = split[:, :, byte]
    return words.view("<u8")[..., 0]


def check_lengths(group: Group) -> None:
    """Hold the lengths and indices inside a ragged group, which `read_claims` or `decode_frame` returned, against the
    bytes that are there. Other layouts have none. Takes twice the memory of the unpacked group. Raises InvalidFrame."""
    if group.layout in (RAGGED, RAGGED_EPOCHS):
        _ragged_parts(group, group.raw())


def _ragged_parts(group: Group, raw: bytes) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], int]:
    """The length of each row, the metric of each value, and where in `raw` the values begin. Raises InvalidFrame.

    Nothing that a length says is used before all of them together are what is there: rows are at most 16 MB / 24 and
    a length is below 2^32, so that their sum is below 2^52.
    """
    n, at = group.rows, group.names_size
    epochs = EPOCH_BYTES * n if group.layout == RAGGED_EPOCHS else 0
    values_at = at + RAGGED_ROW_BYTES * n + epochs
    points = (len(raw) - values_at) // RAGGED_VALUE_BYTES
    lengths = np.frombuffer(raw, "<u4", n, at + 20 * n)
    claimed = int(lengths.sum(dtype=np.uint64))
    if claimed != points:
        raise InvalidFrame(f"a ragged group has {points} values where its rows say {claimed}")
    index = np.frombuffer(raw, "<u4", points, values_at)
    if points and int(index.max()) >= group.metrics:
        raise InvalidFrame(f"a ragged group uses metric {int(index.max())} of {group.metrics}")
    return lengths, index, values_at + 4 * points


def _read_ragged(group: Group, metrics: tuple[str, ...], raw: bytes, first_seq: int) -> Ragged:
    lengths, index, values_at = _ragged_parts(group, raw)
    n, at = group.rows, group.names_size
    seqs = np.frombuffer(raw, "<u4", n, at).astype(np.uint64) + np.uint64(first_seq)
    steps = np.frombuffer(raw, "<i8", n, at + 4 * n)
    at_us = np.frombuffer(raw, "<i8", n, at + 12 * n) // _NS_PER_US
    epochs = None
    if group.layout == RAGGED_EPOCHS:
        epochs = np.repeat(np.frombuffer(raw, "<i8", n, at + RAGGED_ROW_BYTES * n), lengths)
    return Ragged(
        metrics,
        np.repeat(seqs, lengths),
        np.repeat(steps, lengths),
        np.repeat(at_us, lengths),
        index,
        np.frombuffer(raw, "<f8", len(index), values_at),
        epochs,
    )
