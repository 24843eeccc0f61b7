"""Responses and refusals of AWS's service for tokens, as its clients read them: XML."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from runstream_protocols.sagemaker.errors import AwsError, as_client_reads
from runstream_protocols.sagemaker.s3.errors import text_in_xml
from runstream_service.problems import Problem

_XML: Final = "text/xml"
_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
#: The service calls a key that it does not know otherwise than the others do.
_UNKNOWN_KEY: Final = ("InvalidClientTokenId", 403)


class StsError(AwsError):
    """A refusal with a code of this service."""

    def response(self, request_id: str | None = None) -> web.Response:
        """The response as its XML."""
        members = {"Type": "Sender", "Code": self.code, "Message": self.detail}
        return in_xml(self.status, "ErrorResponse", f"<Error>{elements(members)}</Error>")


def as_sts_reads(problem: Problem) -> StsError:
    """Return the problem as clients of this service read it."""
    if problem.status == 401:
        code, status = _UNKNOWN_KEY
    else:
        known = as_client_reads(problem)
        code, status = str(known.extensions["__type"]), known.status
    return StsError(code, problem.detail, status=status)


def elements(members: Mapping[str, str]) -> str:
    """Return members as elements, one behind the other."""
    return "".join(f"<{member}>{text_in_xml(text)}</{member}>" for member, text in members.items())


def in_xml(status: int, name: str, inside: str) -> web.Response:
    """Return a response whose document has this root."""
    body = f'<{name} xmlns="{_NAMESPACE}">{inside}</{name}>'
    return web.Response(status=status, body=body.encode(errors="replace"), content_type=_XML)
