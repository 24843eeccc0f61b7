"""Which assignments of an optimizer are given again."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runstream_protocols.comet.optimizer.assigning import left_over
from runstream_protocols.comet.optimizer.configs import Config
from runstream_protocols.comet.optimizer.state import Assignment, Optimizer, Status
from runstream_protocols.kit.entities import Entity

AT = datetime(2026, 1, 1, tzinfo=UTC)


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
    found = left_over(OPTIMIZER, [one], {(OPTIMIZER.pid(0), 0): dead, (OPTIMIZER.pid(1), 0): 9})
    assert found is (one if is_given else None)
