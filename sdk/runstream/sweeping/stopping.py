"""Rules that end trials early, as a sweep is created with them. The server decides by them."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ASHA:
    """Asynchronous successive halving: at the steps `min_steps`, `min_steps` x `reduction_factor`, ... (below
    `max_steps`) a trial goes on only if it is among the best 1 of `reduction_factor` that came so far."""

    min_steps: int = 1
    reduction_factor: int = 3
    max_steps: int | None = None

    def written(self) -> dict[str, Any]:
        """Return it as the server reads it."""
        return {"rule": "asha", **asdict(self)}


@dataclass(frozen=True)
class MedianRule:
    """A trial ends whose best value is worse than the median of what the others had on average up to its step. It has
    `grace_steps` before, and at least `min_trials` others came so far."""

    grace_steps: int = 1
    min_trials: int = 3

    def written(self) -> dict[str, Any]:
        """Return it as the server reads it."""
        return {"rule": "median", **asdict(self)}
