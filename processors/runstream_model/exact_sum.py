"""Sums of numbers without rounding, for many series at once.

A sum is kept as integers on a fixed grid: sum(digit[i] * 2**(26 * (base + i))). Integer addition neither rounds nor
cares for order or grouping, so any way through the same numbers gives the same sum, and it is rounded once, to the
nearest float (ties to even), when it is read: what `math.fsum` returns. docs/design/summaries.md has the proof of each
step and its cost.

`runstream_model.moments` turns values and their squares into amounts on the grid; `ExactSums` holds the sums.
"""

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

#: Bins of a series kept as an array. For the sum of values eight are enough: an amount takes four, which leaves two
#: below and two above the first. Values whose sizes differ by less than a factor of 2**52 fit. For the sum of squares
#: an amount takes six, of twelve bins three are below and three above, and values may differ by a factor of 2**39.
SUM_WINDOW: Final = 8
SQUARES_WINDOW: Final = 12
#: What is loaded leaves so many bins for what comes. Sums that need more are kept as a Python integer instead.
_SPARE_BINS: Final = 2
#: A point adds less than 2**28 to a digit, so a digit has room for 2**34 points before `read`, which looks, carries it
#: on.
_FULL_DIGIT: Final = 1 << 62
#: Carries of digits of 63 bits reach two bins further; the third holds the sign.
_CARRY_BINS: Final = 3

#: base of a series without a sum, and of one that is kept as a Python integer instead.
_EMPTY: Final = -(2**30)
_WIDE: Final = 2**30
#: Unit of the Python integers: no amount lies below. That of the square of the least float, 2**-1074, begins at -88.
_ORIGIN_BIN: Final = -88
#: Whole digits and whole bytes: four digits are 13 bytes.
_PIECE_BYTES: Final = 13
_PIECE_DIGITS: Final = 4
#: Sums that are converted at once: 160 digits each are 1 MB.
_CHUNK_ROWS: Final = 1_000
#: More bits than a float has: the last of them stands for all that follow.
_LEADING_BITS: Final = 62


@dataclass(frozen=True, slots=True)
class Amounts:
    """sum(digits[k, i] * 2**(26 * (bin[i] + k))) belongs to the sum of series[i]; series ascend, and may repeat."""

    series: I64
    bin: I64
    digits: I64


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


class ExactSums:
    """The sums of series, by slot: 8 bytes a slot and 8 a bin of the window. Not thread-safe."""

    def __init__(self, window: int) -> None:
        self._window = window
        #: digits[place, slot]: neighbouring slots, which are usually touched together, share cache lines.
        self._digits = np.zeros((window, 0), np.int64)
        self._base = np.zeros(0, np.int64)
        #: Series whose digits do not fit the window: the sum as a multiple of 2**(26 * _ORIGIN_BIN).
        self._wide: dict[int, int] = {}

    def reserve(self, slots: int) -> None:
        """Have room for slots below `slots`; new ones hold the sum 0."""
        more = slots - len(self._base)
        self._digits = np.concatenate((self._digits, np.zeros((self._window, more), np.int64)), axis=1)
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
        room = self._window - len(digits)
        base = self._base[slot]
        new = base == _EMPTY
        if new.any():
            base[new] = self._base[slot[new]] = bins[new] - room // 2
        begin = bins - base
        fits = (begin >= 0) & (begin <= room)
        if not fits.all():
            for i in np.flatnonzero(~fits).tolist():
                amount = _integer(digits[:, i].tolist(), int(bins[i]) - _ORIGIN_BIN)
                self._put(int(slot[i]), self._as_integer(int(slot[i])) + amount)
            slot, begin, digits = slot[fits], begin[fits], digits[:, fits]
        capacity = len(self._base)
        flat = self._digits.reshape(-1)
        at_digit = begin * capacity + slot
        for digit in digits:
            flat[at_digit] += digit
            at_digit += capacity

    def load(self, slots: I64, sums: Digits) -> None:
        """Set sums to what `read` gave. Raises InvalidState for what it cannot have given."""
        if (sums.exponents % BIN_BITS).any() or (abs(sums.flat) > _MASK).any() or sums.lengths.sum() != len(sums.flat):
            raise InvalidState("stored exact sums are not on the grid: rows are damaged, run `runstream rebuild`")
        wide = sums.lengths > self._window - _SPARE_BINS
        ends = np.cumsum(sums.lengths)
        for slot, exponent, length, end in zip(
            *(of_rows[~wide].tolist() for of_rows in (slots, sums.exponents, sums.lengths, ends)), strict=True
        ):
            if length:
                begin = (self._window - length) // 2
                self._base[slot] = exponent // BIN_BITS - begin
                self._digits[begin : begin + length, slot] = sums.flat[end - length : end]
        rows = np.flatnonzero(wide).tolist()
        for slot, (number, exponent) in zip(slots[rows].tolist(), integers_of(sums, rows), strict=True):
            self._put(slot, _integer([number], exponent // BIN_BITS - _ORIGIN_BIN))

    def read(self, slots: I64) -> tuple[Digits, F64]:
        """The exact sums, and the same rounded to the nearest float (beyond the largest: an infinity; zero is 0.0)."""
        digits = self._digits[:, slots]
        for row in np.flatnonzero((abs(digits) >= _FULL_DIGIT).any(axis=0)).tolist():
            self._put(int(slots[row]), self._as_integer(int(slots[row])))
            digits[:, row] = self._digits[:, slots[row]]
        window = Normalised(digits, self._base[slots])
        rounded, lengths, exponents = window.rounded(), window.lengths(), window.exponents()
        wide = (
            {row: self._wide[slot] for row, slot in enumerate(slots.tolist()) if slot in self._wide}
            if self._wide
            else {}
        )
        wide_digits = dict(zip(wide, _digits_of(list(wide.values())), strict=True))
        for row, total in wide.items():
            exponents[row], lengths[row] = _exponent_of(total), len(wide_digits[row])
            rounded[row] = _rounded(total)
        ends = np.cumsum(lengths)
        flat = np.zeros(int(lengths.sum()), np.int64)
        window.write(flat, ends - lengths)
        for row, its_digits in wide_digits.items():
            flat[ends[row] - lengths[row] : ends[row]] = its_digits
        return Digits(exponents, flat, lengths), rounded

    def _as_integer(self, slot: int) -> int:
        if slot in self._wide:
            return self._wide[slot]
        return _integer(self._digits[:, slot].tolist(), int(self._base[slot]) - _ORIGIN_BIN)

    def _put(self, slot: int, total: int) -> None:
        """Keep `total` in the window if it fits there, leaving bins for what is yet to come."""
        self._digits[:, slot] = 0
        self._wide.pop(slot, None)
        if not total:
            self._base[slot] = _EMPTY
        elif _places(total) <= self._window - _SPARE_BINS:
            (digits,) = _digits_of([total])
            begin = (self._window - len(digits)) // 2
            self._base[slot] = _exponent_of(total) // BIN_BITS - begin
            self._digits[begin : begin + len(digits), slot] = digits
        else:
            self._base[slot] = _WIDE
            self._wide[slot] = total


class Normalised:
    """Numbers with all carries done, as sign and magnitude, place by place.

    The number of row i is sum(digits[place, i] * 2**(26 * (base[i] + place))), whatever digits are given.
    """

    def __init__(self, digits: I64, base: I64) -> None:
        carried = np.zeros((len(digits) + _CARRY_BINS, len(base)), np.int64)
        carried[: len(digits)] = digits
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
        self._high = len(used) - 1 - used[::-1].argmax(axis=0)

    def lengths(self) -> I64:
        return np.where(self._is_zero, 0, self._high - self._low + 1)

    def exponents(self) -> npt.NDArray[np.int32]:
        return np.where(self._is_zero, 0, BIN_BITS * (self._base + self._low)).astype(np.int32)

    def write(self, flat: I64, begin: I64) -> None:
        """Write the digits of row i at begin[i]."""
        place = np.arange(len(self._digits))[:, np.newaxis]
        inside = (place >= self._low) & (place <= self._high) & ~self._is_zero
        at = (begin - self._low + place)[inside]
        flat[at] = np.where(self._negative, -self._digits, self._digits)[inside]

    def rounded(self) -> F64:
        """Return the nearest floats.

        The scaling is exact or overflows: a sum below the normal numbers needs no rounding at all, because every float
        is a multiple of the least one.
        """
        size, exponent = self.nearest()
        with np.errstate(over="ignore"):
            return np.ldexp(size, exponent)

    def nearest(self) -> tuple[F64, I64]:
        """Return the numbers rounded to 53 bits, as floats and the exponents of two to multiply them by.

        The top 62 bits, the last of them set if anything below is not zero, are more than a float's 53, so that the
        conversion of that integer rounds as the whole number would.
        """
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
        size = (number | lost).astype(np.float64)
        return np.where(self._is_zero, 0.0, np.where(self._negative, -size, size)), self._exponent_of(bits)

    def _exponent_of(self, bits: I64) -> I64:
        return np.where(self._is_zero | (abs(self._base) >= _WIDE), 0, BIN_BITS * (self._base + self._high) + bits - 62)


def _carry(digits: I64) -> None:
    """Make every digit but the last 0 <= digit < 2**26, the sum the same. The last one takes the sign."""
    for place in range(len(digits) - 1):
        over = digits[place] >> BIN_BITS
        digits[place] &= _MASK
        digits[place + 1] += over


def _split(amounts: Amounts) -> tuple[I64, I64, I64]:
    """Return amounts whose digits are split into low 26 bits and the rest, which belongs to the next bin: one entry a
    series, none that is 0. The highest digit has the sign."""
    series, bins = amounts.series, amounts.bin
    digits = np.zeros((len(amounts.digits) + 1, len(series)), np.int64)
    np.bitwise_and(amounts.digits, _MASK, out=digits[:-1])
    digits[1:] += amounts.digits >> BIN_BITS
    if (series[1:] == series[:-1]).any():
        begin = np.flatnonzero(np.diff(series, prepend=-1))
        digits = np.add.reduceat(digits, begin, axis=1)
        series, bins = series[begin], bins[begin]
    some = digits.any(axis=0)
    if some.all():
        return series, bins, digits
    return series[some], bins[some], digits[:, some]


def _integer(digits: list[int], place: int) -> int:
    """Return the number with these few digits of any size, the lowest at `place`; what lies below place 0 is 0."""
    number = 0
    for digit in reversed(digits):
        number = (number << BIN_BITS) + digit
    return number << (BIN_BITS * place) if place >= 0 else number >> (BIN_BITS * -place)


def integers_of(sums: Digits, rows: list[int]) -> list[tuple[int, int]]:
    """Return the sums of rows as integers and the exponents of two that they are multiplied by."""
    ends, lengths = np.cumsum(sums.lengths)[rows].tolist(), sums.lengths[rows].tolist()
    numbers = _integers([sums.flat[end - length : end] for end, length in zip(ends, lengths, strict=True)])
    return list(zip(numbers, sums.exponents[rows].tolist(), strict=True))


def leading_bits(number: int) -> tuple[float, int]:
    """Return a number >= 0 rounded to 53 bits, as a float and the exponent of two to multiply it by."""
    exponent = max(number.bit_length() - _LEADING_BITS, 0)
    lost = number & ((1 << exponent) - 1) != 0
    return float(number >> exponent | lost), exponent


def _digits_of(totals: list[int]) -> list[I64]:
    """The digits of multiples of 2**(26 * _ORIGIN_BIN) but 0, in the form of `Digits`."""
    digits: list[I64] = []
    for begin in range(0, len(totals), _CHUNK_ROWS):
        chunk = totals[begin : begin + _CHUNK_ROWS]
        lengths = [_places(total) for total in chunk]
        pieces = -(-max(lengths) // _PIECE_DIGITS)
        shifted = [abs(total) >> (BIN_BITS * _lowest_place(total)) for total in chunk]
        octets = b"".join(size.to_bytes(pieces * _PIECE_BYTES, "little") for size in shifted)
        found = _from_pieces(np.frombuffer(octets, np.uint8)).reshape(len(chunk), -1)
        found *= np.array([-1 if total < 0 else 1 for total in chunk])[:, np.newaxis]
        digits += [row[:length] for row, length in zip(found, lengths, strict=True)]
    return digits


def _integers(digits: list[I64]) -> list[int]:
    """The integers with these digits, in the form of `Digits`, the first of each at place 0."""
    numbers: list[int] = []
    for begin in range(0, len(digits), _CHUNK_ROWS):
        chunk = digits[begin : begin + _CHUNK_ROWS]
        pieces = -(-max(map(len, chunk)) // _PIECE_DIGITS)
        padded = np.zeros((len(chunk), pieces * _PIECE_DIGITS), np.int64)
        for row, its_digits in zip(padded, chunk, strict=True):
            row[: len(its_digits)] = its_digits
        octets, size = _to_pieces(abs(padded)).tobytes(), pieces * _PIECE_BYTES
        for at, its_digits in enumerate(chunk):
            number = int.from_bytes(octets[at * size : (at + 1) * size], "little")
            numbers.append(-number if len(its_digits) and its_digits[-1] < 0 else number)
    return numbers


def _from_pieces(octets: npt.NDArray[np.uint8]) -> I64:
    """The digits of numbers of whole pieces, little-endian."""
    words = np.zeros((len(octets) // _PIECE_BYTES, 16), np.uint8)
    words[:, :_PIECE_BYTES] = octets.reshape(-1, _PIECE_BYTES)
    low, high = words.view("<u8").T
    digits = [low, low >> np.uint64(26), low >> np.uint64(52) | high << np.uint64(12), high >> np.uint64(14)]
    return (np.stack(digits, axis=1) & np.uint64(_MASK)).astype(np.int64).reshape(-1)


def _to_pieces(digits: I64) -> npt.NDArray[np.uint8]:
    """The other way round: digits >= 0, four to a piece."""
    one, two, three, four = digits.reshape(-1, _PIECE_DIGITS).astype(np.uint64).T
    low = one | two << np.uint64(26) | three << np.uint64(52)
    high = three >> np.uint64(12) | four << np.uint64(14)
    words = np.stack((low, high), axis=1).astype("<u8").view(np.uint8)
    return np.ascontiguousarray(words[:, :_PIECE_BYTES])


def _exponent_of(total: int) -> int:
    """The exponent of the first digit of a multiple of 2**(26 * _ORIGIN_BIN) but 0, in the form of `Digits`."""
    return BIN_BITS * (_ORIGIN_BIN + _lowest_place(total))


def _places(total: int) -> int:
    """How many digits a number but 0 has from the first to the last that is not 0."""
    return -(-total.bit_length() // BIN_BITS) - _lowest_place(total)


def _lowest_place(total: int) -> int:
    """The place of the first digit of a number but 0 that is not 0."""
    return ((total & -total).bit_length() - 1) // BIN_BITS


def _rounded(total: int) -> float:
    """A multiple of 2**(26 * _ORIGIN_BIN) as the nearest float. Division of integers rounds correctly."""
    try:
        return total / (1 << (BIN_BITS * -_ORIGIN_BIN))
    except OverflowError:
        return float("-inf") if total < 0 else float("inf")
