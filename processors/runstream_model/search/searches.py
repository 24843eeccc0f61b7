"""A search: a space, how it is searched, and what it tries as its number n. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from runstream_model.search.dimensions import Choice, Dimension, Real
from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.grids import MAX_QUANTISED, nth, quantised, shuffled
from runstream_model.search.spaces import Space
from runstream_model.search.suggesting import Method, Trial, Wanted, suggest

#: grid: all sets of values, one after the other. The others as `suggesting` has them.
SearchMethod = Literal["grid", Method]
SEARCH_METHODS: Final[tuple[SearchMethod, ...]] = ("grid", *get_args(Method))


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, and how. `space`: of a grid, only finite dimensions (`grid_space`). `series`: searches with
    another one try other values. `in_order`: of a grid; else its order is that of the series. `minimum`: trials with a
    loss, below which values are drawn at random."""

    space: Space
    method: SearchMethod
    series: str
    in_order: bool = True
    minimum: int = 10

    @property
    def size(self) -> int | None:
        """How many different sets of values there are; None if there is no end of them."""
        return self.space.size

    def values(self, number: int, trials: Sequence[Trial]) -> dict[str, Any]:
        """Return what is tried as the number `number`, from 0, where `trials` have all numbers before it: nothing that
        is among them. A number of at least `size` has no values of its own."""
        if self.method == "grid":
            dimensions = [one for one in self.space.dimensions if not isinstance(one, Real)]
            size = self.space.size or 1
            return nth(dimensions, number if self.in_order else shuffled(number, size, self.series))
        if self.method == "random":
            # What they were found to be worth decides nothing, but none comes twice.
            trials = [replace(trial, loss=None) for trial in trials]
        return suggest(self.space, trials, Wanted(self.series, number, self.method, self.minimum))


def grid_space(space: Space, count: int) -> Space:
    """Return the space of a grid: of each number off a grid, `count` values; of lists and steps, all."""
    return Space(tuple(quantised(one, count) if isinstance(one, Real) else one for one in space.dimensions))


def coarse_space(space: Space, count: int) -> Space:
    """Return the same with at most `count` values of each number, on a grid or not; of lists, all. Raises InvalidSpace
    where these are more than MAX_QUANTISED."""
    wanted = sum(_wanted(one, count) for one in space.dimensions)
    if wanted > MAX_QUANTISED:
        raise InvalidSpace(
            f"the numbers of the space have {wanted} values with {count} of each, at most {MAX_QUANTISED} can be had: "
            "give fewer of each, or fewer numbers"
        )
    return Space(tuple(one if isinstance(one, Choice) else quantised(one, count) for one in space.dimensions))


def _wanted(dimension: Dimension, count: int) -> int:
    match dimension:
        case Choice():
            return 0
        case Real():
            return count
        case _:
            return min(count, dimension.size)
