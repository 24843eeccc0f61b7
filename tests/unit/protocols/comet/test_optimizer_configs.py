"""What Comet's client gives to create an optimizer: each scale as a space, and clear refusals."""

import math
from random import Random
from typing import Any

import pytest

from runstream_model.search.dimensions import Choice, Grid, Real
from runstream_model.search.searches import Search, coarse_space
from runstream_model.search.spaces import Space
from runstream_protocols.comet.optimizer import configs
from runstream_protocols.comet.optimizer.configs import (
    ALGORITHMS,
    MAX_ASSIGNMENTS,
    config_in,
    config_of,
    properties_of,
    template,
)
from runstream_protocols.comet.optimizer.spaces import space_in
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload

INTEGER = {"type": "integer", "min": 0, "max": 9}


def search(algorithm: str = "grid", spec: dict[str, Any] | None = None, **parameters: Any) -> Search:
    return config_in(payload(algorithm, spec or {}, parameters)).search("0" * 32)


def payload(algorithm: Any, spec: Any, parameters: Any, trials: Any = 1) -> Payload:
    return Payload({"algorithm": algorithm, "spec": spec, "parameters": parameters, "trials": trials}, b"")


def draws(**given: Any) -> list[Any]:
    (dimension,) = space_in({"x": given}).dimensions
    random = Random(1)
    return [dimension.draw(random) for _ in range(4_000)]


@pytest.mark.parametrize("scale", ["linear", "uniform"])
def test_integers_have_both_bounds_and_each_is_as_likely(scale: str) -> None:
    drawn = draws(type="integer", min=-2, max=2, scalingType=scale)
    counts = [drawn.count(value) for value in range(-2, 3)]
    assert sum(counts) == 4_000
    assert min(counts) > 700


@pytest.mark.parametrize("kind", ["float", "double"])
def test_numbers_are_within_their_bounds(kind: str) -> None:
    drawn = draws(type=kind, min=0.5, max=2)
    assert all(0.5 <= value < 2 for value in drawn)
    assert abs(sum(drawn) / 4_000 - 1.25) < 0.05


def test_logarithms_are_uniform() -> None:
    drawn = draws(type="float", min=1e-4, max=1, scalingType="loguniform")
    assert 0.45 < sum(value < 1e-2 for value in drawn) / 4_000 < 0.55
    integers = draws(type="integer", min=1, max=100, scalingType="loguniform")
    assert {type(value) for value in integers} == {int}
    assert (min(integers), max(integers)) == (1, 100)
    assert 0.4 < sum(value <= 10 for value in integers) / 4_000 < 0.6


def test_normal_numbers_have_the_mean_and_the_deviation() -> None:
    drawn = draws(type="float", mu=5, sigma=2, scalingType="normal")
    assert abs(sum(drawn) / 4_000 - 5) < 0.15
    assert abs(math.fsum((value - 5) ** 2 for value in drawn) / 4_000 - 4) < 0.4
    integers = draws(type="integer", mu=5.5, sigma=2, scalingType="normal")
    assert {type(value) for value in integers} == {int}
    assert abs(sum(integers) / 4_000 - 5.5) < 0.15
    assert {*draws(type="integer", mu=0, sigma=50, min=-1, max=1, scalingType="normal")} == {-1, 0, 1}


def test_mu_and_sigma_of_lognormal_are_of_the_logarithm() -> None:
    drawn = [math.log(value) for value in draws(type="float", mu=-3, sigma=0.5, scalingType="lognormal")]
    assert abs(sum(drawn) / 4_000 + 3) < 0.05
    assert abs(math.fsum((value + 3) ** 2 for value in drawn) / 4_000 - 0.25) < 0.03
    integers = draws(type="integer", mu=3, sigma=1, scalingType="lognormal")
    assert min(integers) >= 1
    assert {type(value) for value in integers} == {int}


def test_lists_keep_their_values_each_once() -> None:
    space = space_in(
        {
            "layers": {"type": "discrete", "values": [16, 32, 16, 64.5]},
            "kind": {"type": "categorical", "values": ["a", "b", "a", True, 1]},
        }
    )
    assert [one.values for one in space.dimensions if isinstance(one, Choice)] == [(16, 32, 64.5), ("a", "b", True, 1)]


def test_one_value_is_no_range() -> None:
    assert draws(type="integer", min=3, max=3)[0] == 3
    assert draws(type="float", min=3, max=3)[0] == 3.0


def test_a_grid_has_as_many_values_of_a_number_as_it_is_told() -> None:
    of_both = search(spec={"gridSize": 4}, x={"type": "float", "min": 0, "max": 3}, y=INTEGER)
    values = [of_both.values(number, []) for number in range(16)]
    assert values[:4] == [{"x": 0.0, "y": y} for y in (0, 3, 6, 9)]
    assert values[-1] == {"x": 3.0, "y": 9}
    assert of_both.size == 16
    at_random = search(spec={"gridSize": 4, "randomize": True}, x={"type": "float", "min": 0, "max": 3}, y=INTEGER)
    shuffled = [at_random.values(number, []) for number in range(16)]
    assert shuffled != values
    assert sorted(map(repr, shuffled)) == sorted(map(repr, values))
    seeded = [search(spec={"gridSize": 4, "randomize": True, "seed": seed}, x=INTEGER) for seed in (1, 1, 2)]
    first, same, other = ([one.values(number, []) for number in range(4)] for one in seeded)
    assert first == same
    assert first != other


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_options_of_an_algorithm_are_accepted_as_they_are_told(algorithm: str) -> None:
    spec = {one["name"]: one["default"] for one in template(algorithm)}
    config = config_in(payload(algorithm, spec, {"x": INTEGER}, 3))
    assert (config.total(config.search("a")), config.metric, config.retries) == (30, "loss", 0)
    limited = config_in(payload(algorithm, {**spec, "maxCombo": 4}, {"x": INTEGER}, 3))
    assert limited.limit(limited.search("a")) == 12


def test_a_space_is_computed_once_for_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counted(space: Space, count: int) -> Space:
        computed.append(count)
        return coarse_space(space, count)

    monkeypatch.setattr(configs, "coarse_space", counted)
    config = config_in(payload("grid", {"gridSize": 9}, {"once": {"type": "float", "min": 0, "max": 1}}))
    assert [config_of(properties_of(config)).search("0" * 32).size for _ in range(3)] == [9, 9, 9]
    assert computed == [9]


def test_a_search_without_an_end_ends_where_no_more_can_be_kept() -> None:
    config = config_in(payload("random", {}, {"x": {"type": "float", "min": 0, "max": 1}}))
    assert (config.total(config.search("a")), config.limit(config.search("a"))) == (None, MAX_ASSIGNMENTS)


def test_more_is_worth_more_where_it_is_to_be_maximized() -> None:
    config = config_in(payload("bayes", {"objective": "maximize"}, {"x": INTEGER}))
    assert (config.loss(2.0), config.loss(None)) == (-2.0, None)
    assert config_in(payload("bayes", {"objective": "minimize"}, {"x": INTEGER})).loss(2.0) == 2.0


WRONG: list[tuple[Any, Any, Any, Any, str]] = [
    ("annealing", {}, {"x": INTEGER}, 1, "algorithm is 'annealing': give one of bayes, grid, random"),
    ("grid", {}, {}, 1, "parameters is empty"),
    ("grid", [], {"x": INTEGER}, 1, "spec is []: give an object"),
    ("grid", {}, {"x": INTEGER}, 0, "trials is 0"),
    ("grid", {}, {"x": INTEGER}, True, "trials is True"),
    ("grid", {"bins": 3}, {"x": INTEGER}, 1, "no 'bins'"),
    ("grid", {"gridSize": 10**9}, {"x": INTEGER}, 1, "gridSize in the spec is 1000000000: give a whole number from 1"),
    ("grid", {"maxCombo": -1}, {"x": INTEGER}, 1, "maxCombo in the spec is -1"),
    ("bayes", {"objective": "best"}, {"x": INTEGER}, 1, "give minimize or maximize"),
    ("bayes", {"metric": ""}, {"x": INTEGER}, 1, "metric in the spec is ''"),
    ("grid", {"gridSize": 1000}, {f"p{n}": {"type": "float", "min": 0, "max": 1} for n in range(3)}, 1, "1000000000"),
    (
        "grid",
        {"gridSize": 1000, "maxCombo": 5},
        {f"p{n}": {"type": "float", "scalingType": "normal", "mu": 0, "sigma": 1} for n in range(11)},
        1,
        "gridSize in the spec is 1000: the numbers of the space have 11000 values",
    ),
    ("random", {"maxCombo": 10**9}, {"x": {"type": "float", "min": 0, "max": 1}}, 1, "at most 10000 can be kept"),
    ("random", {}, {"x": 5}, 1, "x: the parameter is 5: give an object with a type"),
    ("random", {}, {"x": {"type": "complex"}}, 1, "x: type is 'complex'"),
    ("random", {}, {"x": INTEGER | {"step": 2}}, 1, "no member 'step'"),
    ("random", {}, {"x": INTEGER | {"scalingType": "cubic"}}, 1, "scalingType is 'cubic'"),
    ("random", {}, {"x": INTEGER | {"min": 0.5}}, 1, "min is 0.5: give a whole number"),
    ("random", {}, {"x": INTEGER | {"min": 10}}, 1, "max is 10: give a number above min (10)"),
    ("random", {}, {"x": {"type": "float", "min": 1, "max": 0}}, 1, "max is 0: give a number above min (1)"),
    ("random", {}, {"x": {"type": "float", "min": math.nan, "max": 1}}, 1, "min is nan: give a finite number"),
    ("random", {}, {"x": {"type": "float", "min": 0, "max": math.inf}}, 1, "max is inf: give a finite number"),
    ("random", {}, {"x": {"type": "float", "min": 0}}, 1, "min and max are missing"),
    ("random", {}, {"x": {"type": "float", "min": 0, "max": 1, "scalingType": "loguniform"}}, 1, "min is 0"),
    ("random", {}, {"x": {"type": "float", "scalingType": "normal", "mu": 0}}, 1, "sigma is missing"),
    ("random", {}, {"x": {"type": "float", "scalingType": "normal", "mu": 0, "sigma": 0}}, 1, "sigma is 0"),
    ("random", {}, {"x": {"type": "float", "scalingType": "lognormal", "mu": 999, "sigma": 1}}, 1, "logarithm of no"),
    ("random", {}, {"x": {"type": "discrete", "values": ["a"]}}, 1, "give finite numbers, or categorical"),
    ("random", {}, {"x": {"type": "categorical", "values": [[1]]}}, 1, "give texts and finite numbers"),
    ("random", {}, {"x": {"type": "categorical", "values": list(range(1001))}}, 1, "a list of 1 to 1000"),
    ("random", {}, {f"p{number}": INTEGER for number in range(101)}, 1, "101 hyperparameters are given"),
]


@pytest.mark.parametrize(("algorithm", "spec", "parameters", "trials", "told"), WRONG)
def test_what_nothing_can_be_searched_by_is_refused(
    algorithm: Any, spec: Any, parameters: Any, trials: Any, told: str
) -> None:
    with pytest.raises(Refused) as refused:
        config_in(payload(algorithm, spec, parameters, trials))
    assert told in refused.value.detail


def test_integers_are_on_grids_and_numbers_are_not() -> None:
    kinds = {"i": INTEGER, "f": {"type": "float", "min": 0, "max": 1}, "d": {"type": "discrete", "values": [1]}}
    assert [type(one) for one in space_in(kinds).dimensions] == [Grid, Real, Choice]
