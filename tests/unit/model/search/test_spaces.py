"""Search spaces: what each category draws, what is refused, and that coordinates lead back to the values."""

import math
from collections.abc import Iterator
from random import Random
from statistics import fmean, pstdev
from typing import Any

import pytest

from runstream_model.search.dimensions import Choice, Dimension
from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.spaces import CATEGORIES, MAX_DIMENSIONS, Category, dimension_of, space_of

DRAWS = 2_000


def dimension(category: Category, **space: Any) -> Dimension:
    found = dimension_of("x", category, space)
    assert found is not None
    return found


def drawn(category: Category, **space: Any) -> list[Any]:
    one, random = dimension(category, **space), Random(1)
    return [one.draw(random) for _ in range(DRAWS)]


def test_uniform_has_low_and_not_high() -> None:
    values = drawn("uniform", low=-1, high=3)
    assert all(-1 <= value < 3 and isinstance(value, float) for value in values)
    assert fmean(values) == pytest.approx(1, abs=0.1)
    one = dimension("uniform", low=-1, high=3)
    assert (one.value(0.0), one.value(1.0)) == (-1.0, math.nextafter(3.0, 0.0))


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"low": 1, "high": 8, "step": 2}, [1, 3, 5, 7]),
        ({"low": 1, "high": 7, "step": 2}, [1, 3, 5]),
        ({"low": 0, "high": 1, "step": 0.25}, [0, 0.25, 0.5, 0.75]),
        ({"low": 0.1, "high": 0.35, "step": 0.1}, [0.1, 0.2, 0.1 + 2 * 0.1]),
        ({"low": 2, "high": 3, "step": 5}, [2]),
    ],
)
def test_a_step_gives_numbers_of_a_grid_all_alike(space: dict[str, Any], expected: list[Any]) -> None:
    values = drawn("uniform", **space)
    assert sorted(set(values)) == expected
    for value in expected:
        assert values.count(value) == pytest.approx(DRAWS / len(expected), rel=0.2)


def test_integers_stay_integers_and_other_numbers_floats() -> None:
    assert {type(value) for value in drawn("uniform", low=1, high=8, step=1)} == {int}
    assert {type(value) for value in drawn("normal", mu=5, sigma=2, step=1)} == {int}
    assert {type(value) for value in drawn("uniform", low=1.0, high=8, step=1)} == {float}
    assert {type(value) for value in drawn("uniform", low=1, high=8)} == {float}


def test_loguniform_is_uniform_in_the_logarithm_whatever_the_base() -> None:
    values = drawn("loguniform", low=1e-4, high=1.0)
    assert all(1e-4 <= value < 1 for value in values)
    assert fmean(map(math.log10, values)) == pytest.approx(-2, abs=0.1)
    assert values == drawn("loguniform", low=1e-4, high=1.0, base=2)
    assert set(drawn("loguniform", low=1, high=5, step=1)) == {1, 2, 3, 4}


def test_normal_has_its_mean_and_deviation_and_its_bounds() -> None:
    values = drawn("normal", mu=10, sigma=2)
    assert fmean(values) == pytest.approx(10, abs=0.2)
    assert pstdev(values) == pytest.approx(2, abs=0.1)
    assert all(11 <= value <= 12 for value in drawn("normal", mu=10, sigma=2, low=11, high=12))
    assert set(drawn("normal", mu=0, sigma=10, low=-1, high=2, step=1)) == {-1, 0, 1, 2}


@pytest.mark.parametrize("side", [1, -1])
def test_far_from_the_mean_the_values_are_those_of_the_tail(side: int) -> None:
    bounds = sorted((side * 20, side * 21))
    values = [side * value for value in drawn("normal", mu=0, sigma=1, low=bounds[0], high=bounds[1])]
    assert all(20 <= value <= 21 for value in values)
    # Behind 20 deviations the density falls by e in 1/20 of one.
    assert fmean(values) == pytest.approx(20.05, abs=0.005)


def test_lognormal_is_normal_in_the_logarithm() -> None:
    values = drawn("lognormal", mu=100, sigma=10)
    logarithms = [math.log10(value) for value in values]
    assert fmean(logarithms) == pytest.approx(2, abs=0.1)
    assert pstdev(logarithms) == pytest.approx(1, abs=0.1)
    assert all(50 <= value <= 60 for value in drawn("lognormal", mu=100, sigma=10, low=50, high=60, base=2))
    assert set(drawn("lognormal", mu=3, sigma=1)) == {3}
    assert set(drawn("lognormal", mu=1, sigma=9, step=1, high=3)) == {1, 2, 3}
    assert all(math.isfinite(value) and value > 0 for value in drawn("lognormal", mu=1, sigma=1e300))


def test_values_of_a_list_keep_their_types() -> None:
    listed = [True, 1, 1.0, "1", None, [1], {"a": 0.1}]
    values = drawn("categorical", values=listed)
    assert {repr(value) for value in values} == {repr(value) for value in listed}
    one = dimension("categorical", values=listed)
    assert [one.coordinate(value) for value in listed] == list(range(7))
    assert one.coordinate("none of them") is None
    assert dimension("categorical", values=[1.0, True]).coordinate(1) == 0


class Counted(tuple[float, ...]):
    """Probabilities that count how often one of them is read."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[float]:
        self.reads += len(self)
        return super().__iter__()


def test_a_lookup_reads_no_probabilities_and_compares_no_values() -> None:
    shares = Counted([0.0, *[1 / 99] * 99])
    found = Choice("x", tuple(range(100)), shares)
    before = shares.reads
    assert [found.number(value) for value in (1, 2.0, 99, 0, "1", True, [1])] == [0, 1, 98, 0, 0, 0, 0]
    assert [found.coordinate(value) for value in (1, 2.0, 0, "1", True, [1], None)] == [1, 2, *[None] * 5]
    assert (found.size, found.nth(98), shares.reads) == (99, 99, before)
    mixed = Choice("x", (True, 1, 1.0, [1], {"a": 1}, None))
    assert [mixed.coordinate(value) for value in (1.0, 1, True, [1.0], {"a": 1.0}, None)] == [2, 1, 0, 3, 4, 5]


def test_probabilities_are_those_of_the_draws() -> None:
    values = drawn("categorical", values=["a", "b", "c"], probabilities=[0.75, 0.25, 0])
    assert values.count("a") == pytest.approx(0.75 * DRAWS, rel=0.1)
    assert "c" not in values
    one = dimension("categorical", values=["a", "b", "c"], probabilities=[0, 0.5, 0.5])
    assert space_of([one]).size == 2
    assert (one.coordinate("a"), one.coordinate("c")) == (None, 2)


@pytest.mark.parametrize(
    ("category", "space"),
    [
        ("uniform", {"low": -5, "high": 10}),
        ("uniform", {"low": 1, "high": 12, "step": 1}),
        ("loguniform", {"low": 1e-9, "high": 1e9}),
        ("loguniform", {"low": 0.5, "high": 64, "step": 0.5}),
        ("normal", {"mu": 3, "sigma": 2}),
        ("normal", {"mu": 0, "sigma": 1, "low": 8, "high": 9}),
        ("normal", {"mu": 0, "sigma": 1, "low": -9, "high": -8, "step": 0.125}),
        ("lognormal", {"mu": 2, "sigma": 3, "low": 0.1, "high": 50}),
    ],
)
def test_a_coordinate_leads_back_to_its_value(category: Category, space: dict[str, Any]) -> None:
    one, random = dimension(category, **space), Random(2)
    for _ in range(200):
        value = one.draw(random)
        coordinate = one.coordinate(value)
        assert coordinate is not None
        assert 0 <= coordinate <= 1
        assert one.value(coordinate) == pytest.approx(value, rel=1e-9)


def test_a_descriptive_hyperparameter_has_no_dimension() -> None:
    assert dimension_of("x", "descriptive", {}) is None
    assert "descriptive" in CATEGORIES


@pytest.mark.parametrize(
    ("category", "space", "words"),
    [
        ("uniform", {"low": 1}, "x: high is None: give a number"),
        ("uniform", {"low": 1, "high": 1}, "give a number above low"),
        ("uniform", {"low": True, "high": 2}, "low is True: give a finite number"),
        ("uniform", {"low": 0, "high": math.nan}, "high is nan: give a finite number"),
        ("uniform", {"low": -1.7e308, "high": 1.7e308}, "at a distance that a float can hold"),
        ("uniform", {"low": 0, "high": 10**400}, "give a finite number"),
        ("uniform", {"low": 0, "high": 1, "step": 0}, "step is 0: give a number above 0"),
        ("uniform", {"low": 0, "high": 1e300, "step": 1e-300}, "steps between the bounds"),
        ("uniform", {"low": 0, "high": 1, "mu": 2}, "has high, low, step, and no mu"),
        ("descriptive", {"low": 0}, "has nothing, and no low"),
        ("loguniform", {"low": 0, "high": 1}, "low is 0: give a number above 0"),
        ("loguniform", {"low": 1, "high": 2, "base": 1}, "base is 1: give another number"),
        ("normal", {"mu": 0}, "sigma is None: give a number above 0"),
        ("normal", {"mu": 0, "sigma": 1, "low": 2, "high": 1}, "nothing of a normal distribution"),
        ("normal", {"mu": 0, "sigma": 1, "low": 40}, "move the bounds nearer to the mean"),
        ("lognormal", {"mu": 0, "sigma": 2}, "mu is 0: give a number above 0"),
        ("lognormal", {"mu": 1, "sigma": 0.5}, "sigma is 0.5: give a number of at least 1"),
        ("lognormal", {"mu": 1, "sigma": 1, "low": 2}, "mu is 1: give a number from low to high"),
        ("categorical", {"values": []}, "values is []: give a list"),
        ("categorical", {"values": "abc"}, "values is 'abc': give a list"),
        ("categorical", {"values": [math.inf]}, "values that are no NaN"),
        ("categorical", {"values": [1, 2], "probabilities": [1]}, "one from 0 to 1 for each"),
        ("categorical", {"values": [1, 2], "probabilities": [0.5, 0.6]}, "together 1"),
        ("categorical", {"values": [1, 2], "probabilities": [1.5, -0.5]}, "together 1"),
    ],
)
def test_what_nothing_can_be_drawn_from_is_refused(
    category: Category, space: dict[str, Any], words: str | None
) -> None:
    if words is None:
        assert set(drawn(category, **space)) == {0.1}
        return
    with pytest.raises(InvalidSpace) as raised:
        dimension(category, **space)
    assert words in str(raised.value)


def test_a_space_has_each_name_once_and_not_too_many() -> None:
    one = dimension("uniform", low=0, high=3, step=1)
    other = dimension_of("y", "categorical", {"values": ["a", "b"]})
    assert other is not None
    assert space_of([one, other]).size == 6
    assert space_of([one, dimension("uniform", low=0, high=1)][1:]).size is None
    with pytest.raises(InvalidSpace, match="two hyperparameters of this name"):
        space_of([one, one])
    many = [
        found for n in range(MAX_DIMENSIONS + 1) if (found := dimension_of(f"x{n}", "uniform", {"low": 0, "high": 1}))
    ]
    with pytest.raises(InvalidSpace, match="at most 100"):
        space_of([found for found in many if found is not None])
