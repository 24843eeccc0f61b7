"""SageMaker's interface as routes of an aiohttp application: one for all operations, and one for metrics."""

import dataclasses
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from runstream.clock import SYSTEM_CLOCK
from runstream.events.moments import moment_of
from runstream_protocols.kit.errors import shaped
from runstream_protocols.kit.payloads import Payload, read_object
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.protocol import WritingSide
from runstream_protocols.sagemaker.documents import AnyRequest, AnyResponse
from runstream_protocols.sagemaker.errors import as_client_reads, invalid_members
from runstream_protocols.sagemaker.models import (
    AwsRequest,
    AwsResponse,
    BatchPutMetricsRequest,
    BatchPutMetricsResponse,
)
from runstream_protocols.sagemaker.names import DEFAULT_REGION
from runstream_protocols.sagemaker.operations import PUT_METRICS, Operation, action_of, operation_of
from runstream_protocols.sagemaker.paths import ADDRESS, METRICS
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.signing import Credential, SignedRequest, check_signature
from runstream_query.http.context import Context
from runstream_query.http.outgoing import ended_with_connection, outgoing_of
from runstream_query.http.serving import POSITION_HEADER, send
from runstream_query.problems import problem_of
from runstream_service.access import LOCAL, READING, Action, principal_of
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.problems import Handler as RequestHandler
from runstream_service.routing import Call, Route, add_routes, call_of, tagged
from runstream_service.turns import worked

#: The client waits 60 s for a response, and sends a request that failed again.
VISIBLE_TIMEOUT_S: Final = 10.0
#: One call of a method of the client: its repetitions have the same.
_INVOCATION: Final = "amz-sdk-invocation-id"
_MAX_INVOCATION_CHARS: Final = 100
#: A parameter with its name and its type has more.
_BYTES_OF_A_VALUE: Final = 20


async def respond(side: SagemakerSide, call: Call[None]) -> AwsResponse:
    """Do what the header of a request names. Raises Problem."""
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
        await _settle(side)
        content = b" ".join((operation.name.encode(), side.invocation.encode(), payload.content))
        response = await operation.handler(dataclasses.replace(side, content=content), request)
    # Nothing of the body is held any more.
    if operation.action not in READING:
        is_visible = await side.recorder.wait_until_visible()
        # The next request at this gateway waits; one at another would take what it cannot see for missing.
        if not is_visible and not settings.is_only_gateway:
            raise _not_visible()
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
    """Add ROUTES to the application of a gateway, before it starts."""
    gateway, reading = side.gateway, side.reading
    recorder = Recorder.of(gateway, side.lookup, side.assets, VISIBLE_TIMEOUT_S)
    context = Context(
        reading.store,
        reading.visibility,
        None,
        reading.assets,
        reading.settings,
        SYSTEM_CLOCK.at_us,
        outgoing=outgoing_of(app, reading.settings),
    )
    whole = SagemakerSide(recorder, gateway, context)
    add_routes(app, ROUTES, lambda route: _handler(route, whole))


def _handler(route: Route, side: SagemakerSide) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        with shaped(as_client_reads, (problem_of,)):
            return await _respond(route, side, request)

    return serve


async def _respond(route: Route, side: SagemakerSide, request: web.Request) -> web.StreamResponse:
    call = call_of(route, request, None)
    context = side.context.for_request(route.class_for(None), call.scope)
    credential = Credential.of(request.headers.get("Authorization", ""))
    of_request = dataclasses.replace(
        side,
        context=context,
        region=DEFAULT_REGION if credential is None else credential.region,
        invocation=request.headers.get(_INVOCATION, "")[:_MAX_INVOCATION_CHARS],
    )
    headers = {"Content-Type": "application/json", POSITION_HEADER: str(context.visibility.visible())}
    with ended_with_connection(request), side.recorder.responding(request, route.action_for(request)):
        response = await route.handler(of_request, call)
        assert isinstance(response, AwsResponse)
        return await send(context, request, response, headers, by_alias=True)


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


async def _settle(side: SagemakerSide) -> None:
    """Wait until all that was appended here can be read: what is not found is not gone. Raises Problem (503)."""
    if not await side.recorder.settled():
        raise _not_visible()


def _not_visible() -> Problem:
    detail = "what was written a moment ago cannot be read yet: send the request again"
    return Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=RETRY_AFTER_S)
