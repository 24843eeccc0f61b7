"""Search spaces as users of Runstream write them, in Python or JSON. Pure.

| written | values |
|---|---|
| `"adam"`, `3`, `None` | that one |
| `["adam", "sgd"]`, `{"values": [...], "probabilities": [...]}` | one of the list |
| `{"min": 1, "max": 8}` | whole numbers, both bounds among them; `step` leaves some out |
| `{"min": 0.0, "max": 1.0}` | numbers from min to below max; with `step` min, min + step, ..., max |
| `{"min": 1e-5, "max": 1.0, "scale": "log"}` | the same, uniform in the logarithm |
| `{"mean": 0.0, "std": 1.0}` | normal; `min`, `max` cut it off, `step` puts it on a grid |

`points` leaves so many of a range, in equal distances on its scale.
"""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from runstream_model.search.dimensions import Choice, Dimension, Grid, is_number
from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.grids import MAX_QUANTISED, quantised
from runstream_model.search.spaces import MAX_STEPS, Category, Space, check_count, dimension_of, space_of

_MAX_NAME_CHARS: Final = 200
_MAX_POINTS: Final = 1_000
#: What a count of steps may lack for rounding: 0.3 / 0.1 is 2.9999999999999996.
_SLACK: Final = 1e-9
_FORMS: Final = (
    frozenset({"value"}),
    frozenset({"values", "probabilities"}),
    frozenset({"min", "max", "scale", "step", "points"}),
    frozenset({"mean", "std", "min", "max", "step", "points"}),
)
_HELP: Final = 'give a value, a list, {"min": .., "max": ..}, {"values": [..]} or {"mean": .., "std": ..}'
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


def written_space(written: Mapping[str, Any]) -> Space:
    """Return the space of what is written for each parameter. Raises InvalidSpace."""
    if not written:
        raise InvalidSpace("the space is empty: give at least one parameter")
    check_count(len(written))
    given_points = [given.get("points") for given in written.values() if isinstance(given, Mapping)]
    wanted = sum(points for points in given_points if isinstance(points, int) and points > 0)
    if wanted > MAX_QUANTISED and len(given_points) > 1:
        raise InvalidSpace(
            f"the points of all parameters are {wanted}, at most {MAX_QUANTISED} can be had: give fewer of some"
        )
    return space_of([_dimension(name, given) for name, given in written.items()])


def _dimension(name: str, given: Any) -> Dimension:
    if not 0 < len(name) <= _MAX_NAME_CHARS:
        raise InvalidSpace(f"{name[:60]!r} is no name of a parameter: give 1 to {_MAX_NAME_CHARS} characters")
    if isinstance(given, list):
        return _of(name, "categorical", {"values": given})
    if not isinstance(given, Mapping):
        return _of(name, "categorical", {"values": [given]})
    members = {member: value for member, value in given.items() if value is not None or member == "value"}
    if not members or not any(members.keys() <= form for form in _FORMS):
        raise InvalidSpace(f"{name} is {_BRIEF.repr(dict(given))}: {_HELP}")
    if "value" in members:
        return _of(name, "categorical", {"values": [members["value"]]})
    if "values" in members or "probabilities" in members:
        return _of(name, "categorical", members)
    points = members.pop("points", None)
    if points is not None and not (_is_whole(points) and 1 <= points <= _MAX_POINTS):
        raise InvalidSpace(f"{name}: points is {_BRIEF.repr(points)}: give a whole number from 1 to {_MAX_POINTS}")
    found = _normal(name, members) if members.keys() & {"mean", "std"} else _range(name, members)
    return found if points is None else quantised(found, points)


def _range(name: str, members: Mapping[str, Any]) -> Dimension:
    low, high, step = _number(name, members, "min"), _number(name, members, "max"), members.get("step")
    if step is not None and not (is_number(step) and step > 0):
        raise InvalidSpace(f"{name}: step is {_BRIEF.repr(step)}: give a number above 0")
    if low > high:
        raise InvalidSpace(f"{name}: max is {high}: give a number of at least min ({low})")
    if low == high:
        return Choice(name, (low,))
    scale = members.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise InvalidSpace(f"{name}: scale is {_BRIEF.repr(scale)}: give linear or log")
    if scale == "log" and low <= 0:
        raise InvalidSpace(f"{name}: min is {low}: give a number above 0, which has a logarithm")
    category: Category = "loguniform" if scale == "log" else "uniform"
    if _is_whole(low) and _is_whole(high) and (step is None or _is_whole(step)):
        return _of(name, category, {"low": low, "high": high + 1, "step": step or 1})
    if step is None:
        return _of(name, category, {"low": low, "high": high})
    return _stepped(name, category, low, high, step)


def _stepped(name: str, category: Category, low: float, high: float, step: float) -> Dimension:
    """The numbers low, low + step, ... up to high. The last one is high where rounding puts it a little beyond."""
    whole = _is_whole(low) and _is_whole(step)
    count = (float(high) - float(low)) / float(step) + (0.0 if whole else _SLACK)
    if not count < MAX_STEPS:
        return _of(name, category, {"low": low, "high": high, "step": step})
    last = math.floor(count)
    if last == 0:
        return Choice(name, (low,))
    # The upper bound lies half a step above the last number, so that no rounding leaves that out.
    found = _of(name, category, {"low": low, "high": low + (last + 0.5) * step, "step": step})
    assert isinstance(found, Grid)
    return replace(found, last=min(found.last, last), most=float(high))


def _normal(name: str, members: Mapping[str, Any]) -> Dimension:
    given = {"mu": _number(name, members, "mean"), "sigma": _number(name, members, "std")}
    if given["sigma"] <= 0:
        raise InvalidSpace(f"{name}: std is {given['sigma']}: give a number above 0")
    bounds = {
        to: _number(name, members, member) for member, to in (("min", "low"), ("max", "high")) if member in members
    }
    step = {"step": members["step"]} if "step" in members else {}
    return _of(name, "normal", given | bounds | step)


def _of(name: str, category: Category, members: Mapping[str, Any]) -> Dimension:
    found = dimension_of(name, category, members)
    assert found is not None
    return found


def _number(name: str, members: Mapping[str, Any], member: str) -> float | int:
    value: float | int | None = members.get(member)
    if value is None:
        raise InvalidSpace(f"{name}: {member} is missing: give a number")
    if not is_number(value):
        raise InvalidSpace(f"{name}: {member} is {_BRIEF.repr(value)}: give a finite number")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
