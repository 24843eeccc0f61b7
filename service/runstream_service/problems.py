"""Errors as responses: problem details (RFC 9457), made in one place from whatever a handler raises.

A handler raises `Problem`, or an error that has a meaning of its own (`LogUnavailable`, a pydantic ValidationError, a
wrong name); anything else is a fault of ours: 500, logged with its traceback, of which nothing is told outside. Every
response carries `X-Request-Id`, and so does every line that is logged meanwhile.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler as Handler
from aiohttp.typedefs import Middleware
from multidict import istr
from pydantic import ValidationError

from runstream.events.frame import InvalidFrame
from runstream.events.names import InvalidName
from runstream.events.positions import InvalidPositions
from runstream.events.protocol import PROTOCOL, PROTOCOL_HEADER
from runstream_service.assets import (
    AssetInvalid,
    AssetMismatch,
    AssetMissing,
    AssetTooLarge,
    AssetUnavailable,
)
from runstream_service.log import LogUnavailable
from runstream_service.logs import REQUEST_ID
from runstream_service.sealing import SealBroken, SealingUnavailable

logger = logging.getLogger(__name__)

ErrorMapping = Callable[[Exception], "Problem | None"]

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_REQUEST_ID_HEADER: Final = istr("X-Request-Id")
#: The header by which a client knows a response of this server.
_OURS: Final = (istr(PROTOCOL_HEADER), str(PROTOCOL))
#: What a client is told to wait when the cause is expected to pass by itself.
RETRY_AFTER_S: Final = 1
_MAX_LISTED_ERRORS: Final = 20
#: Pydantic makes the texts of all errors or of none: 1,000 take about 7 ms.
_MAX_SHOWN_ERRORS: Final = 1000
#: Of a text in an error; a value may be as large as a body.
_MAX_ERROR_CHARS: Final = 1000


class ClientLeft(ConnectionResetError):
    """The client closed its connection before its response was written: there is nobody to respond to."""


class Problem(Exception):
    """A response that says what is wrong.

    kind: a word a client can branch on, `gap` becomes the type `urn:runstream:problem:gap`; title: what is wrong, the
    same for every case of the kind; detail: this case, with the value and what to do; extensions: further members.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)
        self.extensions = extensions

    def response(self, request_id: str | None = None) -> web.Response:
        """The response as application/problem+json."""
        members: dict[str, Any] = {
            "type": f"urn:runstream:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if request_id is not None:
            members["request_id"] = request_id
        body = json.dumps({**members, **self.extensions}, ensure_ascii=False, default=str)
        # A value in it may have half of a surrogate pair: bytes of a header or a path that are no UTF-8.
        return web.Response(
            status=self.status,
            body=body.encode(errors="replace"),
            content_type="application/problem+json",
            charset="utf-8",
            headers=self.headers,
        )


def problem_middleware(*mappings: ErrorMapping) -> Middleware:
    """The outermost middleware of every server. `mappings` are asked first, in order, what an error means."""

    @web.middleware
    async def respond_with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id(request)
        token = REQUEST_ID.set(request_id)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = error if error.status < 400 else problem_of_http(error, request).response(request_id)
        except Exception as error:
            if client_left(request, error):
                logger.debug("%s %s: the client left", request.method, request.path)
                raise ClientLeft from error
            problem = _problem_from(error, mappings)
            if problem is None:
                logger.exception("%s %s failed", request.method, request.path)
                problem = Problem(
                    500,
                    "internal",
                    "Something is wrong in the server",
                    f"The request failed for a reason that stands in the server's log under request id {request_id} "
                    "(of a fault that repeats itself, the first).",
                )
            elif problem.status >= 500:
                repeats = (_route(request), problem.status, problem.kind)
                logger.warning("%s %s: %s", request.method, request.path, problem, extra={"repeats": repeats})
            response = problem.response(request_id)
        finally:
            REQUEST_ID.reset(token)
        if not response.prepared:
            name, protocol = _OURS
            response.headers[_REQUEST_ID_HEADER] = request_id
            response.headers[name] = protocol
        return response

    return respond_with_problems


def client_left(request: web.BaseRequest, error: BaseException) -> bool:
    """Whether an error of a handler is that its client's connection is closed."""
    transport = request.transport
    return isinstance(error, OSError | web.RequestPayloadError) and (transport is None or transport.is_closing())


def problem_of(error: Exception) -> Problem | None:
    """What the errors of the contract and of the seams mean to a client; None for an error without a meaning."""
    detail = str(error)
    match error:
        case Problem():
            return error
        case ValidationError():
            return _from_validation(error)
        case LogUnavailable():
            title = "The log takes nothing at the moment"
            return Problem(503, "log-unavailable", title, detail, retry_after_s=RETRY_AFTER_S)
        case AssetUnavailable():
            title = "The asset storage does not work at the moment"
            return Problem(503, "assets-unavailable", title, detail, retry_after_s=RETRY_AFTER_S)
        case SealingUnavailable():
            return Problem(503, "secrets-unavailable", "Secrets cannot be kept", detail)
        case SealBroken():
            return Problem(500, "secret-unreadable", "A secret cannot be decrypted", detail)
        case AssetMissing():
            return Problem(404, "asset-missing", "There is no such asset", detail)
        case AssetMismatch():
            return Problem(422, "asset-mismatch", "The bytes are not those of the hash", detail)
        case AssetTooLarge():
            return Problem(413, "too-large", "The asset is too large", detail)
        case AssetInvalid() | InvalidPositions():
            return Problem(400, "invalid", "The request cannot be understood", detail)
        case InvalidName():
            return Problem(422, "invalid-name", "A name cannot be used", detail)
        case web.RequestPayloadError():
            detail = f"{detail}: send it as its headers say (Content-Encoding, Transfer-Encoding)."
            return Problem(400, "unreadable-body", "The body cannot be unpacked", detail)
        case InvalidFrame():
            return Problem(422, "invalid-frame", "A frame is not valid", detail)
        case _:
            return None


def _problem_from(error: Exception, mappings: tuple[ErrorMapping, ...]) -> Problem | None:
    for mapping in (*mappings, problem_of):
        problem = mapping(error)
        if problem is not None:
            return problem
    return None


def _from_validation(error: ValidationError) -> Problem:
    title = "The body does not have the expected form"
    count = error.error_count()
    if count > _MAX_SHOWN_ERRORS:
        return Problem(
            422, "invalid-body", title, f"{count} values are wrong, too many to be shown: send fewer at once."
        )
    listed = [
        {
            "at": ("/" + "/".join(map(str, item["loc"])))[:_MAX_ERROR_CHARS],
            "message": item["msg"][:_MAX_ERROR_CHARS],
            "kind": item["type"],
        }
        for item in error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_LISTED_ERRORS]
    ]
    detail = "; ".join(f"{item['at']}: {item['message']}" for item in listed[:3])
    return Problem(422, "invalid-body", title, detail, errors=listed)


def problem_of_http(error: web.HTTPException, request: web.BaseRequest) -> Problem:
    """Return the problem that says what an HTTP error of aiohttp says."""
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
    match error.status:
        case 404:
            detail = f"There is nothing at {request.path}."
        case 405:
            detail = f"{request.path} has no {request.method}; it has {kept.get('Allow', 'none')}."
        case 413:
            detail = error.text or "The body is too large."
        case 417:
            detail = (
                f"Expect: {request.headers.get('Expect', '')[:100]} cannot be met: send 100-continue or leave it out."
            )
        case _:
            detail = error.text or error.reason
    return Problem(error.status, f"http-{error.status}", error.reason, detail, headers=kept)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def _request_id(request: web.Request) -> str:
    given = request.headers.get(_REQUEST_ID_HEADER)
    return given if given is not None and _REQUEST_ID.match(given) else os.urandom(16).hex()
