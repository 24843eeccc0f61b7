"""Values as people and machines read them."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runstream_infra.cli.values import json_ready, number_of, plain, plain_bytes, plain_duration, plain_number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456789, "0.12346"), (3.0, "3"), (-0.0, "0"), (1e12, "1e+12"), (math.nan, "NaN"), (-math.inf, "-Infinity")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert plain_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (["a", 1], "a, 1"),
        (9007199254740993, "9007199254740993"),
        ({"lr": 0.1}, "lr=0.1"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))), "2026-01-02 02:04:05"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3e18, "3000.0 PB")]
)
def test_bytes(size: float, text: str) -> None:
    assert plain_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (42, "42 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min"), (273_600, "3 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert plain_duration(seconds) == text


def test_json_has_no_word_for_nan_so_it_becomes_a_string_that_reads_back() -> None:
    ready = json_ready({"a": [math.nan, math.inf, -math.inf, 0.5], "t": datetime(2026, 1, 1, tzinfo=UTC)})
    text = json.dumps(ready, allow_nan=False)
    assert json.loads(text) == {"a": ["NaN", "Infinity", "-Infinity", 0.5], "t": "2026-01-01T00:00:00Z"}
    back = [number_of(value) for value in ready["a"]]
    assert math.isnan(back[0])
    assert back[1:] == [math.inf, -math.inf, 0.5]
    assert math.isnan(number_of(None))
