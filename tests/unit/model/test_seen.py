"""Which sequence numbers are new: compared with a set of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_model.failures import InvalidState
from runstream_model.seen import Seen

ranges = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12)


@given(ranges, st.integers(0, 30), st.integers(0, 30))
def test_behaves_like_a_set_of_numbers(added: list[tuple[int, int]], begin: int, end: int) -> None:
    seen, numbers = Seen(), set[int]()
    for low, high in added:
        seen = seen.with_range(low, high)
        numbers |= set(range(low, high))
    fresh = seen.fresh(begin, end)
    assert [n for low, high in fresh for n in range(low, high)] == [n for n in range(begin, end) if n not in numbers]
    assert all(low < high for low, high in fresh)
    assert {n for low, high in seen.ranges for n in range(low, high)} == numbers
    assert all(high < low for (_, high), (low, _) in zip(seen.ranges, seen.ranges[1:], strict=False))
    assert Seen.from_flat(seen.to_flat()) == seen
    assert seen.next_seq == next(n for n in range(100) if n not in numbers)


def test_adding_what_is_there_gives_the_same_object() -> None:
    seen = Seen().with_range(0, 10)
    assert seen.with_range(3, 7) is seen
    assert seen.with_range(5, 5) is seen


def test_large_numbers_stay_exact() -> None:
    seen = Seen().with_range(2**63, 2**64 - 1)
    assert Seen.from_flat(seen.to_flat()).fresh(2**63 - 1, 2**64) == ((2**63 - 1, 2**63), (2**64 - 1, 2**64))


@pytest.mark.parametrize("flat", [[0], [3, 3], [5, 2], [0, 4, 4, 8], [0, 4, 2, 8], [-1, 4]])
def test_refuses_what_it_cannot_have_written(flat: list[int]) -> None:
    with pytest.raises(InvalidState, match="rebuild"):
        Seen.from_flat(flat)
