"""When a writer's clock counts as wrong."""

import pytest

from runstream.events.limits import CLOCK_SKEW_S
from runstream_query.clocks import Heard, clock_ahead_s

HOUR = 3600


def heard(made_s: float, late_s: float) -> Heard:
    """Something made at `made_s` on its writer's clock, `late_s` before the log heard of it."""
    return Heard(round(made_s * 1e6), round((made_s + late_s) * 1e6))


@pytest.mark.parametrize(
    ("late_s", "ahead_s"),
    [
        (0.5, None),
        (-CLOCK_SKEW_S, None),  # the bound itself
        (-CLOCK_SKEW_S - 1, CLOCK_SKEW_S + 1),
        (-3 * HOUR, 3 * HOUR),
        (9 * HOUR, None),  # late, for whatever reason
    ],
)
def test_what_is_made_after_it_arrived_was_made_by_a_clock_that_is_ahead(late_s: float, ahead_s: float | None) -> None:
    assert clock_ahead_s(heard(10_000, late_s)) == ahead_s


@pytest.mark.parametrize(
    ("case", "first", "newest", "ahead_s"),
    [
        ("late from the first to the last", heard(0, 2 * HOUR), heard(HOUR, 2 * HOUR + 5), -2 * HOUR),
        ("silent for a while since", heard(0, 2 * HOUR + 4), heard(HOUR, 2 * HOUR + 50), -2 * HOUR - 4),
        ("an offline run, sent at once", heard(0, 2 * HOUR), heard(HOUR, HOUR + 5), None),
        ("a short offline run, sent at once", heard(0, 2 * HOUR), heard(30, 2 * HOUR - 29), None),
        ("a network that came back", heard(0, 2 * HOUR), heard(2 * HOUR, 1), None),
        ("a network that went away", heard(0, 1), heard(HOUR, 2 * HOUR), None),
        ("idle since its start", heard(0, 1), heard(0, 2 * HOUR), None),
        ("late by less than the bound", heard(0, HOUR - 1), heard(HOUR, HOUR - 1), None),
        ("a clock that was set back meanwhile", heard(0, -2 * HOUR), heard(HOUR, 2 * HOUR), None),
    ],
)
def test_lateness_alone_accuses_nobody(case: str, first: Heard, newest: Heard, ahead_s: float | None) -> None:
    assert clock_ahead_s(newest, first) == ahead_s, case


def test_nothing_is_told_of_lateness_without_the_first_arrival() -> None:
    assert clock_ahead_s(heard(0, 2 * HOUR)) is None
