"""One hyperparameter: a number, or one of a list. Pure.

A dimension has a coordinate for each of its values: of a number its place in [0, 1], of a list the index. What searches
works on coordinates, and values come back exactly as they were given, with their types.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from runstream_model.search.distributions import LARGEST, Distribution

#: A place of a number, or an index of a list.
Coordinate = float | int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a list, each with its probability or all alike. possible: the indexes of what can be drawn, since what has
    the probability 0 is never tried."""

    name: str
    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None
    possible: Sequence[int] = field(init=False, compare=False, repr=False)
    #: A suggestion looks up the values of thousands of trials.
    _indexes: dict[str, int] = field(init=False, compare=False, repr=False)
    _equals: dict[tuple[bool, Any], int] = field(init=False, compare=False, repr=False)
    _numbers: dict[int, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        shares = self.probabilities
        possible = [index for index in range(len(self.values)) if shares is None or shares[index] > 0]
        latest_first = possible[::-1]
        hashable = [index for index in latest_first if _is_hashable(self.values[index])]
        indexes: dict[str, Any] = {
            "possible": possible,
            "_indexes": {text_of(self.values[index]): index for index in latest_first},
            "_equals": {_key(self.values[index]): index for index in hashable},
            "_numbers": {index: number for number, index in enumerate(possible)},
        }
        for name, value in indexes.items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """How many values can be drawn."""
        return len(self.possible)

    def draw(self, random: Random) -> Any:
        """Return a value at random, as its probabilities say."""
        return random.choices(self.values, self.probabilities)[0]

    def coordinate(self, value: Any) -> int | None:
        """Return the index of a value. One of its own type goes before one that equals it: 1 is no True."""
        index = self._indexes.get(text_of(value))
        if index is not None:
            return index
        if _is_hashable(value):
            return self._equals.get(_key(value))
        return next((index for index in self.possible if self.values[index] == value), None)

    def value(self, coordinate: Coordinate) -> Any:
        """Return the value at an index."""
        return self.values[int(coordinate)]

    def nth(self, number: int) -> Any:
        """Return one of the values that can be drawn."""
        return self.values[self.possible[number]]

    def number(self, value: Any) -> int:
        """Return which of the values that can be drawn it is."""
        index = self.coordinate(value)
        return 0 if index is None else self._numbers[index]


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two bounds. below: the upper bound is none of its values."""

    name: str
    distribution: Distribution
    low: float
    high: float
    below: bool = False

    def draw(self, random: Random) -> float:
        """Return a value at random."""
        return self.value(random.random())

    def coordinate(self, value: Any) -> float | None:
        """Return the place of a number; those outside of the bounds are taken for the nearest inside."""
        return self.distribution.place(float(value)) if is_number(value) else None

    def value(self, coordinate: Coordinate) -> float:
        """Return the number at a place."""
        highest = math.nextafter(self.high, -math.inf) if self.below else self.high
        return min(max(self.distribution.value(coordinate), self.low), highest)


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers `origin + n * step`, n from first to last. alike: each is as likely as any other; else the nearest one to
    a number of the distribution is taken. Integers stay integers. most: no number is above it."""

    name: str
    distribution: Distribution
    origin: float | int
    step: float | int
    first: int
    last: int
    alike: bool = False
    most: float = LARGEST

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.last - self.first + 1

    def draw(self, random: Random) -> float | int:
        """Return a number at random."""
        return self.value(random.random())

    def coordinate(self, value: Any) -> float | None:
        """Return the place of a number; others are taken for the nearest on the grid."""
        if not is_number(value):
            return None
        if not self.alike:
            return self.distribution.place(float(value))
        return (self.number(value) + 0.5) / self.size

    def value(self, coordinate: Coordinate) -> float | int:
        """Return the number at a place."""
        if self.alike:
            return self.nth(min(int(coordinate * self.size), self.size - 1))
        return self.nth(self.number(self.distribution.value(coordinate)))

    def nth(self, number: int) -> float | int:
        """Return one of the numbers."""
        return max(min(self.origin + (self.first + number) * self.step, self.most), -LARGEST)

    def number(self, value: Any) -> int:
        """Return which of them is nearest to a number."""
        nearest = (float(value) - self.origin) / self.step
        return round(min(max(nearest, self.first), self.last)) - self.first


#: What can be tried of a hyperparameter.
Dimension = Choice | Real | Grid


def is_number(value: Any) -> bool:
    """Return whether it is a finite number; truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def text_of(value: Any) -> str:
    """Return what tells values of a list apart: 1, 1.0, True and "1" are four."""
    return json.dumps(value, sort_keys=True)


def _is_hashable(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _key(value: Any) -> tuple[bool, Any]:
    """Equal numbers have the same one; truth values are no numbers."""
    return isinstance(value, bool), value
