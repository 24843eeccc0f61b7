"""Signatures as S3 has them: AWS's published examples, and everything that makes one wrong."""

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from runstream_protocols.sagemaker.access import credential_in_url
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.signatures import (
    MAX_SKEW_S,
    Received,
    Signature,
    check_signature,
    signature_in,
    url_credential,
)
from runstream_protocols.sagemaker.signing import keys_in

SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW: Final = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY: Final = hashlib.sha256(b"").hexdigest()
SCOPE: Final = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
HEADERS: Final = {
    "host": "examplebucket.s3.amazonaws.com",
    "x-amz-content-sha256": EMPTY,
    "x-amz-date": "20130524T000000Z",
}
GET: Final = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
URL: Final = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def received(method: str, path: str, query: str, signature: str, **headers: str) -> Received:
    """A request of AWS's examples, whose signed headers are all that it has."""
    given = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    names = ";".join(sorted(given))
    authorization = f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={names},Signature={signature}"
    return Received(method, path, query, {**given, "authorization": authorization})


def check(request: Received, now: datetime = NOW) -> Signature:
    signature = signature_in(request)
    assert signature is not None
    check_signature(signature, request, SECRET, now)
    return signature


EXAMPLE: Final = received("GET", "/test.txt", "", GET, range="bytes=0-9")
HEADERS_OF_EXAMPLE: Final = dict(EXAMPLE.headers)


@pytest.mark.parametrize(
    "example",
    [
        EXAMPLE,
        received(
            "PUT",
            "/test%24file.text",
            "",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            date="Fri, 24 May 2013 00:00:00 GMT",
            x_amz_storage_class="REDUCED_REDUNDANCY",
            x_amz_content_sha256="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        ),
        received("GET", "/", "lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        received("GET", "/", "max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
    ids=["get", "put", "lifecycle", "list"],
)
def test_aws_examples_have_their_signatures(example: Received) -> None:
    check(example)


def test_a_path_is_what_it_stands_for_however_it_is_escaped() -> None:
    check(dataclasses.replace(EXAMPLE, path="/te%73t.txt"))


def test_aws_example_of_a_url_is_good_until_it_expires() -> None:
    request = Received("GET", "/test.txt", URL, {"host": HEADERS["host"]})
    assert check(request).payload == "UNSIGNED-PAYLOAD"
    check(request, NOW + timedelta(seconds=86_400))
    with pytest.raises(S3Error, match="Request has expired") as raised:
        check(request, NOW + timedelta(seconds=86_401))
    assert (raised.value.code, raised.value.status) == ("AccessDenied", 403)
    with pytest.raises(S3Error, match="is yet to come"):
        check(request, NOW - timedelta(seconds=MAX_SKEW_S + 1))


def test_a_url_names_its_key() -> None:
    assert list(keys_in(url_credential(URL))) == ["AKIAIOSFODNN7EXAMPLE"]
    assert url_credential("AWSAccessKeyId=K&Signature=S&Expires=1") == ""
    assert url_credential("X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256") == ""


def test_a_key_in_a_url_opens_files_alone() -> None:
    assert credential_in_url("/sagemaker/bucket/k", URL) == url_credential(URL)
    for path in ("/sagemaker", "/api/v1/runs", "/ingest/v1/frames", "/sagemakers/b/k"):
        assert credential_in_url(path, URL) == ""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"method": "PUT"}, "SignatureDoesNotMatch"),
        ({"path": "/test.txt/"}, "SignatureDoesNotMatch"),
        ({"query": "a"}, "SignatureDoesNotMatch"),
        ({"headers": HEADERS_OF_EXAMPLE | {"host": "elsewhere"}}, "SignatureDoesNotMatch"),
        ({"headers": HEADERS_OF_EXAMPLE | {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}, "SignatureDoesNotMatch"),
        ({"headers": HEADERS_OF_EXAMPLE | {"x-amz-meta-a": "b"}}, "AccessDenied"),
        ({"headers": {**HEADERS_OF_EXAMPLE, "x-amz-content-sha256": ""}}, "InvalidRequest"),
        ({"headers": HEADERS_OF_EXAMPLE | {"x-amz-date": "20130525T000000Z"}}, "AccessDenied"),
        ({"headers": HEADERS_OF_EXAMPLE | {"x-amz-date": "20130524T250000Z"}}, "AccessDenied"),
    ],
)
def test_a_request_that_was_changed_is_refused(change: dict[str, str], code: str) -> None:
    with pytest.raises(S3Error) as raised:
        check(dataclasses.replace(EXAMPLE, **change))  # type: ignore[arg-type]
    assert raised.value.code == code


@pytest.mark.parametrize("sign", [1, -1])
def test_a_request_is_good_for_a_quarter_of_an_hour(sign: int) -> None:
    check(EXAMPLE, NOW + sign * timedelta(seconds=MAX_SKEW_S))
    with pytest.raises(S3Error, match="set the clock") as raised:
        check(EXAMPLE, NOW + sign * timedelta(seconds=MAX_SKEW_S + 1))
    assert raised.value.code == "RequestTimeTooSkewed"


@pytest.mark.parametrize("expires", ["0", "604801", "", "-1", "1e3", "١", "9" * 30])
def test_a_url_is_good_for_a_week_at_most(expires: str) -> None:
    query = URL.replace("X-Amz-Expires=86400", f"X-Amz-Expires={expires}")
    with pytest.raises(S3Error, match="X-Amz-Expires") as raised:
        check(Received("GET", "/test.txt", query, {"host": HEADERS["host"]}))
    assert raised.value.code == "AuthorizationQueryParametersError"


def test_a_signature_of_another_service_is_refused() -> None:
    authorization = EXAMPLE.headers["authorization"].replace("/s3/", "/sts/")
    with pytest.raises(S3Error) as raised:
        check(dataclasses.replace(EXAMPLE, headers={**HEADERS_OF_EXAMPLE, "authorization": authorization}))
    assert raised.value.code == "AuthorizationHeaderMalformed"
