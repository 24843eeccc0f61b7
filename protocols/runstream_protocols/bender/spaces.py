"""Metrics and hyperparameters as Bender's client writes them, and the space that they make. Pure."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runstream_model.search.dimensions import Dimension
from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.spaces import CATEGORIES, MAX_DIMENSIONS, Category, Space, dimension_of, space_of
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.values import metric_name, parameter_name

TYPES: Final = ("loss", "reward")
MAX_METRICS: Final = 100
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


def checked_metrics(given: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the metrics of an experiment. Raises Refused."""
    if not 1 <= len(given) <= MAX_METRICS:
        raise Refused(f"metrics has {len(given)} items: give 1 to {MAX_METRICS}", name="metrics")
    metrics = [_metric(one) for one in given]
    _check_once("metrics", [one["metric_name"] for one in metrics])
    return metrics


def _metric(given: Any) -> dict[str, Any]:
    name, kind = (given.get("metric_name"), given.get("type")) if isinstance(given, dict) else (None, None)
    if not isinstance(name, str) or metric_name(name) != name:
        raise Refused(f"metrics has {_BRIEF.repr(given)}: give each a metric_name, a short text", name="metrics")
    if kind not in TYPES:
        raise Refused(f"metrics has {_BRIEF.repr(given)}: give each a type, loss or reward", name="metrics")
    return {"metric_name": name, "type": kind}


def checked_hyperparameters(given: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the hyperparameters of an algorithm, those without a search space too. Raises Refused."""
    if len(given) > MAX_DIMENSIONS:
        raise Refused(f"parameters has {len(given)} items, at most {MAX_DIMENSIONS} are allowed", name="parameters")
    found = [_hyperparameter(one) for one in given]
    _check_once("parameters", [one["name"] for one in found])
    space_in(found)
    return found


def _hyperparameter(given: Any) -> dict[str, Any]:
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str) or parameter_name(name) != name:
        raise Refused(f"parameters has {_BRIEF.repr(given)}: give each a name, a short text", name="parameters")
    category, space = given.get("category"), given.get("search_space")
    if category is not None and category not in CATEGORIES:
        raise Refused(f"{name}: category is {_BRIEF.repr(category)}: give one of {', '.join(CATEGORIES)}")
    if space is not None and not isinstance(space, dict):
        raise Refused(f"{name}: search_space is {_BRIEF.repr(space)}: give an object")
    return {"name": name, "category": category, "search_space": space}


def space_in(hyperparameters: Sequence[Mapping[str, Any]]) -> Space | None:
    """Return what can be suggested; None if one that is not descriptive has no search space. Raises Refused."""
    dimensions: list[Dimension] = []
    undefined = False
    for one in hyperparameters:
        category: Category | None = one["category"]
        if category != "descriptive" and not (category and one["search_space"]):
            undefined = True
            continue
        dimension = _dimension(one["name"], category, one["search_space"] or {})
        if dimension is not None:
            dimensions.append(dimension)
    return None if undefined else space_of(dimensions)


def _dimension(name: str, category: Category, members: Mapping[str, Any]) -> Dimension | None:
    # The client writes what is left out as null.
    given = {member: value for member, value in members.items() if value is not None}
    try:
        return dimension_of(name, category, given)
    except InvalidSpace as error:
        raise Refused(str(error)[:500], name="parameters") from None


def _check_once(member: str, names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Refused(f"{member} has two of the name {twice[:100]!r}: give each another one", name=member)
