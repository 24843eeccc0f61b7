"""Bodies in chunks: AWS's published examples, whatever pieces they come in, and hostile ones."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.framing import MIN_CHUNK_BYTES, ChunkSigner, Unframing, framed_bytes
from runstream_protocols.sagemaker.signing import Credential, signing_key

SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIAL: Final = Credential("k", "20130524", "us-east-1", "s3", ("host",), "")
SIGNER: Final = ChunkSigner(
    signing_key(CREDENTIAL, SECRET),
    "20130524T000000Z",
    CREDENTIAL.scope,
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
)
CONTENT: Final = b"a" * 66_560


def chunk(content: bytes, signature: str = "") -> bytes:
    mark = f";chunk-signature={signature}" if signature else ""
    return f"{len(content):x}{mark}\r\n".encode() + content + (b"\r\n" if content else b"")


SIGNED: Final = b"".join(
    (
        chunk(CONTENT[:65_536], "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        chunk(CONTENT[65_536:], "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        chunk(b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        b"\r\n",
    )
)
WITH_TRAILERS: Final = b"".join(
    (
        chunk(CONTENT[:65_536], "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        chunk(CONTENT[65_536:], "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        chunk(b"", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n",
        b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    )
)
UNSIGNED: Final = chunk(CONTENT) + chunk(b"") + b"x-amz-checksum-crc32: AAAA/w==\r\n\r\n"


def signed() -> Unframing:
    return Unframing(is_signed=True, has_trailers=False, signer=SIGNER)


def with_trailers() -> Unframing:
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    return Unframing(is_signed=True, has_trailers=True, signer=dataclasses.replace(SIGNER, seed=seed))


def unsigned() -> Unframing:
    return Unframing(is_signed=False, has_trailers=True, signer=None)


def content_of(unframing: Unframing, body: bytes, sizes: Iterable[int] = ()) -> bytes:
    """The content of a body that comes in pieces of these sizes."""
    found, at, pieces = b"", 0, iter(sizes)
    while at < len(body):
        size = next(pieces, len(body))
        found += b"".join(unframing.feed(body[at : at + size]))
        at += size
    unframing.end()
    return found


@pytest.mark.parametrize(("make", "body"), [(signed, SIGNED), (with_trailers, WITH_TRAILERS), (unsigned, UNSIGNED)])
def test_a_body_has_its_content_whatever_pieces_it_comes_in(make: Callable[[], Unframing], body: bytes) -> None:
    assert content_of(make(), body) == CONTENT
    assert content_of(make(), body, [1] * 200 + [60_000] + [1] * 7_000) == CONTENT
    assert len(body) <= framed_bytes(len(CONTENT))


def test_trailers_are_found() -> None:
    unframing = with_trailers()
    content_of(unframing, WITH_TRAILERS)
    assert unframing.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}
    unframing = unsigned()
    content_of(unframing, UNSIGNED)
    assert unframing.trailers == {"x-amz-checksum-crc32": "AAAA/w=="}


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (signed, SIGNED.replace(b"a\r\n400", b"b\r\n400")),
        (signed, SIGNED.replace(b"b6c6", b"b6c7")),
        (with_trailers, WITH_TRAILERS.replace(b"sOO8", b"sOO9")),
        (with_trailers, WITH_TRAILERS.replace(b"d81f", b"d81e")),
        (with_trailers, WITH_TRAILERS[: WITH_TRAILERS.index(b"x-amz-trailer")] + b"\r\n"),
    ],
)
def test_what_was_changed_is_refused(make: Callable[[], Unframing], body: bytes) -> None:
    with pytest.raises(S3Error, match="signature of") as raised:
        content_of(make(), body)
    assert (raised.value.code, raised.value.status) == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0\r",
        b"0\r\nx-amz-checksum-crc32:AAAA",
        chunk(CONTENT),
        chunk(CONTENT)[:-1] + b"x" + chunk(b""),
        b"-1\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"f" * 17 + b"\r\n",
        b"f" * 5_000,
        b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"0\r\n" + b"a:b\r\n" * 11 + b"\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\na:" + b"b" * 600 + b"\r\n\r\n",
        b"0\r\n\r\nmore\r\n",
    ],
)
def test_what_is_no_body_in_chunks_is_refused(body: bytes) -> None:
    with pytest.raises(S3Error) as raised:
        content_of(unsigned(), body)
    assert raised.value.code == "IncompleteBody"


def test_only_the_last_chunk_may_be_small() -> None:
    small = chunk(b"a" * (MIN_CHUNK_BYTES - 1))
    assert content_of(unsigned(), chunk(CONTENT) + small + chunk(b"") + b"\r\n").startswith(CONTENT)
    with pytest.raises(S3Error) as raised:
        content_of(unsigned(), small + small + chunk(b"") + b"\r\n")
    assert raised.value.code == "InvalidChunkSizeError"


@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_nothing_but_a_refusal_comes_of_any_bytes(body: bytes, is_signed: bool, has_trailers: bool) -> None:
    unframing = Unframing(is_signed=is_signed, has_trailers=has_trailers, signer=SIGNER if is_signed else None)
    with contextlib.suppress(S3Error):
        assert len(content_of(unframing, body, [3] * 400)) < len(body)
