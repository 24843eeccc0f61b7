"""Copies of objects: a key more for the same bytes."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker.s3.errors import XML, S3Error
from runstream_protocols.sagemaker.s3.headers import (
    conditions_of,
    is_unchanged,
    iso_date,
    kept_headers,
    metadata_of,
)
from runstream_protocols.sagemaker.s3.names import check_key, is_bucket, text_of
from runstream_protocols.sagemaker.s3.objects import KEY, Content, Objects, Stored
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side, Target, target_of
from runstream_protocols.sagemaker.s3.xml import document, texts
from runstream_service.routing import Call

SOURCE_HEADER: Final = "x-amz-copy-source"
_DIRECTIVE: Final = "x-amz-metadata-directive"
_CONDITION: Final = f"{SOURCE_HEADER}-"


async def copy(side: S3Side, call: Call[Any]) -> web.Response:
    """Give the bytes of an object another key, or the object other metadata."""
    target, objects, headers = target_of(call.request), Objects(side.entities), headers_of(call.request)
    await side.recorder.require(KEY)
    await objects.require_bucket(target.bucket)
    found = await source_of(side, headers)
    replaces = headers.get(_DIRECTIVE, "COPY").upper() == "REPLACE"
    if not replaces and _place_of(headers[SOURCE_HEADER]) == target:
        raise S3Error("InvalidRequest", f"an object is copied onto itself with {_DIRECTIVE}: REPLACE alone")
    content = Content(
        found.sha256,
        found.size_bytes,
        found.etag,
        kept_headers(headers) if replaces else found.headers,
        metadata_of(headers) if replaces else found.metadata,
        found.checksums,
    )
    stored = await objects.put(target.bucket, target.key, content, conditions_of(headers))
    members = (("LastModified", iso_date(stored.modified_at)), ("ETag", stored.quoted_etag))
    return web.Response(body=document("CopyObjectResult", texts(members)), content_type=XML)


async def source_of(side: S3Side, headers: Mapping[str, str]) -> Stored:
    """Return the object that a request copies, which has to be as its headers demand. Raises S3Error."""
    place = _place_of(headers[SOURCE_HEADER])
    found = await Objects(side.entities).get(place.bucket, place.key)
    demanded = {name.removeprefix(_CONDITION): value for name, value in headers.items() if name.startswith(_CONDITION)}
    if is_unchanged(demanded, found):
        detail = f"the object {place.key[:100]!r} is as it was: its copy was not wanted then"
        raise S3Error("PreconditionFailed", detail)
    return found


def _place_of(source: str) -> Target:
    """Return the bucket and the key in the header. The whole may be escaped, the slash behind the bucket too."""
    path, mark, _ = source.removeprefix("/").partition("?")
    if mark:
        raise S3Error("NotImplemented", f"{SOURCE_HEADER} names a version: objects have none here")
    bucket, _, key = text_of(path).removeprefix("/").partition("/")
    if not is_bucket(bucket) or not key:
        raise S3Error("InvalidArgument", f"{SOURCE_HEADER} is {path[:80]!r}: give BUCKET/KEY, escaped")
    return Target(bucket, check_key(bucket, key))
