"""SQL stands in the repositories, in what the store does for itself, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = ("sdk", "service", "ingest", "processors", "query", "protocols", "infra")
#: A statement, or what one is made of: a clause that only SQL has.
SQL: Final = re.compile(
    r"\bSELECT\b.*\S|\bINSERT\s+INTO\b|\b(CREATE|ALTER|DROP|TRUNCATE)\s+(TABLE|VIEW|DATABASE)\b"
    r"|\bFROM\s+(\(|[a-z_]+\b)(?=.*\b(WHERE|GROUP BY|ORDER BY|JOIN)\b)|\b(GROUP|ORDER)\s+BY\b|\bUNION\s+ALL\b"
    r"|\b(startsWith|toUnixTimestamp64\w+|arrayJoin|argMax|uniqExact)\("
    r"|\b[a-z_]+ IN \{|\bNOT deleted\b",
    re.DOTALL,
)
#: Where SQL belongs, and why.
HOMES: Final = {
    "query/runstream_query/repositories/": "all reads of the read models",
    "query/runstream_query/filters/compiler.py": "conditions of the filter language, used by the repositories alone",
    "processors/runstream_processors/store/": "the tables, migrations, what a start resumes from",
    "processors/runstream_processors/worker/inserting.py": "where a table ends, looked at after each claimed insert",
    "processors/runstream_processors/worker/loading.py": "the states of keys that a fold goes on from",
    "processors/runstream_processors/comparing.py": "two generations of the tables, compared",
    "processors/runstream_processors/rebuild.py": "the hashes of the tables",
    "processors/runstream_model/": "the columns of the read models, with what is computed of them",
    "infra/runstream_infra/dev_clickhouse/": "a ClickHouse server for development, which takes statements in",
}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def sql_of(source: str) -> list[tuple[int, str]]:
    """(line, text) of every string literal that has SQL in it; docstrings are none, and of f-strings the fixed text."""
    tree = ast.parse(source)
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            text = node.value
        else:
            continue
        if SQL.search(text):
            found.append((node.lineno, text))
    return found


def is_at_home(path: str) -> bool:
    return any(path.startswith(home) for home in HOMES)


def test_sql_stands_in_its_homes_alone() -> None:
    strays = [
        f"{path}:{line}: {text[:80]!r}"
        for path, source in ((path.relative_to(ROOT).as_posix(), path.read_text()) for path in sources())
        if not is_at_home(path)
        for line, text in sql_of(source)
    ]
    assert not strays, "move these into a repository: " + "\n".join(strays)


def test_no_protocol_knows_the_statements() -> None:
    """What it asks for stands in `repositories.arguments`."""
    sources_of_protocols = list((ROOT / "protocols").rglob("*.py"))
    assert sources_of_protocols
    for path in sources_of_protocols:
        assert "repositories.statements" not in path.read_text(), path


def test_every_home_has_sql() -> None:
    """A home that has none any more is to go, and a search that finds nothing at home would find nothing elsewhere."""
    for home in HOMES:
        found = [path for path in sources() if path.relative_to(ROOT).as_posix().startswith(home)]
        assert any(sql_of(path.read_text()) for path in found), home


@pytest.mark.parametrize(
    "source",
    [
        'sql = "SELECT a FROM b"',
        'sql = f"SELECT {a} FROM {b}"',
        'sql = "SELECT a " f"FROM {b} WHERE c"',
        'condition = f"run = {key} AND NOT deleted"',
        'sql = "select_run"; other = f"{a} ORDER BY {b}"',
        'sql = """\\nSELECT a\\nFROM b\\n"""',
        'await store.command("ALTER TABLE t ADD COLUMN c String")',
        'def f(a="INSERT INTO t"): ...',
    ],
)
def test_sql_is_found_however_it_is_written(source: str) -> None:
    assert sql_of(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""SELECT a FROM b"""',
        'def f():\n    """Run one SELECT in a slot."""',
        'message = "select a project from the list"',
        'message = "copied from runs where it was"',
        "# SELECT a FROM b\nx = 1",
    ],
)
def test_prose_is_no_sql(source: str) -> None:
    assert not sql_of(source)
