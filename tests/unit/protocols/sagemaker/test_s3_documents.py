"""XML, checksums and headers: what is read of requests, and what is refused."""

import base64
import hashlib
import zlib
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from runstream_protocols.kit.entities import Entity
from runstream_protocols.sagemaker.s3 import xml
from runstream_protocols.sagemaker.s3.checksums import Digests, expected_of
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.headers import (
    headers_of_object,
    is_unchanged,
    kept_headers,
    metadata_of,
    range_in,
)
from runstream_protocols.sagemaker.s3.objects import Content, Stored, stored
from runstream_protocols.sagemaker.s3.uploads import MAX_PARTS

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
AT = datetime(2026, 11, 30, 12, 0, 0, 700_000, tzinfo=UTC)


def test_a_document_is_read_with_and_without_its_namespace() -> None:
    for head in (f"<Delete {NAMESPACE}>", "<Delete>"):
        root = xml.parsed(f"{head}<Object><Key>a &amp; b</Key></Object><Quiet>true</Quiet></Delete>".encode(), "Delete")
        assert [one.get("Key") for one in root.all("Object")] == ["a & b"]
        assert (root.get("Quiet"), root.get("Other")) == ("true", None)


def test_as_many_parts_are_read_as_an_upload_may_have() -> None:
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>c</ChecksumCRC32></Part>"
    body = f"<CompleteMultipartUpload>{part * MAX_PARTS}</CompleteMultipartUpload>".encode()
    assert len(list(xml.parsed(body, "CompleteMultipartUpload").all("Part"))) == MAX_PARTS


def test_the_names_of_elements_take_no_more_than_their_document(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    start = xml._Reading.start

    def measured(self: xml._Reading, name: str, attributes: dict[str, str]) -> None:
        sizes.append(len(name))
        start(self, name, attributes)

    monkeypatch.setattr(xml._Reading, "start", measured)
    body = f'<Delete xmlns="{"A" * 10_000}" xmlns:b="{"B" * 10_000}">{"<a/><b:c/>" * 100}</Delete>'.encode()
    assert [one.name for one in xml.parsed(body, "Delete").children] == ["a", "c"] * 100
    assert sum(sizes) < len(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"<Delete>&undefined;</Delete>",
        b"<!DOCTYPE Delete><Delete/>",
        b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Delete>&b;</Delete>',
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b'<?xml version="1.0" encoding="no-such-one"?><Delete/>',
        b"<Delete>" + b"<a>" * 20 + b"</a>" * 20 + b"</Delete>",
        b"<Delete>" + b"<a/>" * 50_001 + b"</Delete>",
        b"<Delete>" + b" " * xml.MAX_BYTES + b"</Delete>",
        b"<Delete>\xff</Delete>",
    ],
    ids=range(12),
)
def test_documents_that_cannot_be_read_are_refused(body: bytes) -> None:
    with pytest.raises(S3Error) as raised:
        xml.parsed(body, "Delete")
    assert (raised.value.code, raised.value.status) == ("MalformedXML", 400)


def test_what_is_shown_is_read_again() -> None:
    body = xml.document("Root", xml.texts((("Key", "<a & \0b>"), ("Is", True), ("None", None), ("Size", 5))))
    root = ElementTree.fromstring(body)
    assert [(one.tag.partition("}")[2], one.text) for one in root] == [
        ("Key", "<a & �b>"),
        ("Is", "true"),
        ("Size", "5"),
    ]


def test_a_refusal_is_xml() -> None:
    response = S3Error("NoSuchKey", "no <b> & ￿", resource="/b/k").response("r")
    assert isinstance(response.body, bytes)
    root = ElementTree.fromstring(response.body)
    assert [(one.tag, one.text) for one in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "no <b> & �"),
        ("Resource", "/b/k"),
        ("RequestId", "r"),
    ]
    assert (response.status, response.content_type) == (404, "application/xml")


def sums(data: bytes) -> dict[str, str]:
    """The checksums of bytes, as other code makes them."""
    found = {
        "content-md5": hashlib.md5(data).digest(),
        "x-amz-checksum-crc32": zlib.crc32(data).to_bytes(4, "big"),
        "x-amz-checksum-sha1": hashlib.sha1(data).digest(),
        "x-amz-checksum-sha256": hashlib.sha256(data).digest(),
    }
    return {name: base64.b64encode(digest).decode() for name, digest in found.items()}


def digests_of(headers: dict[str, str], data: bytes) -> Digests:
    digests = Digests(expected_of(headers).checksums)
    for begin in range(0, len(data), 7):
        digests.update(data[begin : begin + 7])
    return digests


@pytest.mark.parametrize("name", sums(b""))
def test_bytes_are_checked_against_what_was_announced(name: str) -> None:
    data = b"some bytes that are hashed"
    headers = {name: sums(data)[name], "x-amz-checksum-algorithm": "CRC32"}
    digests_of(headers, data).check(expected_of(headers), {})
    wrong = digests_of(headers, data + b"!")
    with pytest.raises(S3Error) as raised:
        wrong.check(expected_of(headers), {})
    assert raised.value.code == "BadDigest"
    for text in ("", "x", "AAAA", sums(data)[name] + "=", "é"):
        with pytest.raises(S3Error) as raised:
            expected_of({name: text})
        assert raised.value.code in ("InvalidDigest", "InvalidRequest")


def test_a_checksum_may_stand_in_a_trailer() -> None:
    data = b"x" * 100
    headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
    digests, expected = digests_of(headers, data), expected_of(headers)
    digests.check(expected, {"x-amz-checksum-crc32": sums(data)["x-amz-checksum-crc32"]})
    trailers: list[dict[str, str]] = [{}, {"x-amz-checksum-crc32": "AAAAAA=="}]
    for wrong in trailers:
        with pytest.raises(S3Error) as raised:
            digests.check(expected, wrong)
        assert raised.value.code == "BadDigest"


@pytest.mark.parametrize("name", ["crc32d", "md4"])
def test_unknown_checksums_are_refused_and_not_passed_over(name: str) -> None:
    with pytest.raises(S3Error, match="AWS_REQUEST_CHECKSUM_CALCULATION=when_required"):
        expected_of({f"x-amz-checksum-{name}": "AAAAAA=="})


def object_of(**changes: Any) -> Stored:
    content = Content("0" * 64, 100, "e" * 32, {"content-type": "text/csv"}, {"who": "ü"}, {"crc32": "AAAAAA=="})
    properties = content.properties() | changes
    return stored(Entity("w", "p", "s3-object", "b/k.-csv", "0" * 32, 1, properties, AT, AT))


def test_what_is_known_of_an_object_stands_in_headers() -> None:
    found = object_of()
    assert found.key == "k.csv"
    assert headers_of_object(found, with_checksums=True) == {
        "Content-Type": "text/csv",
        "ETag": f'"{"e" * 32}"',
        "Last-Modified": "Mon, 30 Nov 2026 12:00:00 GMT",
        "Accept-Ranges": "bytes",
        "x-amz-meta-who": "ü",
        "x-amz-checksum-crc32": "AAAAAA==",
        "x-amz-checksum-type": "FULL_OBJECT",
    }


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=5-1", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=١-", None),
    ],
)
def test_one_range_is_read(header: str | None, found: tuple[int, int] | None) -> None:
    assert range_in(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=200-300"])
def test_a_range_outside_is_refused(header: str) -> None:
    with pytest.raises(S3Error) as raised:
        range_in(header, 100)
    assert (raised.value.code, raised.value.status) == ("InvalidRange", 416)
    assert raised.value.headers["Content-Range"] == "bytes */100"


SAME, OTHER = f'"{"e" * 32}"', '"0"'
BEFORE, EXACT, LATER = (f"Mon, 30 Nov 2026 {at} GMT" for at in ("11:59:59", "12:00:00", "12:00:01"))


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, False),
        ({"if-match": SAME}, False),
        ({"if-match": f"{OTHER}, {SAME}"}, False),
        ({"if-match": "*"}, False),
        ({"if-match": OTHER}, None),
        ({"if-none-match": SAME}, True),
        ({"if-none-match": f"W/{SAME}"}, True),
        ({"if-none-match": OTHER}, False),
        ({"if-modified-since": EXACT}, True),
        ({"if-modified-since": BEFORE}, False),
        ({"if-unmodified-since": EXACT}, False),
        ({"if-unmodified-since": BEFORE}, None),
        ({"if-match": SAME, "if-unmodified-since": BEFORE}, False),
        ({"if-none-match": OTHER, "if-modified-since": LATER}, False),
        ({"if-modified-since": "yesterday"}, False),
    ],
)
def test_conditions_decide(headers: dict[str, str], outcome: bool | None) -> None:
    if outcome is None:
        with pytest.raises(S3Error) as raised:
            is_unchanged(headers, object_of())
        assert (raised.value.code, raised.value.status) == ("PreconditionFailed", 412)
    else:
        assert is_unchanged(headers, object_of()) is outcome


def test_what_is_kept_of_a_request() -> None:
    headers = {"content-encoding": "aws-chunked,gzip", "content-type": "text/csv", "x-amz-meta-a": "1", "host": "h"}
    assert kept_headers(headers) == {"content-type": "text/csv", "content-encoding": "gzip"}
    assert kept_headers({"content-encoding": "aws-chunked"}) == {}
    assert metadata_of(headers) == {"a": "1"}


@pytest.mark.parametrize("value", ["x" * 1_025, "\udcff", "a\nb"])
def test_headers_that_cannot_be_kept_are_refused(value: str) -> None:
    for read in (kept_headers, metadata_of):
        with pytest.raises(S3Error) as raised:
            read({"content-type": value, "x-amz-meta-a": value})
        assert raised.value.code == "InvalidArgument"
    with pytest.raises(S3Error) as raised:
        metadata_of({f"x-amz-meta-{number}": "x" * 1_000 for number in range(3)})
    assert raised.value.code == "MetadataTooLarge"
