"""A curve in one line of a terminal. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
#: For terminals that cannot show block characters.
ASCII: Final = "_.:-=+*#"
NOT_A_NUMBER: Final = {BLOCKS: "×", ASCII: "x"}


def sparkline(values: Sequence[float], width: int, marks: str = BLOCKS) -> str:
    """One mark for each of at most `width` stretches of `values`, lowest to highest of what is finite.

    A stretch shows that of its finite values which is farthest from their mean, so that no spike is hidden. An infinity
    is drawn at its end of the scale; a stretch in which nothing but NaN stands is drawn as a cross, so that a run that
    diverged looks like one.
    """
    if not values or width < 1:
        return ""
    levels = [_level(part) for part in _stretches(values, min(width, len(values)))]
    finite = [level for level in levels if math.isfinite(level)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_mark(level, low, high, marks) for level in levels)


def farthest(low: float, mean: float, high: float) -> float:
    """Which of `low` and `high` is farther from `mean`; `high` where both are as far."""
    # Halved, because the distance of two large values of different sign is an infinity.
    return low if mean / 2 - low / 2 > high / 2 - mean / 2 else high


def _stretches(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [index * len(values) // count for index in range(count + 1)]
    return [values[begin:end] for begin, end in pairwise(edges)]


def _level(part: Sequence[float]) -> float:
    finite = [value for value in part if math.isfinite(value)]
    if finite:
        return farthest(min(finite), math.fsum(value / len(finite) for value in finite), max(finite))
    infinite = [value for value in part if math.isinf(value)]
    return infinite[-1] if infinite else math.nan


def _mark(value: float, low: float, high: float, marks: str) -> str:
    if math.isnan(value):
        return NOT_A_NUMBER[marks]
    if math.isinf(value):
        return marks[-1] if value > 0 else marks[0]
    if high == low:
        return marks[0]
    # Halved before the subtraction: high - low of two large values of different sign is an infinity.
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return marks[min(len(marks) - 1, int(share * len(marks)))]
