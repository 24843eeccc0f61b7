"""Handlers that read objects."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.headers import (
    headers_of_object,
    is_unchanged,
    overrides_in,
    range_in,
)
from runstream_protocols.sagemaker.s3.objects import Objects, Stored
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_service.assets import AssetMissing
from runstream_service.routing import Call


async def get(side: S3Side, call: Call[Any]) -> web.StreamResponse:
    """Return the bytes of an object, all or one range of them."""
    found, headers = await _found(side, call)
    response = _empty_or_begun(call.request, found, headers)
    if isinstance(response, web.Response):
        return response
    start, end = range_in(_range(call.request, found), found.size_bytes) or (0, found.size_bytes)
    stream = await side.context.assets.open(found.sha256, start, end)
    await response.prepare(call.request)
    async for chunk in stream.chunks:
        await side.context.outgoing.write(call.request, response, chunk)
    await response.write_eof()
    return response


async def head(side: S3Side, call: Call[Any]) -> web.StreamResponse:
    """Return what is known of an object."""
    found, headers = await _found(side, call)
    response = _empty_or_begun(call.request, found, headers)
    return web.Response(status=response.status, headers=response.headers)


async def _found(side: S3Side, call: Call[Any]) -> tuple[Stored, Mapping[str, str]]:
    target = target_of(call.request)
    if "partNumber" in call.request.query:
        raise S3Error("NotImplemented", "an object is not read by its parts here: ask for a range of it")
    found = await Objects(side.entities).get(target.bucket, target.key)
    if await side.context.assets.size_of(found.sha256) != found.size_bytes:
        raise AssetMissing(f"the bytes of {target.key[:100]!r} ({found.sha256}) are not in the storage")
    return found, headers_of(call.request)


def _empty_or_begun(request: web.Request, found: Stored, headers: Mapping[str, str]) -> web.StreamResponse:
    """Return the response that has no body because the client has the object; else one whose body is to come."""
    if is_unchanged(headers, found):
        return web.Response(status=304, headers=headers_of_object(found, with_checksums=False))
    span = range_in(_range(request, found), found.size_bytes)
    # A checksum is one of all bytes: clients check what they got by it.
    with_checksums = span is None and headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    shown = headers_of_object(found, with_checksums=with_checksums) | overrides_in(request.query)
    start, end = span or (0, found.size_bytes)
    if span is not None:
        shown["Content-Range"] = f"bytes {start}-{end - 1}/{found.size_bytes}"
    shown["Content-Length"] = str(end - start)
    return web.StreamResponse(status=200 if span is None else 206, headers=shown)


def _range(request: web.Request, found: Stored) -> str | None:
    """Return the range that is wanted of this very object."""
    of = request.headers.get("If-Range", found.quoted_etag)
    return request.headers.get("Range") if of == found.quoted_etag else None
