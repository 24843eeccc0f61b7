"""What of a request is signed, as the rest of the folder reads it."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from runstream_protocols.sagemaker.s3.signatures import Received

#: The secret of the credentials for a time by which authentication let a request in.
SESSION_SECRET: Final = web.RequestKey("runstream_sagemaker_session", str)


def received_of(request: web.Request) -> Received:
    """Return what of a request is signed."""
    path, _, query = request.raw_path.partition("?")
    return Received(request.method, path, query, headers_of(request))


def headers_of(request: web.Request) -> Mapping[str, str]:
    """Return the headers of a request by their names in lower case."""
    return {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
