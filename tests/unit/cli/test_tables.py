"""Which columns fit a terminal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import GAP_CHARS, LEAST_CHARS, Column, cells, fit, shortened

RUN = Column("run", "run", keep=9)
NAME = Column("name", "name", keep=5)
TAGS = Column("tags", "tags", keep=1)


def test_everything_is_shown_in_full_where_nobody_looks_at_it() -> None:
    texts = cells([RUN, NAME, TAGS], [{"run": "r" * 40, "name": "n" * 200, "tags": ["a", "b"]}])
    layout = fit([RUN, NAME, TAGS], texts, None)
    assert layout.widths == (40, 200, 4)
    assert layout.left_out == ()


def test_the_least_kept_column_goes_first() -> None:
    texts = [["r" * 12, "n" * 12, "t" * 12]]
    assert fit([RUN, NAME, TAGS], texts, 22).left_out == ("tags",)
    assert fit([RUN, NAME, TAGS], texts, 12).left_out == ("name", "tags")


def test_long_cells_are_cut_before_a_column_is_left_out() -> None:
    layout = fit([RUN, NAME], [["r" * 8, "n" * 100]], 40)
    assert layout.widths == (8, 40 - GAP_CHARS - 8)


def test_a_missing_value_is_an_empty_cell() -> None:
    assert cells([RUN, NAME], [{"run": "a"}]) == [["a", ""]]


def test_what_would_move_the_cursor_is_shown_instead_of_done() -> None:
    (row,) = cells([NAME], [{"name": "a\x1b[2Jb\nc\x07"}])
    assert row == ["a\N{REPLACEMENT CHARACTER}[2Jb c\N{REPLACEMENT CHARACTER}"]


def test_padding_that_does_not_fit_is_no_text_that_was_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output, columns = Output(as_json=False), [Column("a", "a"), Column("b", "b")]
    output._row(["one" + " " * 40, "y" * 40], columns, (10, 10))
    assert capsys.readouterr().out == f"one{' ' * 9}{'y' * 9}…\n"


def test_titles_that_are_names_of_runs_and_metrics_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table([Column("a", "run\x1b]0;title\x07")], [{"a": "1"}])
    assert capsys.readouterr().out.splitlines()[0] == "run\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), min_size=1, max_size=9),
    st.integers(min_value=LEAST_CHARS, max_value=200),
)
def test_a_table_never_is_wider_than_the_terminal(sizes: list[tuple[int, int]], width: int) -> None:
    columns = [Column(f"c{at}", "t", keep=keep) for at, (keep, _) in enumerate(sizes)]
    layout = fit(columns, [["x" * size for _, size in sizes]], width)
    assert sum(layout.widths) + GAP_CHARS * (len(layout.widths) - 1) <= width
    assert len(layout.columns) + len(layout.left_out) == len(columns)
    assert layout.columns


def test_ids_become_short_where_the_table_does_not_fit_and_stay_whole_then() -> None:
    short = Column("id", "id", keep=9, short=lambda ids: [one[:10] for one in ids])
    texts = [["i" * 32, "n" * 60], ["j" * 32, "n" * 10]]
    assert shortened([short, NAME], texts, None) == texts
    assert shortened([short, NAME], texts, 94) == texts
    assert shortened([short, NAME], texts, 93) == [["i" * 10, "n" * 60], ["j" * 10, "n" * 10]]
    layout = fit([short, NAME], shortened([short, NAME], texts, 40), 40)
    assert layout.widths == (10, 40 - GAP_CHARS - 10)
    layout = fit([short, NAME], shortened([short, NAME], texts, 19), 19)
    assert (layout.widths, layout.left_out) == ((10,), ("name",))
    assert fit([short], [["i" * 32]], 12).widths == (12,), "nothing is wider than the terminal"
