"""The end of an upload in parts: one object of all of them.

The parts are read and stored again as one asset, which takes longer than some clients wait. So after a few seconds the
response begins, and spaces are sent until it is known how it ends, as S3 does.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from aiohttp import web

from runstream_protocols.kit.errors import shaped
from runstream_protocols.sagemaker.s3.checksums import ALGORITHMS, HEADER, encoded, md5
from runstream_protocols.sagemaker.s3.errors import XML, S3Error, as_client_reads
from runstream_protocols.sagemaker.s3.headers import conditions_of
from runstream_protocols.sagemaker.s3.names import address_of
from runstream_protocols.sagemaker.s3.objects import KEY, Conditions, Content, Objects, Stored
from runstream_protocols.sagemaker.s3.receiving import read_document, stored_again
from runstream_protocols.sagemaker.s3.requests import headers_of
from runstream_protocols.sagemaker.s3.side import S3Side, Target, target_of
from runstream_protocols.sagemaker.s3.uploads import MAX_PARTS, Part, PartedUploads, Upload, part_number
from runstream_protocols.sagemaker.s3.xml import Element, document, malformed, texts
from runstream_query.problems import problem_of
from runstream_service.assets import AssetError
from runstream_service.problems import Problem
from runstream_service.routing import Call

logger = logging.getLogger(__name__)

#: What every part but the last has at least, as at AWS.
MIN_PART_BYTES: Final = 5 * 1024**2
#: The response begins when this is over, and goes on so often.
_PATIENCE_S: Final = 5.0
_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class Listed:
    """A part as the client lists it. `checksum`: None where it gives none."""

    number: int
    etag: str
    checksum: str | None


async def complete(side: S3Side, call: Call[Any]) -> web.StreamResponse:
    """Make one object of the parts that a document lists."""
    request, target, uploads = call.request, target_of(call.request), PartedUploads(side)
    await side.recorder.require(KEY)
    wanted = await read_document(side, request, "CompleteMultipartUpload")
    upload = await uploads.find(target.bucket, target.key, request.query["uploadId"])
    made = await Objects(side.entities).find(target.bucket, target.key)
    if made is not None and made.entity.properties.get("upload") == request.query["uploadId"]:
        # The client sends again what it has no response of. Where the upload is there, its removal broke off.
        return await _kept_alive(request, target, _without_upload(uploads, upload, made))
    if upload is None:
        upload = await uploads.get(target.bucket, target.key, request.query["uploadId"])
    listed = _listed(wanted, upload.algorithm)
    parts = _chosen(await uploads.parts(upload), listed)
    _check_sizes(parts, side.gateway.settings.max_asset_bytes)
    headers = headers_of(request)
    full = headers.get(f"{HEADER}{upload.algorithm}") if upload.algorithm else None
    work = _joined(side, request, target, upload, parts, conditions_of(headers), full)
    return await _kept_alive(request, target, work)


async def _joined(
    side: S3Side,
    request: web.Request,
    target: Target,
    upload: Upload,
    parts: list[Part],
    conditions: Conditions,
    full: str | None,
) -> Stored:
    uploads, objects = PartedUploads(side), Objects(side.entities)

    async def content() -> AsyncIterator[bytes]:
        for part in parts:
            async for chunk in uploads.content_of(part):
                yield chunk

    there = await objects.find(target.bucket, target.key)
    conditions.check(None if there is None else there.entity)
    algorithms = [upload.algorithm] if upload.algorithm and upload.is_full else []
    async with stored_again(side, request, content(), algorithms) as body:
        if full is not None and upload.is_full and body.checksums[upload.algorithm] != full:
            raise S3Error("BadDigest", f"{HEADER}{upload.algorithm} is {full[:60]!r}, the object's is another one")
        await body.staged.keep()
    checksums = body.checksums if upload.is_full else _composite(parts, upload.algorithm)
    etag = f"{_hash_of_hashes(parts)}-{len(parts)}"
    content_of_all = Content(
        body.staged.sha256, body.size_bytes, etag, upload.headers, upload.metadata, checksums, upload.id
    )
    stored = await objects.put(target.bucket, target.key, content_of_all, conditions)
    return await _without_upload(uploads, upload, stored)


async def _without_upload(uploads: PartedUploads, upload: Upload | None, made: Stored) -> Stored:
    """Return the object that an upload made, and end the upload. One that cannot be ended now expires later: the object
    is there all the same."""
    if upload is not None:
        try:
            await uploads.end(upload)
        except (AssetError, Problem) as error:
            logger.warning("the upload %s is complete, but cannot be removed now: %s", upload.entity.name, error)
    return made


def _listed(wanted: Element | None, algorithm: str) -> list[Listed]:
    """Return the parts that a document lists. Raises S3Error."""
    found = []
    for one in () if wanted is None else wanted.all("Part"):
        etag = (one.get("ETag") or "").strip().strip('"')
        checksum = one.get(f"Checksum{algorithm.upper()}") if algorithm else None
        found.append(Listed(part_number((one.get("PartNumber") or "").strip()), etag, checksum))
    if not 0 < len(found) <= MAX_PARTS:
        raise malformed(f"it lists {len(found)} parts: give 1 to {MAX_PARTS}")
    if any(one.number >= other.number for one, other in pairwise(found)):
        raise S3Error("InvalidPartOrder", "the parts are not listed in the order of their numbers: sort them")
    return found


def _chosen(parts: list[Part], listed: list[Listed]) -> list[Part]:
    """Return the parts that are listed. Raises S3Error."""
    by_number = {part.number: part for part in parts}
    chosen = []
    for one in listed:
        part = by_number.get(one.number)
        if part is None or part.etag != one.etag or (one.checksum and one.checksum not in part.checksums.values()):
            detail = f"part {one.number} with the ETag {one.etag[:60]!r} is not there as it is listed: send it again"
            raise S3Error("InvalidPart", detail)
        chosen.append(part)
    return chosen


def _check_sizes(parts: list[Part], limit_bytes: int) -> None:
    small = next((part for part in parts[:-1] if part.size_bytes < MIN_PART_BYTES), None)
    if small is not None:
        detail = f"part {small.number} has {small.size_bytes} bytes: all but the last need {MIN_PART_BYTES}"
        raise S3Error("EntityTooSmall", detail)
    if (total := sum(part.size_bytes for part in parts)) > limit_bytes:
        raise S3Error("EntityTooLarge", f"the parts have {total} bytes, at most {limit_bytes} are kept")


def _hash_of_hashes(parts: list[Part]) -> str:
    return md5(b"".join(bytes.fromhex(part.etag) for part in parts)).digest().hex()


def _composite(parts: list[Part], algorithm: str) -> dict[str, str]:
    """Return the checksum of the parts' checksums, where all have one."""
    found = [part.checksums.get(algorithm) for part in parts]
    if not algorithm or None in found:
        return {}
    whole = ALGORITHMS[algorithm]()
    for one in found:
        whole.update(base64.b64decode(one or ""))
    return {algorithm: f"{encoded(whole.digest())}-{len(parts)}"}


async def _kept_alive(request: web.Request, target: Target, work: Any) -> web.StreamResponse:
    """Return the response to long work: begun before its end where that takes long."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=_PATIENCE_S)
        if done:
            return _completed(target, task.result())
        response = web.StreamResponse(headers={"Content-Type": XML})
        await response.prepare(request)
        await response.write(_DECLARATION)
        while not done:
            done, _ = await asyncio.wait((task,), timeout=_PATIENCE_S)
            await response.write(b" ")
        await response.write(_ended(target, task).removeprefix(_DECLARATION))
        await response.write_eof()
        return response
    finally:
        task.cancel()


def _ended(target: Target, task: asyncio.Task[Stored]) -> bytes:
    try:
        with shaped(as_client_reads, (problem_of,)):
            return _document(target, task.result())
    except Problem as problem:
        body = problem.response().body
        assert isinstance(body, bytes)
        return body


def _completed(target: Target, stored: Stored) -> web.Response:
    return web.Response(body=_document(target, stored), content_type=XML)


def _document(target: Target, stored: Stored) -> bytes:
    members = (
        ("Location", address_of(target.bucket, target.key)),
        ("Bucket", target.bucket),
        ("Key", target.key),
        ("ETag", stored.quoted_etag),
        *((f"Checksum{name.upper()}", value) for name, value in stored.checksums.items()),
    )
    return document("CompleteMultipartUploadResult", texts(members))
