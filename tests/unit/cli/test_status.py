"""How far the tables lag behind the log."""

import pytest

from runstream.events.positions import Positions
from runstream_infra.status import lag_records


@pytest.mark.parametrize(
    ("next_offsets", "visible", "lag"),
    [
        ({0: 0}, "", 0),
        ({0: 3}, "", 3),
        ({0: 3}, "0:2", 0),
        ({0: 3, 1: 10}, "0:0,1:4", 7),
        ({0: 3}, "0:9", 0),  # visible was asked a moment later than the log
    ],
)
def test_lag_is_what_is_appended_and_not_visible(next_offsets: dict[int, int], visible: str, lag: int) -> None:
    assert lag_records(next_offsets, Positions.parse(visible)) == lag
