"""One HTTP request at a time over the standard library."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode, urlsplit

from runstream._version import VERSION
from runstream.api.errors import NotFound, Refused, ServerFailed, ServerUnreachable

#: A read may wait 60 s for a position on the server's side; half of that again for the answer.
TIMEOUT_S: Final = 90.0
_NO_ANSWER: Final = "no answer from {url} ({reason}): start a server with `runstream up`, or set RUNSTREAM_URL"
_BROKE_OFF: Final = "the answer of {url} broke off ({reason}): ask again"
Parameter = str | int | float | bool | None | Sequence[str]


class Body:
    """The bytes of an answer, read as they come. Reading raises ServerUnreachable where the connection breaks; nothing
    else that happens meanwhile is taken for the server's silence. A file-like object; for one thread at a time."""

    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
        self._response = response
        self._url = url

    @property
    def closed(self) -> bool:
        return self._response.closed

    def close(self) -> None:
        """Nothing can be read from here on; the connection goes with the block that opened it."""
        self._response.close()

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that are left if it is negative; b"" at the end."""
        with _connected(self._url, _BROKE_OFF):
            return self._response.read() if size < 0 else self._response.read(size)

    def __iter__(self) -> Iterator[bytes]:
        """Lines, each with its end."""
        while True:
            with _connected(self._url, _BROKE_OFF):
                line = self._response.readline()
            if not line:
                return
            yield line


@contextmanager
def _connected(url: str, advice: str) -> Iterator[None]:
    """What fails here fails because of the connection."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise ServerUnreachable(advice.format(url=url, reason=reason)) from error


class Transport:
    """Requests to one server. Every request has a connection of its own, so that threads may share a transport."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._parts = urlsplit(url)
        self._requests = 0
        self._counting = threading.Lock()

    @property
    def requests(self) -> int:
        """How many were made so far."""
        return self._requests

    def get(self, path: str, **query: Parameter) -> Any:
        """The JSON of an answer. A parameter that is None is left out; one that is a list is repeated."""
        with self.open("GET", path + _query(query)) as response:
            return self._json(response)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON of an answer to a JSON body; members that are None are left out."""
        with self.open("POST", path, {key: value for key, value in body.items() if value is not None}) as response:
            return self._json(response)

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        data: bytes | BinaryIO | None = None,
    ) -> Iterator[Body]:
        """The answer as a stream, for the duration of the block. What is sent is `body` as JSON, or `data` as it is,
        whose headers have to say its type, and of a file its length. Raises ServerUnreachable (also from reading the
        body inside the block), ServerFailed, Refused, NotFound. What else is raised inside the block leaves it as it
        is."""
        sent = {"Accept": "application/json", "User-Agent": f"runstream/{VERSION}", **(headers or {})}
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        if self._api_key:
            sent["Authorization"] = f"Bearer {self._api_key}"
        with self._counting:
            self._requests += 1
        connection = self._connection(timeout_s or self._timeout_s)
        try:
            with _connected(self.url, _NO_ANSWER):
                connection.request(method, self._parts.path.rstrip("/") + path, data, sent)
                response = connection.getresponse()
            stream = Body(response, self.url)
            if response.status >= 400:
                self._raise(response.status, stream.read())
            yield stream
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout_s)

    def _json(self, response: Body) -> Any:
        try:
            return json.loads(response.read())
        except ValueError:
            raise ServerFailed(f"{self.url} answered something that is no JSON: is this a Runstream server?") from None

    def _raise(self, status: int, body: bytes) -> None:
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            problem = {"status": status, "title": f"HTTP {status}", "detail": body[:200].decode(errors="replace")}
        message = f"{problem.get('detail') or problem.get('title')} (HTTP {status} from {self.url})"
        if problem.get("pointed"):
            message += f"\n{problem['pointed']}"
        if status >= 500 or status == 429:
            raise ServerFailed(message)
        raise (NotFound if status == 404 else Refused)(message, problem)


def segment(text: str) -> str:
    """A part of a path."""
    return quote(text, safe="")


def _query(parameters: Mapping[str, Parameter]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int | float):
            pairs.append((name, str(value)))
        else:
            pairs.extend((name, item) for item in value)
    return "?" + urlencode(pairs) if pairs else ""
