"""Refusals as S3's clients read them: a code and a message, in XML."""

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from aiohttp import web

from runstream_protocols.kit.errors import Refused
from runstream_service.problems import Problem

XML: Final = "application/xml"
#: Codes, and the statuses that they come with, of refusals that do not say theirs. Other statuses below 500 are
#: InvalidArgument. Clients repeat requests with 500 and above.
_BY_STATUS: Final[Mapping[int, tuple[str, int]]] = {
    401: ("InvalidAccessKeyId", 403),
    403: ("AccessDenied", 403),
    404: ("NoSuchKey", 404),
    405: ("MethodNotAllowed", 405),
    408: ("RequestTimeout", 400),
    409: ("OperationAborted", 409),
    413: ("EntityTooLarge", 400),
    416: ("InvalidRange", 416),
    429: ("SlowDown", 503),
    501: ("NotImplemented", 501),
    503: ("ServiceUnavailable", 503),
}
_INVALID: Final = ("InvalidArgument", 400)
_FAILURE: Final = "InternalError"
#: The status of each code of ours that is not 400.
_STATUSES: Final[Mapping[str, int]] = {
    "AccessDenied": 403,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "InvalidAccessKeyId": 403,
    "InvalidRange": 416,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "OperationAborted": 409,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
}
#: What XML cannot hold is shown as this.
_REPLACED: Final = "\ufffd"


class S3Error(Refused):
    """A refusal with a code of S3's. `resource`: the bucket or the object that it is about."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        resource: str = "",
    ) -> None:
        super().__init__(message, status=_STATUSES.get(code, 400) if status is None else status)
        self.headers |= dict(headers or {})
        self.code = code
        self.resource = resource

    def response(self, request_id: str | None = None) -> web.Response:
        """The response as S3's XML."""
        members = {"Code": self.code, "Message": self.detail, "Resource": self.resource, "RequestId": request_id or ""}
        shown = "".join(f"<{name}>{text_in_xml(text)}</{name}>" for name, text in members.items() if text)
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{shown}</Error>'
        return web.Response(
            status=self.status, body=body.encode(errors="replace"), content_type=XML, headers=self.headers
        )


def text_in_xml(text: str) -> str:
    """Return a text as XML has it, without what it cannot hold."""
    usable = "".join(one if one >= " " or one in "\t\n\r" else _REPLACED for one in text)
    return escape(usable).replace("\ufffe", _REPLACED).replace("\uffff", _REPLACED)


def as_client_reads(problem: Problem) -> Problem:
    """Return the problem as S3's clients read it."""
    if isinstance(problem, S3Error):
        return problem
    code, status = _BY_STATUS.get(problem.status, _INVALID if problem.status < 500 else (_FAILURE, problem.status))
    return S3Error(code, problem.detail, status=status, headers=problem.headers)


def no_bucket(bucket: str) -> S3Error:
    """Return the refusal of a request about a bucket that is not there."""
    return S3Error("NoSuchBucket", f"the bucket {bucket[:80]!r} does not exist: create it first", resource=bucket)


def no_key(bucket: str, key: str) -> S3Error:
    """Return the refusal of a request about an object that is not there."""
    detail = f"the bucket {bucket!r} has no object {key[:200]!r}: list what it has"
    return S3Error("NoSuchKey", detail, resource=f"/{bucket}/{key}"[:300])
