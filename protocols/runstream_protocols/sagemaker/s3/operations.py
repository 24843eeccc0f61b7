"""What a request does: its method, whether it is about an object, and what stands in its query string."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker.paths import ADDRESS
from runstream_protocols.sagemaker.s3 import buckets, completing, files, listing, multipart, sending
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_service.access import Action
from runstream_service.routing import Call

Handler = Callable[[S3Side, Call[Any]], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`is_of_object`: whether it is about an object of a bucket. `marks`: names in the query string that make it."""

    name: str
    method: str
    is_of_object: bool
    marks: frozenset[str]
    action: Action
    handler: Handler


def _bucket(name: str, method: str, action: Action, handler: Handler, *marks: str) -> Operation:
    return Operation(name, method, False, frozenset(marks), action, handler)


def _object(name: str, method: str, action: Action, handler: Handler, *marks: str) -> Operation:
    return Operation(name, method, True, frozenset(marks), action, handler)


OPERATIONS: Final = (
    _bucket("ListObjectsV2", "GET", Action.READ, listing.list_objects_2, "list-type"),
    _bucket("GetBucketLocation", "GET", Action.READ, buckets.location, "location"),
    _bucket("DeleteObjects", "POST", Action.EDIT, files.delete_many, "delete"),
    _bucket("ListMultipartUploads", "GET", Action.READ, multipart.list_uploads, "uploads"),
    _bucket("ListObjects", "GET", Action.READ, listing.list_objects),
    _bucket("HeadBucket", "HEAD", Action.READ, buckets.head),
    _bucket("CreateBucket", "PUT", Action.LOG, buckets.create),
    _bucket("DeleteBucket", "DELETE", Action.EDIT, buckets.delete),
    _object("CreateMultipartUpload", "POST", Action.LOG, multipart.begin, "uploads"),
    _object("UploadPart", "PUT", Action.LOG, multipart.upload_part, "uploadId", "partNumber"),
    _object("ListParts", "GET", Action.READ, multipart.list_parts, "uploadId"),
    _object("CompleteMultipartUpload", "POST", Action.LOG, completing.complete, "uploadId"),
    _object("AbortMultipartUpload", "DELETE", Action.LOG, multipart.abort, "uploadId"),
    _object("GetObject", "GET", Action.READ, sending.get),
    _object("HeadObject", "HEAD", Action.READ, sending.head),
    _object("PutObject", "PUT", Action.LOG, files.put),
    _object("DeleteObject", "DELETE", Action.EDIT, files.delete),
)
LIST_BUCKETS: Final = _bucket("ListBuckets", "GET", Action.READ, buckets.list_buckets)
#: One in the query string of an operation that has it not: a part of the request is missing, or another one is meant.
_MARKS: Final = frozenset[str]().union(*(one.marks for one in OPERATIONS))
#: What stands in query strings of other operations of S3, which would be taken for ones that are there.
_ELSEWHERE: Final = frozenset(
    [
        "abac",
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metadataConfiguration",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "versionId",
        "versioning",
        "versions",
        "website",
    ]
)
#: Headers that ask for what is not there: kept or passed over they would mean something else.
_HEADERS_ELSEWHERE: Final = (
    "x-amz-server-side-encryption-customer-",
    "x-amz-object-lock-",
    "x-amz-write-offset-bytes",
    "x-amz-if-match-",
)


def operation_of(request: web.Request) -> Operation:
    """Return the operation that a request names. Raises S3Error."""
    target, query = target_of(request), request.query
    found = _of(request.method, bool(target.key), query) if target.bucket else _of_all_buckets(request)
    elsewhere = sorted((_ELSEWHERE | (_MARKS - (found.marks if found else _MARKS))) & query.keys())
    elsewhere += [name for name in request.headers if name.lower().startswith(_HEADERS_ELSEWHERE)]
    if elsewhere or found is None:
        about = "an object" if target.key else "a bucket" if target.bucket else "all buckets"
        what = f"{request.method} of {about} with {', '.join(elsewhere) or 'this'}"
        raise S3Error("NotImplemented", f"{what} is not kept here: {', '.join(one.name for one in OPERATIONS)} are")
    return found


def action_of(request: web.Request) -> Action | None:
    """Return what a request does; None where it names no operation of ours."""
    path = request.path.removeprefix("/").partition("/")[2]
    found = _of(request.method, bool(path.partition("/")[2]), request.query)
    return None if found is None else found.action


def _of_all_buckets(request: web.Request) -> Operation | None:
    """The list of buckets. An object without a bucket has none in its path either."""
    path = request.raw_path.partition("?")[0]
    return LIST_BUCKETS if request.method == LIST_BUCKETS.method and path in (ADDRESS, f"{ADDRESS}/") else None


def _of(method: str, is_of_object: bool, query: Mapping[str, str]) -> Operation | None:
    """The first whose marks are all there."""
    fitting = (
        one
        for one in OPERATIONS
        if one.method == method and one.is_of_object is is_of_object and one.marks <= query.keys()
    )
    return next(fitting, None)
