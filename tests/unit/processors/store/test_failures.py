"""Errors of the engine: who is to blame decides what the caller does."""

import pytest

from runstream_processors.store.failures import store_error
from runstream_service.store import StoreCorrupt, StoreInvalid, StoreUnavailable

FULL = (
    "Streaming insert finish failed: Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. "
    "(NOT_ENOUGH_SPACE) (version 26.9.2.1)"
)
UNKNOWN = "Code: 60. DB::Exception: Table runstream.nope does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)"


def test_a_full_disk_is_worth_another_try() -> None:
    error = store_error(RuntimeError(FULL), "INSERT INTO points (run)")
    assert type(error) is StoreUnavailable
    assert str(error) == (
        "the store cannot now: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE) "
        "(code 243, statement: INSERT INTO points (run))"
    )


def test_an_unknown_table_is_not() -> None:
    error = store_error(RuntimeError(UNKNOWN), "SELECT *\n   FROM nope")
    assert type(error) is StoreInvalid
    assert "statement: SELECT * FROM nope)" in str(error)
    assert "version" not in str(error)


def test_damaged_files_are_no_fault_of_the_question() -> None:
    text = "Code: 40. DB::Exception: Checksum doesn't match: corrupted data. (CHECKSUM_DOESNT_MATCH) (version 26.9.2.1)"
    error = store_error(RuntimeError(text), "SELECT 1")
    assert type(error) is StoreCorrupt
    assert "again from the log" in str(error)


@pytest.mark.parametrize("error", [RuntimeError("the pipe broke"), RuntimeError(), OSError(5, "Input/output error")])
def test_an_error_without_a_code_is_nobodys_fault(error: Exception) -> None:
    found = store_error(error, "SELECT 1")
    assert type(found) is StoreUnavailable
    assert type(error).__name__ in str(found)


def test_messages_are_short() -> None:
    message = str(store_error(RuntimeError(f"Code: 62. DB::Exception: {'x' * 10_000}"), f"SELECT {'y' * 10_000}"))
    assert len(message) < 700
