"""How an export is cut into streams."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_infra.cli.export import RUNS_A_REQUEST, SERIES_A_STREAM, streams_of, typed_value


def summaries(sizes: list[int]) -> list[dict[str, Any]]:
    return [{"run": f"r{run}", "metric": f"m{metric}"} for run, size in enumerate(sizes) for metric in range(size)]


@settings(deadline=None)
@given(st.lists(st.sampled_from([1, 3, 700, SERIES_A_STREAM, SERIES_A_STREAM + 1]), max_size=8))
def test_every_series_is_read_once_and_no_stream_is_too_large(sizes: list[int]) -> None:
    seen: set[tuple[str, str]] = set()
    for runs, metrics in streams_of(summaries(sizes)):
        names = [
            (run, metric)
            for run in runs
            for metric in ([f"m{n}" for n in range(sizes[int(run[1:])])] if metrics == ["*"] else metrics)
        ]
        assert len(names) <= SERIES_A_STREAM
        assert not seen.intersection(names)
        seen.update(names)
    assert len(seen) == sum(sizes)


def test_many_short_runs_are_not_all_named_in_one_question() -> None:
    streams = list(streams_of(summaries([1] * (RUNS_A_REQUEST + 1))))
    assert [len(runs) for runs, _ in streams] == [RUNS_A_REQUEST, 1]


def test_cells_are_numbers_or_texts() -> None:
    assert typed_value("integer", 3) == 3
    assert typed_value("float", "-Infinity") == float("-inf")
    assert typed_value("text", ["a"]) == '["a"]'
    assert typed_value("text", "x") == "x"
    assert typed_value("text", None) is None
