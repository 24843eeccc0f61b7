"""The points of a frame's groups as numpy columns. Server side: this module, alone in the contract, needs numpy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream.events import limits
from runstream.events.frame import RAGGED, ROW_FIXED_BYTES, ROWS_EXPLICIT, Group, InvalidFrame
from runstream.events.names import InvalidName, check_metric

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]

_NS_PER_US: Final = 1000


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
    """Single points of rows with differing metrics. `index` points into `metrics`; all other shapes are [points]."""

    metrics: tuple[str, ...]
    seqs: U64
    steps: I64
    at_us: I64
    index: npt.NDArray[np.uint32]
    values: F64


def metric_names(joined: bytes) -> tuple[str, ...]:
    """The names of a group, each checked and no name twice. Raises InvalidFrame."""
    try:
        names = tuple(check_metric(name) for name in joined.decode().split("\n"))
    except (UnicodeDecodeError, InvalidName) as error:
        raise InvalidFrame(f"a group's metric names cannot be used: {error}") from None
    if len(set(names)) != len(names):
        raise InvalidFrame(f"a group names a metric twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    if len(names) > limits.MAX_METRICS_PER_ROW:
        raise InvalidFrame(f"a group has {len(names)} metrics: at most {limits.MAX_METRICS_PER_ROW} are allowed")
    return names


def read_group(group: Group, first_seq: int) -> Rows | Ragged:
    """The columns of a group of a frame that begins at `first_seq`. Raises InvalidFrame."""
    raw = group.raw()
    if len(raw) != group.raw_size:
        raise InvalidFrame(f"a group unpacks to {len(raw)} bytes where its header says {group.raw_size}")
    metrics = metric_names(raw[: group.names_size])
    if len(metrics) != group.metrics:
        raise InvalidFrame(f"a group names {len(metrics)} metrics where its header says {group.metrics}")
    if group.layout == RAGGED:
        return _read_ragged(group, metrics, raw, first_seq)
    n, at = group.rows, group.names_size
    if group.layout == ROWS_EXPLICIT:
        seqs = np.frombuffer(raw, "<u4", n, at).astype(np.uint64) + np.uint64(first_seq)
        at += 4 * n
    else:
        seqs = np.arange(first_seq + group.seq_base, first_seq + group.seq_base + n, dtype=np.uint64)
    width = ROW_FIXED_BYTES + 8 * group.metrics
    rows = np.ascontiguousarray(np.frombuffer(raw, np.uint8, n * width, at).reshape(width, n).T)
    integers = rows[:, :ROW_FIXED_BYTES].copy().view("<i8")
    values = rows[:, ROW_FIXED_BYTES:].copy().view("<f8")
    return Rows(metrics, seqs, integers[:, 0], integers[:, 1] // _NS_PER_US, values)


def _read_ragged(group: Group, metrics: tuple[str, ...], raw: bytes, first_seq: int) -> Ragged:
    n, at = group.rows, group.names_size
    seqs = np.frombuffer(raw, "<u4", n, at).astype(np.uint64) + np.uint64(first_seq)
    steps = np.frombuffer(raw, "<i8", n, at + 4 * n)
    at_us = np.frombuffer(raw, "<i8", n, at + 12 * n) // _NS_PER_US
    lengths = np.frombuffer(raw, "<u4", n, at + 20 * n).astype(np.int64)
    at += 24 * n
    points = (len(raw) - at) // 12
    if int(lengths.sum()) != points:
        raise InvalidFrame(f"a ragged group has {points} values where its rows say {int(lengths.sum())}")
    index = np.frombuffer(raw, "<u4", points, at)
    if points and int(index.max()) >= len(metrics):
        raise InvalidFrame(f"a ragged group uses metric {int(index.max())} of {len(metrics)}")
    values = np.frombuffer(raw, "<f8", points, at + 4 * points)
    return Ragged(
        metrics, np.repeat(seqs, lengths), np.repeat(steps, lengths), np.repeat(at_us, lengths), index, values
    )
