"""Exact sums of squares and standard deviations against Fraction: every finite value, any order and grouping."""

import math
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_model.exact_sum import SQUARES_WINDOW, SUM_WINDOW, Digits, ExactSums
from runstream_model.moments import deviations, peeled

LARGEST = 1.7976931348623157e308
LEAST = 5e-324
AWKWARD = (0.0, -0.0, LEAST, -LEAST, LARGEST, -LARGEST, 2.0**53 - 1, 1e16, -1e16, 2.2e-308, 0.1, 1e-300, 2.0**-537)
#: Results this near to the true one are less than two units in the last place from it.
NEAR = Fraction(1, 2**52) * Fraction(3, 2)

numbers = st.sampled_from(AWKWARD) | st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1, 1)
close = st.builds(lambda base, step: base + step, st.sampled_from([1e8, 1.7e9, -3e15]), st.floats(-4, 4))
series = st.lists(numbers, min_size=1, max_size=12) | st.lists(close, min_size=1, max_size=12)


class Moments:
    """Sums and sums of squares of a few series."""

    def __init__(self, slots: int) -> None:
        self.count = np.zeros(slots, np.int64)
        self._sums = (ExactSums(SUM_WINDOW), ExactSums(SQUARES_WINDOW))
        for sums in self._sums:
            sums.reserve(slots)

    def add(self, slots: list[int], values: list[list[float]]) -> None:
        length = np.array([len(its) for its in values])
        self.count[slots] += length
        largest = np.array([max(map(abs, its)) for its in values])
        for amounts in peeled(np.array([value for its in values for value in its]), length, largest):
            self._sums[0].add(np.array(slots), amounts.sums)
            self._sums[1].add(np.array(slots), amounts.squares)

    def read(self) -> tuple[Digits, Digits]:
        slots = np.arange(len(self.count))
        return self._sums[0].read(slots)[0], self._sums[1].read(slots)[0]

    def stored(self) -> "Moments":
        """The same, saved and loaded."""
        loaded = Moments(len(self.count))
        loaded.count = self.count
        for sums, digits in zip(loaded._sums, self.read(), strict=True):
            sums.load(np.arange(len(self.count)), digits)
        return loaded

    def deviations(self) -> list[float]:
        found: list[float] = deviations(self.count, *self.read()).tolist()
        return found


def exact(digits: Digits, row: int) -> Fraction:
    end = int(digits.lengths[: row + 1].sum())
    its = digits.flat[end - int(digits.lengths[row]) : end].tolist()
    base = Fraction(2) ** int(digits.exponents[row])
    return sum((digit * base * 2 ** (26 * place) for place, digit in enumerate(its)), Fraction(0))


def is_near(deviation: float, values: list[float]) -> bool:
    """Whether it is less than two units in the last place (or the least float) from the root of the exact variance."""
    exactly = list(map(Fraction, values))
    mean = sum(exactly, Fraction(0)) / len(exactly)
    variance = sum(((value - mean) ** 2 for value in exactly), Fraction(0)) / len(exactly)
    if variance == 0:
        return deviation == 0.0
    if math.isinf(deviation):
        return variance > Fraction(LARGEST) ** 2 * (1 - NEAR) ** 2
    slack = max(Fraction(deviation) * NEAR, Fraction(LEAST))
    return max(Fraction(deviation) - slack, Fraction(0)) ** 2 <= variance <= (Fraction(deviation) + slack) ** 2


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(series, series, st.booleans()), min_size=1, max_size=5))
def test_two_series_over_several_batches(batches: list[tuple[list[float], list[float], bool]]) -> None:
    moments = Moments(2)
    for one, other, is_stored in batches:
        moments.add([1, 0], [one, other])
        if is_stored:
            moments = moments.stored()
    sums, squares = moments.read()
    found = moments.deviations()
    for slot, added in ((1, [one for one, _, _ in batches]), (0, [other for _, other, _ in batches])):
        values = [value for batch in added for value in batch]
        assert exact(sums, slot) == sum(map(Fraction, values), Fraction(0))
        assert exact(squares, slot) == sum((Fraction(value) ** 2 for value in values), Fraction(0))
        assert is_near(found[slot], values)


@settings(max_examples=examples(150), deadline=None)
@given(series, st.randoms(use_true_random=False))
def test_order_and_grouping_leave_no_trace(values: list[float], rng: random.Random) -> None:
    at_once, piecemeal = Moments(1), Moments(1)
    at_once.add([0], [values])
    for value in rng.sample(values, len(values)):
        piecemeal.add([0], [[value]])
        if rng.random() < 0.3:
            piecemeal = piecemeal.stored()
    for one, other in zip(at_once.read(), piecemeal.read(), strict=True):
        assert (one.exponents.tobytes(), one.flat.tobytes()) == (other.exponents.tobytes(), other.flat.tobytes())
    assert at_once.deviations() == piecemeal.deviations()


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([7.25], 0.0),
        ([0.1] * 10, 0.0),  # whose mean is no float
        ([-0.0, 0.0], 0.0),
        ([1.0, 3.0], 1.0),
        ([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 2.0),
        ([1e8, 1e8 + 2.0], 1.0),
        ([2.0**53 - 2, 2.0**53], 1.0),  # squares differ by less than a float of their size can tell
        ([1e308, -1e308], 1e308),
        ([LARGEST, -LARGEST], LARGEST),
        ([LARGEST, LARGEST], 0.0),
        ([LEAST, 3 * LEAST], LEAST),
        ([LARGEST, -LARGEST, LEAST, -LEAST], math.sqrt(0.5) * LARGEST),
        ([1e-300, 3e-300], 1e-300),
    ],
)
def test_values(values: list[float], want: float) -> None:
    moments = Moments(1)
    moments.add([0], [values])
    assert moments.deviations()[0] == pytest.approx(want, rel=2.0**-51, abs=0.0)
    assert is_near(moments.deviations()[0], values)


@pytest.mark.parametrize("size", [1024, 1025, 5000])
def test_long_series_are_added_in_pieces(size: int) -> None:
    rng = random.Random(size)
    values = [rng.choice([2.0**52 - 1, rng.uniform(-1e9, 1e9), rng.gauss(0, 1)]) for _ in range(size)]
    moments = Moments(2)
    moments.add([1, 0], [values, [0.5]])
    squares = moments.read()[1]
    assert exact(squares, 1) == sum((Fraction(value) ** 2 for value in values), Fraction(0))
    assert moments.deviations() == [0.0, pytest.approx(statistics.pstdev(values), rel=2.0**-51)]


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.floats(-1e3, 1e3) | close, min_size=2, max_size=12))
def test_arrays_and_integers_give_the_same(values: list[float]) -> None:
    """Which way a series goes depends on how far its sums reach; a bit that depended on it would break a rebuild."""
    moments = Moments(1)
    moments.add([0], [values])
    sums, squares = moments.read()
    zeros = np.zeros(40, np.int64)
    longer = Digits(sums.exponents, np.concatenate((sums.flat, zeros)), sums.lengths + 40)
    by_arrays, by_integers = deviations(moments.count, sums, squares), deviations(moments.count, longer, squares)
    assert by_arrays.tobytes() == by_integers.tobytes()


def test_ordinary_metrics_stay_in_the_window() -> None:
    rng = np.random.default_rng(3)
    moments = Moments(2)
    for scale in (10.0, 1.0, 0.1, 1e-3, 1e-4):
        values = np.concatenate((rng.normal(size=5000) * scale, 1.7e9 + rng.normal(size=5000) * scale))
        moments.add([0, 1], [values[:5000].tolist(), values[5000:].tolist()])
    assert not any(sums._wide for sums in moments._sums)
