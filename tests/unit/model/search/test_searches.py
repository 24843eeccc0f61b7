"""What a search tries is what its method suggests."""

import math
from statistics import median
from typing import Any

from runstream_model.search.searches import Search
from runstream_model.search.spaces import Space
from runstream_model.search.suggesting import Method, Trial, Wanted, suggest
from runstream_model.search.written import written_space

SPACE: Space = written_space(
    {
        "lr": {"min": 1e-5, "max": 1.0, "scale": "log"},
        "layers": {"min": 1, "max": 12},
        "act": ["relu", "gelu", "tanh", "elu"],
    }
)

METHODS: tuple[Method, ...] = ("random", "model_based")
MARGIN = 0.6


def loss_of(values: dict[str, Any]) -> float:
    """0 at its best."""
    loss: float = (math.log10(values["lr"]) + 2.5) ** 2 + 0.02 * (values["layers"] - 4) ** 2
    loss += {"relu": 0.0, "gelu": 0.6, "tanh": 0.3, "elu": 0.9}[values["act"]]
    return loss


def searched(method: Method, series: str, count: int) -> list[Trial]:
    search = Search(SPACE, method, series, minimum=10)
    trials: list[Trial] = []
    for number in range(count):
        values = search.values(number, trials)
        trials.append(Trial(values, loss_of(values)))
    return trials


def test_a_search_by_a_model_suggests_what_the_model_does() -> None:
    trials = searched("random", "s", 12)
    search = Search(SPACE, "model_based", "s", minimum=10)
    assert search.values(12, trials) == suggest(SPACE, trials, Wanted("s", 12, "model_based", 10))
    assert search.values(12, trials) == search.values(12, list(trials)), "the same for whoever asks"


def test_a_search_by_a_model_ends_nearer_to_the_best() -> None:
    """After 30 trials, by the median of five searches with fixed seeds: at most MARGIN of what random search leaves."""
    left: dict[Method, float] = {
        method: median(min(trial.loss or 0.0 for trial in searched(method, f"{seed}", 30)) for seed in range(5))
        for method in METHODS
    }
    assert left["model_based"] <= MARGIN * left["random"], left
