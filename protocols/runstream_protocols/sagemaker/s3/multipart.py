"""Handlers of uploads in parts."""

import os
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker.s3.checksums import ALWAYS_FULL, HEADER, algorithm_of
from runstream_protocols.sagemaker.s3.copying import SOURCE_HEADER, source_of
from runstream_protocols.sagemaker.s3.errors import XML, S3Error
from runstream_protocols.sagemaker.s3.headers import checksum_headers, iso_date, kept_headers, metadata_of, range_in
from runstream_protocols.sagemaker.s3.objects import KEY, Objects
from runstream_protocols.sagemaker.s3.receiving import receiving, stored_again
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_protocols.sagemaker.s3.uploads import MAX_UPLOADS, SALT_BYTES, PartedUploads, part_number
from runstream_protocols.sagemaker.s3.xml import document, element, texts
from runstream_service.routing import Call

_MAX_LISTED: Final = 1_000
_COPIED_RANGE: Final = f"{SOURCE_HEADER}-range"


async def begin(side: S3Side, call: Call[Any]) -> web.Response:
    """Begin an upload in parts."""
    target, headers = target_of(call.request), headers_of(call.request)
    await side.recorder.require(KEY)
    await Objects(side.entities).require_bucket(target.bucket)
    algorithm = headers.get(f"{HEADER}algorithm", "")
    is_full = _is_full(algorithm.lower(), headers.get(f"{HEADER}type", "").upper())
    properties = {
        "key": target.key,
        "headers": kept_headers(headers),
        "metadata": metadata_of(headers),
        "algorithm": algorithm_of(algorithm) if algorithm else "",
        "is_full": is_full,
    }
    upload = await PartedUploads(side).begin(target.bucket, properties)
    members = (("Bucket", target.bucket), ("Key", target.key), ("UploadId", upload.id))
    shown = {f"{HEADER}algorithm": algorithm, f"{HEADER}type": "FULL_OBJECT" if is_full else "COMPOSITE"}
    body = document("InitiateMultipartUploadResult", texts(members))
    return web.Response(body=body, content_type=XML, headers=shown if algorithm else {})


def _is_full(algorithm: str, wanted: str) -> bool:
    """Return whether the checksum is to be one of all bytes. Raises S3Error."""
    if algorithm == ALWAYS_FULL and wanted == "COMPOSITE":
        raise S3Error("InvalidRequest", "the checksum CRC64NVME is one of all bytes: give the type FULL_OBJECT")
    return algorithm == ALWAYS_FULL or wanted == "FULL_OBJECT"


async def upload_part(side: S3Side, call: Call[Any]) -> web.Response:
    """Store a part, in the place of the one that has the number."""
    target, query, headers = target_of(call.request), call.request.query, headers_of(call.request)
    await side.recorder.require(KEY)
    uploads = PartedUploads(side)
    number = part_number(query["partNumber"])
    upload = await uploads.get(target.bucket, target.key, query["uploadId"])
    salt = os.urandom(SALT_BYTES)
    if SOURCE_HEADER in headers:
        source = await source_of(side, headers)
        span = range_in(headers.get(_COPIED_RANGE), source.size_bytes) or (0, source.size_bytes)
        stream = await side.context.assets.open(source.sha256, *span)
        algorithms = [upload.algorithm] if upload.algorithm else []
        async with stored_again(side, call.request, stream.chunks, algorithms, salt) as body:
            await uploads.keep(upload, number, body)
        members = (("LastModified", iso_date(upload.entity.updated_at)), ("ETag", f'"{body.etag}"'))
        return web.Response(body=document("CopyPartResult", texts(members)), content_type=XML)
    async with receiving(side, call.request, salt) as body:
        await uploads.keep(upload, number, body)
    shown = checksum_headers(body.checksums)
    shown.pop(f"{HEADER}type", None)
    return web.Response(headers={"ETag": f'"{body.etag}"', **shown})


async def abort(side: S3Side, call: Call[Any]) -> web.Response:
    """Give up an upload, and remove its parts."""
    target, uploads = target_of(call.request), PartedUploads(side)
    await side.recorder.require(KEY)
    await uploads.end(await uploads.get(target.bucket, target.key, call.request.query["uploadId"]))
    return web.Response(status=204)


async def list_parts(side: S3Side, call: Call[Any]) -> web.Response:
    """Return a page of the parts of an upload."""
    target, uploads, query = target_of(call.request), PartedUploads(side), call.request.query
    upload = await uploads.get(target.bucket, target.key, query["uploadId"])
    marker, limit = (_number(query.get(name, ""), name) for name in ("part-number-marker", "max-parts"))
    limit = _MAX_LISTED if limit is None else min(limit, _MAX_LISTED)
    found = [one for one in await uploads.parts(upload) if one.number > (marker or 0)]
    some = found[:limit]
    head = texts(
        (
            ("Bucket", target.bucket),
            ("Key", target.key),
            ("UploadId", upload.id),
            ("PartNumberMarker", marker or 0),
            ("NextPartNumberMarker", some[-1].number if some else None),
            ("MaxParts", limit),
            ("IsTruncated", len(some) < len(found)),
        )
    )
    shown = [
        texts(
            (
                ("PartNumber", one.number),
                ("LastModified", iso_date(one.entity.updated_at)),
                ("ETag", f'"{one.etag}"'),
                ("Size", one.size_bytes),
                *((f"Checksum{name.upper()}", value) for name, value in one.checksums.items()),
            )
        )
        for one in some
    ]
    body = document("ListPartsResult", head, *(element("Part", one) for one in shown))
    return web.Response(body=body, content_type=XML)


async def list_uploads(side: S3Side, call: Call[Any]) -> web.Response:
    """Return the uploads of a bucket that are open, all at once."""
    bucket, prefix = target_of(call.request).bucket, call.request.query.get("prefix", "")
    await Objects(side.entities).require_bucket(bucket)
    found = [one for one in await PartedUploads(side).all(bucket) if one.key.startswith(prefix)]
    found.sort(key=lambda one: (one.key, one.entity.created_at))
    head = texts((("Bucket", bucket), ("Prefix", prefix), ("MaxUploads", MAX_UPLOADS), ("IsTruncated", False)))
    members = (
        (("Key", one.key), ("UploadId", one.id), ("Initiated", iso_date(one.entity.created_at))) for one in found
    )
    body = document("ListMultipartUploadsResult", head, *(element("Upload", texts(one)) for one in members))
    return web.Response(body=body, content_type=XML)


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise S3Error("InvalidArgument", f"{name} is {text[:40]!r}: give a number")
    return int(text)
