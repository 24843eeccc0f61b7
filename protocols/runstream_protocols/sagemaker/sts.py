"""AWS's service for tokens: the account, of which the client makes the name of its bucket, and credentials for a time,
for signed URLs that do not show the key."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from runstream.events.moments import moment_of
from runstream_protocols.sagemaker.access import ACCESS
from runstream_protocols.sagemaker.errors import AwsError, invalid
from runstream_protocols.sagemaker.names import ACCOUNT
from runstream_protocols.sagemaker.sessions import (
    DEFAULT_DURATION_S,
    DRAWN_BYTES,
    MAX_DURATION_S,
    MIN_DURATION_S,
    session_id,
    session_secret,
)
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.signing import Credential, SignedRequest, check_signature
from runstream_protocols.sagemaker.sts_forms import as_sts_reads, elements, in_xml
from runstream_service.access import LOCAL, principal_of
from runstream_service.auth import login_secret
from runstream_service.bodies import read_body
from runstream_service.problems import Problem

_SERVICE: Final = "sts"
_MAX_BYTES: Final = 10_000


async def respond(side: SagemakerSide, request: web.Request) -> web.Response:
    """Say who sends a request. What is refused has the form that clients of this service read."""
    try:
        body = await read_body(request, _MAX_BYTES, side.gateway.settings.pace)
        _check(side, request, body)
        members = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        return _done(side, request, members)
    except Problem as problem:
        return as_sts_reads(problem).response()


def _done(side: SagemakerSide, request: web.Request, members: Mapping[str, str]) -> web.Response:
    match members.get("Action", ""):
        case "GetCallerIdentity":
            return _caller(request)
        case "GetSessionToken":
            return _session(side, request, members.get("DurationSeconds", str(DEFAULT_DURATION_S)))
        case action:
            detail = f"the action {action[:60]!r} is not kept here: GetCallerIdentity and GetSessionToken are"
            raise AwsError("InvalidAction", detail)


def _session(side: SagemakerSide, request: web.Request, duration: str) -> web.Response:
    """Return credentials for a time, which open files as the key does that signed the request."""
    duration_s = int(duration) if duration.isascii() and duration.isdigit() and len(duration) <= 9 else 0
    if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        raise invalid(f"DurationSeconds is {duration[:20]!r}: give {MIN_DURATION_S} to {MAX_DURATION_S}")
    credential = Credential.of(request.headers.get("Authorization", ""))
    secret = None if credential is None else login_secret(request, credential.key, ACCESS.name)
    if secret is None:
        raise invalid("credentials for a time are given to requests that a key has signed: sign it by version 4")
    expires_s = side.recorder.now_us() // 1_000_000 + duration_s
    identity = session_id(secret, expires_s, os.urandom(DRAWN_BYTES))
    shown = elements(
        {
            "AccessKeyId": identity,
            "SecretAccessKey": session_secret(secret, identity),
            # The ID says all that a server has to know.
            "SessionToken": identity,
            "Expiration": moment_of(expires_s * 1_000_000).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    inside = f"<GetSessionTokenResult><Credentials>{shown}</Credentials></GetSessionTokenResult>"
    return in_xml(200, "GetSessionTokenResponse", inside)


def _caller(request: web.Request) -> web.Response:
    name = principal_of(request).name
    members = {"Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "UserId": name, "Account": ACCOUNT}
    inside = f"<GetCallerIdentityResult>{elements(members)}</GetCallerIdentityResult>"
    return in_xml(200, "GetCallerIdentityResponse", inside)


def _check(side: SagemakerSide, request: web.Request, body: bytes) -> None:
    """Refuse a request whose signature is wrong. Raises AwsError."""
    credential = Credential.of(request.headers.get("Authorization", ""))
    if credential is None or principal_of(request) is LOCAL:
        return
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
    signed = SignedRequest(request.method, path, query, headers, body)
    check_signature(credential, signed, moment_of(side.recorder.now_us()), _SERVICE)
