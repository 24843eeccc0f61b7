"""Distributions of one number, each as a function from [0, 1] to its values and back. Pure.

Whatever is uniform in [0, 1] becomes a value by `value`; `place` is its inverse. So everything that searches knows one
shape, the unit interval, and the prior of every number is uniform in it.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Protocol

#: Nothing is drawn farther out in a normal distribution: what lies there has no probability that a float can hold.
_MAX_SIGMAS: Final = 37.0
_STANDARD: Final = NormalDist()
_SMALLEST: Final = math.ulp(0.0)
LARGEST: Final = math.nextafter(math.inf, 0.0)


class InvalidSpace(ValueError):
    """A search space that nothing can be drawn from; the message says which part, its value, and what to give."""


class Distribution(Protocol):
    """Values of a number between `low` and `high`; `place` takes others for the nearest of them."""

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1]."""
        ...

    def place(self, value: float) -> float:
        """Return the place of a value, in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every value from low to high is as likely as any other."""

    low: float
    high: float

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1]."""
        return min(self.low + place * (self.high - self.low), self.high)

    def place(self, value: float) -> float:
        """Return the place of a value, in [0, 1]."""
        return _within((value - self.low) / (self.high - self.low), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution, cut off outside of low and high. Raises InvalidSpace where nothing is left of it."""

    mu: float
    sigma: float
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        begin, end = self._ends()
        if not self.low <= self.high or begin >= _MAX_SIGMAS or end <= -_MAX_SIGMAS:
            raise InvalidSpace(
                f"nothing of a normal distribution around {self.mu} with the deviation {self.sigma} lies between "
                f"{self.low} and {self.high}: move the bounds nearer to the mean"
            )

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1]."""
        begin, end = self._ends()
        # Far above the mean, probabilities are differences of numbers near 1: its mirror image has small ones.
        deviation = -_drawn(1.0 - place, -end, -begin) if begin > 0 else _drawn(place, begin, end)
        # What a float cannot hold is taken for the largest number: JSON has no infinity.
        return _within(self.mu + self.sigma * deviation, max(self.low, -LARGEST), min(self.high, LARGEST))

    def place(self, value: float) -> float:
        """Return the place of a value, in [0, 1]."""
        begin, end = self._ends()
        deviation = _within((value - self.mu) / self.sigma, begin, end)
        if begin > 0:
            return 1.0 - _share(-deviation, -end, -begin)
        return _share(deviation, begin, end)

    def _ends(self) -> tuple[float, float]:
        """The bounds, in deviations from the mean."""
        return (self.low - self.mu) / self.sigma, (self.high - self.mu) / self.sigma


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """Positive values whose natural logarithm has a distribution."""

    logarithm: Distribution

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1]."""
        try:
            return max(math.exp(self.logarithm.value(place)), _SMALLEST)
        except OverflowError:
            return LARGEST

    def place(self, value: float) -> float:
        """Return the place of a value, in [0, 1]."""
        return self.logarithm.place(math.log(max(value, _SMALLEST)))


@dataclass(frozen=True, slots=True)
class Constant:
    """One value."""

    constant: float

    def value(self, place: float) -> float:
        """Return the value, wherever the place is."""
        return self.constant

    def place(self, value: float) -> float:
        """Return the middle."""
        return 0.5


def _drawn(place: float, begin: float, end: float) -> float:
    """The deviation below which lies this share of the probability between begin and end."""
    below, above = _below(begin), _below(end)
    wanted = below + place * (above - below)
    if wanted <= 0.0:
        return max(begin, -_MAX_SIGMAS)
    return end if wanted >= 1.0 and math.isfinite(end) else _within(_inverse(wanted), begin, end)


def _below(deviation: float) -> float:
    """The probability of what lies below, exact far out as well."""
    return 0.5 * math.erfc(-deviation / math.sqrt(2.0))


def _inverse(probability: float) -> float:
    return _STANDARD.inv_cdf(min(probability, math.nextafter(1.0, 0.0)))


def _share(deviation: float, begin: float, end: float) -> float:
    below, above = _below(begin), _below(end)
    if above <= below:
        return 0.5
    return _within((_below(deviation) - below) / (above - below), 0.0, 1.0)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
