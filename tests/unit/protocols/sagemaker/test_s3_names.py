"""Names of entities are in the order of their keys, and what begins alike begins alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events.entities import check_entity_name
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.names import (
    behind,
    check_bucket,
    check_key,
    key_of,
    name_of,
    parts_of_address,
    text_of,
)

KEYS = st.text(st.sampled_from("-./0~aé\U0001f600"), min_size=1, max_size=8)


@given(KEYS, KEYS)
def test_names_are_in_the_order_of_their_keys(one: str, other: str) -> None:
    assert (name_of("b", one) < name_of("b", other)) is (one.encode() < other.encode())
    assert name_of("b", one).startswith(name_of("b", other)) is one.startswith(other)
    assert key_of(name_of("b", one)) == one


@given(st.text(min_size=1, max_size=6), st.text(max_size=6))
def test_all_that_begins_with_a_prefix_stands_before_what_is_behind_it(prefix: str, rest: str) -> None:
    following = behind(prefix)
    if following is None:
        assert set(prefix) == {"\U0010ffff"}
    else:
        assert prefix + rest < following
        assert not following.startswith(prefix)


def test_a_key_may_have_any_number_of_slashes() -> None:
    key = check_key("bucket", "/".join("abcdefghijkl") + "//..//")
    assert check_entity_name(name_of("bucket", key))


@pytest.mark.parametrize(
    ("key", "code"),
    [("a\0b", "InvalidArgument"), ("a\uffffb", "InvalidArgument"), ("x" * 1_000, "KeyTooLongError")],
)
def test_keys_that_cannot_be_kept_are_refused(key: str, code: str) -> None:
    with pytest.raises(S3Error) as raised:
        check_key("bucket", key)
    assert raised.value.code == code


@pytest.mark.parametrize("bucket", ["ab", "A-bucket", "under_score", "a..b", "-abc", "abc-", "x" * 64, "a/b", "abc\n"])
def test_buckets_have_names_that_hosts_can_have(bucket: str) -> None:
    with pytest.raises(S3Error) as raised:
        check_bucket(bucket)
    assert raised.value.code == "InvalidBucketName"


def test_paths_are_texts() -> None:
    assert text_of("a%20b%2Fc%C3%BC+") == "a b/cü+"
    with pytest.raises(S3Error) as raised:
        text_of("%ff")
    assert raised.value.code == "InvalidURI"


def test_addresses_name_objects() -> None:
    assert parts_of_address("s3://bucket/a/b") == ("bucket", "a/b")
    assert [parts_of_address(one) for one in ("s3://bucket", "s3://bucket/", "s3://B/a", "gs://bucket/a")] == [None] * 4
