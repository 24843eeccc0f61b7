"""Spaces that are counted through: each set of values has a number. Pure.

The order is that of nested loops, the last hyperparameter in the innermost one, or one that a seed gives. Both are
functions of the number alone, so that whoever knows how many were given knows the next, and none comes twice.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final

from runstream_model.search.dimensions import Choice, Dimension, Grid, Real
from runstream_model.search.distributions import Distribution, Logarithmic, Uniform

#: Values that numbers of one space become, in all: each takes about 10 microseconds.
MAX_QUANTISED: Final = 10_000
_ROUNDS: Final = 4


def quantised(dimension: Dimension, count: int) -> "Choice | Grid":
    """Return at most `count` values of a dimension. Numbers between two bounds have both among them, in equal distances
    of their scale; those of a normal distribution stand in the middle of equally likely parts."""
    match dimension:
        case Choice():
            return dimension
        case Grid() if dimension.size <= count:
            return dimension
        case Grid():
            return Choice(
                dimension.name, tuple(dict.fromkeys(dimension.value(place) for place in _of_grid(dimension, count)))
            )
        case Real():
            low, high = dimension.low, dimension.high
            values = (
                min(max(dimension.distribution.value(place), low), high)
                for place in _places(dimension.distribution, count)
            )
            return Choice(dimension.name, tuple(dict.fromkeys(values)))


def _of_grid(grid: Grid, count: int) -> list[float]:
    if not grid.alike:
        return _places(grid.distribution, count)
    return [(round(place * (grid.size - 1)) + 0.5) / grid.size for place in _ends(count)]


def _places(distribution: Distribution, count: int) -> list[float]:
    inner = distribution.logarithm if isinstance(distribution, Logarithmic) else distribution
    return _ends(count) if isinstance(inner, Uniform) else [(number + 0.5) / count for number in range(count)]


def _ends(count: int) -> list[float]:
    return [0.5] if count == 1 else [number / (count - 1) for number in range(count)]


def nth(dimensions: "Sequence[Choice | Grid]", number: int) -> dict[str, Any]:
    """Return the values with this number, from 0."""
    found: dict[str, Any] = {}
    for one in reversed(dimensions):
        number, digit = divmod(number, one.size)
        found[one.name] = one.nth(digit)
    return {one.name: found[one.name] for one in dimensions}


def shuffled(number: int, size: int, seed: str) -> int:
    """Return where `number` of 0 .. size - 1 stands in the order that the seed gives: no two stand at one place."""
    half_bits = max(1, math.ceil((size - 1).bit_length() / 2))
    mask = (1 << half_bits) - 1
    while True:
        # A Feistel network permutes all numbers of so many bits; those beyond the size are sent on until one fits.
        left, right = number >> half_bits, number & mask
        for turn in range(_ROUNDS):
            text = f"{seed}\0{turn}\0{right}".encode(errors="replace")
            left, right = right, left ^ (int.from_bytes(hashlib.sha256(text).digest(), "big") & mask)
        number = left << half_bits | right
        if number < size:
            return number
