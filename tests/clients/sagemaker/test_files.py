"""Files in buckets, as the unmodified boto3 stores and reads them."""

from typing import Any

import pytest

from kit.foreign import READING_KEY
from kit.sagemaker.server import Server

Logged = dict[str, Any]
STEPS = ("files", "listed_files", "signed_urls", "sessions", "refused_files", "files_at_once")


@pytest.fixture(scope="module")
def kept(server: Server) -> Logged:
    """What came of the steps of files."""
    return {name: one["value"] for name, one in server.told(*STEPS).items()}


def test_a_file_is_read_as_it_was_stored(kept: Logged) -> None:
    assert kept["files"] == {
        "etag": True,
        "head": [256_000, "application/x-weights", {"epoch": "7", "note": "a  b"}, "max-age=5"],
        "is_same": True,
        "checksum": True,
        "part": ["ff0001", "bytes 255-257/256000", 206],
        "empty": ['"d41d8cd98f00b204e9800998ecf8427e"', ""],
        "again": "again",
        "location": "eu-west-1",
        "is_listed": True,
        "account": "000000000000",
    }


def test_lists_have_every_key_once_and_in_order(kept: Logged) -> None:
    listed = kept["listed_files"]
    keys: list[str] = listed["keys"]
    groups = sorted({key[: key.find("/") + 1] or key for key in keys})
    assert listed["all"] == [keys] * 8
    assert listed["grouped"] == [groups] * 8
    assert listed["within"] == [["logs/1.txt", "logs/2.txt", "logs/old/"]] * 8
    assert listed["by_s"] == ["logs"]
    assert listed["after"] == [key for key in keys if key > "logs.txt"]
    assert listed["none"] == 0


def test_what_is_deleted_is_gone(kept: Logged) -> None:
    listed = kept["listed_files"]
    assert sorted(listed["deleted"]) == sorted([*listed["keys"], "not-there"])
    assert (listed["left"], listed["bucket"], listed["gone"]) == ([], ["done", 204], ["404", 404])


def test_signed_urls_do_what_they_were_signed_for(kept: Logged) -> None:
    assert kept["signed_urls"] == {
        "stored": 200,
        "got": [200, "by a url"],
        "range": [206, "a "],
        "other_method": 403,
        "other_type": 403,
        "changed": 403,
        "expired": [403, True],
        "no_key": 403,
    }


def test_credentials_for_a_time_open_files_and_nothing_else(kept: Logged) -> None:
    assert kept["sessions"] == {
        "put": ["done", 200],
        "got": [200, 80_000],
        "shows_key": False,
        "for_s": 900,
        "secret": ["InvalidAccessKeyId", 403],
        "stretched": ["InvalidAccessKeyId", 403],
        "as_a_key": [401, 403],
        "elsewhere": [401, 400, 403],
        "signed_elsewhere": 401,
        "components": ["UnrecognizedClientException", 400],
        "duration": ["ValidationException", 400],
    }


def test_refusals_have_the_codes_of_s3(kept: Logged) -> None:
    assert kept["refused_files"] == {
        "no_key": ["NoSuchKey", 404],
        "no_head": ["404", 404],
        "no_bucket": ["NoSuchBucket", 404],
        "bucket_name": ["InvalidBucketName", 400],
        "bucket_twice": ["BucketAlreadyOwnedByYou", 409],
        "md5": ["BadDigest", 400],
        "crc32": ["BadDigest", 400],
        "sha256": ["BadDigest", 400],
        "crc32c": ["BadDigest", 400],
        "crc64nvme": ["BadDigest", 400],
        "right_crcs": ["4waSgw==", "rosUhgp5mIg="],
        "if_none": ["PreconditionFailed", 412],
        "if_match": ["PreconditionFailed", 412],
        "get_if_match": ["PreconditionFailed", 412],
        "not_modified": ["304", 304],
        "range": ["InvalidRange", 416],
        "long_key": ["KeyTooLongError", 400],
        "metadata": ["MetadataTooLarge", 400],
        "acl": ["NotImplemented", 501],
        "secret": ["SignatureDoesNotMatch", 403],
        "key": ["InvalidAccessKeyId", 403],
        "key_of_tokens": ["InvalidClientTokenId", 403],
        "untouched": "x",
    }


def test_a_key_that_reads_changes_nothing(server: Server, kept: Logged) -> None:
    told = server.told("files_of_a_reader", key=READING_KEY)["files_of_a_reader"]["value"]
    assert (told.pop("get"), told.pop("listed"), told.pop("url")) == ("x", True, 403)
    assert set(map(tuple, told.values())) == {("AccessDenied", 403)}


def test_of_several_at_once_each_is_whole_and_one_is_the_first(kept: Logged) -> None:
    assert kept["files_at_once"] == {"new": [*["PreconditionFailed"] * 5, "done"], "whole": [100_000, 1]}
