"""Numbers of ML Aide stand for runs of Runstream, both ways."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events import limits
from runstream.events.names import RUN_ID
from runstream_protocols.mlaide.keys import id_of_new_run, number_of_run, run_of_number

ids = st.one_of(
    st.from_regex(RUN_ID, fullmatch=True).filter(lambda text: "\n" not in text),
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    st.binary(min_size=8, max_size=8).map(id_of_new_run),
)


@given(ids)
def test_every_run_has_a_number_of_its_own(run: str) -> None:
    number = number_of_run(run)
    assert number > 0
    assert run_of_number(str(number)) == run


@given(st.integers(min_value=-10, max_value=2**80))
def test_a_number_is_that_of_one_run_or_none(number: int) -> None:
    run = run_of_number(str(number))
    assert run is None or number_of_run(run) == number


@given(st.binary(min_size=8, max_size=8))
def test_a_run_that_the_client_starts_has_a_number_that_every_program_reads(drawn: bytes) -> None:
    run = id_of_new_run(drawn)
    assert RUN_ID.match(run)
    assert len(run) == 32
    assert number_of_run(run) < 2**53


def test_a_run_of_the_sdk_has_a_larger_number() -> None:
    assert number_of_run(uuid.uuid4().hex) > 2**53
    longest = "z" * limits.MAX_RUN_ID_CHARS
    assert run_of_number(str(number_of_run(longest))) == longest


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "1.0", "x", " 1", "٣", "9" * 5_000, str(2**53), "１"])
def test_what_is_no_number_is_no_run(text: str) -> None:
    assert run_of_number(text) is None
