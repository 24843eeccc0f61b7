"""Summaries and points equal the oracle's, bit by bit, however the same rows are sent, cut, repeated and batched."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.metrics import NO_STEP, Delivery, Row, Summary, points, summaries
from kit.recorded.metric_frames import FoldedLog, counted, frame_bytes, point_rows, with_bits
from runstream_processors.store.tables import TABLES

#: Where it stands in a row of `points`.
EPOCH = list(TABLES["points"]).index("epoch")
METRICS = ("loss", "acc", "val/loss", "größe", "z", "Z 1")
AWKWARD: tuple[float, ...] = (
    0.0,
    -0.0,
    math.nan,
    math.inf,
    -math.inf,
    5e-324,
    -5e-324,
    2.2e-308,
    1e308,
    -1e308,
    1.7976931348623157e308,
)
AWKWARD += (1e308, -1e308, 1.7976931348623157e308, 1e16, -1e16, 1.0, 2.0**-60, 2.0**52 + 1, 0.1)

values = st.sampled_from(AWKWARD) | st.floats() | st.floats(-1, 1)
finite = st.sampled_from([value for value in AWKWARD if math.isfinite(value)]) | st.floats(-1, 1)
epochs = st.none() | st.integers(0, 3) | st.integers(-(2**63) + 1, 2**63 - 1)
steps = st.integers(0, 4) | st.integers(-(2**63), 2**63 - 1) | st.just(NO_STEP)
#: Values, steps and times that are nearly always equal to another one's: what ties are made of.
COLLIDING = (st.sampled_from([0.0, -0.0, math.nan]), st.integers(0, 1), st.integers(0, 1))
times = st.integers(0, 3).map(lambda n: n * 500) | st.integers(-(2**62), 2**62)


def named(names: tuple[str, ...], row: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(names, row, strict=True))


@st.composite
def writers(draw: st.DrawFn) -> list[tuple[str, str, list[Row]]]:
    """(run, writer, rows) of several writers, some on one run; a writer's sequence may have numbers without rows."""
    made = []
    colliding = draw(st.booleans())
    for number in range(draw(st.integers(1, 4))):
        run = draw(st.sampled_from(["run-a", "run-b", "Run_c"]))
        value, step, time = draw(st.sampled_from([values, finite, st.floats(-1, 1)])), steps, times
        if colliding:
            value, step, time = COLLIDING
        if draw(st.booleans()):
            names = tuple(draw(st.permutations(METRICS))[: draw(st.integers(1, len(METRICS)))])
            row_values = st.tuples(*[value] * len(names)).map(partial(named, names))
        else:
            row_values = st.dictionaries(st.sampled_from(METRICS), value, min_size=1)
        # Most writers know nothing of epochs, and those that do have rows without one.
        epoch = epochs if draw(st.integers(0, 2)) == 0 else st.none()
        rows = draw(st.lists(st.tuples(step, time, row_values, epoch), max_size=8))
        skipped = draw(st.sets(st.integers(0, len(rows)), max_size=2))
        numbered = (seq for seq in range(2 * len(rows) + 3) if seq not in skipped)
        made.append((run, f"{number:02x}" * 16, [Row(seq, *row) for seq, row in zip(numbered, rows, strict=False)]))
    return made


@st.composite
def logs(draw: st.DrawFn) -> list[list[tuple[Delivery, bytes]]]:
    """Batches of frames: cut, overlapping, repeated, reordered, with one offset after the other."""
    cuts = []
    for run, writer, rows in draw(writers()):
        end = rows[-1].seq + 2 if rows else 1
        ranges = [(0, end)] if draw(st.booleans()) else []
        ranges += draw(st.lists(st.tuples(st.integers(0, end), st.integers(0, end)), max_size=6))
        for low, high in ranges:
            first, last = min(low, high), max(low, high)
            within = tuple(row for row in rows if first <= row.seq < last)
            cuts.append((run, writer, first, last, within, draw(st.booleans())))
    frames = []
    for offset, (run, writer, first, last, within, ragged) in enumerate(draw(st.permutations(cuts))):
        delivery = Delivery(run, writer, first, last, within, 3, offset * 2)
        frames.append((delivery, frame_bytes(delivery, ragged)))
    batches: list[list[tuple[Delivery, bytes]]] = [[]]
    for frame in frames:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(frame)
    return batches


def folded(batches: Iterable[list[tuple[Delivery, bytes]]], interrupted: Iterable[bool]) -> FoldedLog:
    """Fold batch by batch; after those marked, save, forget everything and go on from what was saved."""
    log = FoldedLog()
    for batch, is_interrupted in zip(batches, interrupted, strict=False):
        log.apply(batch)
        if is_interrupted:
            log.save()
            log.restart()
    log.save()
    return log


def expected(deliveries: Iterable[Delivery]) -> tuple[dict[tuple[str, str], tuple[Any, ...]], Counter[Any]]:
    its = points(deliveries)
    return {key: with_bits(summary) for key, summary in summaries(its).items()}, point_rows(its)


def summaries_of(log: FoldedLog) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {key: with_bits(row[name] for name in Summary._fields) for key, row in log.stored.items()}


@settings(max_examples=examples(400), deadline=None)
@given(logs(), st.lists(st.booleans(), min_size=60, max_size=60))
def test_summaries_and_points_equal_the_oracle(
    batches: list[list[tuple[Delivery, bytes]]], interrupted: list[bool]
) -> None:
    log = folded(batches, interrupted)
    want_summaries, want_points = expected(delivery for batch in batches for delivery, _ in batch)
    assert summaries_of(log) == want_summaries
    assert log.points == want_points


@settings(max_examples=examples(50), deadline=None)
@given(logs())
def test_a_batch_without_epochs_has_no_column_of_them(batches: list[list[tuple[Delivery, bytes]]]) -> None:
    log = FoldedLog()
    for batch in batches:
        seen = log.points.copy()
        columns = log.apply(batch).columns()
        new = log.points - seen
        has_epochs = any(row[EPOCH] is not None for row in new)
        assert has_epochs <= ("epoch" in columns)
        assert ("epoch" in columns) <= any(row.epoch is not None for delivery, _ in batch for row in delivery.rows)


@settings(max_examples=examples(150), deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_stored_states_do_not_depend_on_batches(
    batches: list[list[tuple[Delivery, bytes]]], rng: random.Random
) -> None:
    """Every stored byte is the same: what a rebuild compares by hash."""
    frames = [frame for batch in batches for frame in batch]
    at_once = folded([frames], [])
    one_by_one = folded([[frame] for frame in frames], (rng.random() < 0.5 for _ in frames))
    at_once.apply(frames)
    at_once.save()
    assert stored_bytes(at_once) == stored_bytes(one_by_one)


def stored_bytes(log: FoldedLog) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        key: with_bits(row.values()) + tuple(row["total_digits"]) + tuple(row["squares_digits"])
        for key, row in log.stored.items()
    }


@settings(max_examples=examples(100), deadline=None)
@given(logs(), st.integers(-1, 40))
def test_after_leaves_what_came_later(batches: list[list[tuple[Delivery, bytes]]], offset: int) -> None:
    frames = [frame for batch in batches for frame in batch]
    batch = FoldedLog().apply(frames)
    rows = point_rows(p for p in points(delivery for delivery, _ in frames) if p.offset > offset)
    later = batch.after({3: offset, 4: 10**6})
    assert counted(later) == rows
    assert later.points == rows.total()
    assert later.runs() == {row[0] for row in rows}


@pytest.mark.parametrize("seed", range(6))
def test_long_series_in_large_batches(seed: int) -> None:
    """Thousands of points a series, of widely differing sizes, with frames resent and shuffled."""
    rng = random.Random(seed)
    spread = (1, 30, 1000)[seed % 3]
    names = [f"m{i}" for i in range(12)]
    frames = []
    for number in range(4):
        schema = rng.sample(names, rng.randint(1, 6))
        rows = [
            Row(seq, rng.choice([seq, seq // 3]), rng.randrange(10**15), {n: _wide_value(rng, spread) for n in schema})
            for seq in range(3000)
        ]
        cuts = sorted({0, len(rows), *(rng.randrange(len(rows)) for _ in range(8))})
        for first, last in [*pairwise(cuts), (0, 40), (1000, 2500)]:
            frames.append((f"run-{number % 2}", f"{number:02x}" * 16, first, last, tuple(rows[first:last])))
    rng.shuffle(frames)
    deliveries = [Delivery(*frame, 3, offset) for offset, frame in enumerate(frames)]
    packed = [(delivery, frame_bytes(delivery, rng.random() < 0.2)) for delivery in deliveries]
    size = (len(packed), 7, 1)[seed % 3]
    log = folded([packed[i : i + size] for i in range(0, len(packed), size)], (rng.random() < 0.3 for _ in packed))
    want_summaries, want_points = expected(deliveries)
    assert summaries_of(log) == want_summaries
    assert log.points == want_points


def _wide_value(rng: random.Random, spread: int) -> float:
    value = rng.gauss(0, 1) * 2.0 ** rng.randint(-spread, min(spread, 900))
    return rng.choice([value, value, value, 0.25, round(value, 1)])
