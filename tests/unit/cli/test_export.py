"""How an export is cut into streams."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream.api import exact
from runstream.globs import matcher
from runstream_infra.cli.export import RUNS_A_REQUEST, SERIES_A_STREAM, streams_of, typed_value, values_of
from runstream_query.filters import Field, print_field
from runstream_query.repositories.statements.globs import pattern_of


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


def test_signs_in_names_are_no_globs_where_metrics_are_named() -> None:
    odd = [{"run": "r", "metric": name} for name in ("*", "m*", 'a"b', "what?", "m[*]")]
    many = [{"run": "r", "metric": f"m{number}"} for number in range(SERIES_A_STREAM)]
    (first, *_) = streams_of([*odd, *many])
    assert first[1][:5] == ["[*]", "m[*]", 'a"b', "what[?]", "m[[*]]"]


signed = st.text(st.sampled_from("m*?[]a"), max_size=6)


@settings(deadline=None)
@given(st.text(max_size=12) | signed, signed)
def test_an_exact_name_means_only_itself(name: str, other: str) -> None:
    pattern = pattern_of(exact(name)).replace(")$", r")\Z")
    assert re.match(pattern, name)
    assert (re.match(pattern, other) is not None) == (name == other)


@settings(deadline=None)
@given(signed, signed)
def test_a_glob_means_here_what_it_means_in_the_store(glob: str, name: str) -> None:
    pattern = pattern_of(glob).replace(")$", r")\Z")
    assert matcher(glob)(name) == (name == glob or re.match(pattern, name) is not None)


def test_no_glob_keeps_its_reader_busy() -> None:
    """With going back this would take some 10^20 steps."""
    assert not matcher("*a" * 12 + "b")("a" * 500)


def test_names_are_as_they_were_logged() -> None:
    names = ["top 1", 'a"b', "m*", "x.max", "back\\slash", "line\nbreak", "plain"]
    row = {"id": "r", print_field(Field("other", "o 1")): "x"}
    row |= {print_field(Field("param", name)): "1" for name in names}
    assert sorted(one["name"] for one in values_of([row], "param")) == sorted(names)
    assert values_of([row], "other") == [{"run": "r", "name": "o 1", "value": "x"}]


def test_cells_are_numbers_or_texts() -> None:
    assert typed_value("integer", 3) == 3
    assert typed_value("float", "-Infinity") == float("-inf")
    assert typed_value("text", ["a"]) == '["a"]'
    assert typed_value("text", "x") == "x"
    assert typed_value("text", None) is None
