"""Where a request's statement ends and the rows of an insert begin, whatever bytes these are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_infra.dev_clickhouse.statements import Insert, Refused, statement_of

TARGETS = (
    "INSERT INTO t",
    "insert into d.t (a, b)",
    "INSERT INTO `FORMAT Native` (`a;b`, `c)`)",
    "INSERT INTO t SETTINGS insert_deduplication_token = 'x FORMAT Native y \\' z', async_insert = 0",
    "INSERT INTO t (a)\n  SETTINGS max_threads = 1",
)


@given(st.sampled_from(TARGETS), st.sampled_from(["Native", "Arrow", "JSONEachRow"]), st.binary())
def test_rows_are_what_follows_wherever_the_statement_stands(target: str, kind: str, rows: bytes) -> None:
    wanted = Insert(target, kind, rows)
    statement = f"{target} FORMAT {kind}"
    assert statement_of(statement, rows) == wanted
    assert statement_of("", f"{statement}\n".encode() + rows) == wanted
    assert statement_of("", f"/* by hand */ -- so\n{statement} \r\n".encode() + rows) == wanted


def test_rows_may_follow_on_the_line_itself() -> None:
    assert statement_of("", b'INSERT INTO t FORMAT JSONEachRow {"a": 1}') == Insert(
        "INSERT INTO t", "JSONEachRow", b'{"a": 1}'
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FORMAT JSON",
        "INSERT INTO t VALUES (1, 'FORMAT Native')",
        "INSERT INTO t FORMAT Values (1, 2)",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t SELECT 1 FORMAT Native",
        "SELECT 'INSERT INTO t FORMAT Native'",
        "CREATE TABLE t (n UInt8) ENGINE = Memory",
    ],
)
def test_other_statements_stay_whole(statement: str) -> None:
    assert statement_of(statement, b"") == statement
    assert statement_of("", statement.encode()) == statement
    assert statement_of("", f" {statement};\n".encode()) == statement


def test_a_file_stands_before_the_settings() -> None:
    plain, settings = Insert("INSERT INTO t (a)", "Native", b""), Insert("INSERT INTO t SETTINGS b = 'c'", "Arrow", b"")
    assert plain.from_file("'/x'") == "INSERT INTO t (a) FROM INFILE '/x' FORMAT Native"
    assert settings.from_file("'/x'") == "INSERT INTO t FROM INFILE '/x' SETTINGS b = 'c' FORMAT Arrow"


@pytest.mark.parametrize(("query", "body"), [("", b""), ("  ", b"\n;"), ("", b"SELECT '\xff'")])
def test_what_is_no_statement_is_refused(query: str, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        statement_of(query, body)
    assert (refused.value.code, refused.value.status) == (62, 400)


@pytest.mark.parametrize(("code", "status"), [(516, 403), (194, 401), (60, 404), (62, 400), (243, 500), (48, 501)])
def test_a_code_has_the_status_that_a_server_gives_it(code: int, status: int) -> None:
    assert Refused(code, "").status == status
