"""Handlers that write objects."""

import asyncio
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker.s3.copying import SOURCE_HEADER, copy
from runstream_protocols.sagemaker.s3.errors import XML, S3Error
from runstream_protocols.sagemaker.s3.headers import (
    checksum_headers,
    conditions_of,
    conditions_of_delete,
    conditions_of_listed,
    kept_headers,
    metadata_of,
)
from runstream_protocols.sagemaker.s3.names import check_key
from runstream_protocols.sagemaker.s3.objects import KEY, Content, Objects
from runstream_protocols.sagemaker.s3.receiving import read_document, receiving
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_protocols.sagemaker.s3.xml import Element, document, element, malformed, texts
from runstream_service.routing import Call

#: Keys that one request deletes, as at AWS.
_MAX_DELETED: Final = 1_000
#: Of them at the same moment: each waits until it can be read that it is gone.
_AT_ONCE: Final = 16


async def put(side: S3Side, call: Call[Any]) -> web.Response:
    """Store an object, in the place of the one that has the key."""
    request, target, objects = call.request, target_of(call.request), Objects(side.entities)
    headers = headers_of(request)
    if SOURCE_HEADER in headers:
        return await copy(side, call)
    await side.recorder.require(KEY)
    await objects.require_bucket(target.bucket)
    kept, metadata, conditions = kept_headers(headers), metadata_of(headers), conditions_of(headers)
    if conditions.absent or conditions.etags:
        there = await objects.find(target.bucket, target.key)
        conditions.check(None if there is None else there.entity)
    async with receiving(side, request) as body:
        await body.staged.keep()
    content = Content(body.staged.sha256, body.size_bytes, body.etag, kept, metadata, body.checksums)
    stored = await objects.put(target.bucket, target.key, content, conditions)
    return web.Response(headers={"ETag": stored.quoted_etag, **checksum_headers(stored.checksums)})


async def delete(side: S3Side, call: Call[Any]) -> web.Response:
    """Delete an object; none is no error."""
    target, objects = target_of(call.request), Objects(side.entities)
    await side.recorder.require(KEY)
    await objects.require_bucket(target.bucket)
    await objects.delete(target.bucket, target.key, conditions_of_delete(headers_of(call.request)))
    return web.Response(status=204)


async def delete_many(side: S3Side, call: Call[Any]) -> web.Response:
    """Delete objects that a document lists."""
    target, objects = target_of(call.request), Objects(side.entities)
    await side.recorder.require(KEY)
    await objects.require_bucket(target.bucket)
    wanted = await read_document(side, call.request, "Delete")
    listed = [] if wanted is None else list(wanted.all("Object"))
    if wanted is None or not 0 < len(listed) <= _MAX_DELETED or not all(one.get("Key") for one in listed):
        raise malformed(f"it lists {len(listed)} objects: give 1 to {_MAX_DELETED}, each with its Key")
    is_quiet = (wanted.get("Quiet") or "").lower() == "true"
    turn = asyncio.Semaphore(_AT_ONCE)

    async def deleted(one: Element) -> str:
        key = one.get("Key") or ""
        async with turn:
            try:
                await objects.delete(target.bucket, check_key(target.bucket, key), conditions_of_listed(one))
            except S3Error as error:
                return element("Error", texts((("Key", key), ("Code", error.code), ("Message", error.detail))))
            return "" if is_quiet else element("Deleted", texts((("Key", key),)))

    shown = await asyncio.gather(*map(deleted, listed))
    return web.Response(body=document("DeleteResult", *shown), content_type=XML)
