"""Sums of float64 without rounding, for many series at once.

A sum is kept as integers on a fixed grid: sum(digit[i] * 2**(26 * (base + i))). Integer addition neither rounds nor
cares for order or grouping, so any way through the same values gives the same number, and it is rounded once, to
the nearest float (ties to even), when it is read: what `math.fsum` returns. docs/design/summaries.md has the proof
of each step and its cost.

`peeled` turns values into amounts on the grid; `ExactSums` holds the sums. Only finite values come here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream_model.failures import InvalidState

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: A bin is 26 bits wide: half of a float's digits, and a third of an int64, so that sums of digits have room.
BIN_BITS: Final = 26
_MASK: Final = (1 << BIN_BITS) - 1
#: What is peeled at once: values scaled to at most 2**52, of which 2**10 add up to at most 2**62, in an int64.
_PEEL_BITS: Final = 52
_PIECE_POINTS: Final = 1 << 10
#: Below this bin the scale 2**(-26 * bin) would be beyond the largest float (26 * 39 = 1014 still is not).
_LOWEST_FIRST_BIN: Final = -38

#: Bins of a series kept as an array; what is loaded takes six, which leaves two for what comes. Six bins are 156 bits:
#: with 53 bits of a value and 30 of a count, values of one series may differ by a factor of 2**47 wherever the bins'
#: borders fall. Others are wide.
WINDOW: Final = 8
_STORED_WINDOW: Final = WINDOW - 2
#: An amount takes two bins: its low 26 bits, and the rest. A point adds at most 2**26 to either, so a digit has room
#: for 2**36 points before `read`, which looks, carries it on.
_AMOUNT_BINS: Final = 2
_LAST_BEGIN: Final = WINDOW - _AMOUNT_BINS
_FULL_DIGIT: Final = 1 << 62
#: Where the first amount of a series begins: one more bin above it, and room for two more peels below.
_FIRST_BEGIN: Final = 4
#: Carries of eight digits of 63 bits reach two bins further; the third holds the sign.
_CARRIED: Final = WINDOW + 3

#: base of a series without a sum, and of one that is kept as a Python integer instead.
_EMPTY: Final = -(2**30)
_WIDE: Final = 2**30
#: Unit of the Python integers: no amount lies below. The least float is 2**-1074, and 26 * -44 = -1144.
_ORIGIN_BIN: Final = -44


@dataclass(frozen=True, slots=True)
class Amounts:
    """amount[i] * 2**(26 * bin[i]) belongs to the sum of series[i]; series ascend, and may repeat."""

    series: I64
    bin: I64
    amount: I64


@dataclass(frozen=True, slots=True)
class Digits:
    """Sums in the one form that each has: equal sums are equal here, however they came about.

    The sum of row i is sum(d * 2**(exponents[i] + 26 * place)) over its lengths[i] digits in `flat`. Digits are below
    2**26 in size, have the sum's sign, and neither the first nor the last is 0; exponents are multiples of 26, and
    0 where there are no digits (the sum 0).
    """

    exponents: npt.NDArray[np.int32]
    flat: I64
    lengths: I64


def peeled(values: F64, length: I64, largest: F64) -> Iterator[Amounts]:
    """The exact sums of adjacent series as amounts on the grid.

    values[points]: finite, series behind series; length[series] >= 1; largest[series]: the largest magnitude in each.
    Every step splits off the integer part of what is left, scaled, and goes on with the rest until nothing is left:
    two steps for values of one series that differ by less than a factor of 2**26.
    """
    exponent = np.frexp(largest)[1].astype(np.int64)
    bins = np.maximum(-((_PEEL_BITS - exponent) // BIN_BITS), _LOWEST_FIRST_BIN)
    if (bins > 0).any():
        values = values.copy()
        yield from _peeled_high(values, length, bins)
    series = np.arange(len(length))
    scaled = values * _spread(np.ldexp(1.0, -BIN_BITS * bins), length, len(values))
    steps = 0
    while True:
        whole = np.rint(scaled)
        yield _amounts(whole, series, length, bins)
        scaled -= whole
        if not scaled.any():
            return
        if steps:
            # After two steps few points have anything left, as a rule.
            kept = np.flatnonzero(scaled)
            scaled = scaled[kept]
            series, length, bins = _compressed(kept, series, length, bins)
        steps += 1
        scaled *= 2.0**_PEEL_BITS
        bins = bins - _PEEL_BITS // BIN_BITS


def _peeled_high(values: F64, length: I64, bins: I64) -> Iterator[Amounts]:
    """Peel series with values beyond 2**52 down to bin 0; changes `values` and `bins` to what is left.

    Scaling such a value down may lose low bits of others, so here the rest is taken in the values' own scale. The
    part that is split off is truncated, never rounded up: it cannot overflow.
    """
    while (high := np.flatnonzero(bins > 0)).size:
        of_point = np.repeat(bins > 0, length)
        shift = np.repeat(BIN_BITS * bins[high], length[high])
        part = values[of_point]
        whole = np.trunc(np.ldexp(part, -shift))
        yield _amounts(whole, high, length[high], bins[high])
        values[of_point] = part - np.ldexp(whole, shift)
        bins[high] -= _PEEL_BITS // BIN_BITS


def _spread(of_series: F64, length: I64, points: int) -> F64:
    return of_series if len(of_series) == points else np.repeat(of_series, length)


def _compressed(kept: I64, series: I64, length: I64, bins: I64) -> tuple[I64, I64, I64]:
    """series, length and bins of the points `kept`; series without points go."""
    ends = np.searchsorted(kept, np.cumsum(length))
    length = np.diff(ends, prepend=0)
    some = length > 0
    return series[some], length[some], bins[some]


def _amounts(whole: F64, series: I64, length: I64, bins: I64) -> Amounts:
    """The sums of `whole` numbers up to 2**52, in pieces short enough for an int64."""
    integers = whole.astype(np.int64)
    if len(integers) == len(length):
        return Amounts(series, bins, integers)
    begin = np.cumsum(length) - length
    if int(length.max()) > _PIECE_POINTS:
        pieces = -(-length // _PIECE_POINTS)
        first = np.cumsum(pieces) - pieces
        number = np.arange(int(pieces.sum())) - np.repeat(first, pieces)
        begin = np.repeat(begin, pieces) + _PIECE_POINTS * number
        series, bins = np.repeat(series, pieces), np.repeat(bins, pieces)
    return Amounts(series, bins, np.add.reduceat(integers, begin))


class ExactSums:
    """The sums of series, by slot: 72 bytes a slot. Not thread-safe."""

    def __init__(self) -> None:
        #: digits[place, slot]: neighbouring slots, which are usually touched together, share cache lines.
        self._digits = np.zeros((WINDOW, 0), np.int64)
        self._base = np.zeros(0, np.int64)
        #: Series whose digits do not fit the window: the sum as a multiple of 2**(26 * _ORIGIN_BIN).
        self._wide: dict[int, int] = {}

    def reserve(self, slots: int) -> None:
        """Have room for slots below `slots`; new ones hold the sum 0."""
        more = slots - len(self._base)
        self._digits = np.concatenate((self._digits, np.zeros((WINDOW, more), np.int64)), axis=1)
        self._base = np.concatenate((self._base, np.full(more, _EMPTY)))

    def clear(self, slots: I64) -> None:
        """Set sums to 0."""
        for slot in self._wide.keys() & set(slots.tolist()) if self._wide else ():
            del self._wide[slot]
        self._digits[:, slots] = 0
        self._base[slots] = _EMPTY

    def add(self, slots: I64, amounts: Amounts) -> None:
        """Add amounts of series; series i is slots[i], and no slot occurs twice in `slots`."""
        series, bins, digits = _split(amounts)
        slot = slots if len(series) == len(slots) else slots[series]
        base = self._base[slot]
        new = base == _EMPTY
        if new.any():
            base[new] = self._base[slot[new]] = bins[new] - _FIRST_BEGIN
        begin = bins - base
        fits = (begin >= 0) & (begin <= _LAST_BEGIN)
        if not fits.all():
            for i in np.flatnonzero(~fits).tolist():
                amount = int(digits[0][i]) + (int(digits[1][i]) << BIN_BITS)
                at = int(slot[i])
                self._put(at, self._as_integer(at) + (amount << (BIN_BITS * (int(bins[i]) - _ORIGIN_BIN))))
            slot, begin = slot[fits], begin[fits]
            digits = (digits[0][fits], digits[1][fits])
        capacity = len(self._base)
        flat = self._digits.reshape(-1)
        at_digit = begin * capacity + slot
        flat[at_digit] += digits[0]
        flat[at_digit + capacity] += digits[1]

    def load(self, slots: I64, sums: Digits) -> None:
        """Set sums to what `read` gave. Raises InvalidState for what it cannot have given."""
        if (sums.exponents % BIN_BITS).any() or (abs(sums.flat) > _MASK).any() or sums.lengths.sum() != len(sums.flat):
            raise InvalidState("stored exact sums are not on the grid: rows are damaged, run `runstream rebuild`")
        ends = np.cumsum(sums.lengths)
        for slot, exponent, length, end in zip(
            slots.tolist(), sums.exponents.tolist(), sums.lengths.tolist(), ends.tolist(), strict=True
        ):
            lowest = exponent // BIN_BITS
            if 0 < length <= _STORED_WINDOW:
                begin = _STORED_WINDOW - length
                self._base[slot] = lowest - begin
                self._digits[begin:_STORED_WINDOW, slot] = sums.flat[end - length : end]
            elif length:
                digits = sums.flat[end - length : end].tolist()
                total = sum(digit << (BIN_BITS * place) for place, digit in enumerate(digits))
                self._put(slot, total << (BIN_BITS * (lowest - _ORIGIN_BIN)))

    def read(self, slots: I64) -> tuple[Digits, F64]:
        """The exact sums, and the same rounded to the nearest float (beyond the largest: an infinity; zero is 0.0)."""
        digits = self._digits[:, slots]
        for row in np.flatnonzero((abs(digits) >= _FULL_DIGIT).any(axis=0)).tolist():
            self._put(int(slots[row]), self._as_integer(int(slots[row])))
            digits[:, row] = self._digits[:, slots[row]]
        window = _Normalised(digits, self._base[slots])
        rounded, lengths, exponents = window.rounded(), window.lengths(), window.exponents()
        wide = (
            {row: self._wide[slot] for row, slot in enumerate(slots.tolist()) if slot in self._wide}
            if self._wide
            else {}
        )
        wide_digits = {}
        for row, total in wide.items():
            exponents[row], wide_digits[row] = _digits_of(total)
            lengths[row], rounded[row] = len(wide_digits[row]), _rounded(total)
        ends = np.cumsum(lengths)
        flat = np.zeros(int(lengths.sum()), np.int64)
        window.write(flat, ends - lengths)
        for row, its_digits in wide_digits.items():
            flat[ends[row] - lengths[row] : ends[row]] = its_digits
        return Digits(exponents, flat, lengths), rounded

    def _as_integer(self, slot: int) -> int:
        if slot in self._wide:
            return self._wide[slot]
        shift = BIN_BITS * (int(self._base[slot]) - _ORIGIN_BIN)
        return _shifted(sum(digit << (BIN_BITS * i) for i, digit in enumerate(self._digits[:, slot].tolist())), shift)

    def _put(self, slot: int, total: int) -> None:
        """Keep `total` in the window if it fits there, leaving two bins for what is yet to come."""
        exponent, digits = _digits_of(total)
        self._digits[:, slot] = 0
        self._wide.pop(slot, None)
        if not digits:
            self._base[slot] = _EMPTY
        elif len(digits) <= _STORED_WINDOW:
            begin = _STORED_WINDOW - len(digits)
            self._base[slot] = exponent // BIN_BITS - begin
            self._digits[begin:_STORED_WINDOW, slot] = digits
        else:
            self._base[slot] = _WIDE
            self._wide[slot] = total


class _Normalised:
    """Windows with all carries done, as sign and magnitude, place by place: digits[place, row]."""

    def __init__(self, digits: I64, base: I64) -> None:
        carried = np.zeros((_CARRIED, len(base)), np.int64)
        carried[:WINDOW] = digits
        _carry(carried)
        self._negative = carried[-1] < 0
        if self._negative.any():
            carried[:, self._negative] *= -1
            _carry(carried)
        self._digits = carried
        self._base = base
        used = carried != 0
        self._is_zero = ~used.any(axis=0)
        self._low = used.argmax(axis=0)
        self._high = _CARRIED - 1 - used[::-1].argmax(axis=0)

    def lengths(self) -> I64:
        return np.where(self._is_zero, 0, self._high - self._low + 1)

    def exponents(self) -> npt.NDArray[np.int32]:
        return np.where(self._is_zero, 0, BIN_BITS * (self._base + self._low)).astype(np.int32)

    def write(self, flat: I64, begin: I64) -> None:
        """Write the digits of row i at begin[i]."""
        place = np.arange(_CARRIED)[:, np.newaxis]
        inside = (place >= self._low) & (place <= self._high) & ~self._is_zero
        at = (begin - self._low + place)[inside]
        flat[at] = np.where(self._negative, -self._digits, self._digits)[inside]

    def rounded(self) -> F64:
        """The nearest floats: the top 62 bits, the last of them set if anything below is not zero, are more than a
        float's 53, so that the conversion of that integer rounds as the whole number would. A sum below the normal
        numbers needs no rounding at all, because every float is a multiple of the least one."""
        columns = np.arange(len(self._base))

        def digit(below: int) -> I64:
            at = self._high - below
            return np.where(at >= 0, self._digits[np.maximum(at, 0), columns], 0)

        top, second, third, fourth = (digit(below) for below in range(4))
        bits = np.frexp(top.astype(np.float64))[1].astype(np.int64)
        # `bits` of the first digit, 26 of the second, and the rest of 62 from the third and fourth.
        up, down = np.maximum(10 - bits, 0), np.maximum(bits - 10, 0)
        from_fourth = np.minimum(bits + 16, 62)
        number = (top << (62 - bits)) | (second << (36 - bits)) | ((third << up) >> down) | (fourth >> from_fourth)
        lost = ((third & ((1 << down) - 1)) | (fourth & ((1 << from_fourth) - 1))) != 0
        lost |= self._low < self._high - 3
        with np.errstate(over="ignore"):
            size = np.ldexp((number | lost).astype(np.float64), self._exponent_of(bits))
        return np.where(self._is_zero, 0.0, np.where(self._negative, -size, size))

    def _exponent_of(self, bits: I64) -> I64:
        return np.where(self._is_zero | (abs(self._base) >= _WIDE), 0, BIN_BITS * (self._base + self._high) + bits - 62)


def _carry(digits: I64) -> None:
    """Make every digit but the last 0 <= digit < 2**26, the sum the same. The last one takes the sign."""
    for place in range(_CARRIED - 1):
        over = digits[place] >> BIN_BITS
        digits[place] &= _MASK
        digits[place + 1] += over


def _split(amounts: Amounts) -> tuple[I64, I64, tuple[I64, I64]]:
    """Amounts as two digits each, one entry a series, none that is 0. The higher one has the sign."""
    series, bins, amount = amounts.series, amounts.bin, amounts.amount
    low, high = amount & _MASK, amount >> BIN_BITS
    if (series[1:] == series[:-1]).any():
        begin = np.flatnonzero(np.diff(series, prepend=-1))
        low, high = np.add.reduceat(low, begin), np.add.reduceat(high, begin)
        series, bins = series[begin], bins[begin]
    some = (low | high) != 0
    if some.all():
        return series, bins, (low, high)
    return series[some], bins[some], (low[some], high[some])


def _shifted(number: int, bits: int) -> int:
    return number << bits if bits >= 0 else number >> -bits


def _digits_of(total: int) -> tuple[int, list[int]]:
    """Exponent and digits of a multiple of 2**(26 * _ORIGIN_BIN), in the form of `Digits`."""
    sign, size = (-1 if total < 0 else 1), abs(total)
    digits: list[int] = []
    lowest = 0
    while size:
        if digits or size & _MASK:
            digits.append(sign * (size & _MASK))
        else:
            lowest += 1
        size >>= BIN_BITS
    return (BIN_BITS * (_ORIGIN_BIN + lowest), digits) if digits else (0, [])


def _rounded(total: int) -> float:
    """A multiple of 2**(26 * _ORIGIN_BIN) as the nearest float. Division of integers rounds correctly."""
    try:
        return total / (1 << (BIN_BITS * -_ORIGIN_BIN))
    except OverflowError:
        return float("-inf") if total < 0 else float("inf")
