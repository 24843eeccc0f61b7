"""Parameters of Comet's Optimizer as a search space. Pure."""

import math
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from runstream_model.search.dimensions import Choice, Dimension, Grid, is_number
from runstream_model.search.distributions import InvalidSpace, Normal
from runstream_model.search.spaces import MAX_VALUES, Category, Space, check_count, dimension_of, space_of
from runstream_protocols.kit.errors import Refused

_SCALES: Final = ("linear", "uniform", "loguniform", "normal", "lognormal")
_MEMBERS: Final = frozenset({"type", "scalingType", "min", "max", "mu", "sigma", "values"})
_ENDLESS: Final = 1 << 52
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


def space_in(parameters: Mapping[str, Any]) -> Space:
    """Return the space of the parameters of an optimizer, in their order. Raises Refused."""
    try:
        check_count(len(parameters))
        return space_of([_dimension(name, given) for name, given in parameters.items()])
    except InvalidSpace as error:
        raise Refused(str(error)[:500], name="parameters") from None


def _dimension(name: str, given: Any) -> Dimension:
    if not isinstance(given, dict):
        raise InvalidSpace(f"{name}: the parameter is {_BRIEF.repr(given)}: give an object with a type")
    if unknown := sorted(given.keys() - _MEMBERS):
        raise InvalidSpace(f"{name}: a parameter has no member {unknown[0][:60]!r}: give some of {_listed(_MEMBERS)}")
    match given.get("type"):
        case "integer":
            return _integer(name, given)
        case "float" | "double":
            return _float(name, given)
        case "discrete" | "categorical" as kind:
            return _choice(name, kind, given.get("values"))
        case other:
            types = "integer, float, double, discrete, categorical"
            raise InvalidSpace(f"{name}: type is {_BRIEF.repr(other)}: give one of {types}")


def _choice(name: str, kind: str, values: Any) -> Choice:
    """The values of a list, each once."""
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        raise InvalidSpace(f"{name}: values is {_BRIEF.repr(values)}: give a list of 1 to {MAX_VALUES} values")
    for value in values:
        if kind == "discrete" and not is_number(value):
            raise InvalidSpace(
                f"{name}: one of the values is {_BRIEF.repr(value)}: give finite numbers, or categorical"
            )
        if not isinstance(value, str | bool) and not is_number(value):
            raise InvalidSpace(f"{name}: one of the values is {_BRIEF.repr(value)}: give texts and finite numbers")
    once: dict[tuple[bool, Any], Any] = {}
    for value in values:
        once.setdefault((isinstance(value, bool), value), value)
    return Choice(name, tuple(once.values()))


def _float(name: str, given: Mapping[str, Any]) -> Dimension:
    scale, low, high = _scale(name, given), _number(name, given, "min"), _number(name, given, "max")
    if low is not None and low == high:
        return Choice(name, (float(low),))
    return _of_scale(name, scale, given, low, high, {})


def _integer(name: str, given: Mapping[str, Any]) -> Dimension:
    """Both bounds are among the values."""
    scale = _scale(name, given)
    low, high = _whole(name, given, "min"), _whole(name, given, "max")
    if low is not None and low == high:
        return Choice(name, (low,))
    if scale in ("normal", "lognormal"):
        return _integer_around(name, scale, given, low, high)
    return _of_scale(name, scale, given, low, None if high is None else high + 1, {"step": 1})


def _integer_around(
    name: str, scale: Category, given: Mapping[str, Any], low: int | None, high: int | None
) -> Dimension:
    """The nearest integer to a number of the distribution. Without a lower bound, the grid of steps would begin at the
    mean, which may be no integer."""
    if scale == "lognormal":
        return _of_scale(name, scale, given, 1 if low is None else low, high, {"step": 1})
    mu, sigma = _needed(name, given, "mu"), _needed(name, given, "sigma")
    _check_sigma(name, sigma)
    least, most = (-math.inf if low is None else low), (math.inf if high is None else high)
    _check_order(name, low, high)
    try:
        distribution = Normal(mu, sigma, least, most)
    except InvalidSpace as error:
        raise InvalidSpace(f"{name}: {error}") from None
    origin = round(mu) if low is None else low
    if abs(origin) > _ENDLESS:
        raise InvalidSpace(f"{name}: mu is {mu}: give a number whose neighbours are whole numbers")
    last = _ENDLESS if high is None else min(high - origin, _ENDLESS)
    return Grid(name, distribution, origin, 1, -_ENDLESS if low is None else 0, last)


def _of_scale(
    name: str,
    scale: Category,
    given: Mapping[str, Any],
    low: float | None,
    high: float | None,
    steps: Mapping[str, Any],
) -> Dimension:
    members: dict[str, Any] = dict(steps)
    if scale in ("uniform", "loguniform") and (low is None or high is None):
        raise InvalidSpace(f"{name}: min and max are missing: give numbers, or the scalingType normal")
    _check_order(name, low, high)
    members |= {member: bound for member, bound in (("low", low), ("high", high)) if bound is not None}
    if scale in ("normal", "lognormal"):
        mu, sigma = _needed(name, given, "mu"), _needed(name, given, "sigma")
        _check_sigma(name, sigma)
        # Comet gives the mean and the deviation of the logarithm, the engine those of the values.
        members |= (
            {"mu": mu, "sigma": sigma} if scale == "normal" else {"mu": _exp(name, mu), "sigma": _exp(name, sigma)}
        )
    try:
        found = dimension_of(name, scale, members)
    except InvalidSpace as error:
        text = (
            str(error)
            .replace(": low is", ": min is")
            .replace(": high is", ": max is")
            .replace("above low", "above min")
        )
        raise InvalidSpace(text) from None
    assert found is not None
    return found


def _scale(name: str, given: Mapping[str, Any]) -> Category:
    scale = given.get("scalingType", "uniform")
    match scale:
        case "linear" | "uniform":
            return "uniform"
        case "loguniform" | "normal" | "lognormal":
            found: Category = scale
            return found
        case _:
            raise InvalidSpace(f"{name}: scalingType is {_BRIEF.repr(scale)}: give one of {', '.join(_SCALES)}")


def _number(name: str, given: Mapping[str, Any], member: str) -> float | int | None:
    value: float | int | None = given.get(member)
    if value is not None and not is_number(value):
        raise InvalidSpace(f"{name}: {member} is {_BRIEF.repr(value)}: give a finite number")
    return value


def _needed(name: str, given: Mapping[str, Any], member: str) -> float | int:
    value = _number(name, given, member)
    if value is None:
        raise InvalidSpace(f"{name}: {member} is missing: give a number")
    return value


def _whole(name: str, given: Mapping[str, Any], member: str) -> int | None:
    value = _number(name, given, member)
    if value is None:
        return None
    if value != int(value) or abs(value) > _ENDLESS:
        raise InvalidSpace(f"{name}: {member} is {_BRIEF.repr(value)}: give a whole number to 2**52, or the type float")
    return int(value)


def _check_sigma(name: str, sigma: float) -> None:
    if sigma <= 0:
        raise InvalidSpace(f"{name}: sigma is {sigma}: give a number above 0")


def _check_order(name: str, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and not low < high:
        raise InvalidSpace(f"{name}: max is {high}: give a number above min ({low})")


def _exp(name: str, value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        raise InvalidSpace(f"{name}: {value} is the logarithm of no number: give less") from None


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
