"""The exact sum against Fraction: every finite value, any order and grouping, stored and loaded on the way."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_model.exact_sum import SUM_WINDOW, Digits, ExactSums
from runstream_model.failures import InvalidState
from runstream_model.moments import peeled

LARGEST = 1.7976931348623157e308
LEAST = 5e-324
AWKWARD = [
    0.0,
    -0.0,
    LEAST,
    -LEAST,
    LARGEST,
    -LARGEST,
    2.0**52,
    2.0**53 - 1,
    2.0**53,
    1e16,
    -1e16,
    2.2e-308,
    0.1,
    1e-300,
]

numbers = st.sampled_from(AWKWARD) | st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1, 1)
series = st.lists(numbers, min_size=1, max_size=12)


def add(sums: ExactSums, slots: list[int], values: list[list[float]]) -> None:
    largest = np.array([max(map(abs, its)) for its in values])
    flat = np.array([value for its in values for value in its])
    for amounts in peeled(flat, np.array([len(its) for its in values]), largest):
        sums.add(np.array(slots), amounts.sums)


def read(sums: ExactSums, slot: int) -> tuple[Digits, float]:
    digits, rounded = sums.read(np.array([slot]))
    return digits, float(rounded[0])


def exact(digits: Digits) -> Fraction:
    base = Fraction(2) ** int(digits.exponents[0])
    return sum((int(digit) * base * 2 ** (26 * place) for place, digit in enumerate(digits.flat)), Fraction(0))


def nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def with_slots(slots: int) -> ExactSums:
    sums = ExactSums(SUM_WINDOW)
    sums.reserve(slots)
    return sums


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(series, series, st.booleans()), min_size=1, max_size=6))
def test_two_series_over_several_batches(batches: list[tuple[list[float], list[float], bool]]) -> None:
    sums = with_slots(3)
    for one, other, is_stored in batches:
        add(sums, [2, 0], [one, other])
        if is_stored:
            stored, _ = sums.read(np.array([0, 2]))
            sums = with_slots(3)
            sums.load(np.array([0, 2]), stored)
    for slot, added in ((2, [one for one, _, _ in batches]), (0, [other for _, other, _ in batches])):
        want = sum((Fraction(value) for values in added for value in values), Fraction(0))
        digits, rounded = read(sums, slot)
        assert exact(digits) == want
        assert rounded == nearest(want)
        assert digits.flat.tolist() == [] if want == 0 else digits.flat[0] != 0 != digits.flat[-1]
        assert all((abs(digit) < 2**26 and (digit >= 0) == (want > 0)) or digit == 0 for digit in digits.flat.tolist())
    assert read(sums, 1)[1] == 0.0


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(numbers, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_order_and_grouping_leave_no_trace(values: list[float], rng: random.Random) -> None:
    at_once, piecemeal = with_slots(1), with_slots(1)
    add(at_once, [0], [values])
    shuffled = rng.sample(values, len(values))
    for value in shuffled:
        add(piecemeal, [0], [[value]])
    (one, _), (other, _) = read(at_once, 0), read(piecemeal, 0)
    assert (one.exponents.tobytes(), one.flat.tobytes()) == (other.exponents.tobytes(), other.flat.tobytes())


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([2.0**53, 1.0], 2.0**53),  # half-way, to even
        ([2.0**53, 1.0, LEAST], 2.0**53 + 2),  # more than half-way by the least there is
        ([2.0**53, 1.0, -LEAST], 2.0**53),
        ([2.0**53, 1.0, 2.0**-60], 2.0**53 + 2),  # the same, near enough for the window
        ([-(2.0**53), -1.0, -(2.0**-60)], -(2.0**53) - 2),
        ([2.0**53, 1.0, -(2.0**-60)], 2.0**53),
        ([2.0**53 + 2, 1.0, -(2.0**-300)], 2.0**53 + 2),
        ([LARGEST, 2.0**969], LARGEST),  # just below half a unit in the last place
        ([LARGEST, 2.0**970], math.inf),  # half of one: to even, which is 2**1024
        ([-LARGEST, -LARGEST], -math.inf),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),  # only partial sums are too large
        ([1e308, 1.0, -1e308], 1.0),
        ([LEAST] * 3, 3 * LEAST),
        ([-0.0, -0.0], 0.0),
        ([0.1] * 10, 1.0),
    ],
)
def test_rounding(values: list[float], want: float) -> None:
    sums = with_slots(1)
    add(sums, [0], [values])
    assert math.copysign(1, read(sums, 0)[1]) == math.copysign(1, want)
    assert read(sums, 0)[1] == want


@pytest.mark.parametrize("size", [1024, 1025, 5000])
def test_long_series_are_added_in_pieces(size: int) -> None:
    rng = random.Random(size)
    values = [rng.choice([2.0**52 - 1, rng.uniform(-1e9, 1e9)]) for _ in range(size)]
    sums = with_slots(2)
    add(sums, [1, 0], [values, [0.5]])
    assert read(sums, 1)[1] == math.fsum(values)
    assert read(sums, 0)[1] == 0.5


def test_digits_carry_before_they_overflow() -> None:
    """Doubling by adding a sum's own amounts reaches, in a few steps, what 2**36 points would."""
    sums = with_slots(1)
    add(sums, [0], [[1.0 + 2.0**-20]])
    for _ in range(400):
        sums._digits[sums._digits > 0] *= 4  # as so many more of the same points would
        if (sums._digits > 2**59).any():
            break
    want = exact(Digits(np.array([26 * int(sums._base[0])]), sums._digits[:, 0], np.array([8])))
    for _ in range(8):
        sums._digits *= 2
        want *= 2
        digits, rounded = read(sums, 0)
        assert exact(digits) == want
        assert rounded == float(want)


def test_clear_forgets_narrow_and_wide_sums() -> None:
    sums = with_slots(2)
    add(sums, [0, 1], [[1e300, 1e-300], [3.0]])
    sums.clear(np.array([0, 1]))
    add(sums, [0, 1], [[0.25], [0.5]])
    assert (read(sums, 0)[1], read(sums, 1)[1]) == (0.25, 0.5)


@pytest.mark.parametrize(("exponent", "digit", "length"), [(7, 1, 1), (26, 2**26, 1), (26, 1, 2)])
def test_refuses_sums_that_are_not_on_the_grid(exponent: int, digit: int, length: int) -> None:
    stored = Digits(np.array([exponent], np.int32), np.array([digit]), np.array([length]))
    with pytest.raises(InvalidState, match="rebuild"):
        with_slots(1).load(np.array([0]), stored)
