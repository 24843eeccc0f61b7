"""Every fold says of every event what it means to it: it is closed, so that type checking finds a new one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstream_model
import runstream_protocols

SOURCES = sorted(
    path for package in (runstream_model, runstream_protocols) for path in Path(package.__path__[0]).rglob("*.py")
)


def matches_over_events(path: Path) -> Iterator[ast.Match]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Match) and isinstance(node.subject, ast.Name) and node.subject.id == "event":
            yield node


def is_closed(match: ast.Match) -> bool:
    last = match.cases[-1]
    is_rest = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    return is_rest and [ast.unparse(statement) for statement in last.body] == ["assert_never(event)"]


def test_there_are_folds() -> None:
    assert sum(1 for path in SOURCES for _ in matches_over_events(path)) >= 10


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_match_over_events_ends_in_assert_never(path: Path) -> None:
    assert [match.lineno for match in matches_over_events(path) if not is_closed(match)] == []


def test_an_open_match_is_seen() -> None:
    text = "match event:\n    case int():\n        pass\n    case _:\n        "
    for rest, closed in (("pass", False), ("assert_never(event)", True)):
        (node,) = ast.parse(text + rest).body
        assert isinstance(node, ast.Match)
        assert is_closed(node) is closed
