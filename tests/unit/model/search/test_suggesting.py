"""Suggestions: functions of what they are made of, never one that is tried already, and better than random search."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from optuna import distributions

from runstream_model.search.spaces import Category, Space, dimension_of, space_of
from runstream_model.search.suggesting import METHODS, Method, Trial, Wanted, suggest, weighted

Given = tuple[str, Category, Mapping[str, Any]]
MIX: tuple[Given, ...] = (
    ("lr", "loguniform", {"low": 1e-5, "high": 1.0}),
    ("layers", "uniform", {"low": 1, "high": 12, "step": 1}),
    ("optimizer", "categorical", {"values": ["adam", "sgd", "rmsprop", "lion"]}),
    ("norm", "categorical", {"values": [True, False], "probabilities": [0.5, 0.5]}),
    ("drop", "normal", {"mu": 0.5, "sigma": 0.3, "low": 0, "high": 0.9}),
)


def space(*given: Given) -> Space:
    found = [dimension_of(name, category, members) for name, category, members in given]
    return space_of([one for one in found if one is not None])


def tried(within: Space, count: int) -> list[Trial]:
    return [Trial(suggest(within, [], Wanted("before", n)), float(n % 7)) for n in range(count)]


@pytest.mark.parametrize("method", METHODS)
def test_a_suggestion_is_a_function_of_space_trials_and_number(method: Method) -> None:
    within = space(*MIX)
    trials = tried(within, 30)
    wanted = Wanted("series", 30, method)
    first = suggest(within, trials, wanted)
    assert first == suggest(within, list(trials), wanted)
    assert {name: type(value) for name, value in first.items()} == {
        "lr": float,
        "layers": int,
        "optimizer": str,
        "norm": bool,
        "drop": float,
    }
    assert first != suggest(within, trials, Wanted("series", 31, method))
    assert first != suggest(within, trials, Wanted("another", 30, method))


def test_random_looks_at_no_loss_and_the_others_only_at_enough() -> None:
    within = space(*MIX)
    trials = tried(within, 19)
    random = suggest(within, [], Wanted("s", 5, "random"))
    assert suggest(within, trials, Wanted("s", 5, "random")) == random
    assert suggest(within, trials, Wanted("s", 5, "parzen_estimator", 20)) == random
    assert suggest(within, trials, Wanted("s", 5, "parzen_estimator", 19)) != random
    nothing = [Trial({}, 1.0)] * 30
    assert suggest(within, nothing, Wanted("s", 5)).keys() == random.keys(), "trials of other spaces tell nothing"
    assert suggest(within, [Trial(trials[0].values, math.nan)] * 30, Wanted("s", 5)) == random
    assert suggest(space(), trials, Wanted("s", 5)) == {}


def test_a_minimum_above_what_an_estimator_is_made_of_counts_all_trials() -> None:
    within = space(*((f"x{n}", "uniform", {"low": 0, "high": 1}) for n in range(50)))
    trials = tried(within, 210)
    wanted = Wanted("s", 210, "parzen_estimator", 210)
    random = suggest(within, [], Wanted("s", 210, "random"))
    assert suggest(within, trials[1:], wanted) == random
    assert suggest(within, trials, wanted) != random
    under_way = [replace(one, loss=None) for one in trials]
    assert suggest(within, [*trials, *under_way], wanted) == random, "none of the newest tells anything"


def test_values_of_lists_are_compared_for_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []

    def equal(one: object, other: object) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(distributions, "_categorical_choice_equal", equal)
    within = space(*((f"x{n}", "categorical", {"values": list(range(300))}) for n in range(2)))
    values = suggest(within, tried(within, 30), Wanted("s", 30, "model_based"))
    assert values.keys() == {"x0", "x1"}
    assert compared == []


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_suggested_twice_before_all_is_tried(method: Method) -> None:
    within = space(
        ("a", "categorical", {"values": [1, True, "1"], "probabilities": [0.9, 0.05, 0.05]}),
        ("b", "uniform", {"low": 0, "high": 4, "step": 1}),
        ("c", "loguniform", {"low": 1, "high": 3, "step": 1}),
    )
    trials: list[Trial] = []
    for number in range(24):
        values = suggest(within, trials, Wanted("s", number, method, 6))
        # Every second one is under way for ever, as those of workers that died.
        trials.append(Trial(values, None if number % 2 or method == "random" else float(number)))
    assert len({repr(trial.values) for trial in trials}) == within.size == 24
    assert suggest(within, trials, Wanted("s", 24, method, 6)).keys() == {"a", "b", "c"}


def test_what_is_under_way_is_not_suggested_again_beside_it() -> None:
    """Workers that ask at the same time spread."""
    within = space(("x", "uniform", {"low": 0, "high": 1}))
    trials = [Trial({"x": n / 30}, abs(n / 30 - 0.5)) for n in range(30)]
    under_way: list[Trial] = []
    for number in range(8):
        under_way.append(Trial(suggest(within, [*trials, *under_way], Wanted("s", number)), None))
    found = sorted(trial.values["x"] for trial in under_way)
    assert len(set(found)) == 8
    assert found[-1] - found[0] > 0.05


def of_weights(*weights: float) -> list[Trial]:
    return [Trial({"x": n / 10}, float(n), weight) for n, weight in enumerate(weights)]


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        ((1, 1, 1), (1, 1, 1)),
        ((0.5, 0.5), (1, 1)),
        ((0, 0), (1, 1)),
        ((1, 2), (1, 2)),
        ((1, 0, 2), (1, 0, 2)),
        ((0.25, 1.0, 0.75), (1, 4, 3)),
        ((1e-9, 1.0), (0, 1)),
        ((1e308, 5e307), (2, 1)),
    ],
)
def test_a_trial_counts_as_often_as_its_weight_says(weights: tuple[float, ...], counts: tuple[int, ...]) -> None:
    trials = of_weights(*weights)
    found = weighted(trials, 500)
    assert [found.count(trial) for trial in trials] == list(counts)
    assert found == sorted(found, key=trials.index), "the oldest first"
    under_way = Trial({"x": 0.5}, None)
    assert weighted([*trials, under_way], 500) == [*found, under_way]
    assert weighted(trials, 2) == found[-2:]


@pytest.mark.parametrize("method", ["parzen_estimator", "model_based"])
def test_equal_weights_change_nothing_and_none_is_as_if_it_were_not_there(method: Method) -> None:
    within = space(*MIX)
    trials = tried(within, 30)
    wanted = Wanted("series", 30, method)
    plain = suggest(within, trials, wanted)
    assert suggest(within, [replace(one, weight=0.25) for one in trials], wanted) == plain
    some = [replace(one, weight=float(n % 3 > 0)) for n, one in enumerate(trials)]
    assert suggest(within, some, wanted) == suggest(within, [one for one in some if one.weight], wanted)


@pytest.mark.parametrize("method", ["parzen_estimator", "model_based"])
def test_suggestions_are_near_what_weighs_more(method: Method) -> None:
    """Two places are as good as each other; what was found at one of them weighs more."""
    within = space(("x", "uniform", {"low": 0, "high": 1}))
    for heavy, light in ((0.2, 0.8), (0.8, 0.2)):
        good = [
            Trial({"x": place + n / 1000}, n / 100, weight)
            for n in range(4)
            for place, weight in ((heavy, 1.0), (light, 0.125))
        ]
        trials = [*(Trial({"x": n / 24}, 1.0, 0.5) for n in range(24)), *good]
        found = [suggest(within, trials, Wanted("s", n, method))["x"] for n in range(20)]
        assert sum(abs(x - heavy) < 0.3 for x in found) >= 16


def branin(x: float, y: float) -> float:
    """0.3979 at its best."""
    bowl = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_WEIGHTS = (1.0, 1.2, 3.0, 3.2)
_WIDTHS = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_CENTRES = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann(**values: float) -> float:
    """-3.3224 at its best."""
    point = [values[f"x{number}"] for number in range(6)]
    return -sum(
        weight * math.exp(-sum(width * (x - at) ** 2 for width, at, x in zip(widths, centres, point, strict=True)))
        for weight, widths, centres in zip(_WEIGHTS, _WIDTHS, _CENTRES, strict=True)
    )


def training(lr: float, layers: int, optimizer: str, norm: bool, drop: float) -> float:
    """0 at its best."""
    loss = (math.log10(lr) + 2.5) ** 2 + 0.02 * (layers - 4) ** 2 + 2 * abs(drop - 0.2)
    return loss + {"adam": 0.0, "sgd": 0.6, "rmsprop": 0.3, "lion": 0.9}[optimizer] + (0.0 if norm else 0.4)


FUNCTIONS: Mapping[str, tuple[Callable[..., float], float, tuple[Given, ...]]] = {
    "branin": (
        branin,
        0.397887,
        (("x", "uniform", {"low": -5, "high": 10}), ("y", "uniform", {"low": 0, "high": 15})),
    ),
    "hartmann": (
        hartmann,
        -3.322369,
        tuple((f"x{number}", "uniform", {"low": 0, "high": 1}) for number in range(6)),
    ),
    "training": (training, 0.0, MIX),
}
SERIES, TRIALS, MINIMUM = 5, 50, 10
#: What is left to the best there is, of the median of SERIES searches, as a share of what random search leaves.
MARGIN = 0.7


def regret(method: Method, name: str) -> float:
    function, best, given = FUNCTIONS[name]
    within, found = space(*given), []
    for series in range(SERIES):
        trials: list[Trial] = []
        for number in range(TRIALS):
            values = suggest(within, trials, Wanted(f"{name} {series}", number, method, MINIMUM))
            trials.append(Trial(values, function(**values)))
        found.append(min(trial.loss for trial in trials if trial.loss is not None) - best)
    return median(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_suggestions_beat_random_search_by_the_margin(name: str) -> None:
    """The searches draw what their names make them draw: the numbers are the same on every machine."""
    random = regret("random", name)
    for method in ("parzen_estimator", "model_based"):
        assert regret(method, name) <= MARGIN * random


def test_optuna_is_loaded_by_the_first_suggestion_that_needs_it_alone() -> None:
    program = (
        "import sys\n"
        "from runstream_model.search.spaces import dimension_of, space_of\n"
        "from runstream_model.search.suggesting import Trial, Wanted, suggest\n"
        "space = space_of([dimension_of('x', 'uniform', {'low': 0, 'high': 1})])\n"
        "suggest(space, [], Wanted('s', 0))\n"
        "assert 'optuna' not in sys.modules\n"
        "suggest(space, [Trial({'x': 0.5}, 1.0)], Wanted('s', 1, minimum=1))\n"
        "assert 'optuna' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
