"""Rules of early stopping against the same written naively, and what has to hold of them."""

import math
from fractions import Fraction
from itertools import count, takewhile

from hypothesis import given
from hypothesis import strategies as st

from runstream_model.search.stopping import (
    Asha,
    MedianRule,
    Progress,
    Reading,
    is_below_median,
    rung_that_stops,
)

LOSSES = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.5, math.inf, -math.inf, math.nan])
TRIALS = st.integers(1, 12)


@st.composite
def rung(draw: st.DrawFn) -> list[Reading]:
    names = draw(st.lists(st.sampled_from("abcdefghijkl"), unique=True, min_size=1))
    return [Reading(name, draw(LOSSES), draw(st.integers(0, 4))) for name in names]


def worth(loss: float) -> float:
    return loss if math.isfinite(loss) else float("inf")


def stops_naively(factor: int, readings: list[Reading], trial: str) -> bool:
    """Let the trials arrive one after the other, and decide about each when it does."""
    arrived: list[float] = []
    for one in sorted(readings, key=lambda one: (one.at_us, one.trial)):
        arrived.append(worth(one.loss))
        if one.trial == trial:
            places = sorted(arrived).index(worth(one.loss)) + 1
            return len(arrived) >= factor and places > math.floor(Fraction(len(arrived), factor))
    return False


@given(rung(), st.integers(2, 4), st.data())
def test_a_rung_decides_as_if_trials_arrived_one_by_one(
    readings: list[Reading], factor: int, data: st.DataObject
) -> None:
    trial = data.draw(st.sampled_from([one.trial for one in readings]))
    rule = Asha(reduction_factor=factor)
    stops = stops_naively(factor, readings, trial)
    assert rung_that_stops(rule, {1: readings}, trial) == (1 if stops else None)
    assert rung_that_stops(rule, {1: readings[::-1]}, trial) == (1 if stops else None), "in any order of the rows"
    own = next(one for one in readings if one.trial == trial)
    later = [*readings, Reading("zz", -9.0, own.at_us + 1)]
    assert rung_that_stops(rule, {1: later}, trial) == (1 if stops else None), "whatever is logged later"


@given(st.lists(rung(), min_size=1, max_size=3), st.integers(2, 4))
def test_the_first_rung_counts_and_the_best_goes_on(rungs: list[list[Reading]], factor: int) -> None:
    rule = Asha(reduction_factor=factor)
    readings = {factor**place: found for place, found in enumerate(rungs)}
    for trial in "abcdefghijkl":
        alone = [at for at, found in readings.items() if rung_that_stops(rule, {at: found}, trial) is not None]
        assert rung_that_stops(rule, readings, trial) == (min(alone) if alone else None)
    for at, found in readings.items():
        best = min(found, key=lambda one: (worth(one.loss), one.at_us, one.trial))
        assert rung_that_stops(rule, {at: found}, best.trial) is None


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 500), st.none() | st.integers(1, 100))
def test_rungs_are_powers_times_the_first(least: int, factor: int, until: int, most: int | None) -> None:
    expected = list(takewhile(lambda step: step <= until, (least * factor**place for place in count())))
    if most is not None:
        expected = [step for step in expected if step < most]
    assert Asha(least, factor, most).rungs(until) == expected


PROGRESS = st.builds(Progress, st.sampled_from("abcdefgh"), LOSSES, LOSSES, st.booleans())


@given(st.lists(PROGRESS, max_size=8, unique_by=lambda one: one.trial), LOSSES, st.integers(0, 9), st.integers(1, 4))
def test_the_median_rule_is_the_median(others: list[Progress], best: float, step: int, least: int) -> None:
    own = Progress("own", best, best, True)
    stops = is_below_median(MedianRule(grace_steps=5, min_trials=least), step, own, [*others, own])
    means = sorted(worth(one.mean) for one in others if one.reached)
    if step < 5 or len(means) < least:
        assert not stops
        return
    middle = means[(len(means) - 1) // 2 : len(means) // 2 + 1]
    assert stops == (worth(best) > sum(middle) / len(middle))


@given(st.integers(2, 4), st.integers(1, 20))
def test_what_gets_better_goes_on_and_what_gets_worse_stops(factor: int, size: int) -> None:
    rule = Asha(reduction_factor=factor)
    for sign in (-1.0, 1.0):
        readings = [Reading(f"{number:03d}", sign * number, number) for number in range(size)]
        going = [one for one in readings if rung_that_stops(rule, {1: readings}, one.trial) is None]
        assert going == (readings if sign < 0 else readings[: factor - 1])
