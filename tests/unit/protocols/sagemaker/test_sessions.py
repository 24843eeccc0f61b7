"""Credentials for a time are good for the key that they were given for, and until their end."""

import pytest

from runstream_protocols.sagemaker.sessions import DRAWN_BYTES, is_good, is_session, session_id, session_secret

SECRET, END = b"s" * 32, 1_800_000_000
IDENTITY = session_id(SECRET, END, bytes(range(DRAWN_BYTES)))


def test_an_id_is_good_until_its_end() -> None:
    assert is_session(IDENTITY)
    assert is_good(SECRET, IDENTITY, END - 0.5)
    assert not is_good(SECRET, IDENTITY, END)


@pytest.mark.parametrize("at", range(9, len(IDENTITY)))
def test_an_id_of_which_a_digit_was_changed_is_none(at: int) -> None:
    changed = "0" if IDENTITY[at] != "0" else "f"
    assert not is_good(SECRET, f"{IDENTITY[:at]}{changed}{IDENTITY[at + 1 :]}", 0)


def test_an_id_is_good_for_its_key_alone() -> None:
    assert not is_good(b"t" * 32, IDENTITY, 0)
    assert session_secret(SECRET, IDENTITY) != session_secret(b"t" * 32, IDENTITY)
    assert session_secret(SECRET, IDENTITY) != session_secret(SECRET, session_id(SECRET, END, bytes(DRAWN_BYTES)))


@pytest.mark.parametrize("text", ["", "RSSESSION", IDENTITY[:-1], f"{IDENTITY}0", f"{IDENTITY}\n", IDENTITY.lower()])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_session(text)
    assert not is_good(SECRET, text, 0)
