"""What the metric folds must give, said as plainly as Python can: keep all points, sort, loop.

It shares no code with the folds and knows nothing of frames, batches or numpy.
"""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

NO_STEP = -(2**63)


class Row(NamedTuple):
    """One call of `log()`: what a writer sends under one sequence number."""

    seq: int
    step: int
    at_ns: int
    values: Mapping[str, float]
    epoch: int | None = None


class Delivery(NamedTuple):
    """What one record of the log brings: a writer's rows of the sequence numbers [first_seq, end_seq)."""

    run: str
    writer: str
    first_seq: int
    end_seq: int
    rows: tuple[Row, ...]
    part: int
    offset: int


class Point(NamedTuple):
    run: str
    metric: str
    step: int
    at_us: int
    value: float
    writer: str
    part: int
    offset: int
    epoch: int | None = None
    seq: int = 0


class Summary(NamedTuple):
    count: int  # type: ignore[assignment]  # hides `tuple.count`, which nothing here calls
    nan_count: int
    minimum: float
    minimum_step: int
    minimum_at: int
    maximum: float
    maximum_step: int
    maximum_at: int
    first: float
    first_step: int
    first_at: int
    last: float
    last_step: int
    last_at: int
    total: float
    std: float
    offset: int


def points(deliveries: Iterable[Delivery]) -> list[Point]:
    """The points that count: of each (run, writer, sequence number) the first delivery that covers it."""
    seen: set[tuple[str, str, int]] = set()
    counted = []
    for delivery in deliveries:
        for row in delivery.rows:
            if (delivery.run, delivery.writer, row.seq) not in seen:
                for metric, value in row.values.items():
                    at_us = row.at_ns // 1000
                    where = (delivery.writer, delivery.part, delivery.offset)
                    counted.append(Point(delivery.run, metric, row.step, at_us, value, *where, row.epoch, row.seq))
        for seq in range(delivery.first_seq, delivery.end_seq):
            seen.add((delivery.run, delivery.writer, seq))
    return counted


def in_order(its: Iterable[Point]) -> list[Point]:
    """The points of one series in the order that docs/glossary.md defines."""
    return sorted(its, key=lambda p: (p.step, p.at_us, p.writer, p.seq))


def summaries(counted: Iterable[Point]) -> dict[tuple[str, str], Summary]:
    """The summary of every (run, metric) that has a point."""
    series: dict[tuple[str, str], list[Point]] = {}
    for point in counted:
        series.setdefault((point.run, point.metric), []).append(point)
    return {key: summary(its) for key, its in series.items()}


def summary(its: list[Point]) -> Summary:
    """The summary of one series, as docs/architecture.md defines it."""
    numbers = [point for point in its if not math.isnan(point.value)]
    none = Point("", "", NO_STEP, 0, math.nan, "", 0, 0)
    lowest = min(numbers, key=lambda p: (p.value, p.step, p.at_us, not _is_negative(p.value)), default=none)
    highest = min(numbers, key=lambda p: (-p.value, p.step, p.at_us, _is_negative(p.value)), default=none)
    ordered = in_order(its)
    first, last = ordered[0], ordered[-1]
    return Summary(
        len(its),
        len(its) - len(numbers),
        *(lowest.value, lowest.step, lowest.at_us),
        *(highest.value, highest.step, highest.at_us),
        *(first.value, first.step, first.at_us),
        *(last.value, last.step, last.at_us),
        total([point.value for point in its]),
        std([point.value for point in its]),
        max(point.offset for point in its),
    )


def total(values: list[float]) -> float:
    """The correctly rounded sum. A sum of zero is 0.0, never -0.0."""
    if any(map(math.isnan, values)) or {math.inf, -math.inf} <= set(values):
        return math.nan
    if infinite := [value for value in values if math.isinf(value)]:
        return infinite[0]
    try:
        return math.fsum(values) + 0.0
    except OverflowError:
        exact = sum(map(Fraction, values))  # fsum gives up where only a partial sum is too large
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def std(values: list[float]) -> float:
    """The population standard deviation. The variance is exact; what it is made of is rounded as the docs say: the
    scatter n * sum(x^2) - sum(x)^2 to 53 bits, its root, and the root by n."""
    if not all(map(math.isfinite, values)):
        return math.nan
    exact = [Fraction(value) for value in values]
    scatter = len(exact) * sum(value * value for value in exact) - sum(exact) ** 2
    # A power of four that brings the scatter near 1, so that its root is neither too large nor too small for a float.
    scale = (scatter.numerator.bit_length() - scatter.denominator.bit_length()) // 2
    root = math.sqrt(float(scatter / Fraction(4) ** scale)) / len(exact)
    try:
        return math.ldexp(root, scale)
    except OverflowError:
        return math.inf


def _is_negative(value: float) -> bool:
    return math.copysign(1.0, value) < 0
