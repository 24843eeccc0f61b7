"""Curves in one line."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_infra.cli.sparkline import ASCII, BLOCKS, NOT_A_NUMBER, farthest, sparkline


def test_a_rising_line_uses_every_mark_from_low_to_high() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS


def test_a_stretch_shows_its_value_farthest_from_the_mean() -> None:
    assert sparkline([0, 2, 10, 12], 2) == BLOCKS[0] + BLOCKS[-1]
    assert sparkline([5, 5, 5, 0, 5, 5, 9, 9], 2) == BLOCKS[0] + BLOCKS[-1]


@given(st.integers(0, 999), st.integers(2, 60), st.sampled_from([-1.0, 1.0]))
def test_no_spike_is_hidden(at: int, width: int, sign: float) -> None:
    values = [0.0] * 1000
    values[at] = sign
    assert sparkline(values, width).count(BLOCKS[-1 if sign > 0 else 0]) == 1


def test_large_values_of_both_signs_are_told_apart() -> None:
    assert sparkline([-1.7e308, -1.7e308, 0.0, 1.7e308], 2) == BLOCKS[0] + BLOCKS[-1]
    assert farthest(-1.7e308, 1.6e308, 1.7e308) == -1.7e308


def test_fewer_values_than_width_are_not_stretched() -> None:
    assert len(sparkline([1.0, 2.0], 40)) == 2


def test_a_constant_curve_lies_at_the_bottom() -> None:
    assert sparkline([3.0] * 4, 4) == BLOCKS[0] * 4


def test_a_diverged_curve_shows_where_it_ends() -> None:
    assert sparkline([0.0, 1.0, math.inf, math.nan], 4) == BLOCKS[0] + BLOCKS[-1] + BLOCKS[-1] + "×"
    assert sparkline([1.0, -math.inf, 2.0], 3) == BLOCKS[0] + BLOCKS[0] + BLOCKS[-1]


def test_nan_beside_numbers_of_the_same_stretch_does_not_hide_them() -> None:
    assert sparkline([0.0, math.nan, 5.0, math.nan], 2) == BLOCKS[0] + BLOCKS[-1]


def test_nothing_is_drawn_of_nothing() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([1.0], 0) == ""


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=200), st.integers(1, 60), st.sampled_from([BLOCKS, ASCII]))
def test_any_values_give_exactly_one_mark_a_stretch(values: list[float], width: int, marks: str) -> None:
    line = sparkline(values, width, marks)
    assert len(line) == min(width, len(values))
    assert set(line) <= {*marks, NOT_A_NUMBER[marks]}
