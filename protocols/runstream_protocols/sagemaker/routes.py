"""SageMaker's interface as routes of an aiohttp application: one for all operations, and one for metrics."""

import dataclasses
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from runstream.events.moments import moment_of
from runstream_protocols.kit.payloads import Payload, read_object
from runstream_protocols.kit.side import add_side, not_readable, recorder_and_context
from runstream_protocols.protocol import WritingSide
from runstream_protocols.sagemaker import sts
from runstream_protocols.sagemaker.access import is_about_tokens
from runstream_protocols.sagemaker.documents import AnyRequest, AnyResponse
from runstream_protocols.sagemaker.errors import as_client_reads, invalid_members
from runstream_protocols.sagemaker.models import (
    AwsRequest,
    AwsResponse,
    BatchPutMetricsRequest,
    BatchPutMetricsResponse,
)
from runstream_protocols.sagemaker.operations import PUT_METRICS, Operation, action_of, operation_of
from runstream_protocols.sagemaker.paths import ADDRESS, METRICS
from runstream_protocols.sagemaker.s3 import errors as s3_errors
from runstream_protocols.sagemaker.s3 import routes as s3_routes
from runstream_protocols.sagemaker.s3.side import S3Side
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.signing import Credential, SignedRequest, check_signature
from runstream_service.access import LOCAL, READING, Action, principal_of
from runstream_service.routing import Call, Route, tagged
from runstream_service.turns import worked

#: The client waits 60 s for a response, and sends a request that failed again.
VISIBLE_TIMEOUT_S: Final = 10.0
#: A parameter with its name and its type has more.
_BYTES_OF_A_VALUE: Final = 20


async def respond(side: SagemakerSide, call: Call[None]) -> AwsResponse | web.Response:
    """Do what the header of a request names. Raises Problem."""
    if is_about_tokens(call.request.headers):
        return await sts.respond(side, call.request)
    return await _do(side, call.request, operation_of(call.request))


async def put_metrics(side: SagemakerSide, call: Call[None]) -> AwsResponse:
    """Log points. Raises Problem."""
    return await _do(side, call.request, PUT_METRICS)


async def _do(side: SagemakerSide, sent: web.Request, operation: Operation) -> AwsResponse:
    """Do an operation, once the signature of its request is checked. Raises Problem."""
    settings = side.gateway.settings
    with side.gateway.pressure.admitted(sent, "other") as hold:
        limit = min(settings.max_request_bytes, settings.max_commands_bytes)
        checking = _checking(side, sent)
        payload = await read_object(sent, limit, settings, hold.grow, checking)
        request = await worked(_size_of(sent), _parsed, operation, payload)
        await side.settle()
        content = b" ".join((operation.name.encode(), side.invocation.encode(), payload.content))
        response = await operation.handler(dataclasses.replace(side, content=content), request)
    # Nothing of the body is held any more.
    if operation.action not in READING:
        is_visible = await side.recorder.wait_until_visible()
        # The next request at this gateway waits; one at another would take what it cannot see for missing.
        if not is_visible and not settings.is_only_gateway:
            raise not_readable()
    return response


ROUTES: Final = tagged(
    "writes",
    (
        Route(
            "POST",
            ADDRESS,
            Action.READ,
            "Do what X-Amz-Target names",
            respond,
            AnyRequest,
            AnyResponse,
            tells_action=action_of,
        ),
        Route(
            "PUT",
            METRICS,
            Action.LOG,
            "Log points of metrics",
            put_metrics,
            BatchPutMetricsRequest,
            BatchPutMetricsResponse,
        ),
    ),
)


def add_sagemaker(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES, and those of files, to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, SagemakerSide(recorder, side.gateway, context), as_client_reads)
    # Behind the paths of one operation each, which are no buckets.
    add_side(app, s3_routes.ROUTES, S3Side(recorder, side.gateway, context), s3_errors.as_client_reads)


def _checking(side: SagemakerSide, request: web.Request) -> Callable[[bytes], Awaitable[None]] | None:
    """Return what checks the signature of a request; None where nothing is to be checked: a server without keys knows
    no secret, and who shows a key in another way has shown it."""
    credential = Credential.of(request.headers.get("Authorization", ""))
    if credential is None or principal_of(request) is LOCAL:
        return None

    async def check(body: bytes) -> None:
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
        signed = SignedRequest(request.method, path, query, headers, body)
        now = moment_of(side.recorder.now_us())
        await worked(len(body), check_signature, credential, signed, now)

    return check


def _size_of(request: web.Request) -> int:
    """How many values a body may have: one that does not say how long it is may have any number."""
    return sys.maxsize if request.content_length is None else request.content_length // _BYTES_OF_A_VALUE


def _parsed(operation: Operation, payload: Payload) -> AwsRequest:
    try:
        return operation.request.model_validate(payload.fields)
    except ValidationError as error:
        raise invalid_members(error) from None
