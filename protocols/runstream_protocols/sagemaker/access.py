"""How boto3 shows its key, and how it learns of a refusal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from runstream_protocols.sagemaker.errors import as_client_reads
from runstream_protocols.sagemaker.paths import ADDRESS, METRICS
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.errors import as_client_reads as as_s3_reads
from runstream_protocols.sagemaker.s3.requests import SESSION_SECRET, received_of
from runstream_protocols.sagemaker.s3.signatures import check_signature, signature_in, url_credential
from runstream_protocols.sagemaker.sessions import is_good, is_session, session_secret
from runstream_protocols.sagemaker.signing import keys_in
from runstream_protocols.sagemaker.sts_forms import as_sts_reads
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess

#: The header that says what a request does. No page of another site can send it.
TARGET: Final = "X-Amz-Target"
_FORM: Final = "application/x-www-form-urlencoded"


def is_about_tokens(headers: Mapping[str, str]) -> bool:
    """Return whether a request is one of the service for tokens: its body is a form, and no header says what it
    does."""
    named = {name.lower(): value for name, value in headers.items()}
    return named.get("content-type", "").partition(";")[0].strip().lower() == _FORM and TARGET.lower() not in named


def refuse(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    """Return the problem in the form that the client shows, with how to give it a key."""
    if path != ADDRESS and not path.startswith(f"{ADDRESS}/"):
        return problem
    if problem.status == 401:
        how = "Give a key of this server as AWS_ACCESS_KEY_ID and as AWS_SECRET_ACCESS_KEY."
        problem.detail = f"{problem.detail} {how}"
    if path == ADDRESS and is_about_tokens(headers):
        return as_sts_reads(problem)
    if path in (ADDRESS, METRICS):
        return as_client_reads(problem)
    if problem.status == 401:
        # What boto3 makes of itself is version 2, whose credentials are not looked at.
        problem.detail = f"{problem.detail} Sign URLs by version 4: Config(signature_version='s3v4')."
    return as_s3_reads(problem)


def credential_in_url(path: str, query: str) -> str:
    """Return the credential of a URL that somebody signed for a file; empty where there is none."""
    return url_credential(query) if path.startswith(f"{ADDRESS}/") else ""


def is_signed_by_session(request: web.Request, secret: bytes) -> bool:
    """Return whether a request about files is signed with credentials for a time that are made of a key's secret."""
    if not request.path.startswith(f"{ADDRESS}/"):
        return False
    received = received_of(request)
    try:
        signature = signature_in(received)
        if signature is None or not is_session(signature.credential.key):
            return False
        now, identity = datetime.now(UTC), signature.credential.key
        if not is_good(secret, identity, now.timestamp()):
            return False
        own = session_secret(secret, identity)
        check_signature(signature, received, own, now)
    except S3Error:
        return False
    request[SESSION_SECRET] = own
    return True


ACCESS: Final = ProtocolAccess(
    name="sagemaker",
    keys=keys_in,
    program_headers=(TARGET.lower(),),
    url_credential=credential_in_url,
    signs=is_signed_by_session,
    refuse=refuse,
)
