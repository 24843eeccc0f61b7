"""Handlers of the login."""

import time

from runstream_protocols.bender.access import NAME, token_in
from runstream_protocols.bender.models import LoggedIn, ShownUser
from runstream_protocols.bender.side import BenderSide
from runstream_protocols.bender.tokens import User, claims_of, token_of, user_of
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_service.auth import login_secret
from runstream_service.routing import Call


async def login(side: BenderSide, call: Call[object], payload: Payload) -> LoggedIn:
    """Give a token for a key of this server, which stands as the password. Nothing is written."""
    user = user_of(payload.text("email"))
    password = payload.text("password")
    secret = login_secret(call.request, password, NAME)
    if secret is None:
        raise Refused("the password is no key of this server: give one, the e-mail address may be any")
    return LoggedIn(token=token_of(user, secret, int(time.time())), user=_shown(user))


async def who(side: BenderSide, call: Call[object]) -> ShownUser:
    """Return who logged in."""
    return _shown(user_in(call))


def user_in(call: Call[object]) -> User:
    """Return the user whose token a request shows; without one, whoever has its key."""
    token = token_in(call.request.headers.get("Authorization", ""))
    claims = (claims_of(token) if token else None) or {}
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        return user_of(call.principal.name)
    return user_of(email)


def _shown(user: User) -> ShownUser:
    return ShownUser(pk=user.name, username=user.name, email=user.email)
