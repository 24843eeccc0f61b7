"""How Bender's client shows its token, and how it learns of a refusal."""

import time
from collections.abc import Mapping
from typing import Final

from runstream_protocols.bender.paths import ADDRESS, LOGIN
from runstream_protocols.bender.tokens import is_signed
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess

NAME: Final = "bender"
_SCHEME: Final = "jwt"


def token_in(credential: str) -> str:
    """Return TOKEN of `JWT TOKEN`; nothing if it is no such credential."""
    scheme, _, token = credential.partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else ""


def is_token(credential: str, secret: bytes) -> bool:
    """Return whether a credential is a token that was signed with a secret, and its time is not over."""
    token = token_in(credential)
    return bool(token) and is_signed(token, secret, time.time())


def refuse(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    """Return the problem, with how to log in."""
    if path.startswith(f"{ADDRESS}/") and problem.status == 401:
        how = "Log in with any e-mail address and a key of this server as the password; remove ~/.bender_token first."
        problem.detail = f"{problem.detail} {how}"
    return problem


ACCESS: Final = ProtocolAccess(name=NAME, open_paths=frozenset({LOGIN}), signed=is_token, refuse=refuse)
