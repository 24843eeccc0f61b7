"""GetCallerIdentity, of AWS's service for tokens: the account, of which the client makes the name of its bucket."""

from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from runstream.events.moments import moment_of
from runstream_protocols.sagemaker.access import TARGET
from runstream_protocols.sagemaker.errors import AwsError, as_client_reads
from runstream_protocols.sagemaker.names import ACCOUNT
from runstream_protocols.sagemaker.s3.errors import text_in_xml
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.signing import Credential, SignedRequest, check_signature
from runstream_service.access import LOCAL, principal_of
from runstream_service.bodies import read_body
from runstream_service.problems import Problem

_SERVICE: Final = "sts"
_FORM: Final = "application/x-www-form-urlencoded"
_XML: Final = "text/xml"
_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_MAX_BYTES: Final = 10_000


def is_about_tokens(request: web.Request) -> bool:
    """Return whether a request is one of this service: its body is a form, and no header says what it does."""
    return request.content_type == _FORM and TARGET not in request.headers


async def respond(side: SagemakerSide, request: web.Request) -> web.Response:
    """Say who sends a request. What is refused has the form that clients of this service read."""
    try:
        body = await read_body(request, _MAX_BYTES, side.gateway.settings.pace)
        _check(side, request, body)
        action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
        if action != "GetCallerIdentity":
            raise AwsError("InvalidAction", f"the action {action[:60]!r} is not kept here: GetCallerIdentity is")
    except Problem as problem:
        return _refused(as_client_reads(problem))
    name = principal_of(request).name
    members = {"Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "UserId": name, "Account": ACCOUNT}
    shown = "".join(f"<{member}>{text_in_xml(text)}</{member}>" for member, text in members.items())
    return _xml(200, "GetCallerIdentityResponse", f"<GetCallerIdentityResult>{shown}</GetCallerIdentityResult>")


def _check(side: SagemakerSide, request: web.Request, body: bytes) -> None:
    """Refuse a request whose signature is wrong. Raises AwsError."""
    credential = Credential.of(request.headers.get("Authorization", ""))
    if credential is None or principal_of(request) is LOCAL:
        return
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
    signed = SignedRequest(request.method, path, query, headers, body)
    check_signature(credential, signed, moment_of(side.recorder.now_us()), _SERVICE)


def _refused(problem: Problem) -> web.Response:
    members = {"Type": "Sender", "Code": str(problem.extensions["__type"]), "Message": problem.detail}
    shown = "".join(f"<{member}>{text_in_xml(text)}</{member}>" for member, text in members.items())
    return _xml(problem.status, "ErrorResponse", f"<Error>{shown}</Error>")


def _xml(status: int, name: str, inside: str) -> web.Response:
    body = f'<{name} xmlns="{_NAMESPACE}">{inside}</{name}>'
    return web.Response(status=status, body=body.encode(errors="replace"), content_type=_XML)
