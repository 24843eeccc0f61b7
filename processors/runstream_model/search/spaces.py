"""Search spaces: all hyperparameters of an algorithm, as their owner writes them. Pure."""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from runstream_model.search.dimensions import Choice, Dimension, Grid, Real, is_number, text_of
from runstream_model.search.distributions import Constant, Distribution, InvalidSpace, Logarithmic, Normal, Uniform

#: A descriptive hyperparameter is never suggested: whoever reports a trial says what it was.
Category = Literal["categorical", "uniform", "loguniform", "normal", "lognormal", "descriptive"]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)

#: A suggestion takes time for each of them.
MAX_DIMENSIONS: Final = 100
MAX_VALUES: Final = 1_000
#: What probabilities may add up to, beside 1.
_TOLERANCE: Final = 1e-6
#: Beyond it, two numbers of a grid could be one float.
MAX_STEPS: Final = 1 << 52
_SMALLEST: Final = math.ulp(0.0)
_MEMBERS: Final[Mapping[Category, frozenset[str]]] = {
    "categorical": frozenset({"values", "probabilities"}),
    "uniform": frozenset({"low", "high", "step"}),
    "loguniform": frozenset({"low", "high", "step", "base"}),
    "normal": frozenset({"mu", "sigma", "low", "high", "step"}),
    "lognormal": frozenset({"mu", "sigma", "low", "high", "step", "base"}),
    "descriptive": frozenset(),
}
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


@dataclass(frozen=True, slots=True)
class Space:
    """What can be tried, one dimension for each hyperparameter that is suggested."""

    dimensions: tuple[Dimension, ...]

    @property
    def size(self) -> int | None:
        """How many different trials there are; None if one of them is a number off a grid."""
        sizes = [one.size for one in self.dimensions if not isinstance(one, Real)]
        return math.prod(sizes) if len(sizes) == len(self.dimensions) else None


def dimension_of(name: str, category: Category, given: Mapping[str, Any]) -> Dimension | None:
    """Return the dimension of a hyperparameter; None of a descriptive one. Raises InvalidSpace."""
    unknown = sorted(given.keys() - _MEMBERS[category])
    if unknown:
        known = ", ".join(sorted(_MEMBERS[category])) or "nothing"
        raise InvalidSpace(f"{name}: a search space of the category {category} has {known}, and no {unknown[0][:60]}")
    space = _Given(name, given)
    match category:
        case "categorical":
            return _choice(space)
        case "uniform":
            return _uniform(space)
        case "loguniform":
            return _loguniform(space)
        case "normal":
            return _normal(space)
        case "lognormal":
            return _lognormal(space)
        case "descriptive":
            return None


def check_count(count: int) -> None:
    """Raise InvalidSpace for more dimensions than can be searched: to be asked before any is made."""
    if count > MAX_DIMENSIONS:
        raise InvalidSpace(f"{count} hyperparameters are given, at most {MAX_DIMENSIONS} can be searched at once")


def space_of(dimensions: Sequence[Dimension]) -> Space:
    """Return the space of these dimensions. Raises InvalidSpace where a name comes twice, or there are too many."""
    names = [one.name for one in dimensions]
    check_count(len(names))
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidSpace(f"{twice}: there are two hyperparameters of this name, give each another one")
    return Space(tuple(dimensions))


@dataclass(frozen=True, slots=True)
class _Given:
    """A search space as it is written."""

    name: str
    members: Mapping[str, Any]

    def number(self, member: str) -> float | int:
        """Raises InvalidSpace."""
        value = self.optional(member)
        if value is None:
            raise self.invalid(member, "give a number")
        return value

    def optional(self, member: str) -> float | int | None:
        """Raises InvalidSpace."""
        value: float | int | None = self.members.get(member)
        if value is not None and not is_number(value):
            raise self.invalid(member, "give a finite number")
        return value

    def positive(self, member: str) -> float | int | None:
        """Raises InvalidSpace."""
        value = self.optional(member)
        if value is not None and value <= 0:
            raise self.invalid(member, "give a number above 0")
        return value

    def check_base(self) -> None:
        """A base only scales a logarithm, which changes no probability. Raises InvalidSpace."""
        if self.positive("base") == 1:
            raise self.invalid("base", "give another number than 1")

    def invalid(self, member: str, what: str) -> InvalidSpace:
        return InvalidSpace(f"{self.name}: {member} is {_BRIEF.repr(self.members.get(member))}: {what}")


def _choice(space: _Given) -> Choice:
    values, shares = space.members.get("values"), space.members.get("probabilities")
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        raise space.invalid("values", f"give a list of 1 to {MAX_VALUES} values")
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        raise space.invalid("values", "give values that are no NaN and not infinite") from None
    if shares is None:
        return _once(space.name, values, None)
    right = isinstance(shares, list) and len(shares) == len(values) and all(map(is_number, shares))
    if not right or min(shares) < 0 or abs(math.fsum(shares) - 1.0) > _TOLERANCE:
        raise space.invalid("probabilities", "give one from 0 to 1 for each of the values, together 1")
    return _once(space.name, values, shares)


def _once(name: str, values: Sequence[Any], shares: Sequence[float] | None) -> Choice:
    """The values, each once. One that is given several times is drawn as often as that."""
    once: dict[str, Any] = {}
    together: dict[str, float] = {}
    for number, value in enumerate(values):
        text = text_of(value)
        once.setdefault(text, value)
        together[text] = together.get(text, 0.0) + (1 / len(values) if shares is None else shares[number])
    if shares is None and len(once) == len(values):
        return Choice(name, tuple(values))
    return Choice(name, tuple(once.values()), tuple(together.values()))


def _uniform(space: _Given) -> Dimension:
    low, high = space.number("low"), space.number("high")
    _check_order(space, low, high)
    return _dimension(space, Uniform(low, high), low, high, low, below=True, alike=True)


def _loguniform(space: _Given) -> Dimension:
    space.check_base()
    low, high = space.number("low"), space.number("high")
    if low <= 0:
        raise space.invalid("low", "give a number above 0, which has a logarithm")
    _check_order(space, low, high)
    logarithm = Uniform(math.log(low), math.log(high))
    if not logarithm.low < logarithm.high:
        raise space.invalid("high", "give a number whose logarithm is above that of low")
    return _dimension(space, Logarithmic(logarithm), low, high, low, below=True)


def _normal(space: _Given) -> Dimension:
    mu, sigma = space.number("mu"), space.positive("sigma")
    if sigma is None:
        raise space.invalid("sigma", "give a number above 0")
    low, high = space.optional("low"), space.optional("high")
    least, most = (-math.inf if low is None else low), (math.inf if high is None else high)
    distribution = _normal_of(space, mu, sigma, least, most)
    return _dimension(space, distribution, least, most, mu if low is None else low)


def _lognormal(space: _Given) -> Dimension:
    space.check_base()
    mu, sigma = space.positive("mu"), space.number("sigma")
    low, high = space.positive("low"), space.positive("high")
    if mu is None:
        raise space.invalid("mu", "give a number above 0, which has a logarithm")
    if sigma < 1:
        raise space.invalid("sigma", "give a number of at least 1, the factor of one deviation")
    least, most = (_SMALLEST if low is None else low), (math.inf if high is None else high)
    origin = mu if low is None else low
    if sigma == 1:
        if not least <= mu <= most:
            raise space.invalid("mu", "give a number from low to high: with sigma 1 nothing else is drawn")
        return _dimension(space, Constant(mu), least, most, origin)
    ends = math.log(least), math.log(most) if math.isfinite(most) else most
    distribution = Logarithmic(_normal_of(space, math.log(mu), math.log(sigma), *ends))
    return _dimension(space, distribution, least, most, origin)


def _normal_of(space: _Given, mu: float, sigma: float, low: float, high: float) -> Normal:
    try:
        # Differences of whole numbers may be more than a float can hold.
        return Normal(float(mu), float(sigma), float(low), float(high))
    except InvalidSpace as error:
        raise InvalidSpace(f"{space.name}: {error}") from None


def _check_order(space: _Given, low: float, high: float) -> None:
    if not low < high or not math.isfinite(float(high) - float(low)):
        raise space.invalid("high", f"give a number above low ({low}), at a distance that a float can hold")


def _dimension(
    space: _Given,
    distribution: Distribution,
    low: float,
    high: float,
    origin: float | int,
    *,
    below: bool = False,
    alike: bool = False,
) -> Dimension:
    """The number as it is, or on the grid of its step. below: `high` is none of its values."""
    step = space.positive("step")
    if step is None:
        return Real(space.name, distribution, float(low), float(high), below)
    first, last = _steps(origin, step, low, round_up=True), _steps(origin, step, high, round_up=False)
    if below and origin + last * step >= high:
        last -= 1
    while origin + first * step <= 0 < low:
        first += 1
    if not -MAX_STEPS <= first <= last <= MAX_STEPS:
        raise space.invalid("step", f"give one with 1 to {MAX_STEPS} steps between the bounds")
    return Grid(space.name, distribution, origin, step, first, last, alike)


def _steps(origin: float, step: float, bound: float, *, round_up: bool) -> int:
    """How many steps it takes from the origin to the bound: more than MAX_STEPS where a float cannot tell them apart.
    Without a bound, MAX_STEPS."""
    if math.isinf(bound):
        return MAX_STEPS if bound > 0 else -MAX_STEPS
    count = (float(bound) - float(origin)) / float(step)
    if abs(count) > MAX_STEPS:
        return MAX_STEPS + 1 if count > 0 else -MAX_STEPS - 1
    return math.ceil(count) if round_up else math.floor(count)
