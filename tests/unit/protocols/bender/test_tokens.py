"""Tokens are those of the keys that signed them, and nobody else's."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from runstream_protocols.bender.access import ACCESS, is_token, token_in
from runstream_protocols.bender.tokens import LIFETIME_S, claims_of, is_signed, token_of, user_of
from runstream_service.problems import Problem

SECRET, NOW_S = b"s" * 32, 1_800_000_000
TOKEN = token_of(user_of("ada.lovelace+ml@example.org"), SECRET, NOW_S)


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_says_who_logged_in_and_until_when() -> None:
    claims = claims_of(TOKEN)
    assert claims is not None
    assert (claims["username"], claims["email"]) == ("ada.lovelace-ml", "ada.lovelace+ml@example.org")
    assert claims["exp"] - claims["iat"] == LIFETIME_S > 7 * 86_400
    assert "aud" not in claims


def test_it_is_good_with_its_secret_until_its_end() -> None:
    assert is_signed(TOKEN, SECRET, NOW_S)
    assert is_signed(TOKEN, SECRET, NOW_S + LIFETIME_S - 1)
    assert not is_signed(TOKEN, SECRET, NOW_S + LIFETIME_S)
    assert not is_signed(TOKEN, b"t" * 32, NOW_S)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "..",
        "a.b.c",
        TOKEN[:-2],
        TOKEN + "A",
        TOKEN.rpartition(".")[0] + ".",
        f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{TOKEN.split('.')[1]}.",
        f"{TOKEN.split('.')[0]}.{encoded({'exp': NOW_S * 2})}.{TOKEN.split('.')[2]}",
        "\udcff" + TOKEN,
    ],
)
def test_what_was_changed_is_not_signed(forged: str) -> None:
    assert not is_signed(forged, SECRET, NOW_S)


@pytest.mark.parametrize("claims", [{}, {"exp": "9" * 20}, {"exp": True}, {"exp": None}, [1]])
def test_a_signature_is_not_enough_without_an_end(claims: Any) -> None:
    signed = f"{TOKEN.split('.')[0]}.{encoded(claims)}"
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET, signed.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert not is_signed(f"{signed}.{signature}", SECRET, 0)


def test_the_credential_is_a_scheme_and_a_token() -> None:
    assert token_in(f"JWT {TOKEN}") == token_in(f"jwt  {TOKEN}") == TOKEN
    assert token_in(TOKEN) == token_in(f"Bearer {TOKEN}") == token_in("") == ""
    assert not is_token(TOKEN, SECRET)


@pytest.mark.parametrize(
    ("email", "name"),
    [("a@b", "a"), ("a b&c#d%@x", "a-b-c-d"), ("@", "user"), ("\u2603@x", "user"), ("x" * 99, "x" * 60)],
)
def test_a_user_has_a_name_that_can_stand_in_a_query_string(email: str, name: str) -> None:
    assert user_of(email).name == name


def test_who_has_no_token_is_told_how_to_log_in() -> None:
    told = ACCESS.refuse("/bender/user/", {}, Problem(401, "k", "T", "This key is not known here."))
    assert told.detail.startswith("This key is not known here. Log in with any e-mail address")
    other = Problem(401, "k", "T", "detail")
    assert ACCESS.refuse("/api/v1/runs", {}, other).detail == "detail"
