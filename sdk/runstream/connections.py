"""HTTP/1.1 to one server: the one way in which anything here reaches a network.

- A redirect is a response like others: nobody follows one, so a key reaches no other host than the one it is for.
- Proxies of the environment are not used; `unused_proxy` says so where a connection fails.
- A server behind https shows a certificate of a CA that OpenSSL knows, or that SSL_CERT_FILE names.
- A response ends: its head has a size and a time, its body a least rate, and whoever reads it gives a limit.
"""

import contextlib
import http.client
import io
import ipaddress
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import SplitResult, urlsplit

#: A hundred lines of 64 kB are what http.client takes; ours have a dozen short ones. Responses of kind 1xx count too.
_MAX_HEAD_BYTES: Final = 1_000_000
#: Slower than any line that is of use: a modem had 5 kB/s.
LEAST_BYTES_PER_S: Final = 1_000.0
_CONNECT_S: Final = 10.0
_BLOCK_BYTES: Final = 1 << 18
_MAX_SHOWN_CHARS: Final = 300

#: Whatever fails in here raises one of these.
FAILURES: Final = (OSError, http.client.HTTPException)


class BadResponse(OSError):
    """A response that cannot be used: too large, packed although nobody asked for that."""


class Unsendable(OSError):
    """A request that cannot be written down. The message does not show the values of its headers."""


class Unverified(OSError):
    """The other side cannot show that it is the server of the address."""


class Response:
    """A response whose body is still to be read. For one thread. Everything raises one of FAILURES; TimeoutError where
    the server is silent or too slow."""

    def __init__(self, response: http.client.HTTPResponse, raw: "_Timed") -> None:
        self._response = response
        self._raw = raw
        self.status = response.status
        #: Names in lower case.
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}
        self._done = self._closed = False
        raw.head_is_read()
        if self.status < 200:
            raise BadResponse(f"the response has the status {self.status}, behind which another one follows")
        packed = self.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            raise BadResponse(f"the response is packed as {packed[:40]!r}, which was not asked for")

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request: the body is read and the server keeps it open."""
        return self._done and not self._response.will_close

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._response.close()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, what is there of them; b"" at the end."""
        if self._done or not size:
            return b""
        piece = self._response.read1(min(size, _BLOCK_BYTES)) if self._response.length != 0 else b""
        # What frames the body (sizes of chunks, trailers) earns no time.
        self._raw.earn(len(piece))
        left = self._response.length
        if not piece and left:
            raise http.client.IncompleteRead(b"", left)
        if not piece or left == 0:
            self._done = True
            self._response.close()  # before another request
        return piece

    def readline(self, limit: int) -> bytes:
        """A line with its end; at most `limit` bytes of it."""
        line = self._response.readline(limit)
        if not line and limit and self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        return line

    def read_all(self, limit: int) -> bytes:
        """The body. Raises BadResponse if it is larger than `limit`, or than memory."""
        declared = self._response.length
        if declared is not None and declared > limit:
            raise BadResponse(f"the response has {declared} bytes, at most {limit} are read")
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := self.read(limit + 1 - size):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise BadResponse(f"the response has more than {limit} bytes, which is the most that is read")
            return b"".join(pieces)
        except MemoryError:
            pieces.clear()
            raise BadResponse(f"the response has {size} bytes and more: it does not fit into memory") from None


class Connection:
    """A connection that is kept open between requests. For one thread; `abort` for any."""

    def __init__(self, parts: SplitResult, connect_s: float = _CONNECT_S) -> None:
        self._parts = parts
        self._connect_s = connect_s
        self._open: http.client.HTTPConnection | None = None
        self._aborted = False

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        least_bytes_per_s: float | None = LEAST_BYTES_PER_S,
    ) -> Response:
        """Send a request to `path` below the server's own and read the head of its response.

        `timeout_s` bounds each wait for the other side and the time to the response's head; the body may take that
        long and what `least_bytes_per_s` allows besides (None: as long as it goes on). Raises one of FAILURES.
        """
        if self._open is not None and _has_unread(self._open.sock):
            self.close()
        connection = self._open
        if connection is None:
            connection = self._open = self._connect()
        if self._aborted or connection.sock is None:
            self.close()
            raise ConnectionAbortedError("the request was given up")
        connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large body answers and closes before all of it was sent: its response counts.
            if connection.sock is None:
                raise
        except ValueError:  # its message shows the header, which may be the key's
            self.close()
            raise Unsendable("a header of the request holds characters that none may have: look at the key") from None
        raws: list[_Timed] = []

        def response_of(sock: socket.socket, *arguments: Any, **options: Any) -> http.client.HTTPResponse:
            raws.append(_Timed(sock, timeout_s, least_bytes_per_s))
            return http.client.HTTPResponse(_Made(raws[0]), *arguments, **options)  # type: ignore[arg-type]

        connection.response_class = response_of  # type: ignore[assignment]
        return Response(connection.getresponse(), raws[0])

    def close(self) -> None:
        """The next request opens another connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def abort(self) -> None:
        """Make the request under way, and every later one, fail at once."""
        self._aborted = True
        connection = self._open
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError, ValueError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host,
                self._parts.port,
                timeout=self._connect_s,
                context=ssl.create_default_context(),
                blocksize=_BLOCK_BYTES,
            )
        else:
            connection = http.client.HTTPConnection(
                host, self._parts.port, timeout=self._connect_s, blocksize=_BLOCK_BYTES
            )
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise Unverified(
                f"the certificate that it shows is not accepted ({error.verify_message}): if its CA is your own, name "
                "the file of the CA's certificate in SSL_CERT_FILE"
            ) from None
        except UnicodeError as error:  # a host name that cannot be one
            raise Unsendable(f"{host!r} is no name of a host: {error}") from None
        return connection


def fetch(
    url: str, path: str, headers: Mapping[str, str], timeout_s: float, limit: int, *, body: bytes | None = None
) -> tuple[Response, bytes]:
    """The response to one GET, or with a body to one POST, and its body of at most `limit` bytes; a wait of `timeout_s`
    for each of connection, head and body. Raises one of FAILURES, also for an address that is none."""
    try:
        parts = urlsplit(url)
        connection = Connection(parts, timeout_s)
        parts.port  # noqa: B018 - raises for a number that no port has
    except ValueError as error:
        raise Unsendable(f"{url!r} is no address: {error}") from None
    try:
        method = "GET" if body is None else "POST"
        response = connection.request(method, path, body, headers, timeout_s, least_bytes_per_s=limit / timeout_s)
        return response, response.read_all(limit)
    finally:
        connection.close()


def _has_unread(sock: socket.socket | None) -> bool:
    """Whether the server sent something that nobody requested, or closed the connection: what comes next on it would be
    taken for the response to the next request."""
    if sock is None:
        return False
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


class _Timed(io.RawIOBase):
    """What is read from a socket, each read bounded by the time that is left."""

    def __init__(
        self,
        sock: socket.socket,
        timeout_s: float,
        least_bytes_per_s: float | None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # A file of the socket, so that http.client may close the socket before the body is read.
        self._raw = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._timeout_s = timeout_s
        self._least_bytes_per_s = least_bytes_per_s
        self._monotonic_s = monotonic_s
        self._until_s: float | None = monotonic_s() + timeout_s
        self._in_head = True
        self._received = self._earned_bytes = 0

    def earn(self, size: int) -> None:
        """So much of the body came: the rest has as much longer as that."""
        self._earned_bytes += size

    def head_is_read(self) -> None:
        """From here on the body is read."""
        self._in_head = False
        limited = self._least_bytes_per_s is not None
        self._until_s = self._monotonic_s() + self._timeout_s if limited else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._in_head and self._received > _MAX_HEAD_BYTES:
            raise BadResponse(f"the head of the response has more than {_MAX_HEAD_BYTES} bytes")
        wait_s = self._timeout_s
        if self._until_s is not None:
            earned_s = self._earned_bytes / self._least_bytes_per_s if self._least_bytes_per_s else 0.0
            wait_s = min(wait_s, self._until_s + earned_s - self._monotonic_s())
            if wait_s <= 0:
                raise TimeoutError("the response comes too slowly")
        self._sock.settimeout(wait_s)
        read: int | None = self._raw.readinto(buffer)
        self._received += read or 0
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Made:
    """What http.client makes a response's file of."""

    def __init__(self, raw: _Timed) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._raw)


def readable(text: str, max_chars: int = _MAX_SHOWN_CHARS) -> str:
    """A server's text for a terminal: on one line, bounded, without what controls a terminal."""
    shown = "".join(each if each.isprintable() else " " for each in text[: 4 * max_chars])
    shown = " ".join(shown.split())
    return shown if len(shown) <= max_chars else shown[: max_chars - 3] + "..."


def first_words(body: bytes) -> str:
    """The beginning of a body, for a person."""
    return readable(body[:400].decode("utf-8", "replace"), 80)


def unused_proxy(parts: SplitResult, environ: Mapping[str, str] = os.environ) -> str:
    """The end of a sentence about a server that cannot be reached: that a proxy is set for it, which is not used."""
    names = (f"{parts.scheme}_proxy", "all_proxy")
    name = next((n for lower in names for n in (lower, lower.upper()) if environ.get(n)), None)
    host = parts.hostname or ""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if name is None or _is_loopback(host) or any(_covers(each.strip(), host) for each in excepted.split(",")):
        return ""
    return f"; {name} is set, but Runstream connects directly"


def _covers(exception: str, host: str) -> bool:
    name = exception.lstrip(".").lower()
    return exception == "*" or (bool(name) and (host == name or host.endswith(f".{name}")))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
