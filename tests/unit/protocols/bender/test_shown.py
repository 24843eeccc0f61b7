"""What a trial of Bender's is to others."""

import math
from typing import Any

import pytest

from runstream_protocols.bender.shown import KnownTrial, weight_of


@pytest.mark.parametrize(
    ("others", "weight"),
    [
        ({}, 1.0),
        ({"weight": 0.5}, 0.5),
        ({"weight": 0}, 0.0),
        ({"weight": 3}, 3.0),
        ({"weight": -1}, 1.0),
        ({"weight": "heavy"}, 1.0),
        ({"weight": True}, 1.0),
        ({"weight": math.nan}, 1.0),
        ({"weight": None}, 1.0),
    ],
)
def test_a_weight_that_is_none_is_1(others: dict[str, Any], weight: float) -> None:
    run: Any = None
    assert weight_of(KnownTrial(run, {}, {}, others)) == weight
