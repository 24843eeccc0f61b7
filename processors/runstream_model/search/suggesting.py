"""What to try next: a pure function of the space, of the trials so far and of the number of the suggestion.

Nothing is remembered between two suggestions, so that whoever has the trials makes the same one again: another gateway,
the same one after a restart, a rebuild.
"""

import functools
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from runstream_model.search.dimensions import Choice, Coordinate, Dimension, Grid
from runstream_model.search.spaces import Space

if TYPE_CHECKING:
    from types import ModuleType

    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

#: random: no trial counts. parzen_estimator: a density of good trials and one of the others, of each hyperparameter by
#: itself. model_based: the same of all hyperparameters together, so that it knows which belong to each other.
Method = Literal["random", "parzen_estimator", "model_based"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

#: Trials that an estimator is made of: the newest. It takes time for each of them, and for each of their values. What
#: was tried before them is not suggested again either.
MAX_TRIALS: Final = 500
_MAX_VALUES: Final = 10_000
#: The same for lists: an estimator has a weight for each value of a list and each trial.
_MAX_WEIGHTS: Final = 4_000_000
#: Draws among which the one is taken whose ratio of the two densities is the best.
_CANDIDATES: Final = 64
#: How often the heaviest trial counts, at most: weights are told apart by an eighth of the largest.
_COPIES: Final = 8
#: Draws at random before the numbers of a grid are looked through.
_DRAWS: Final = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried, and what came of it: the less the better. loss: None while nobody has said. weight: how much it
    counts beside the others; 0: it tells nothing of good and bad."""

    values: Mapping[str, Any]
    loss: float | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which suggestion: the number `index` of a series, which has a name of its own. Another number or another series
    draws other values. minimum: trials with a loss, below which values are drawn at random."""

    series: str
    index: int
    method: Method = "parzen_estimator"
    minimum: int = 20


def suggest(space: Space, trials: Sequence[Trial], wanted: Wanted) -> dict[str, Any]:
    """Return values to try: none that are among the trials, where the space has others.

    trials: the oldest first; those without a loss are under way. random looks at these alone.
    """
    random = Random(_seed(wanted))
    limit = _limit(space)
    usable = [trial for trial in trials if trial.loss is None or math.isfinite(trial.loss)]
    usable = [trial for trial in usable if wanted.method != "random" or trial.loss is None]
    known = usable[-limit:]
    finished = sum(trial.loss is not None for trial in usable)
    values = {one.name: one.draw(random) for one in space.dimensions}
    # Of many parameters an estimator is made of fewer trials than the minimum may be.
    is_enough = finished >= wanted.minimum and any(trial.loss is not None for trial in known)
    if space.dimensions and is_enough:
        values = _modelled(space, weighted(known, limit), wanted.method, random.getrandbits(32))
    return _untried(space, usable, values, random)


def _limit(space: Space) -> int:
    """Of how many trials an estimator is made."""
    listed = sum(one.size for one in space.dimensions if isinstance(one, Choice))
    return min(MAX_TRIALS, _MAX_VALUES // max(1, len(space.dimensions)), _MAX_WEIGHTS // max(1, listed))


def weighted(trials: Sequence[Trial], limit: int) -> list[Trial]:
    """Return each trial as often as its weight says, from 0 to _COPIES times, at most `limit` in all; where that is too
    many, the newest. Trials of one weight come once. A density of points is the same whether a point counts twice or
    stands there twice."""
    weights = {trial.weight for trial in trials if trial.loss is not None}
    if len(weights) <= 1:
        return list(trials)[-limit:]
    heaviest = max(weights)
    counts = [1 if trial.loss is None else round(_COPIES * (trial.weight / heaviest)) for trial in trials]
    finished = [count for trial, count in zip(trials, counts, strict=True) if trial.loss is not None]
    common = math.gcd(*finished) or 1
    copies = [
        [trial] * (count if trial.loss is None else count // common)
        for trial, count in zip(trials, counts, strict=True)
    ]
    return list(itertools.chain.from_iterable(copies))[-limit:]


def _seed(wanted: Wanted) -> int:
    text = f"{wanted.series}\0{wanted.index}".encode(errors="replace")
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def _modelled(space: Space, trials: Sequence[Trial], method: Method, seed: int) -> dict[str, Any]:
    """Return what Optuna's estimator of Parzen windows takes for the best. It sees coordinates and no values."""
    optuna = _optuna()
    spread = {one.name: _distribution(one) for one in space.dimensions}
    study = optuna.create_study(sampler=_sampler(method, seed))
    study.add_trials([one for trial in trials if (one := _frozen(space, spread, trial)) is not None])
    asked = study.ask(spread)
    return {one.name: one.value(asked.params[one.name]) for one in space.dimensions}


@functools.cache
def _optuna() -> "ModuleType":
    """Load it, which takes 0.4 s, and have it say nothing of each study on the standard error."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(method: Method, seed: int) -> "BaseSampler":
    from optuna.samplers import TPESampler

    return TPESampler(
        n_startup_trials=0,
        n_ei_candidates=_CANDIDATES,
        multivariate=method == "model_based",
        constant_liar=True,
        seed=seed,
    )


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution

    return _indexes()(tuple(dimension.possible)) if isinstance(dimension, Choice) else FloatDistribution(0.0, 1.0)


@functools.cache
def _indexes() -> "type[CategoricalDistribution]":
    from optuna.distributions import CategoricalDistribution

    class Indexes(CategoricalDistribution):
        """Optuna compares and copies the whole list for each trial: 10 s for 500 trials of eight lists of 1,000. All
        trials of a suggestion share one list, which nothing changes."""

        def __eq__(self, other: object) -> bool:
            return self is other or super().__eq__(other)

        def __hash__(self) -> int:
            return hash(len(self.choices))

        def __deepcopy__(self, memo: object) -> "Indexes":
            return self

    return Indexes


def _frozen(space: Space, spread: "Mapping[str, BaseDistribution]", trial: Trial) -> "FrozenTrial | None":
    """The trial as Optuna has it; None if one of its values is none of the space."""
    from optuna.trial import TrialState, create_trial

    places = coordinates(space, trial.values)
    if places is None:
        return None
    names = (one.name for one in space.dimensions)
    state = TrialState.RUNNING if trial.loss is None else TrialState.COMPLETE
    params = dict(zip(names, places, strict=True))
    return create_trial(state=state, value=trial.loss, params=params, distributions=dict(spread))


def coordinates(space: Space, values: Mapping[str, Any]) -> tuple[Coordinate, ...] | None:
    """Return the coordinate of each value, in the order of the space; None if one of them is none of its values."""
    found = []
    for one in space.dimensions:
        coordinate = one.coordinate(values.get(one.name))
        if coordinate is None:
            return None
        found.append(coordinate)
    return tuple(found)


def _untried(space: Space, trials: Sequence[Trial], values: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return the values, or others where these are among the trials. A space in which all is tried begins anew."""
    size = space.size
    if size is None:
        return values
    finite = [one for one in space.dimensions if isinstance(one, Choice | Grid)]
    tried = {_numbers(finite, trial.values) for trial in trials if coordinates(space, trial.values) is not None}
    if len(tried) >= size:
        return values
    for _ in range(_DRAWS):
        if _numbers(finite, values) not in tried:
            return values
        values = {one.name: one.draw(random) for one in finite}
    # From somewhere on, one after the other: there are fewer trials than numbers.
    begin = random.randrange(size)
    for number in range(begin, begin + len(tried) + 1):
        values = _counted(finite, number % size)
        if _numbers(finite, values) not in tried:
            return values
    return values


def _numbers(dimensions: "Sequence[Choice | Grid]", values: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(one.number(values[one.name]) for one in dimensions)


def _counted(dimensions: "Sequence[Choice | Grid]", number: int) -> dict[str, Any]:
    """The trial with this number, counted through all dimensions."""
    found = {}
    for one in dimensions:
        number, digit = divmod(number, one.size)
        found[one.name] = one.nth(digit)
    return found
