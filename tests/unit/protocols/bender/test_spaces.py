"""Metrics and hyperparameters as Bender's client writes them."""

from typing import Any

import pytest

from runstream_protocols.bender.spaces import MAX_METRICS, checked_hyperparameters, checked_metrics, space_in
from runstream_protocols.kit.errors import Refused


def test_metrics_are_kept_with_their_types_alone() -> None:
    given = [{"metric_name": "a b", "type": "loss", "more": 1}, {"metric_name": "c", "type": "reward"}]
    assert checked_metrics(given) == [{"metric_name": "a b", "type": "loss"}, {"metric_name": "c", "type": "reward"}]


@pytest.mark.parametrize(
    "given",
    [
        [],
        [7],
        [{"metric_name": "a"}],
        [{"metric_name": "", "type": "loss"}],
        [{"metric_name": " a", "type": "loss"}],
        [{"metric_name": "a", "type": "Loss"}],
        [{"metric_name": "a", "type": "loss"}, {"metric_name": "a", "type": "reward"}],
        [{"metric_name": f"m{number}", "type": "loss"} for number in range(MAX_METRICS + 1)],
    ],
)
def test_metrics_that_could_not_be_read_back_are_refused(given: list[Any]) -> None:
    with pytest.raises(Refused):
        checked_metrics(given)


def test_a_space_has_what_is_to_be_suggested() -> None:
    given = [
        {"name": "x", "category": "uniform", "search_space": {"low": 0, "high": 4, "step": 1, "base": None}},
        {"name": "note", "category": "descriptive", "search_space": {}},
        {"name": "other", "category": "descriptive", "search_space": None, "more": 1},
    ]
    kept = checked_hyperparameters(given)
    assert [one["name"] for one in kept] == ["x", "note", "other"]
    space = space_in(kept)
    assert space is not None
    assert (space.size, [one.name for one in space.dimensions]) == (4, ["x"])


@pytest.mark.parametrize("lacking", [{}, {"category": "uniform"}, {"category": "uniform", "search_space": {}}])
def test_one_without_a_search_space_is_kept_and_nothing_is_suggested(lacking: dict[str, Any]) -> None:
    kept = checked_hyperparameters([{"name": "x", **lacking}, {"name": "y", "category": "descriptive"}])
    assert space_in(kept) is None


@pytest.mark.parametrize(
    "given",
    [
        ["x"],
        [{"name": 7}],
        [{"name": "x", "category": ["uniform"]}],
        [{"name": "x", "category": "uniform", "search_space": [1]}],
        [{"name": "x", "category": "uniform", "search_space": {"low": 2, "high": 1}}],
        [{"name": "x"}, {"name": "x"}],
        [{"name": f"x{number}"} for number in range(101)],
    ],
)
def test_hyperparameters_that_nothing_can_be_made_of_are_refused(given: list[Any]) -> None:
    with pytest.raises(Refused):
        checked_hyperparameters(given)
