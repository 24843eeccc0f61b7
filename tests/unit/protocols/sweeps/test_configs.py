"""What a sweep is created with: defaults, bounds, and clear refusals."""

import json
from typing import Any

import pytest

from runstream_model.search.spaces import Space
from runstream_model.search.stopping import Asha, MedianRule
from runstream_model.search.written import written_space
from runstream_protocols.kit.errors import Refused
from runstream_protocols.sweeps import configs
from runstream_protocols.sweeps.configs import MAX_TRIALS, config_in, config_of, differences

SPACE = {"x": [1, 2, 3], "y": {"min": 0, "max": 4}}


def test_defaults_are_filled_in_so_that_the_same_is_the_same() -> None:
    short = config_in({"space": SPACE, "metric": "loss"})
    long = config_in({"space": SPACE, "metric": "loss", "goal": "minimize", "method": "random", "seed": None})
    assert differences(short, long) == []
    assert (short.limit, short.space_size, short.retries, short.goal) == (15, 15, 1, "minimize")
    assert differences(short, config_in({"space": SPACE, "metric": "acc", "seed": 3})) == ["seed", "metric"]
    assert config_of(short.properties) == short


@pytest.mark.parametrize(
    ("kept", "given", "same"),
    [
        ({"x": [0, 1]}, {"x": [False, True]}, False),
        ({"x": [0, 1]}, {"x": [0.0, 1.0]}, False),
        ({"x": {"min": 0, "max": 1}}, {"x": {"min": 0.0, "max": 1.0}}, False),
        ({"x": [1, 2], "y": [1, 2]}, {"y": [1, 2], "x": [1, 2]}, False),
        ({"x": {"min": 0, "max": 1}}, {"x": {"max": 1, "min": 0}}, True),
        ({"x": [{"a": 1, "b": 2}]}, {"x": [{"b": 2, "a": 1}]}, True),
    ],
)
def test_spaces_are_the_same_where_they_try_the_same(kept: Any, given: Any, same: bool) -> None:
    one, other = (config_in({"space": space, "metric": "m", "max_trials": 4}) for space in (kept, given))
    assert differences(one, other) == ([] if same else ["space"])
    assert differences(config_of(json.loads(json.dumps(one.properties))), one) == []


def test_a_space_is_computed_once_for_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Any] = []

    def counted(space: dict[str, Any]) -> Space:
        computed.append(space)
        return written_space(space)

    monkeypatch.setattr(configs, "written_space", counted)
    kept = config_in({"space": {"once": {"mean": 0, "std": 1, "points": 7}}, "metric": "m"})
    for _ in range(3):
        assert config_of(kept.properties).search("s").size == 7
    assert computed == [{"once": {"mean": 0, "std": 1, "points": 7}}]


def test_a_rule_is_kept_with_its_defaults() -> None:
    config = config_in({"space": SPACE, "metric": "m", "early_stop": {"rule": "asha", "min_steps": 2}})
    assert config.rule == Asha(2, 3, None)
    assert config.properties["early_stop"] == {
        "rule": "asha",
        "min_steps": 2,
        "reduction_factor": 3,
        "max_steps": None,
    }
    again = config_in({"space": SPACE, "metric": "m", "early_stop": config.properties["early_stop"]})
    assert differences(config, again) == []
    assert config_in({"space": SPACE, "metric": "m", "early_stop": {"rule": "median"}}).rule == MedianRule()
    assert config_in({"space": SPACE, "metric": "m"}).rule is None


@pytest.mark.parametrize(("given", "limit"), [({}, 15), ({"max_trials": 4}, 4), ({"max_trials": 99}, 15)])
def test_a_finite_space_bounds_the_trials(given: dict[str, Any], limit: int) -> None:
    assert config_in({"space": SPACE, "metric": "loss", **given}).limit == limit


def test_what_is_to_be_maximized_is_worth_more_the_more() -> None:
    assert config_in({"space": SPACE, "metric": "acc", "goal": "maximize"}).loss(2.0) == -2.0
    assert config_in({"space": SPACE, "metric": "loss"}).loss(2.0) == 2.0


def test_the_same_seed_tries_the_same() -> None:
    def values(**given: Any) -> list[Any]:
        space = {"x": {"min": 0.0, "max": 1.0}}
        config = config_in({"space": space, "metric": "m", "max_trials": 5, **given})
        return [config.search(sweep).values(0, []) for sweep in ("a", "b")]

    first, second = values(seed=1)
    assert first == second
    first, second = values()
    assert first != second


RANGE = {"x": {"min": 0.0, "max": 1.0}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"metric": "loss"}, "space is None: give an object"),
    ({"space": [1], "metric": "loss"}, "space is [1]: give an object"),
    ({"space": SPACE}, "metric is None: give the name"),
    ({"space": SPACE, "metric": ""}, "metric is ''"),
    ({"space": SPACE, "metric": "m", "goal": "best"}, "goal is 'best': give one of minimize, maximize"),
    ({"space": SPACE, "metric": "m", "method": "annealing"}, "method is 'annealing': give one of grid, random, tpe"),
    ({"space": SPACE, "metric": "m", "method": ["tpe"]}, "method is ['tpe']: give one of grid, random, tpe"),
    ({"space": SPACE, "metric": "m", "goal": {}}, "goal is {}: give one of minimize, maximize"),
    ({"space": SPACE, "metric": "m", "budget": 1}, "a sweep has no 'budget'"),
    ({"space": SPACE, "metric": "m", "max_trials": 0}, "max_trials is 0: give a whole number from 1"),
    ({"space": SPACE, "metric": "m", "max_trials": True}, "max_trials is True"),
    ({"space": SPACE, "metric": "m", "retries": 11}, "retries is 11"),
    ({"space": SPACE, "metric": "m", "seed": 0.5}, "seed is 0.5"),
    ({"space": SPACE, "metric": "m", "early_stop": "asha"}, "early_stop is 'asha': give an object with a rule"),
    ({"space": SPACE, "metric": "m", "early_stop": {"rule": "best"}}, "the rule of early_stop is 'best'"),
    ({"space": SPACE, "metric": "m", "early_stop": {"rule": "asha", "brackets": 2}}, "early_stop has no 'brackets'"),
    ({"space": SPACE, "metric": "m", "early_stop": {"rule": "asha", "reduction_factor": 1}}, "reduction_factor of"),
    ({"space": SPACE, "metric": "m", "early_stop": {"rule": "median", "min_trials": 0.5}}, "min_trials of early_stop"),
    ({"space": RANGE, "metric": "m"}, "max_trials is missing: the space has no end"),
    (
        {"space": RANGE, "metric": "m", "method": "grid"},
        "a grid needs a finite space: give each range of numbers a step",
    ),
    ({"space": RANGE, "metric": "m", "max_trials": 10**9}, f"at most {MAX_TRIALS} can be kept"),
    ({"space": {"x": {"min": 1, "max": 10**9}}, "metric": "m", "method": "grid"}, "the sweep has 1000000000 trials"),
    ({"space": {"x": {"min": 1}}, "metric": "m"}, "x: max is missing"),
    ({"space": {"x": ["a" * 1000] * 1000}, "metric": "m"}, "more than 100000 characters"),
]


@pytest.mark.parametrize(("given", "told"), WRONG)
def test_what_nothing_can_be_searched_by_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        config_in(given)
    assert told in refused.value.detail
