"""Credentials for a time, which do not show the key: an ID, and a secret that is made of it and of the key's. Pure.

The server keeps none of them. An ID says until when it is good, and has a code over that which only the key's secret
gives, so that it is told from IDs that nobody gave. Whoever sees a request or a signed URL sees the ID, and can sign
nothing with it.
"""

import hmac
import re
from typing import Final

#: How long credentials are good for, in seconds, as at AWS.
MIN_DURATION_S: Final = 900
MAX_DURATION_S: Final = 129_600
DEFAULT_DURATION_S: Final = 43_200
DRAWN_BYTES: Final = 8
_CODE_DIGITS: Final = 32
_ID: Final = re.compile(
    rf"RSSESSION([0-9a-f]{{8}})([0-9a-f]{{{2 * DRAWN_BYTES}}})([0-9a-f]{{{_CODE_DIGITS}}})\Z", re.ASCII
)


def session_id(secret: bytes, expires_s: int, drawn: bytes) -> str:
    """Return the ID of credentials that are good until a moment (seconds since 1970 UTC). `secret`: the key's."""
    end, random = f"{expires_s:08x}", drawn.hex()
    return f"RSSESSION{end}{random}{_code(secret, end, random)}"


def session_secret(secret: bytes, identity: str) -> str:
    """Return the secret of credentials, by their ID."""
    return hmac.digest(secret, f"secret {identity}".encode(), "sha256").hex()


def is_session(identity: str) -> bool:
    """Return whether an access key ID has the form of such an ID."""
    return _ID.match(identity) is not None


def is_good(secret: bytes, identity: str, now_s: float) -> bool:
    """Return whether an ID was given for the key with the secret, and is not over."""
    found = _ID.match(identity)
    if found is None:
        return False
    end, random, code = found.groups()
    return hmac.compare_digest(_code(secret, end, random).encode(), code.encode()) and now_s < int(end, 16)


def _code(secret: bytes, end: str, random: str) -> str:
    return hmac.digest(secret, f"session {end} {random}".encode(), "sha256").hex()[:_CODE_DIGITS]
