"""Handlers of buckets."""

import contextlib
from typing import Any, Final

from aiohttp import web

from runstream_protocols.kit.entities import EntityChanged, EntityExists, EntityMissing
from runstream_protocols.sagemaker.names import ACCOUNT, DEFAULT_REGION
from runstream_protocols.sagemaker.s3.errors import XML, S3Error
from runstream_protocols.sagemaker.s3.headers import iso_date
from runstream_protocols.sagemaker.s3.names import BUCKET, check_bucket
from runstream_protocols.sagemaker.s3.objects import KEY, PLACE, Objects
from runstream_protocols.sagemaker.s3.receiving import read_document
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_protocols.sagemaker.s3.uploads import PartedUploads
from runstream_protocols.sagemaker.s3.xml import document, element, texts
from runstream_service.routing import Call

_REGION: Final = "region"
_MAX_CONFIGURATION_BYTES: Final = 10_000
_MAX_REGION_CHARS: Final = 60


async def create(side: S3Side, call: Call[Any]) -> web.Response:
    """Create a bucket; in the region us-east-1 one that is there is no error, as at AWS."""
    bucket = check_bucket(target_of(call.request).bucket)
    await side.recorder.require(KEY)
    wanted = await read_document(side, call.request, "CreateBucketConfiguration", _MAX_CONFIGURATION_BYTES)
    region = "" if wanted is None else wanted.get("LocationConstraint") or ""
    try:
        await side.entities.create(PLACE, BUCKET, bucket, {_REGION: region[:_MAX_REGION_CHARS] or DEFAULT_REGION})
    except EntityExists:
        if region not in ("", DEFAULT_REGION):
            raise S3Error("BucketAlreadyOwnedByYou", f"the bucket {bucket!r} is there: use it") from None
    return web.Response(headers={"Location": f"/{bucket}"})


async def head(side: S3Side, call: Call[Any]) -> web.Response:
    """Say whether a bucket is there."""
    found = await Objects(side.entities).require_bucket(target_of(call.request).bucket)
    return web.Response(headers={"x-amz-bucket-region": found.properties[_REGION]})


async def location(side: S3Side, call: Call[Any]) -> web.Response:
    """Return the region that a bucket was created in, which means nothing here."""
    found = await Objects(side.entities).require_bucket(target_of(call.request).bucket)
    region = found.properties[_REGION]
    shown = "" if region == DEFAULT_REGION else region
    return web.Response(body=document("LocationConstraint", shown), content_type=XML)


async def list_buckets(side: S3Side, call: Call[Any]) -> web.Response:
    """Return all buckets."""
    found = await Objects(side.entities).buckets()
    shown = [
        element("Bucket", texts((("Name", one.name), ("CreationDate", iso_date(one.created_at))))) for one in found
    ]
    owner = element("Owner", texts((("ID", ACCOUNT),)))
    body = document("ListAllMyBucketsResult", owner, element("Buckets", *shown))
    return web.Response(body=body, content_type=XML)


async def delete(side: S3Side, call: Call[Any]) -> web.Response:
    """Delete a bucket that has no objects, and give up its uploads."""
    bucket, objects = target_of(call.request).bucket, Objects(side.entities)
    await side.recorder.require(KEY)
    found = await objects.require_bucket(bucket)
    if await objects.page(bucket, "", None, 1):
        raise S3Error("BucketNotEmpty", f"the bucket {bucket!r} has objects: delete them first")
    await PartedUploads(side).end_all(bucket)
    try:
        await side.entities.delete(found)
    except (EntityMissing, EntityChanged):
        raise S3Error("OperationAborted", f"the bucket {bucket!r} was changed meanwhile: look at it again") from None
    # Who stores an object looks for its bucket afterwards, so one of the two sees the other.
    if await objects.page(bucket, "", None, 1):
        with contextlib.suppress(EntityExists):
            await side.entities.create(PLACE, BUCKET, bucket, found.properties)
        raise S3Error("BucketNotEmpty", f"the bucket {bucket!r} got an object meanwhile: delete it first")
    return web.Response(status=204)
