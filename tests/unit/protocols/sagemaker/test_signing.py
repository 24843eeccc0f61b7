"""Signatures: AWS's own example, and everything that makes one wrong."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runstream_protocols.sagemaker.errors import AwsError
from runstream_protocols.sagemaker.signing import (
    MAX_SKEW_S,
    Credential,
    SignedRequest,
    check_signature,
    keys_in,
    signature_of,
)

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
AT = "20261130T120000Z"
KEY = "a/key+with,all=of-it"
HEADERS = {"host": "127.0.0.1:7070", "x-amz-date": AT, "x-amz-target": "SageMaker.ListTrials", "user-agent": "Boto3"}
REQUEST = SignedRequest("POST", "/sagemaker", "", HEADERS, b"{}")
UNSIGNED = Credential(KEY, "20261130", "eu-west-1", "sagemaker", ("host", "x-amz-date", "x-amz-target"), "0" * 64)


def signed(request: SignedRequest = REQUEST, **changes: Any) -> Credential:
    """The credential of a request that is signed as it is."""
    credential = dataclasses.replace(UNSIGNED, **changes)
    signature = signature_of(credential, request, request.headers.get("x-amz-date", ""))
    return dataclasses.replace(credential, signature=signature)


def changed(**headers: str) -> SignedRequest:
    """The request with other headers."""
    return dataclasses.replace(
        REQUEST, headers=HEADERS | {name.replace("_", "-"): one for name, one in headers.items()}
    )


def test_aws_example_has_its_signature() -> None:
    """`get-vanilla` of AWS's test suite."""
    at = "20150830T123600Z"
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    credential = Credential(secret, "20150830", "us-east-1", "service", ("host", "x-amz-date"), "")
    request = SignedRequest("GET", "/", "", {"host": "example.amazonaws.com", "x-amz-date": at}, b"")
    expected = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    assert signature_of(credential, request, at) == expected


def test_a_request_that_is_signed_now_is_taken() -> None:
    check_signature(signed(), REQUEST, NOW)
    spaced = changed(x_amz_target="  SageMaker.ListTrials ")
    check_signature(signed(), spaced, NOW)


@pytest.mark.parametrize(
    "request_",
    [
        dataclasses.replace(REQUEST, body=b"{ }"),
        dataclasses.replace(REQUEST, method="PUT"),
        dataclasses.replace(REQUEST, path="/sagemaker/"),
        dataclasses.replace(REQUEST, query="a=1"),
        changed(x_amz_target="SageMaker.DeleteTrial"),
        changed(host="elsewhere"),
    ],
)
def test_a_request_that_was_changed_is_refused(request_: SignedRequest) -> None:
    with pytest.raises(AwsError, match="does not match the signature you provided") as raised:
        check_signature(signed(), request_, NOW)
    assert (raised.value.code, raised.value.status) == ("InvalidSignatureException", 403)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "another-key"}, "does not match"),
        ({"region": "us-east-1"}, "does not match"),
        ({"service": "s3"}, "correct service"),
        ({"date": "20261129"}, "of the date in the credential, '20261129'"),
        ({"signed_headers": ("host", "x-amz-date")}, "must be a 'SignedHeader': x-amz-target"),
        ({"signed_headers": ("x-amz-date", "x-amz-target")}, "must be a 'SignedHeader'"),
        ({"signature": "f" * 64}, "does not match"),
    ],
)
def test_a_credential_that_says_something_else_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        check_signature(dataclasses.replace(signed(), **change), REQUEST, NOW)


@pytest.mark.parametrize(
    ("seconds", "words"), [(MAX_SKEW_S, None), (-MAX_SKEW_S, None), (301, "expired"), (-301, "yet")]
)
def test_a_clock_may_be_five_minutes_off(seconds: int, words: str | None) -> None:
    now = NOW + timedelta(seconds=seconds)
    if words is None:
        check_signature(signed(), REQUEST, now)
        return
    with pytest.raises(AwsError, match=words) as raised:
        check_signature(signed(), REQUEST, now)
    assert raised.value.code == "InvalidSignatureException"


@pytest.mark.parametrize("at", ["", "now", "20261130T250000Z", "20261130T120000", "２０２６1130T120000Z"])
def test_a_moment_that_is_none_is_refused(at: str) -> None:
    request = changed(x_amz_date=at)
    with pytest.raises(AwsError, match="X-Amz-Date"):
        check_signature(signed(request), request, NOW)


def test_the_key_is_read_out_of_the_header() -> None:
    scope = "20261130/eu-west-1/sagemaker/aws4_request"
    rest = f"SignedHeaders=host;x-amz-date, Signature={'a' * 64}"
    header = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, {rest}"
    assert list(keys_in(header)) == [KEY]
    found = Credential.of(header)
    assert found is not None
    assert (found.region, found.signed_headers) == ("eu-west-1", ("host", "x-amz-date"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer a-key-of-the-server",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=key/20261130/r/sagemaker/aws4_request",
        f"AWS4-HMAC-SHA256 Credential=key/today/r/sagemaker/aws4_request, SignedHeaders=host, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=key/20261130/r/sagemaker/aws5, SignedHeaders=host, Signature={'a' * 64}",
        "AWS4-HMAC-SHA256 Credential=key/20261130/r/sagemaker/aws4_request, SignedHeaders=host, Signature=short",
        "AWS4-HMAC-SHA256 Credential=" + "/" * 100_000,
    ],
)
def test_what_is_no_signature_names_no_key(header: str) -> None:
    assert list(keys_in(header)) == []
    assert Credential.of(header) is None
