"""Positions: what to read next, as a value and as text in two spellings."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events.positions import InvalidPositions, Positions

#: (token, token as servers wrote it before, what to read next): neither spelling may ever mean anything else.
GOLDEN: Final[tuple[tuple[str, str, dict[int, int]], ...]] = (
    ("next:", "", {}),
    ("next:0:1", "0:0", {0: 1}),
    ("next:0:42", "0:41", {0: 42}),
    ("next:0:42,3:8", "0:41,3:7", {0: 42, 3: 8}),
    ("next:2:18446744073709551615", "2:18446744073709551614", {2: 2**64 - 1}),
)
POSITIONS: Final = st.dictionaries(st.integers(0, 5), st.integers(0, 6)).map(Positions)
RECORDS: Final = [(part, offset) for part in range(6) for offset in range(7)]


def covered(positions: Positions) -> set[tuple[int, int]]:
    """The records that are covered, by the definition."""
    return {(part, offset) for part, offset in RECORDS if offset < positions.next_offsets.get(part, 0)}


@pytest.mark.parametrize(("token", "old", "next_offsets"), GOLDEN)
def test_both_spellings_are_understood_and_written_as_they_ever_were(
    token: str, old: str, next_offsets: dict[int, int]
) -> None:
    positions = Positions(next_offsets)
    assert Positions.parse(token) == Positions.parse(old) == positions
    assert (str(positions), positions.in_old_spelling()) == (token, old)


@pytest.mark.parametrize(("token", "old", "next_offsets"), GOLDEN)
def test_a_server_from_before_refuses_the_new_spelling(token: str, old: str, next_offsets: dict[int, int]) -> None:
    """It splits an item at its first colon and takes two numbers: it refuses this, and never reads too little."""
    part, _, offset = token.split(",")[0].partition(":")
    assert not (part.isdigit() and offset.isdigit())


@given(POSITIONS, POSITIONS)
def test_operations_are_those_of_the_sets_of_covered_records(one: Positions, other: Positions) -> None:
    assert one.covers(other) == (covered(one) >= covered(other))
    assert covered(one.merged(other)) == covered(one) | covered(other)
    assert covered(one.common(other)) == covered(one) & covered(other)
    assert (one == other) == (covered(one) == covered(other))
    assert bool(one) == bool(covered(one))


@given(POSITIONS)
def test_text_of_either_spelling_comes_back(positions: Positions) -> None:
    assert Positions.parse(str(positions)) == positions
    assert Positions.parse(positions.in_old_spelling()) == positions


@given(st.integers(0, 5), st.integers(0, 5))
def test_the_position_behind_a_record_covers_it_and_not_the_next(part: int, offset: int) -> None:
    assert covered(Positions.after(part, offset)) == {(part, before) for before in range(offset + 1)}
    assert Positions.after(part, offset)[part] == offset + 1


def test_what_is_not_named_is_at_its_beginning() -> None:
    assert Positions({0: 0, 3: 7}) == Positions({3: 7})
    assert Positions({0: 0}) == Positions()
    assert (Positions()[0], list(Positions({3: 7, 1: 2}))) == (0, [(1, 2), (3, 7)])
    assert Positions().covers(Positions({0: 0}))


@pytest.mark.parametrize("prefix", ["", "next:"])
@pytest.mark.parametrize(
    "text",
    ["x", "1", "1:", ":1", "-1:2", "1:-2", "1:2:3", "\u0661:2", f"0:{2**64}", "0:" + "9" * 5000, "9" * 5000 + ":0"],
)
def test_anything_else_is_refused_in_a_message_of_bounded_length(prefix: str, text: str) -> None:
    with pytest.raises(InvalidPositions, match="is no position") as caught:
        Positions.parse(prefix + text)
    assert len(str(caught.value)) < 250


def test_spellings_are_not_mixed_in_one_token() -> None:
    with pytest.raises(InvalidPositions):
        Positions.parse("next:0:42,next:1:3")


def test_no_token_names_an_offset_that_a_column_cannot_hold() -> None:
    assert Positions.parse(f"0:{2**64 - 1}") == Positions({0: 2**64 - 1})


def test_the_later_of_two_offsets_of_a_partition_counts() -> None:
    assert Positions.parse("0:3,0:9,1:1,0:5") == Positions({0: 10, 1: 2})
    assert Positions.parse("next:0:3,0:9,1:1,0:5") == Positions({0: 9, 1: 1})
