"""Grids: complete, without repetition, in the order of nested loops or of a seed."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_model.search.dimensions import Choice, Grid, Real
from runstream_model.search.distributions import Normal
from runstream_model.search.grids import nth, quantised, shuffled
from runstream_model.search.searches import Search, SearchMethod, coarse_space, grid_space
from runstream_model.search.spaces import Category, dimension_of, space_of
from runstream_model.search.suggesting import Trial


def dimension(category: Category, **members: Any) -> Choice | Real | Grid:
    found = dimension_of("x", category, members)
    assert found is not None
    return found


@given(size=st.integers(1, 400), seed=st.text(max_size=8))
def test_a_seed_gives_an_order_of_all_numbers(size: int, seed: str) -> None:
    assert sorted(shuffled(number, size, seed) for number in range(size)) == list(range(size))


def test_orders_differ_by_seed_and_hold_for_large_sizes() -> None:
    assert [shuffled(n, 1000, "a") for n in range(20)] != [shuffled(n, 1000, "b") for n in range(20)]
    assert [shuffled(n, 1000, "a") for n in range(20)] != list(range(20))
    assert len({shuffled(n, 10**30, "a") for n in range(200)}) == 200


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_grid_is_counted_as_nested_loops_do(sizes: list[int]) -> None:
    dimensions = [Choice(f"x{place}", tuple(range(size))) for place, size in enumerate(sizes)]
    loops = [
        dict(zip((one.name for one in dimensions), values, strict=True))
        for values in itertools.product(*(range(size) for size in sizes))
    ]
    assert [nth(dimensions, number) for number in range(math.prod(sizes))] == loops
    search = Search(space_of(dimensions), "grid", "s", in_order=False)
    found = [search.values(number, []) for number in range(len(loops))]
    assert sorted(map(repr, found)) == sorted(map(repr, loops))


@pytest.mark.parametrize(
    ("given_as", "members", "count", "expected"),
    [
        ("uniform", {"low": 0, "high": 1}, 5, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("uniform", {"low": 2, "high": 4}, 1, [3.0]),
        ("loguniform", {"low": 1, "high": 100}, 3, [1.0, 10.0, 100.0]),
        ("uniform", {"low": 0, "high": 21, "step": 1}, 3, [0, 10, 20]),
        ("uniform", {"low": 0, "high": 3, "step": 1}, 5, [0, 1, 2]),
        ("normal", {"mu": 0, "sigma": 1}, 2, [-0.6744897501960817, 0.6744897501960817]),
        ("categorical", {"values": ["a", "b", "c"]}, 2, ["a", "b", "c"]),
    ],
)
def test_numbers_become_so_many(
    given_as: Category, members: Mapping[str, Any], count: int, expected: list[Any]
) -> None:
    found = quantised(dimension(given_as, **members), count)
    values = [found.nth(number) for number in range(found.size)]
    assert values == pytest.approx(expected) if given_as != "categorical" else values == expected
    assert [type(one) for one in values] == [type(one) for one in expected]


def test_a_grid_without_bounds_has_as_many_values_as_are_asked_for() -> None:
    endless = Grid("x", Normal(10, 5), 10, 1, -(1 << 52), 1 << 52)
    values = quantised(endless, 4)
    assert [values.nth(number) for number in range(values.size)] == [4, 8, 12, 16]


def test_spaces_of_grids() -> None:
    space = space_of([dimension("uniform", low=0, high=1), Choice("y", tuple(range(50)))])
    assert grid_space(space, 7).size == coarse_space(space, 7).size == 350
    integers = space_of([dimension("uniform", low=0, high=100, step=1)])
    assert (grid_space(integers, 7).size, coarse_space(integers, 7).size) == (100, 7)


@pytest.mark.parametrize("method", ["random", "parzen_estimator"])
def test_no_search_of_a_finite_space_tries_anything_twice(method: SearchMethod) -> None:
    """Also where it has more trials than an estimator is made of."""
    dimensions = [Choice("x", tuple(range(40))), Choice("y", tuple(range(13)))]
    search = Search(space_of(dimensions), method, "s")
    trials = [Trial(nth(dimensions, number), float(number)) for number in range(515)]
    while len(trials) < 520:
        trials.append(Trial(search.values(len(trials), trials), float(len(trials))))
    assert len({repr(trial.values) for trial in trials}) == 520
