"""What becomes of trials: their status by their runs, what they are worth, and which is given again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_protocols.kit.entities import Entity
from runstream_protocols.sweeps.asking import repeatable, to_give_again
from runstream_protocols.sweeps.configs import config_in
from runstream_protocols.sweeps.state import KnownTrial, TrialStatus, best_of, status_of, tried

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = config_in({"space": {"x": [1, 2, 3]}, "metric": "acc", "goal": "maximize"})


def trial(number: int, status: TrialStatus, value: float | None = None, attempt: int = 1) -> KnownTrial:
    properties = {"values": {"x": number}, "run": f"r{number}", "attempt": attempt, "ask": "", "lost_runs": []}
    entity = Entity("w", "p", "sweep-trial", f"s/{number}", "0" * 32, attempt, properties, NOW, NOW)
    return KnownTrial(entity, number, status, value)


@pytest.mark.parametrize(
    ("run", "value", "is_late", "status"),
    [
        (None, None, False, "given"),
        (None, None, True, "lost"),
        ("running", 1.0, True, "running"),
        ("finished", 1.0, True, "finished"),
        ("finished", None, False, "failed"),
        ("failed", 1.0, False, "failed"),
        ("crashed", 1.0, False, "lost"),
        ("killed", None, False, "lost"),
    ],
)
def test_the_run_tells_the_status(run: str | None, value: float | None, is_late: bool, status: TrialStatus) -> None:
    assert status_of(run, value, is_late=is_late) == status


def test_only_finished_trials_are_worth_something() -> None:
    known = [trial(0, "finished", 0.5), trial(1, "failed", 0.9), trial(2, "running", 0.8), trial(3, "lost", 0.7)]
    assert [one.loss for one in tried(CONFIG, known)] == [-0.5, None, None, None]
    assert best_of(CONFIG, known) is known[0]
    assert best_of(CONFIG, known[1:]) is None
    assert best_of(CONFIG, [trial(0, "finished", 0.5), trial(1, "finished", 0.5)]) == trial(0, "finished", 0.5)


STATUSES = st.sampled_from(["given", "running", "finished", "failed", "lost"])


@given(st.lists(st.tuples(STATUSES, st.integers(1, 4)), max_size=8), st.integers(0, 3))
def test_the_first_lost_trial_is_given_again_as_often_as_it_may(
    given_as: list[tuple[TrialStatus, int]], retries: int
) -> None:
    known = [trial(number, status, None, attempt) for number, (status, attempt) in enumerate(given_as)]
    found = to_give_again(known, retries)
    allowed = [one for one in known if one.status == "lost" and one.attempt <= retries]
    assert found is (allowed[0] if allowed else None)
    # Whoever finds none left may wait for these, and for no other one: a trial may stay lost for ever.
    awaited = [one for one in known if one.status in ("given", "running", "lost") and one.attempt <= retries]
    assert repeatable(known, retries) == awaited
