"""HTTP to a gateway: one kept-alive connection, and the seam that tests replace."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from runstream.connections import FAILURES, BadResponse, Connection, readable, unused_proxy

#: A gateway that syncs to a slow disk behind a full queue still answers within this.
REQUEST_TIMEOUT_S: Final = 60.0
#: A response says where every writer of a request is: 60 bytes each, and a request has at most some thousand.
_MAX_RESPONSE_BYTES: Final = 4_000_000


class Unreachable(Exception):
    """No response came: refused, cut off, too slow. Whether the request was carried out is unknown."""

    def __init__(self, message: str, *, too_slow: bool = False) -> None:
        super().__init__(message)
        self.too_slow = too_slow


class InvalidTarget(ValueError):
    """A URL that no request can be sent to."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, header names in lower case. `name`: what a person is told instead of its status, where it is
    another transport's response in the same form: one that was made in this process, and is believed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    name: str = ""
    #: What was requested.
    url: str = ""


class Transport(Protocol):
    """One request at a time to one gateway; used by one thread."""

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Response:
        """Send and wait for the response. `path` begins with '/' and is added to the target's own.

        `timeout_s` bounds each wait for the other side, and the time to its response. Raises Unreachable; never for a
        status.
        """

    def close(self) -> None:
        """Close the connection. The next request opens another."""

    def abort(self) -> None:
        """From any thread: make the request under way, and every later one, raise Unreachable soon."""


def split_target(url: str) -> SplitResult:
    """The parts of a gateway's URL. Raises InvalidTarget."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidTarget(f"{url!r} is no gateway's address: give one like http://host:port (RUNSTREAM_URL)")
    return parts


class HttpTransport:
    """The standard library's client over one kept-alive connection. `abort` may be called by any thread."""

    def __init__(self, url: str, max_response_bytes: int = _MAX_RESPONSE_BYTES) -> None:
        """Raises InvalidTarget."""
        self._max_response_bytes = max_response_bytes
        self._parts = split_target(url)
        self._connection = Connection(self._parts)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Response:
        reused = self._connection.is_open
        place = body.tell() if body is not None and not isinstance(body, bytes) else 0
        try:
            return self._exchange(method, path, body, headers, timeout_s)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if not reused:
                raise Unreachable(self._told(error)) from error
        except FAILURES as error:
            self.close()
            raise Unreachable(self._told(error), too_slow=isinstance(error, TimeoutError)) from error
        # The gateway closed a connection that had been idle: that says nothing about how it is now.
        if body is not None and not isinstance(body, bytes):
            body.seek(place)
        try:
            return self._exchange(method, path, body, headers, timeout_s)
        except FAILURES as error:
            self.close()
            raise Unreachable(self._told(error), too_slow=isinstance(error, TimeoutError)) from error

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.abort()

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Response:
        reply = self._connection.request(method, path, body, headers, timeout_s)
        response = Response(
            reply.status,
            reply.headers,
            reply.read_all(self._max_response_bytes),
            url=self._parts.geturl() + path,
        )
        if not reply.reusable:
            self.close()
        return response

    def _told(self, error: Exception) -> str:
        reason = readable(str(error)) or type(error).__name__
        if isinstance(error, BadResponse | http.client.HTTPException):
            return f"{self._parts.geturl()} gave a response that cannot be read: {reason}"
        return f"{self._parts.geturl()} cannot be reached: {reason}{unused_proxy(self._parts)}"
