"""Signature Version 4: whether who sent a request knows the key that it names. Pure.

The secret is the server's key, and the access key ID is the same key: whoever may see one request may send others. What
a signature adds is that nobody on the way changed the request, and that it was made a moment ago.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import quote, unquote

from runstream_protocols.sagemaker.errors import INVALID_SIGNATURE, AwsError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
#: How far the client's clock may be from the server's, as at AWS.
MAX_SKEW_S: Final = 300
TERMINATOR: Final = "aws4_request"
#: The service that signatures are for, as they name it.
SERVICE: Final = "sagemaker"
DATE_HEADER: Final = "x-amz-date"
OWN_HEADERS: Final = "x-amz-"
#: The key may have slashes and commas itself.
_CREDENTIAL: Final = re.compile(
    rf"{ALGORITHM} Credential=(\S+)/(\d{{8}})/([a-z0-9\-]+)/([a-z0-9\-]+)/{TERMINATOR}, *"
    r"SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})\Z",
    re.ASCII,
)
_MOMENT: Final = re.compile(r"\d{8}T\d{6}Z\Z", re.ASCII)
_SPACES: Final = re.compile(r" +")
_MAX_CREDENTIAL_CHARS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request says of its signature."""

    key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @classmethod
    def of(cls, authorization: str) -> Self | None:
        """Return what stands in the header `Authorization`; None if that is no signature of this kind."""
        found = _CREDENTIAL.match(authorization[:_MAX_CREDENTIAL_CHARS])
        if found is None:
            return None
        key, date, region, service, headers, signature = found.groups()
        return cls(key, date, region, service, tuple(headers.lower().split(";")), signature)

    @property
    def scope(self) -> str:
        """What the signature is good for."""
        return "/".join((self.date, self.region, self.service, TERMINATOR))


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature is made of. `path` is as it was sent, with what was escaped in it; `headers` have lower-case
    names. `payload_hash`: what the signature is made of in the place of the body's SHA-256; empty: that."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    payload_hash: str = ""


def keys_in(authorization: str) -> Iterable[str]:
    """Return the key that a signed request names, for authentication to know whose it is."""
    credential = Credential.of(authorization)
    return () if credential is None else (credential.key,)


def check_signature(credential: Credential, request: SignedRequest, now: datetime, service: str = SERVICE) -> None:
    """Refuse a request that was not signed with the key that it names, for the service, or not now. Raises AwsError."""
    if credential.service != service:
        raise _refused(f"Credential should be scoped to correct service: {service!r}")
    at = request.headers.get(DATE_HEADER, "")
    _check_moment(at, credential.date, now)
    signed = frozenset(credential.signed_headers)
    unsigned = [name for name in request.headers if name.startswith(OWN_HEADERS) and name not in signed]
    if "host" not in signed or unsigned:
        raise _refused(f"'Host' and every '{OWN_HEADERS}' header must be a 'SignedHeader': {', '.join(unsigned)}")
    if not hmac.compare_digest(signature_of(credential, request, at).encode(), credential.signature.encode()):
        raise _refused(
            "The request signature we calculated does not match the signature you provided. Give a key of this server "
            "both as the access key ID and as the secret access key."
        )


def signature_of(credential: Credential, request: SignedRequest, at: str, secret: str | None = None) -> str:
    """Return the signature that a request of the moment `at` has to have. `secret`: None where it is the key."""
    whole = _canonical(request, credential.signed_headers)
    signed = "\n".join(
        (ALGORITHM, at, credential.scope, hashlib.sha256(whole.encode(errors="surrogateescape")).hexdigest())
    )
    key = signing_key(credential, credential.key if secret is None else secret)
    return hmac.digest(key, signed.encode(), "sha256").hex()


def signing_key(credential: Credential, secret_key: str) -> bytes:
    """Return what signs within the scope of a credential."""
    secret = f"AWS4{secret_key}".encode()
    for part in (credential.date, credential.region, credential.service, TERMINATOR):
        secret = hmac.digest(secret, part.encode(), "sha256")
    return secret


def signed_at(at: str) -> datetime | None:
    """Return the moment of a signature, which is given as YYYYMMDDTHHMMSSZ; None if it is none."""
    if not _MOMENT.match(at):
        return None
    try:
        return datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _check_moment(at: str, date: str, now: datetime) -> None:
    if not _MOMENT.match(at) or at[:8] != date:
        raise _refused(f"X-Amz-Date is {at[:40]!r}: give YYYYMMDDTHHMMSSZ of the date in the credential, {date[:40]!r}")
    moment = signed_at(at)
    if moment is None:
        raise _refused(f"X-Amz-Date is {at!r}, which is no moment")
    skew_s = (now - moment).total_seconds()
    if abs(skew_s) > MAX_SKEW_S:
        what = "Signature expired" if skew_s > 0 else "Signature not yet current"
        shown = f"{at} is more than {MAX_SKEW_S} s from the server's {now:%Y%m%dT%H%M%SZ}"
        raise _refused(f"{what}: {shown}: set the clock")


def _canonical(request: SignedRequest, names: Sequence[str]) -> str:
    headers = "".join(f"{name}:{_SPACES.sub(' ', request.headers.get(name, '').strip())}\n" for name in names)
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/~", errors="surrogateescape"),
            _canonical_query(request.query),
            headers,
            ";".join(names),
            request.payload_hash or hashlib.sha256(request.body).hexdigest(),
        )
    )


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    quoted = sorted((_quoted(name), _quoted(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in quoted)


def _quoted(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="~", errors="surrogateescape")


def _refused(detail: str) -> AwsError:
    return AwsError(INVALID_SIGNATURE, detail, status=403)
