"""Odd values of Comet's client: nothing raises, and what comes out can be kept."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events import limits
from runstream.events.names import check_metric
from runstream_protocols.kit.values import (
    MAX_VALUE_BYTES,
    MAX_VALUE_CHARS,
    at_us_of,
    bounded,
    fitted,
    grouped,
    is_longer,
    metric_name,
    number_of,
    parameter_name,
    size_of,
    step_of,
    text_of,
)

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        ("True", 1.0),
        ("false", 0.0),
        ("-Infinity", -math.inf),
        (" inf ", math.inf),
        ("0.5", 0.5),
        ("1e400", math.inf),
        (2**53 + 1, 2.0**53),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        ("text", None),
        ("", None),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_what_is_a_number(value: Any, number: float | None) -> None:
    assert number_of(value) == number


def test_words_for_what_is_no_number() -> None:
    for value in ("NaN", "nan", math.nan):
        found = number_of(value)
        assert found is not None
        assert math.isnan(found)


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (0, 0),
        ("7", 7),
        (3.9, 3),
        (-1, -1),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-(2**63), None),
        (math.nan, None),
        (math.inf, None),
        ("x", None),
        (None, None),
        (True, None),
        ([1], None),
    ],
)
def test_steps_and_epochs(value: Any, step: int | None) -> None:
    assert step_of(value) == step


@given(anything)
def test_a_time_can_be_shown_and_packed_or_counts_as_not_given(value: Any) -> None:
    at_us = at_us_of(value)
    assert at_us is None or (0 < at_us <= limits.MAX_AT_US and (at_us + 999) * 1000 < 2**63)


@given(anything, st.none() | st.text())
def test_every_name_fits(name: Any, context: str | None) -> None:
    check_metric(metric_name(name, context))
    assert 0 < len(parameter_name(name, context)) <= limits.MAX_PARAMETER_NAME_CHARS


def test_long_names_stay_apart_and_short_ones_what_they_are() -> None:
    long = "☃" * 10_000
    assert fitted(long + "a", 500) != fitted(long + "b", 500)
    assert len(fitted(long, 500).encode()) <= 500
    for name in ("a", "sl/ash", "with space", "ünï ☃ %_\"'"):
        assert fitted(name, 500) == name
    assert fitted(" a\x00b\n", 500) == "a b"
    assert fitted("", 500) == fitted("\n", 500) == "unnamed"


@given(anything)
def test_what_fits_stays_what_it_is(value: Any) -> None:
    kept = bounded(value)
    if isinstance(value, str):
        assert kept == text_of(value)
    else:
        assert kept is value


@pytest.mark.parametrize("letter", ["x", "☃", "𝄞", "\x1b", '"', "\ud800"])
@pytest.mark.parametrize("size", [1, 10_000, MAX_VALUE_CHARS, MAX_VALUE_CHARS + 1, 500_000])
def test_no_text_is_too_large_for_an_event(letter: str, size: int) -> None:
    kept = bounded(letter * size)
    assert size_of(kept) <= MAX_VALUE_BYTES + 100
    assert (size <= 10_000) <= (kept == text_of(letter * size))
    assert kept[: min(size, 1000)] == text_of(letter * min(size, 1000))


def test_no_list_is_too_large_or_too_deep_for_an_event() -> None:
    assert size_of(bounded([1e15] * 100_000)) <= MAX_VALUE_BYTES + 100
    assert size_of(bounded({"☃" * 100: ["\x1b" * 100] * 1_000})) <= MAX_VALUE_BYTES + 100
    deep: Any = json.loads("[" * 300 + "]" * 300)
    assert bounded(deep) == "[" * 300 + "]" * 300
    for level in (1, 10):
        shallow = json.loads("[" * level + "]" * level)
        assert bounded(shallow) is shallow


@given(st.dictionaries(st.text(min_size=1), anything, max_size=20), st.integers(1, 200))
def test_groups_have_everything_in_its_order(values: dict[str, Any], max_bytes: int) -> None:
    groups = list(grouped(values, max_bytes))
    assert [pair for group in groups for pair in group.items()] == list(values.items())
    assert all(groups)
    for group in groups:
        written = json.dumps(group, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        assert len(group) == 1 or len(written) <= max_bytes + 2, "the braces are the event's"


@pytest.mark.parametrize(
    ("value", "chars"),
    [("abc", 3), ([1, 2, "ab"], 7), ({"a": "bc"}, 4), ([], 0), (None, 1), ([[], [[]]], 3), ({"a": [1, {"b": 2}]}, 8)],
)
def test_the_length_of_a_value_is_told_without_all_of_it(value: Any, chars: int) -> None:
    assert is_longer(value, chars - 1)
    assert not is_longer(value, 100)
    assert is_longer([value] * 1_000_000, 1_000)
