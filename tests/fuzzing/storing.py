"""What requests of S3 consist of, right and wrong: bodies in chunks, documents, signed URLs and headers."""

import contextlib
import hashlib
import random
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from fuzzing.cases import Fault, Target
from fuzzing.values import as_bytes, damaged, odd_text
from runstream_protocols.sagemaker.s3.checksums import expected_of
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.framing import ChunkSigner, Unframing
from runstream_protocols.sagemaker.s3.headers import kept_headers, metadata_of, range_in
from runstream_protocols.sagemaker.s3.names import check_key, key_of, name_of, text_of
from runstream_protocols.sagemaker.s3.signatures import Received, check_signature, signature_in
from runstream_protocols.sagemaker.s3.xml import parsed

_NOW: Final = datetime(2026, 11, 30, tzinfo=UTC)
_SIGNER: Final = ChunkSigner(b"k" * 32, "20261130T000000Z", "20261130/us-east-1/s3/aws4_request", "0" * 64)
_FRAMED, _DOCUMENT, _URL, _NAMES = range(4)
_NAMED: Final = ("Delete", "Object", "Key", "CompleteMultipartUpload", "Part", "PartNumber", "ETag", "a", "x:y")
_HEADERS: Final = ("x-amz-checksum-crc32", "x-amz-checksum-", "content-md5", "x-amz-trailer", "x-amz-meta-a", "expires")


def make_request(rng: random.Random) -> bytes:
    """The kind of what is looked at, and its bytes."""
    kind = rng.randrange(4)
    data = (_framed, _document, _url, _named)[kind](rng)
    return bytes((kind,)) + (damaged(rng, data) if rng.random() < 0.4 else data)


def run_request(data: bytes) -> None:
    """Nothing comes of it but a value or a refusal."""
    kind, body = data[:1], data[1:]
    with contextlib.suppress(S3Error):
        match kind[0] % 4 if kind else _FRAMED:
            case 0:
                _unframe(body)
            case 1:
                parsed(body, "Delete")
            case 2:
                _signed(body)
            case _:
                _looked_at(body)


def _unframe(body: bytes) -> None:
    is_signed = bool(body) and body[0] % 2 == 0
    unframing = Unframing(is_signed=is_signed, has_trailers=len(body) % 3 != 0, signer=_SIGNER if is_signed else None)
    size = 0
    for begin in range(0, len(body), 1_000):
        size += sum(map(len, unframing.feed(body[begin : begin + 1_000])))
    unframing.end()
    if size > len(body):
        raise Fault("content", f"{len(body)} bytes in chunks gave {size}")


def _signed(query: bytes) -> None:
    text = query.decode("latin-1").replace("\n", "")
    headers = {"host": "h", "authorization": text, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    for received in (Received("GET", "/b/k", text, {"host": "h"}), Received("GET", f"/b/{text}", "", headers)):
        signature = signature_in(received)
        if signature is not None:
            check_signature(signature, received, "secret", _NOW)
            raise Fault("signature", "one that nobody made is taken")


def _looked_at(body: bytes) -> None:
    text = body.decode("utf-8", "surrogateescape")
    range_in(text, 1_000)
    key = check_key("bucket", text_of(text))
    if key_of(name_of("bucket", key)) != key:
        raise Fault("key", f"{key[:100]!r} is kept as another one")
    for name in _HEADERS:
        expected_of({name: text})
        kept_headers({name: text})
        metadata_of({name: text})


def _framed(rng: random.Random) -> bytes:
    lines = []
    for size in rng.choices((0, 1, 100, 8_192, 20_000), k=rng.randrange(4)):
        content = rng.randbytes(size)
        mark = f";chunk-signature={hashlib.sha256(content).hexdigest()}" if rng.random() < 0.4 else ""
        lines.append(f"{size + rng.choice((0, 0, 0, 1, -1)):x}{mark}\r\n".encode() + content + b"\r\n")
    end = rng.choice((b"0\r\n\r\n", b"0\r\n", b"", b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"))
    return b"".join(lines) + end


def _document(rng: random.Random) -> bytes:
    def element(depth: int) -> str:
        name = rng.choice(_NAMED)
        inside = "".join(element(depth - 1) for _ in range(rng.randrange(4))) if depth else odd_text(rng)[:200]
        return f"<{name}>{inside}</{name}>"

    head = rng.choice(
        ("", '<?xml version="1.0"?>', '<!DOCTYPE d [<!ENTITY a "b">]>', '<?xml version="1.0" encoding="x"?>')
    )
    return as_bytes(f"{head}<Delete>{element(rng.randrange(10))}</Delete>")


def _url(rng: random.Random) -> bytes:
    members = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "key/20261130/us-east-1/s3/aws4_request",
        "X-Amz-Date": "20261130T000000Z",
        "X-Amz-Expires": rng.choice(("60", "0", "-1", odd_text(rng)[:50])),
        "X-Amz-SignedHeaders": rng.choice(("host", "", odd_text(rng)[:50])),
        "X-Amz-Signature": rng.randbytes(32).hex(),
    }
    if rng.random() < 0.3:
        members[rng.choice(tuple(members))] = odd_text(rng)[:200]
    shown = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in members.items())
    credential = f"AWS4-HMAC-SHA256 Credential={members['X-Amz-Credential']}"
    header = f"{credential}, SignedHeaders=host, Signature={members['X-Amz-Signature']}"
    return as_bytes(rng.choice((shown, shown, header)))


def _named(rng: random.Random) -> bytes:
    return as_bytes(
        rng.choice((odd_text(rng), quote(odd_text(rng), errors="replace"), "bytes=0-5", "bytes=-", "a/../b"))
    )


TARGETS: Final = (Target("s3", make_request, run_request, lambda data: 200 * len(data), 20),)
