"""Which assignments of an optimizer are given again."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from runstream.events.moments import micros_of
from runstream_protocols.comet.optimizer.assigning import Experiments, left_over
from runstream_protocols.comet.optimizer.configs import Config
from runstream_protocols.comet.optimizer.state import BEGIN_US, Assignment, Optimizer, Status
from runstream_protocols.kit.entities import Entity

AT = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN_US = micros_of(AT)


def entity(name: str, **properties: Any) -> Entity:
    return Entity("w", "p", "optimizer", name, "ab" * 16, 1, properties, AT, AT)


CONFIG = Config("grid", {"x": {"type": "integer", "min": 0, "max": 9}}, {"retryAssignLimit": 3}, 1)
OPTIMIZER = Optimizer(entity("o"), CONFIG, CONFIG.search("ab" * 16))


@pytest.mark.parametrize(
    ("status", "tries", "kept", "dead", "is_given"),
    [
        ("aborted", 1, {}, 0, True),
        ("running", 1, {}, 0, False),
        ("running", 1, {}, 1, True),
        # The first try logged no value of the metric and finished, the second one goes on, then crashes.
        ("running", 2, {"ended_before": 0}, 0, False),
        ("running", 2, {"ended_before": 0}, 1, True),
        # The first try crashed.
        ("running", 2, {"ended_before": 1}, 1, False),
        ("running", 2, {"ended_before": 1}, 2, True),
        # Given by a server that did not keep how many were dead.
        ("running", 2, {}, 1, False),
        ("running", 2, {}, 2, True),
    ],
)
def test_an_assignment_is_given_again_when_its_last_try_is_dead(
    status: Status, tries: int, kept: dict[str, int], dead: int, is_given: bool
) -> None:
    one = Assignment(entity("o/00000000", **kept), 0, {"x": 0}, status, tries, None)
    assert left_over(OPTIMIZER, [one], experiments(9, dead), GIVEN_US) is (one if is_given else None)


@pytest.mark.parametrize(
    ("tries", "kept", "begun", "is_given"),
    [
        (1, {}, 0, True),
        (1, {}, 1, False),
        # Its worker told something, and needs no experiment.
        (1, {"said": "running"}, 0, False),
        (1, {"said": None}, 0, True),
        # The first try began, the second one did not.
        (2, {"begun_before": 1, "ended_before": 1}, 1, True),
        (2, {"begun_before": 1, "ended_before": 1}, 2, False),
        # Neither did.
        (2, {"begun_before": 0, "ended_before": 0}, 0, True),
        (2, {"begun_before": 0, "ended_before": 0}, 1, False),
    ],
)
def test_an_assignment_whose_experiment_does_not_begin_is_given_again(
    tries: int, kept: dict[str, Any], begun: int, is_given: bool
) -> None:
    one = Assignment(entity("o/00000000", **kept), 0, {"x": 0}, "running", tries, None)
    dead = kept.get("ended_before", 0)
    assert left_over(OPTIMIZER, [one], experiments(begun, dead), GIVEN_US + BEGIN_US) is None, "there is time left"
    late_us = GIVEN_US + BEGIN_US + 1
    assert left_over(OPTIMIZER, [one], experiments(begun, dead), late_us) is (one if is_given else None)


def experiments(begun: int, dead: int) -> Experiments:
    """Of the first assignment, and many of the second one."""
    first, second = (OPTIMIZER.pid(0), 0), (OPTIMIZER.pid(1), 0)
    return Experiments(Counter({first: begun, second: 9}), Counter({first: dead, second: 9}))
