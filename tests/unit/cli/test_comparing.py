"""What `runstream rebuild` shows of two sets of read models."""

from pathlib import Path

import pytest

from runstream.events.positions import Positions
from runstream_infra.cli.output import Output
from runstream_infra.cli.rebuilding import show_rebuild
from runstream_infra.rebuilding import RebuildResult
from runstream_processors.rebuild import TableHash, compared

LIVE = {"points": TableHash(3, "aa"), "runs": TableHash(1, "bb")}


def test_equal_tables_of_an_empty_log(capsys: pytest.CaptureFixture[str]) -> None:
    show_rebuild(RebuildResult(Positions(), compared(LIVE, LIVE), (), None), Output())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["table", "rows", "hash", "equal"],
        ["points", "3", "aa", "yes"],
        ["runs", "1", "bb", "yes"],
    ]
    assert lines[3:] == ["Up to position nothing of the log, the tables are equal."]


def test_a_table_that_differs_is_named_with_what_was_rebuilt(capsys: pytest.CaptureFixture[str]) -> None:
    tables = compared(LIVE, LIVE | {"points": TableHash(4, "cc")})
    result = RebuildResult(Positions({0: 8}), tables, (), Path("store.before-next-0-8"))
    show_rebuild(result, Output())
    assert not result.equal
    assert capsys.readouterr().out.splitlines()[3:] == [
        "points: rebuilt it has 4 rows and hash cc",
        "Up to position next:0:8 of the log, the tables are NOT equal.",
        "The fresh tables are in use; the old ones are in store.before-next-0-8.",
    ]
