"""Whether a writer's clock can be trusted, told from when its facts were made and when the log heard of them. Pure.

A fact that is older on the log's clock than on its writer's was made by a clock that runs ahead: nothing arrives before
it is made. A fact that is late proves nothing by itself, because offline runs and broken networks make data late by
hours. So a clock is only called slow where the writer's first fact and its newest are late by the same amount, although
they arrived long after each other: what waits in a spool arrives together, or catches up.
"""

from dataclasses import dataclass
from typing import Final

from runstream.events.limits import CLOCK_SKEW_S

_SECOND_US: Final = 1_000_000
#: Facts that arrived closer together than this may have waited in one spool.
APART_S: Final = 600
#: How much the lateness of a writer may differ that sends as it goes: a minute is four times the pause between two
#: rows of system metrics, and a tenth of APART_S.
STEADY_S: Final = 60


@dataclass(frozen=True, slots=True)
class Heard:
    """A fact by both clocks, in microseconds since 1970 UTC: when it was made by its writer's, and when it arrived by
    the log's (or a later moment, if the writer said nothing newer until then)."""

    made_us: int
    heard_us: int

    @property
    def late_us(self) -> int:
        """Negative: made by a clock that runs ahead."""
        return self.heard_us - self.made_us


def is_odd(newest: Heard) -> bool:
    """Whether the newest fact of a writer is further from the log's clock than CLOCK_SKEW_S, for whatever reason."""
    return abs(newest.late_us) > CLOCK_SKEW_S * _SECOND_US


def clock_ahead_s(newest: Heard, first: Heard | None = None) -> float | None:
    """By how many seconds (at least) the writer's clock runs ahead of the log's; negative if it runs behind; None if
    it is within CLOCK_SKEW_S, or if lateness may have another reason. `first` is needed to tell that it is behind."""
    if not is_odd(newest):
        return None
    if newest.late_us < 0:
        return -newest.late_us / _SECOND_US
    if first is None or not is_odd(first) or first.late_us < 0:
        return None
    apart = newest.heard_us - first.heard_us >= APART_S * _SECOND_US
    steady = abs(newest.late_us - first.late_us) <= STEADY_S * _SECOND_US
    # The newest lateness also holds how long the writer has been silent: the smaller one is the clock's.
    return -min(newest.late_us, first.late_us) / _SECOND_US if apart and steady else None
