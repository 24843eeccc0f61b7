"""Early stopping: whether a trial is worth going on with, as functions of what all trials logged. Pure.

Values are losses here: the less the better. One that is no finite number is worse than any that is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

#: No rung lies beyond: steps are 64-bit integers.
_MAX_STEP: Final = 2**62
MAX_TRIALS: Final = 1_000_000


class InvalidRule(ValueError):
    """A rule that nothing can be decided by; the message says which member, its value, and what to give."""


@dataclass(frozen=True, slots=True)
class Asha:
    """Asynchronous successive halving, in its form that stops (one bracket). The rungs are at the steps `min_steps`,
    `min_steps` x `reduction_factor`, and so on, below `max_steps` if that is given."""

    min_steps: int = 1
    reduction_factor: int = 3
    max_steps: int | None = None

    def rungs(self, until: int) -> list[int]:
        """Return the rungs up to a step."""
        found, rung = [], self.min_steps
        while rung <= min(until, _MAX_STEP) and (self.max_steps is None or rung < self.max_steps):
            found.append(rung)
            rung *= self.reduction_factor
        return found


@dataclass(frozen=True, slots=True)
class MedianRule:
    """Stops what is worse than the median of the others at the same step. `grace_steps`: nothing is stopped before it
    has that step; `min_trials`: nor before so many others have the step of the trial."""

    grace_steps: int = 1
    min_trials: int = 3


Rule = Asha | MedianRule


@dataclass(frozen=True, slots=True)
class Reading:
    """What a trial had at a rung: the loss of its first point there, and when that was logged, in microseconds."""

    trial: str
    loss: float
    at_us: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a trial logged up to a step. `mean`: of its losses, `best`: the lowest. `reached`: whether it has points of
    that step or a later one."""

    trial: str
    mean: float
    best: float
    reached: bool


def rung_that_stops(rule: Asha, readings: Mapping[int, Sequence[Reading]], trial: str) -> int | None:
    """Return the first rung at which a trial is stopped; None: it goes on.

    readings: of each rung that the trial reached, those of all trials. A trial is compared with those that were at the
    rung not later than it, itself among them: it goes on where these are fewer than the reduction factor, or where
    fewer than their number divided by it (rounded down) are better. So what is decided about it never changes by what
    others log later.
    """
    for rung in sorted(readings):
        own = next((one for one in readings[rung] if one.trial == trial), None)
        if own is not None and not _goes_on(rule.reduction_factor, readings[rung], own):
            return rung
    return None


def _goes_on(factor: int, readings: Sequence[Reading], own: Reading) -> bool:
    there = [one for one in readings if (one.at_us, one.trial) <= (own.at_us, own.trial)]
    if len(there) < factor:
        return True
    return sum(_rank(one.loss) < _rank(own.loss) for one in there) < len(there) // factor


def is_below_median(rule: MedianRule, step: int, own: Progress, others: Sequence[Progress]) -> bool:
    """Return whether a trial that is at `step` is to be stopped: the best that it has is worse than the median of what
    the others that came so far had on average by that step."""
    there = [one.mean for one in others if one.reached and one.trial != own.trial]
    if step < rule.grace_steps or len(there) < max(rule.min_trials, 1):
        return False
    return _rank(own.best) > median(map(_rank, there))


def _rank(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def rule_in(given: Any) -> Rule:
    """Return the rule that JSON means: `{"rule": "asha" or "median", ...}` with the members of the classes here. Raises
    InvalidRule."""
    if not isinstance(given, Mapping):
        raise InvalidRule(f"early_stop is {given!r:.100}: give an object with a rule, asha or median")
    members = {name: value for name, value in given.items() if name != "rule" and value is not None}
    kind: Literal["asha", "median"] | Any = given.get("rule")
    if kind == "asha":
        _check(members, {"min_steps": 1, "reduction_factor": 2, "max_steps": 1})
        return Asha(**members)
    if kind == "median":
        _check(members, {"grace_steps": 0, "min_trials": 1})
        return MedianRule(**members)
    raise InvalidRule(f"the rule of early_stop is {kind!r:.100}: give asha or median")


def _check(members: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name, value in members.items():
        if name not in least:
            raise InvalidRule(f"early_stop has no {name[:60]!r}: give some of {', '.join(least)}")
        most = MAX_TRIALS if name in ("min_trials", "reduction_factor") else _MAX_STEP
        if not isinstance(value, int) or isinstance(value, bool) or not least[name] <= value <= most:
            raise InvalidRule(
                f"{name} of early_stop is {value!r:.100}: give a whole number from {least[name]} to {most}"
            )
