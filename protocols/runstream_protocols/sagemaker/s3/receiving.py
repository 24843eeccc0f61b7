"""The body of a request into the asset storage, checked on its way: its signature, its hash, its checksums."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from runstream_protocols.sagemaker.s3.checksums import Digests, Expected, expected_of
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.framing import (
    FRAMED,
    SIGNED,
    SIGNED_TRAILERS,
    UNSIGNED_TRAILERS,
    Unframing,
    framed_bytes,
)
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side
from runstream_protocols.sagemaker.s3.signatures import HASH_HEADER, UNSIGNED
from runstream_protocols.sagemaker.s3.xml import MAX_BYTES, Element, parsed
from runstream_service.assets import StagedAsset
from runstream_service.bodies import packed_chunks, read_body

LENGTH_HEADER: Final = "x-amz-decoded-content-length"
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_SHA256_NAME: Final = "sha256"
_MAX_DIGITS: Final = 18
#: What is hashed at once: 0.5 ms of work, in a thread where there is so much.
_GATHERED_BYTES: Final = 1 << 18
_INLINE_BYTES: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is in the storage and was what it was announced to be. `staged`: to be kept or discarded; `etag`: its
    MD5."""

    staged: StagedAsset
    size_bytes: int
    etag: str
    checksums: Mapping[str, str]


@asynccontextmanager
async def receiving(side: S3Side, request: web.Request, salt: bytes = b"") -> AsyncIterator[Body]:
    """Receive the body of a request for the block, which may keep it. `salt`: stored before it. Raises S3Error where it
    is not what was announced, Problem where it is too large or too slow, AssetError."""
    headers = headers_of(request)
    expected, announced = expected_of(headers), side.payload_hash(request)
    size_bytes = _size_of(request, headers, announced, side.gateway.settings.max_asset_bytes)
    incoming = _Incoming(side, request, announced, expected, size_bytes)
    staged = await side.recorder.uploads.take(request, incoming.chunks(salt))
    try:
        incoming.check()
        checksums = {name: value for name, value in incoming.digests.checksums().items() if name in expected.checksums}
        yield Body(staged, size_bytes, incoming.digests.etag, checksums)
    finally:
        await staged.discard()


@asynccontextmanager
async def stored_again(
    side: S3Side,
    request: web.Request,
    content: AsyncIterator[bytes],
    algorithms: Collection[str],
    salt: bytes = b"",
) -> AsyncIterator[Body]:
    """Store bytes that the server has for the block, which may keep them. `salt`: stored before them. Raises
    AssetError, and Problem where they are too large."""
    digests, seen = Digests(algorithms), 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal seen
        if salt:
            yield salt
        async for chunk in content:
            seen += len(chunk)
            await asyncio.to_thread(digests.update, chunk)
            yield chunk

    staged = await side.recorder.uploads.take(request, chunks())
    try:
        yield Body(staged, seen, digests.etag, digests.checksums())
    finally:
        await staged.discard()


async def read_document(side: S3Side, request: web.Request, name: str, limit_bytes: int = MAX_BYTES) -> Element | None:
    """Return the root of a body that is a document with a root of this name, checked; None where there is no body.
    Raises as `receiving`."""
    headers = headers_of(request)
    announced, expected = side.payload_hash(request), expected_of(headers)
    if announced in FRAMED:
        raise S3Error("InvalidRequest", "a document cannot be sent in chunks: send it at once")
    settings = side.gateway.settings
    with side.gateway.pressure.admitted(request, "other") as hold:
        body = await read_body(request, min(limit_bytes, settings.max_request_bytes), settings.pace, hold.grow)
    digests = Digests({*expected.checksums, _SHA256_NAME})
    await asyncio.to_thread(digests.update, body)
    digests.check(expected, {})
    _check_hash(announced, digests.sha256)
    return await asyncio.to_thread(parsed, body, name) if body else None


class _Incoming:
    """The body of a request as it comes."""

    def __init__(self, side: S3Side, request: web.Request, announced: str, expected: Expected, size_bytes: int) -> None:
        self._side, self._request = side, request
        self._announced, self._expected, self._size_bytes = announced, expected, size_bytes
        self._seen_bytes = 0
        self._unframing = None if announced not in FRAMED else _unframing(announced, side)
        wanted = {*expected.checksums, _SHA256_NAME} if _SHA256.match(announced) else {*expected.checksums}
        self.digests = Digests(wanted)

    async def chunks(self, salt: bytes) -> AsyncIterator[bytes]:
        """Return its content, behind the salt."""
        if salt:
            yield salt
        gathered = bytearray()
        async for chunk in self._content():
            self._seen_bytes += len(chunk)
            if self._seen_bytes > self._size_bytes:
                raise S3Error("IncompleteBody", f"more came than the {self._size_bytes} bytes that were announced")
            gathered += chunk
            if len(gathered) >= _GATHERED_BYTES:
                whole = bytes(gathered)
                gathered.clear()
                await self._hash(whole)
                yield whole
        if gathered:
            await self._hash(bytes(gathered))
            yield bytes(gathered)
        if self._seen_bytes != self._size_bytes:
            detail = f"{self._seen_bytes} bytes came of the {self._size_bytes} that were announced: send it again"
            raise S3Error("IncompleteBody", detail)

    def check(self) -> None:
        """Refuse a body that is not what was announced. Raises S3Error."""
        self.digests.check(self._expected, {} if self._unframing is None else self._unframing.trailers)
        if _SHA256.match(self._announced):
            _check_hash(self._announced, self.digests.sha256)

    async def _content(self) -> AsyncIterator[bytes]:
        settings, unframing = self._side.gateway.settings, self._unframing
        limit = self._size_bytes if unframing is None else framed_bytes(self._size_bytes)
        async for chunk in packed_chunks(self._request, limit, settings.pace):
            if unframing is None:
                yield chunk
                continue
            for piece in unframing.feed(chunk):
                yield piece
        if unframing is not None:
            unframing.end()

    async def _hash(self, data: bytes) -> None:
        if len(data) <= _INLINE_BYTES:
            self.digests.update(data)
        else:
            await asyncio.to_thread(self.digests.update, data)


def _unframing(announced: str, side: S3Side) -> Unframing:
    is_signed = announced in (SIGNED, SIGNED_TRAILERS)
    return Unframing(
        is_signed=is_signed,
        has_trailers=announced in (SIGNED_TRAILERS, UNSIGNED_TRAILERS),
        signer=side.chunk_signer() if is_signed else None,
    )


def _size_of(request: web.Request, headers: Mapping[str, str], announced: str, limit_bytes: int) -> int:
    """Return how much content is to come. Raises S3Error."""
    if announced not in FRAMED and announced not in ("", UNSIGNED) and not _SHA256.match(announced):
        raise S3Error("InvalidArgument", f"{HASH_HEADER} is {announced[:80]!r}: give a SHA-256, or {UNSIGNED}")
    size = request.content_length
    if announced in FRAMED:
        text = headers.get(LENGTH_HEADER, "")
        size = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
    if size is None:
        name = LENGTH_HEADER if announced in FRAMED else "Content-Length"
        raise S3Error("MissingContentLength", f"the header {name} is missing, or no number: send the size of the body")
    if size > limit_bytes:
        detail = f"the body has {size} bytes, at most {limit_bytes} are kept: send less"
        raise S3Error("EntityTooLarge", detail)
    return size


def _check_hash(announced: str, found: str) -> None:
    if _SHA256.match(announced) and announced != found:
        detail = f"{HASH_HEADER} is {announced}, but that of the bytes is {found}: send them again"
        raise S3Error("XAmzContentSHA256Mismatch", detail)
