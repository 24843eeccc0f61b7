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
    """One of a list, each with its probability or all alike."""

    name: str
    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None
    _indexes: dict[str, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # A suggestion looks up the values of hundreds of trials.
        indexes = {text_of(self.values[index]): index for index in reversed(self.possible)}
        object.__setattr__(self, "_indexes", indexes)

    @property
    def size(self) -> int:
        """How many values can be drawn."""
        return len(self.possible)

    @property
    def possible(self) -> Sequence[int]:
        """The indexes of what can be drawn: what has the probability 0 is never tried."""
        if self.probabilities is None:
            return range(len(self.values))
        return [index for index, share in enumerate(self.probabilities) if share > 0]

    def draw(self, random: Random) -> Any:
        """Return a value at random, as its probabilities say."""
        return random.choices(self.values, self.probabilities)[0]

    def coordinate(self, value: Any) -> int | None:
        """Return the index of a value. One of its own type goes before one that equals it: 1 is no True."""
        index = self._indexes.get(text_of(value))
        if index is not None:
            return index
        return next((index for index in self.possible if _equal(self.values[index], value)), None)

    def value(self, coordinate: Coordinate) -> Any:
        """Return the value at an index."""
        return self.values[int(coordinate)]

    def nth(self, number: int) -> Any:
        """Return one of the values that can be drawn."""
        return self.values[self.possible[number]]

    def number(self, value: Any) -> int:
        """Return which of the values that can be drawn it is."""
        index = self.coordinate(value)
        return 0 if index is None else self.possible.index(index)


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


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
