"""What becomes of a lease."""

import pytest

from runstream_protocols.ubiops.agents.leases import (
    CANCELLED,
    CANCELLING_S,
    NOBODY,
    Ending,
    Lease,
    Stale,
    cancelled,
    ended,
    granted,
    lease_of,
    released,
    renewed,
    started,
)

S = 1_000_000
LEASED = granted(None, "a", "host-a", 60, 0)
STARTED = started(LEASED, 5 * S)
ENDING = ended(STARTED, Ending("finished", "", {"metrics": {"loss": 0.5}}), 9 * S)


def test_the_first_lease_has_the_first_token_and_its_time() -> None:
    assert Lease(1, "a", "host-a", 60, 60 * S) == LEASED


def test_a_lease_passes_on_when_its_time_is_over_and_never_before() -> None:
    with pytest.raises(Stale, match="'a' has it"):
        granted(LEASED, "b", "host-b", 10, 60 * S - 1)
    assert granted(LEASED, "b", "host-b", 10, 60 * S) == Lease(2, "b", "host-b", 10, 70 * S)


@pytest.mark.parametrize("lease", [STARTED, ENDING])
def test_what_was_started_never_passes_on(lease: Lease) -> None:
    with pytest.raises(Stale):
        granted(lease, "b", "host-b", 10, 10**15)
    with pytest.raises(Stale, match="report its end"):
        released(lease, 0)


def test_a_renewal_writes_nothing_while_half_of_the_time_is_left() -> None:
    assert renewed(LEASED, 29 * S) is LEASED
    assert renewed(LEASED, 30 * S).expires_at_us == 90 * S
    assert renewed(LEASED, 80 * S).expires_at_us == 140 * S, "late, and nobody else took it"
    assert renewed(STARTED, 10**15) is STARTED, "the run's own heartbeats say that the agent lives"


def test_a_released_lease_is_free_at_once() -> None:
    assert granted(released(LEASED, 3 * S), "b", "host-b", 10, 3 * S).token == 2


def test_a_start_that_is_repeated_is_the_same() -> None:
    assert (STARTED.state, STARTED.started_at_us) == ("started", 5 * S)
    assert started(STARTED, 7 * S) is STARTED
    with pytest.raises(Stale, match="has ended"):
        started(ENDING, 10 * S)


def test_a_lease_whose_time_is_over_is_not_started() -> None:
    assert started(LEASED, 60 * S - 1).state == "started"
    with pytest.raises(Stale, match="its time is over"):
        started(LEASED, 60 * S)
    assert started(STARTED, 10**15) is STARTED


def test_the_first_end_counts() -> None:
    assert ended(ENDING, Ending("failed", "later"), 10 * S) is ENDING
    assert ended(LEASED, Ending("failed", "no code"), S).ending == Ending("failed", "no code"), "without a start"


def test_a_cancelled_run_is_cancelled_whatever_it_came_to() -> None:
    noted = cancelled(STARTED, 6 * S)
    assert (noted.state, noted.cancelled, noted.agent) == ("started", True, "a"), "its agent has to end it"
    assert ended(noted, Ending("finished", "", {}), 9 * S).ending == Ending("killed", CANCELLED)


@pytest.mark.parametrize("before", [None, LEASED])
def test_a_run_that_is_cancelled_before_its_start_is_nobodys(before: Lease | None) -> None:
    taken = cancelled(before, 6 * S)
    assert (taken.state, taken.agent, taken.token) == ("leased", NOBODY, 1 if before is None else 2)
    with pytest.raises(Stale):
        granted(taken, "b", "host-b", 10, 6 * S + CANCELLING_S * S - 1)


def test_what_has_ended_cannot_be_cancelled() -> None:
    with pytest.raises(Stale, match="has ended"):
        cancelled(ENDING, 10 * S)


@pytest.mark.parametrize("lease", [LEASED, STARTED, ENDING, cancelled(None, 0), cancelled(STARTED, 0)])
def test_a_lease_is_read_as_it_was_written(lease: Lease) -> None:
    assert lease_of(lease.to_json()) == lease
