"""Search spaces as users write them."""

import math
from random import Random
from typing import Any

import pytest

from runstream_model.search.dimensions import Choice, Grid, Real
from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.searches import Search
from runstream_model.search.spaces import Space
from runstream_model.search.suggesting import Trial
from runstream_model.search.written import written_space


def one(written: Any) -> Choice | Real | Grid:
    (found,) = written_space({"x": written}).dimensions
    return found


def all_of(written: Any) -> list[Any]:
    found = one(written)
    assert not isinstance(found, Real)
    return [found.nth(number) for number in range(found.size)]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        (3, [3]),
        ("adam", ["adam"]),
        (None, [None]),
        (["a", 1, True, None, [1, 2]], ["a", 1, True, None, [1, 2]]),
        ({"value": None}, [None]),
        ({"values": [1, 2]}, [1, 2]),
        ({"min": 1, "max": 4}, [1, 2, 3, 4]),
        ({"min": 1, "max": 8, "step": 3}, [1, 4, 7]),
        ({"min": 1, "max": 4, "scale": "log"}, [1, 2, 3, 4]),
        ({"min": 2, "max": 2}, [2]),
        ({"min": 0.0, "max": 0.3, "step": 0.1}, [0.0, 0.1, 0.2, 0.30000000000000004]),
        ({"min": 0.0, "max": 0.5, "step": 0.3}, [0.0, 0.3]),
        ({"min": 0.0, "max": 1.0, "step": 0.6}, [0.0, 0.6]),
        ({"min": 0.0, "max": 1.0, "step": 2.0}, [0.0]),
        ({"min": 0, "max": 0.9, "step": 1}, [0]),
        ({"min": 0, "max": 2.5, "step": 1}, [0, 1, 2]),
        ({"min": 1.0, "max": 9.0, "step": 3.0, "scale": "log"}, [1.0, 4.0, 7.0]),
        ({"min": 0, "max": 1, "points": 5}, [0, 1]),
        ({"min": 0.0, "max": 1.0, "points": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"min": 1.0, "max": 100.0, "scale": "log", "points": 3}, [1.0, 10.0, 100.0]),
        ({"mean": 5, "std": 1, "min": 4, "max": 6, "step": 1}, [4, 5, 6]),
    ],
)
def test_each_form_has_its_values(written: Any, values: list[Any]) -> None:
    found = all_of(written)
    assert [type(value) for value in found] == [type(value) for value in values]
    assert found == (pytest.approx(values) if isinstance(values[-1], float) else values)


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7, 1 / 3, 1e-3, 2.5, 7])
@pytest.mark.parametrize("bounds", [(0.0, 0.3), (-1.0, 0.9), (0.1, 0.7), (0, 2.1), (1e9, 1e9 + 5)])
def test_no_step_goes_beyond_the_bounds_or_stops_before(bounds: tuple[float, float], step: float) -> None:
    low, high = bounds
    values = all_of({"min": low, "max": high, "step": step})
    assert values[0] == low
    assert max(values) <= high < values[-1] + step * (1 + 1e-6)


@pytest.mark.parametrize("written", [{"mean": 0, "std": 1e308}, {"mean": -(10**308), "std": 1e308, "step": 1e300}])
def test_what_is_drawn_is_a_number_that_json_holds(written: dict[str, Any]) -> None:
    found, random = one(written), Random(1)
    assert all(math.isfinite(found.draw(random)) for _ in range(1_000))
    assert all(math.isfinite(found.value(place)) for place in (0.0, 1.0))


def test_bounds_of_a_normal_distribution_may_be_as_far_apart_as_floats_are() -> None:
    found = one({"mean": 10**308, "std": 1, "min": -(10**308), "max": 10**308})
    assert found.draw(Random(1)) == pytest.approx(1e308)


def test_ranges_without_steps_have_no_end() -> None:
    random = Random(1)
    uniform = one({"min": 0.0, "max": 2.0})
    logarithmic = one({"min": 1e-4, "max": 1, "scale": "log"})
    normal = one({"mean": 3.0, "std": 0.5})
    assert all(isinstance(dimension, Real) for dimension in (uniform, logarithmic, normal))
    assert abs(sum(uniform.draw(random) for _ in range(4_000)) / 4_000 - 1) < 0.05
    assert 0.45 < sum(logarithmic.draw(random) < 1e-2 for _ in range(4_000)) / 4_000 < 0.55
    assert abs(sum(normal.draw(random) for _ in range(4_000)) / 4_000 - 3) < 0.05
    assert isinstance(one({"min": 0, "max": 1.5}), Real)


def test_a_value_that_is_given_twice_is_one_value_drawn_twice_as_often() -> None:
    found = one([1, 1, 2, True])
    assert isinstance(found, Choice)
    assert (found.values, found.probabilities) == ((1, 2, True), (0.5, 0.25, 0.25))
    weighed = one({"values": ["a", "b", "a"], "probabilities": [0.25, 0.5, 0.25]})
    assert isinstance(weighed, Choice)
    assert (weighed.values, weighed.probabilities) == (("a", "b"), (0.5, 0.5))
    search = Search(written_space({"x": [1, 1, 2], "y": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}), "random", "s")
    assert search.size == 2
    first = search.values(0, [])
    assert search.values(1, [Trial(first, None)])["x"] == 3 - first["x"]


def test_probabilities_hold() -> None:
    found = one({"values": ["a", "b"], "probabilities": [0.0, 1.0]})
    assert {found.draw(Random(seed)) for seed in range(50)} == {"b"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({}, "the space is empty"),
        ({"": 1}, "is no name of a parameter"),
        ({"x" * 201: 1}, "is no name of a parameter"),
        ({"x": []}, "a list of 1 to 1000 values"),
        ({"x": list(range(1001))}, "a list of 1 to 1000 values"),
        ({"x": [math.nan]}, "no NaN and not infinite"),
        ({"x": {}}, 'give a value, a list, {"min"'),
        ({"x": {"low": 0, "high": 1}}, 'give a value, a list, {"min"'),
        ({"x": {"min": 0, "max": 1, "mean": 1, "scale": "log"}}, 'give a value, a list, {"min"'),
        ({"x": {"min": 0}}, "x: max is missing"),
        ({"x": {"min": math.nan, "max": 1}}, "x: min is nan: give a finite number"),
        ({"x": {"min": "0", "max": 1}}, "x: min is '0': give a finite number"),
        ({"x": {"min": True, "max": 1}}, "x: min is True: give a finite number"),
        ({"x": {"min": 2, "max": 1}}, "max is 1: give a number of at least min (2)"),
        ({"x": {"min": 0, "max": 1, "scale": "cubic"}}, "scale is 'cubic': give linear or log"),
        ({"x": {"min": 0, "max": 1.0, "scale": "log"}}, "min is 0: give a number above 0, which has a logarithm"),
        ({"x": {"min": 0, "max": 1, "step": 0}}, "step is 0: give a number above 0"),
        ({"x": {"min": 0, "max": 1, "step": math.inf}}, "step is inf"),
        ({"x": {"min": 0.0, "max": 1.0, "points": 0}}, "points is 0: give a whole number from 1 to 1000"),
        ({"x": {"min": 0.0, "max": 1.0, "points": 10**9}}, "points is 1000000000"),
        ({"x": {"min": 0, "max": 10**300}}, "step"),
        ({"x": {"mean": 0}}, "x: std is missing"),
        ({"x": {"mean": 0, "std": 0}}, "x: std is 0: give a number above 0"),
        ({"x": {"mean": 0, "std": 1, "min": 90, "max": 91}}, "nothing of a normal distribution"),
        (
            {f"p{number}": {"mean": 0, "std": 1, "points": 1000} for number in range(11)},
            "the points of all parameters are 11000, at most 10000",
        ),
        ({f"p{number}": 1 for number in range(101)}, "101 hyperparameters are given"),
    ],
)
def test_what_nothing_can_be_drawn_from_is_refused(written: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSpace) as refused:
        written_space(written)
    assert told in str(refused.value)


def test_a_grid_tries_all_of_it_in_order() -> None:
    space: Space = written_space({"a": [1, 2], "b": "same", "c": {"min": 0.0, "max": 1.0, "points": 2}})
    search = Search(space, "grid", "s")
    assert [search.values(number, []) for number in range(4)] == [
        {"a": a, "b": "same", "c": c} for a in (1, 2) for c in (0.0, 1.0)
    ]
