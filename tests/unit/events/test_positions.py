"""Positions as text: what an answer wrote comes back, anything else is refused."""

import pytest

from runstream.events.positions import InvalidPositions, Positions


@pytest.mark.parametrize("offsets", [{}, {0: 41}, {0: 0, 3: 7}, {63: 2**64 - 1}])
def test_the_text_form_comes_back(offsets: dict[int, int]) -> None:
    assert Positions.parse(str(Positions(offsets))) == Positions(offsets)


@pytest.mark.parametrize(
    "text",
    ["x", "1", "1:", ":1", "-1:2", "1:-2", "1:2:3", "\u0661:2", f"0:{2**64}", "0:" + "9" * 5000, "9" * 5000 + ":0"],
)
def test_anything_else_is_refused_in_a_message_of_bounded_length(text: str) -> None:
    with pytest.raises(InvalidPositions, match="is no position") as caught:
        Positions.parse(text)
    assert len(str(caught.value)) < 250


def test_the_later_of_two_offsets_of_a_partition_counts() -> None:
    assert Positions.parse("0:3,0:9,1:1,0:5") == Positions({0: 9, 1: 1})
