"""What the metric folds cost: CPU microseconds a point to unpack frames, to make columns, and to fold summaries.

    python bench/folds.py [--repeat 5] [--json]

Batches follow each other in time (steps go on, values are new), as in the worker; every figure is the smallest of the
repeats, in CPU time of this process, so that a busy machine disturbs it little. `first` is the fold of the first
batch, which gives every series its slot; `sum` is the part of a fold that the exact sum takes.
"""

import argparse
import json
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from runstream.events.encoding import encode_frame, encode_rows
from runstream.events.frame import Frame, decode_frame
from runstream_model.exact_sum import SQUARES_WINDOW, SUM_WINDOW, ExactSums
from runstream_model.moments import peeled
from runstream_model.points import Accepted, PointBatch, collect
from runstream_model.summaries import SummaryFold

NO_ROWS = pa.table({"run": pa.array([], pa.string()), "metric": pa.array([], pa.string())})


@dataclass(frozen=True)
class Shape:
    """frames frames of `rows` rows of `metrics` metrics, over `runs` runs."""

    name: str
    frames: int
    runs: int
    rows: int
    metrics: int


SHAPES = (
    Shape("8 runs, 100 rows x 10 metrics a frame", 1000, 8, 100, 10),
    Shape("8 runs, 1,000 rows x 10 metrics a frame", 100, 8, 1000, 10),
    Shape("8 runs, 4,000 rows x 10 metrics a frame", 25, 8, 4000, 10),
    Shape("1,000 runs, 1 row x 100 metrics", 1000, 1000, 1, 100),
    Shape("1,000 runs, 10 rows x 100 metrics", 1000, 1000, 10, 100),
    Shape("100 runs, 10 frames each of 1 row x 100 metrics", 1000, 100, 1, 100),
)


def frame_of(shape: Shape, number: int, rng: np.random.Generator) -> Frame:
    """Rows of noisy 64-bit values, the hardest to sum and to compress."""
    first = number // shape.runs * shape.rows
    table = np.empty((shape.rows, 2 + shape.metrics))
    table[:, 2:] = rng.normal(size=(shape.rows, shape.metrics))
    integers = table.view("<i8")
    integers[:, 0] = np.arange(first, first + shape.rows)
    integers[:, 1] = 1_700_000_000_000_000_000 + integers[:, 0] * 1_000_000_000
    columns = table.view(np.uint8).reshape(shape.rows, -1).T.tobytes()
    names = "\n".join(f"train/metric_{37 * i % shape.metrics}" for i in range(shape.metrics)).encode()
    group = encode_rows(names, shape.rows, columns, 0)
    run = number % shape.runs
    writer = struct.pack(">QQ", run, 1).hex()
    return decode_frame(encode_frame(writer, f"run-{run:05}", first, first + shape.rows, b"", [group]))


def least(repeat: int, work: Callable[[], object]) -> float:
    """CPU seconds of the cheapest of `repeat` calls."""
    return min(timed(work) for _ in range(repeat))


def timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def measure(shape: Shape, repeat: int) -> dict[str, float | int | str]:
    """us a point of each part."""
    rng = np.random.default_rng(0)
    frames = [frame_of(shape, number, rng) for number in range(shape.frames)]
    accepted = [
        Accepted(0, offset, frame, ((frame.header.first_seq, frame.header.end_seq),))
        for offset, frame in enumerate(frames)
    ]
    batch, _ = collect(accepted)
    fold = SummaryFold()
    fold.load(batch.runs(), NO_ROWS)
    first = timed(lambda: fold.fold(batch))
    later = [
        replace(batch, steps=batch.steps + 10_000 * n, values=rng.normal(size=batch.points))
        for n in range(1, repeat + 1)
    ]
    changed = timed(fold.changed_columns)
    us = 1e6 / batch.points
    return {
        "shape": shape.name,
        "points": batch.points,
        "series": fold.series_in_memory,
        "collect": us * least(repeat, lambda: collect(accepted)),
        "columns": us * least(repeat, batch.columns),
        "first": us * first,
        "fold": us * min(timed(partial(fold.fold, one)) for one in later),
        "sum": us * least(repeat, summing(batch, fold.series_in_memory)),
        "changed_per_series": 1e6 * changed / fold.series_in_memory,
    }


def summing(batch: PointBatch, series: int) -> Callable[[], None]:
    """The exact sums of values and squares alone, over series of equal length."""
    sums, squares = ExactSums(SUM_WINDOW), ExactSums(SQUARES_WINDOW)
    sums.reserve(series)
    squares.reserve(series)
    length = np.full(series, batch.points // series)
    values = batch.values[: int(length.sum())]
    largest = np.abs(values).reshape(series, -1).max(axis=1)

    def add() -> None:
        for amounts in peeled(values, length, largest):
            sums.add(np.arange(series), amounts.sums)
            squares.add(np.arange(series), amounts.squares)

    return add


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    arguments = parser.parse_args()
    results = [measure(shape, arguments.repeat) for shape in SHAPES]
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{'us/point':48} collect columns  first   fold    sum  us/changed series")
    for result in results:
        parts = " ".join(f"{result[part]:7.4f}" for part in ("collect", "columns", "first", "fold", "sum"))
        print(f"{result['shape']:48} {parts}  {result['changed_per_series']:.2f}")


if __name__ == "__main__":
    main()
