"""HTTP to a gateway: one kept-alive connection, and the seam that tests replace."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol
from urllib.parse import SplitResult, urlsplit

#: A gateway that syncs to a slow disk behind a full queue still answers within this.
REQUEST_TIMEOUT_S: Final = 60.0
_CONNECT_TIMEOUT_S: Final = 10.0
#: An answer says where every writer of a request is: 60 bytes each, and a request has at most some thousand.
_MAX_ANSWER_BYTES: Final = 4_000_000
#: What a file is read in when it is uploaded.
_UPLOAD_BLOCK_BYTES: Final = 1 << 18


class Unreachable(Exception):
    """No answer came: refused, cut off, too slow. Whether the request was carried out is unknown."""

    def __init__(self, message: str, *, too_slow: bool = False) -> None:
        super().__init__(message)
        self.too_slow = too_slow


class InvalidTarget(ValueError):
    """A URL that no request can be sent to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, header names in lower case. `name`: what a person is told instead of its status, where it is
    another transport's answer in the same form."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    name: str = ""


class Transport(Protocol):
    """One request at a time to one gateway; used by one thread."""

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Answer:
        """Send and wait for the answer. `path` begins with '/' and is added to the target's own.

        `timeout_s` bounds each wait, not the whole. Raises Unreachable; never for a status.
        """

    def close(self) -> None:
        """Close the connection. The next request opens another."""


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
    """The standard library's client over one kept-alive connection."""

    def __init__(self, url: str) -> None:
        """Raises InvalidTarget."""
        self._parts = split_target(url)
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Answer:
        reused = self._connection is not None
        place = body.tell() if body is not None and not isinstance(body, bytes) else 0
        try:
            return self._exchange(method, path, body, headers, timeout_s)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if not reused:
                raise Unreachable(self._told(error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(self._told(error), too_slow=isinstance(error, TimeoutError)) from error
        # The gateway closed a connection that had been idle: that says nothing about how it is now.
        if body is not None and not isinstance(body, bytes):
            body.seek(place)
        try:
            return self._exchange(method, path, body, headers, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(self._told(error), too_slow=isinstance(error, TimeoutError)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Answer:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
        assert connection.sock is not None
        connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # A gateway that refuses a large body answers and closes before all of it was sent: its answer counts.
            if connection.sock is None:
                raise
        response = connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(_MAX_ANSWER_BYTES),
        )
        if response.will_close or not response.isclosed():
            self.close()
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                host, port, timeout=_CONNECT_TIMEOUT_S, context=context, blocksize=_UPLOAD_BLOCK_BYTES
            )
        else:
            connection = http.client.HTTPConnection(
                host, port, timeout=_CONNECT_TIMEOUT_S, blocksize=_UPLOAD_BLOCK_BYTES
            )
        connection.connect()
        return connection

    def _told(self, error: Exception) -> str:
        return f"{self._parts.geturl()} cannot be reached: {error or type(error).__name__}"
