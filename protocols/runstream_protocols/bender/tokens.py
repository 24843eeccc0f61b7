"""The tokens that a login gives out: JSON Web Tokens, signed by HMAC-SHA-256 with a secret of the key that was shown.

Nothing of a token is stored. One is good as long as its key is let in and its time is not over.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: The client asks for the password again a week before the end.
LIFETIME_S: Final = 125 * 86_400
_HEADER: Final = {"alg": "HS256", "typ": "JWT"}
_MAX_EMAIL_CHARS: Final = 250
#: The client writes the name into query strings as it is.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME_CHARS: Final = 60
_NOBODY: Final = "user"


@dataclass(frozen=True, slots=True)
class User:
    """Whoever logged in, by an e-mail address that nobody checks: it says who made what."""

    name: str
    email: str


def user_of(email: str) -> User:
    """Return the user of an e-mail address."""
    name = _UNSAFE.sub("-", email.partition("@")[0])[:_MAX_NAME_CHARS].strip("-")
    return User(name or _NOBODY, email[:_MAX_EMAIL_CHARS])


def token_of(user: User, secret: bytes, now_s: int) -> str:
    """Return a token for a user, signed with a secret."""
    claims = {
        "username": user.name,
        "user_id": user.name,
        "email": user.email,
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
    }
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_text(_signature(signed, secret))}"


def claims_of(token: str) -> Mapping[str, Any] | None:
    """Return what a token says, whoever signed it; None if it is none of ours."""
    parts = token.split(".")
    if len(parts) != 3 or _decoded(parts[0]) != _HEADER:
        return None
    return _decoded(parts[1])


def is_signed(token: str, secret: bytes, now_s: float) -> bool:
    """Return whether a token was signed with a secret and its time is not over."""
    signed, _, signature = token.rpartition(".")
    # Compared first, in a time that tells nothing: what is not signed is not looked at.
    if not hmac.compare_digest(_text(_signature(signed, secret)).encode(), signature.encode(errors="replace")):
        return False
    claims = claims_of(token)
    end = claims.get("exp") if claims is not None else None
    return isinstance(end, int) and not isinstance(end, bool) and now_s < end


def _signature(signed: str, secret: bytes) -> bytes:
    return hmac.digest(secret, signed.encode(errors="replace"), hashlib.sha256)


def _encoded(part: Mapping[str, Any]) -> str:
    return _text(json.dumps(part, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(part.encode() + b"=="))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
