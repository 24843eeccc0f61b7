"""Signature Version 4 as S3 has it: in the header or in the URL, over a body whose hash is told, or not. Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote, unquote_plus

from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.signing import (
    ALGORITHM,
    DATE_HEADER,
    OWN_HEADERS,
    Credential,
    SignedRequest,
    signature_of,
    signed_at,
)

SERVICE: Final = "s3"
HASH_HEADER: Final = "x-amz-content-sha256"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
#: How far the client's clock may be from the server's, as at AWS.
MAX_SKEW_S: Final = 900
#: The longest that a URL is good for, as at AWS.
MAX_EXPIRES_S: Final = 604_800
_IN_URL: Final = "X-Amz-Algorithm"
_SIGNATURE: Final = "X-Amz-Signature"
_MAX_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Signature:
    """How a request is signed. `at`: when, as signed; `payload`: what stands for its body in the signature;
    `expires_s`: how long a URL is good for, None of a header."""

    credential: Credential
    at: str
    payload: str
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What of a request is signed. `path` and `query` are as they were sent; `headers` have lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def url_credential(query: str) -> str:
    """Return the credential of a signed URL as the header has it; empty where the URL is not signed."""
    if _IN_URL not in query:
        return ""
    members = _members(query)
    if members.get(_IN_URL) != ALGORITHM:
        return ""
    credential, headers = members.get("X-Amz-Credential", ""), members.get("X-Amz-SignedHeaders", "")
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={headers}, Signature={members.get(_SIGNATURE, '')}"


def signature_in(received: Received) -> Signature | None:
    """Return how a request is signed, in its header or its URL; None where it is not. Raises S3Error."""
    header = Credential.of(received.headers.get("authorization", ""))
    if header is not None:
        payload = received.headers.get(HASH_HEADER, "")
        if not payload:
            raise S3Error("InvalidRequest", f"the header {HASH_HEADER} is missing: send it with {UNSIGNED} or a hash")
        return Signature(header, received.headers.get(DATE_HEADER, ""), payload)
    in_url = Credential.of(url_credential(received.query))
    if in_url is None:
        return None
    members = _members(received.query)
    return Signature(in_url, members.get("X-Amz-Date", ""), UNSIGNED, _expires_s(members.get("X-Amz-Expires", "")))


def check_signature(signature: Signature, received: Received, secret: str, now: datetime) -> None:
    """Refuse a request that was not signed with the secret, or not now. Raises S3Error."""
    credential = signature.credential
    if credential.service != SERVICE:
        detail = f"the credential is for {credential.service[:40]!r}: sign for {SERVICE!r}"
        raise S3Error("AuthorizationHeaderMalformed", detail)
    _check_moment(signature, now)
    signed = frozenset(credential.signed_headers)
    unsigned = sorted(name for name in received.headers if name.startswith(OWN_HEADERS) and name not in signed)
    if "host" not in signed or unsigned:
        detail = (
            f"the host and all headers {OWN_HEADERS}* have to be signed, these are not: {', '.join(unsigned)[:300]}"
        )
        raise S3Error("AccessDenied", detail)
    query = received.query if signature.expires_s is None else _without_signature(received.query)
    path = unquote(received.path, errors="surrogateescape")
    request = SignedRequest(received.method, path, query, received.headers, b"", signature.payload)
    expected = signature_of(credential, request, signature.at, secret)
    if not hmac.compare_digest(expected.encode(), credential.signature.encode()):
        detail = (
            "The request signature we calculated does not match the signature you provided. Give a key of this server "
            "both as the access key ID and as the secret access key."
        )
        raise S3Error("SignatureDoesNotMatch", detail)


def _check_moment(signature: Signature, now: datetime) -> None:
    at = signed_at(signature.at)
    if at is None or signature.at[:8] != signature.credential.date:
        detail = f"the date is {signature.at[:40]!r}: give YYYYMMDDTHHMMSSZ of the date in the credential"
        raise S3Error("AccessDenied", detail)
    skew_s = (now - at).total_seconds()
    if signature.expires_s is None:
        if abs(skew_s) > MAX_SKEW_S:
            detail = f"the request is of {signature.at}, {abs(skew_s):.0f} s off the server's clock: set the clock"
            raise S3Error("RequestTimeTooSkewed", detail)
        return
    if skew_s < -MAX_SKEW_S:
        raise S3Error("AccessDenied", f"the URL is of {signature.at}, which is yet to come: set the clock")
    if now > at + timedelta(seconds=signature.expires_s):
        raise S3Error(
            "AccessDenied", f"Request has expired: the URL was good for {signature.expires_s} s, make another"
        )


def _expires_s(text: str) -> int:
    expires_s = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
    if not 1 <= expires_s <= MAX_EXPIRES_S:
        detail = f"X-Amz-Expires is {text[:20]!r}: give 1 to {MAX_EXPIRES_S} seconds"
        raise S3Error("AuthorizationQueryParametersError", detail)
    return expires_s


def _members(query: str) -> dict[str, str]:
    """The first of each name counts."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        found.setdefault(unquote_plus(name), unquote(value, errors="surrogateescape"))
    return found


def _without_signature(query: str) -> str:
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != _SIGNATURE)
