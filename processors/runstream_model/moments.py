"""The sum and the sum of squares of many series without rounding, and the standard deviation that follows from them.

`peeled` splits values into digits of 26 bits on a grid, sums these, and sums their products: both as integers, so that
no order and no grouping changes them (`runstream_model.exact_sum` keeps the sums). docs/design/summaries.md has the
proof of each step and its cost. Only finite values come here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream_model.exact_sum import BIN_BITS, Amounts, Digits, Normalised, integers_of, leading_bits

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Series are aligned to half bins, so that squares of their digits are aligned to bins.
_HALF_BITS: Final = BIN_BITS // 2
#: Products of digits are at most 2**52, and the largest amount adds up two of them: so many fit an int64.
_PIECE_POINTS: Final = 1 << 10
#: Below this, the scale 2**-shift would be beyond the largest float.
_LOWEST_SCALED_SHIFT: Final = -1014
#: So many digits of a sum `deviations` takes in arrays, and so many places of the result; beyond, in Python integers.
_ARRAY_DIGITS: Final = 12
_ARRAY_PLACES: Final = 32


@dataclass(frozen=True, slots=True)
class Peeled:
    """What belongs to the sums of series and to the sums of their squares."""

    sums: Amounts
    squares: Amounts


def peeled(values: F64, length: I64, largest: F64) -> Iterator[Peeled]:
    """Yield the exact sums of adjacent series, and those of their squares, as amounts on the grid.

    values[points]: finite, series behind series; length[series] >= 1; largest[series]: the largest magnitude in each.
    A round takes all values that are three digits in the scale of the largest of their series: those that differ from
    it by less than a factor of 2**13 always, most others too. The next round takes the others, in their own scale.
    """
    series = np.arange(len(length))
    while True:
        half = -((BIN_BITS - np.frexp(largest)[1].astype(np.int64)) // _HALF_BITS)
        digits, left = _digits(values, _HALF_BITS * half, length)
        yield _amounts(digits, series, length, half)
        if not left.size:
            return
        values, series, length = values[left], *_compressed(left, series, length)
        largest = np.maximum.reduceat(np.abs(values), np.cumsum(length) - length)


def _digits(values: F64, shift: I64, length: I64) -> tuple[list[I64], I64]:
    """Return d such that values == (d[0] + d[1] * 2**-26 + d[2] * 2**-52) * 2**shift, and which values have no such
    digits: they get zeros. d[0] is at most 2**26 in size, the others 2**25. Every operation is exact."""
    scaled = _scaled(values, shift, length)
    is_left = np.zeros(len(values), bool)
    if (shift > 0).any():
        # What is smaller than the scaled numbers go may have become 0; what lost only some bits is far below d[2].
        np.not_equal(scaled == 0, values == 0, out=is_left)
    digits = []
    whole = np.empty_like(scaled)
    for place in range(3):
        if place:
            scaled -= whole
            scaled *= 2.0**BIN_BITS
        np.rint(scaled, out=whole)
        digits.append(whole.astype(np.int64))
    scaled -= whole
    left = np.flatnonzero(is_left | (scaled != 0)) if scaled.any() or is_left.any() else np.zeros(0, np.int64)
    if left.size:
        for digit in digits:
            digit[left] = 0
    return digits, left


def _scaled(values: F64, shift: I64, length: I64) -> F64:
    if (shift < _LOWEST_SCALED_SHIFT).any():
        return _ldexp(values, -np.repeat(shift, length))
    scale = np.ldexp(1.0, -shift)
    return values * (scale if len(scale) == len(values) else np.repeat(scale, length))


def _ldexp(values: F64, exponent: I64) -> F64:
    """Return values * 2**exponent, rounded where that is no normal number."""
    scaled: F64 = np.ldexp(values, exponent)
    return scaled


def _compressed(kept: I64, series: I64, length: I64) -> tuple[I64, I64]:
    """Return series and length of the points `kept`; series without points go."""
    ends = np.searchsorted(kept, np.cumsum(length))
    length = np.diff(ends, prepend=0)
    some = length > 0
    return series[some], length[some]


def _amounts(digits: list[I64], series: I64, length: I64, half: I64) -> Peeled:
    """Add up digits and their products, in pieces short enough for an int64."""
    points = len(digits[0])
    begin = None if points == len(length) else np.cumsum(length) - length
    if begin is not None and int(length.max()) > _PIECE_POINTS:
        pieces = -(-length // _PIECE_POINTS)
        first = np.cumsum(pieces) - pieces
        number = np.arange(int(pieces.sum())) - np.repeat(first, pieces)
        begin = np.repeat(begin, pieces) + _PIECE_POINTS * number
        series, half = np.repeat(series, pieces), np.repeat(half, pieces)
    product = np.empty(points, np.int64)

    def total(of_points: I64) -> I64:
        return of_points if begin is None else np.add.reduceat(of_points, begin)

    def products(one: I64, other: I64) -> I64:
        return total(np.multiply(one, other, out=None if begin is None else product))

    high, middle, low = digits
    is_odd = _HALF_BITS * (half & 1)
    sums = np.stack([total(digit) for digit in (low, middle, high)]) << is_odd
    squares = np.stack(
        [
            products(low, low),
            products(middle, low) << 1,
            products(middle, middle) + (products(high, low) << 1),
            products(high, middle) << 1,
            products(high, high),
        ]
    )
    return Peeled(Amounts(series, (half >> 1) - 2, sums), Amounts(series, half - 4, squares))


def deviations(count: I64, sums: Digits, squares: Digits) -> F64:
    """Return the population standard deviations of series of `count` >= 1 finite values with these exact sums.

    n * squares - sums ** 2 is an integer on the grid, exact and never negative. It is rounded once; the square root and
    the division by n follow, so that the result is less than two units in the last place from the true one.
    """
    with np.errstate(over="ignore"):
        size, exponent = _scatter(count, sums, squares)
        fraction, more = np.frexp(size)
        exponent = exponent + more
        is_odd = exponent & 1
        root = np.sqrt(_ldexp(fraction, is_odd)) / count
        return _ldexp(root, (exponent - is_odd) >> 1)


def _scatter(count: I64, sums: Digits, squares: Digits) -> tuple[F64, I64]:
    """Return n * squares - sums ** 2 as floats, rounded once, and the exponents of two to multiply them by."""
    low_sum, low_square = 2 * (sums.exponents // BIN_BITS).astype(np.int64), squares.exponents // BIN_BITS
    base = np.where(sums.lengths == 0, low_square, np.minimum(low_sum, low_square)).astype(np.int64)
    low_sum = np.where(sums.lengths == 0, base, low_sum)
    top = np.maximum(low_sum + 2 * sums.lengths, low_square + squares.lengths + 2)
    in_array = (sums.lengths <= _ARRAY_DIGITS) & (squares.lengths <= _ARRAY_DIGITS) & (top - base < _ARRAY_PLACES)
    size, exponent = np.zeros(len(count)), np.zeros(len(count), np.int64)
    rows = np.flatnonzero(in_array & (count > 1))
    places = np.zeros((int((top - base)[rows].max(initial=0)) + 1, len(rows)), np.int64)
    _add_squared(places, (low_sum - base)[rows], _placed(sums, rows))
    _add_multiplied(places, (low_square - base)[rows], _placed(squares, rows), count[rows])
    size[rows], exponent[rows] = Normalised(places, base[rows]).nearest()
    wide = np.flatnonzero(~in_array & (count > 1)).tolist()
    for row, total, square in zip(wide, integers_of(sums, wide), integers_of(squares, wide), strict=True):
        size[row], exponent[row] = _scatter_of(int(count[row]), total, square)
    return size, exponent


def _placed(sums: Digits, rows: I64) -> list[I64]:
    """Return the digits of `rows` place by place, zeros behind the last of each."""
    length = sums.lengths[rows]
    begin = (np.cumsum(sums.lengths) - sums.lengths)[rows]
    last = max(len(sums.flat) - 1, 0)
    flat = sums.flat if len(sums.flat) else np.zeros(1, np.int64)
    return [
        np.where(length > place, flat[np.minimum(begin + place, last)], 0)
        for place in range(int(length.max(initial=0)))
    ]


def _add_squared(places: I64, at: I64, digits: list[I64]) -> None:
    """Subtract the squares of numbers whose digits begin at the place `at` of each row."""
    for place in range(2 * len(digits) - 1):
        product = np.zeros(len(at), np.int64)
        for one in range(max(0, place - len(digits) + 1), place // 2 + 1):
            other = place - one
            product += digits[one] * digits[other] << (one != other)
        _add(places, at + place, -product)


def _add_multiplied(places: I64, at: I64, digits: list[I64], factor: I64) -> None:
    """Add numbers whose digits begin at the place `at` of each row, times `factor`."""
    low, high = factor & ((1 << BIN_BITS) - 1), factor >> BIN_BITS
    for place, digit in enumerate(digits):
        _add(places, at + place, digit * low)
        _add(places, at + place + 1, digit * high)


def _add(places: I64, at: I64, amount: I64) -> None:
    # What stands behind the last digit of a row is 0, wherever it is added.
    places[np.minimum(at, len(places) - 1), np.arange(len(at))] += amount


def _scatter_of(count: int, total: tuple[int, int], square: tuple[int, int]) -> tuple[float, int]:
    """Return the same for one series, whose sums are integers and exponents of two."""
    (number, exponent), (squared, its_exponent) = total, square
    base = min(2 * exponent, its_exponent)
    scatter = (count * squared << (its_exponent - base)) - (number * number << (2 * exponent - base))
    size, more = leading_bits(scatter)
    return size, base + more
