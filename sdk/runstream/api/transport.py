"""HTTP requests to one server, and what becomes of responses that no Runstream server sends."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode, urlsplit

from runstream._version import VERSION
from runstream.api.errors import NotFound, Refused, ServerFailed, ServerUnreachable
from runstream.api.noticing import warn_of_unknown
from runstream.connections import (
    FAILURES,
    LEAST_BYTES_PER_S,
    BadResponse,
    Connection,
    Response,
    first_words,
    readable,
    unused_proxy,
)
from runstream.events.protocol import PROTOCOL_HEADER, is_ours

#: A read may wait 60 s for a position on the server's side; half of that again for the response.
TIMEOUT_S: Final = 90.0
#: The largest JSON of a server. Comet's history of one metric comes in one piece, of some 130 bytes a point: this is
#: room for three million. A page of 1,000 runs with 500,000 cells of 100 bytes has 50 MB. In Python, JSON takes up to
#: 20 times its size.
MAX_JSON_BYTES: Final = 400_000_000
_MAX_PROBLEM_BYTES: Final = 1_000_000
#: A line of a live stream: a message of 500 rows of 2 kB, ten times over.
_MAX_LINE_BYTES: Final = 10_000_000
_PIECE_BYTES: Final = 1 << 20
_MAX_DETAIL_CHARS: Final = 2_000
_NO_RESPONSE: Final = "no response from {url} ({reason}): start a server with `runstream up`, or set RUNSTREAM_URL"
_BROKE_OFF: Final = "the response of {url} broke off ({reason}): ask again"
IS_IT_OURS: Final = "is this a Runstream server? Look at RUNSTREAM_URL, and at what stands in between"
Parameter = str | int | float | bool | None | Sequence[str]


class Body:
    """The bytes of a response, read as they come. Reading raises ServerUnreachable where the connection breaks or the
    server is too slow, ServerFailed where there is too much; nothing else that happens meanwhile is taken for the
    server's silence. A file-like object; for one thread at a time."""

    def __init__(self, response: Response, url: str) -> None:
        self._response = response
        self._url = url
        self.status = response.status
        #: Names in lower case.
        self.headers = response.headers

    @property
    def closed(self) -> bool:
        return self._response.closed

    @property
    def is_ours(self) -> bool:
        """Whether the response says that it is a Runstream server's."""
        return is_ours(self.headers.get(PROTOCOL_HEADER.lower()))

    def close(self) -> None:
        """End reading; the connection goes with the block that opened it."""
        self._response.close()

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, all that are left if it is negative; b"" at the end. What does not fit into memory
        is ServerFailed."""
        if size < 0:
            return self.read_all(_available_bytes())
        pieces: list[bytes] = []
        left = size
        # In pieces: how much is requested may come from the response itself (Arrow), and is no measure of what comes.
        while left:
            with _connected(self._url, _BROKE_OFF):
                piece = self._response.read(min(left, _PIECE_BYTES))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_all(self, limit_bytes: int) -> bytes:
        """Read all that is left. Raises ServerFailed if it is more than that."""
        with _connected(self._url, _BROKE_OFF):
            return self._response.read_all(limit_bytes)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over lines, each with its end."""
        while True:
            with _connected(self._url, _BROKE_OFF):
                line = self._response.readline(_MAX_LINE_BYTES)
            if not line:
                return
            if len(line) >= _MAX_LINE_BYTES:
                raise ServerFailed(f"{self._url} sends a line of more than {_MAX_LINE_BYTES} bytes: {IS_IT_OURS}")
            yield line


@contextmanager
def _connected(url: str, advice: str) -> Iterator[None]:
    """Raise what fails here as a failure of the connection."""
    try:
        yield
    except BadResponse as error:
        raise ServerFailed(f"the response of {url} cannot be used: {error}. {IS_IT_OURS}") from error
    except FAILURES as error:
        reason = (readable(str(error)) or type(error).__name__) + unused_proxy(urlsplit(url))
        raise ServerUnreachable(advice.format(url=url, reason=reason)) from error


class Transport:
    """Requests to one server. Every request has a connection of its own, so that threads may share a transport. No
    redirect is followed: the key reaches no other server than this one."""

    def __init__(
        self, url: str, api_key: str | None, timeout_s: float = TIMEOUT_S, max_json_bytes: int = MAX_JSON_BYTES
    ) -> None:
        self.url = url
        self._max_json_bytes = max_json_bytes
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._parts = urlsplit(url)
        self._requests = 0
        self._responses = 0
        self._counting = threading.Lock()

    @property
    def requests(self) -> int:
        """How many requests were made so far."""
        return self._requests

    @property
    def responses(self) -> int:
        """How many responses came so far."""
        return self._responses

    def get(self, path: str, /, **query: Parameter) -> Any:
        """Return the JSON object of the response. A parameter that is None is left out; one that is a list is
        repeated."""
        with self.open("GET", path + _query(query)) as response:
            return self.json_of(response)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON object of the response to a JSON body; members that are None are left out."""
        with self.open("POST", path, {key: value for key, value in body.items() if value is not None}) as response:
            return self.json_of(response)

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        data: bytes | BinaryIO | None = None,
        *,
        live: bool = False,
        any_status: bool = False,
    ) -> Iterator[Body]:
        """Yield the response as a stream, for the duration of the block. What is sent is `body` as JSON, or `data` as
        it is, whose headers have to say its type, and of a file its length. `timeout_s` bounds every wait; a response
        that comes at less than LEAST_BYTES_PER_S is given up, unless it is `live`. With `any_status` a Runstream
        server's refusal is a response as well.

        Raises ServerUnreachable (also from reading the body inside the block), ServerFailed, Refused, NotFound; the
        last two only where a Runstream server says so. What writes (`/ingest/`) is only believed if one responds. What
        else is raised inside the block leaves it as it is."""
        sent = {"Accept": "application/json", "User-Agent": f"runstream/{VERSION}", **(headers or {})}
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        if self._api_key:
            sent["Authorization"] = f"Bearer {self._api_key}"
        with self._counting:
            self._requests += 1
        connection = Connection(self._parts)
        least_bytes_per_s = None if live else LEAST_BYTES_PER_S
        try:
            with _connected(self.url, _NO_RESPONSE):
                response = connection.request(
                    method, path, data, sent, timeout_s or self._timeout_s, least_bytes_per_s=least_bytes_per_s
                )
            stream = Body(response, self.url)
            with self._counting:
                self._responses += 1
            if not 200 <= stream.status < 300 and not (any_status and stream.is_ours):
                self._raise(stream)
            if path.startswith("/ingest/") and not stream.is_ours:
                raise self._foreign(stream, b"" if method == "HEAD" else stream.read(400))
            yield stream
        finally:
            connection.close()

    def json_of(self, response: Body) -> Any:
        """Parse a response as a JSON object. Raises ServerFailed."""
        try:
            payload = json.loads(response.read_all(self._max_json_bytes))
        except (ValueError, RecursionError, MemoryError) as error:
            raise ServerFailed(
                f"{self.url} answered something that is no JSON ({shortened(error)}): {IS_IT_OURS}"
            ) from None
        if not isinstance(payload, dict):
            raise ServerFailed(f"{self.url} answered something that is no JSON object: {IS_IT_OURS}")
        warn_of_unknown(payload)
        return payload

    def _raise(self, stream: Body) -> None:
        body = stream.read_all(_MAX_PROBLEM_BYTES)
        if not stream.is_ours:
            raise self._foreign(stream, body)
        try:
            problem = json.loads(body)
        except (ValueError, RecursionError, MemoryError):
            problem = None
        if not isinstance(problem, dict):
            problem = {"status": stream.status, "title": f"HTTP {stream.status}", "detail": first_words(body)}
        detail = readable(str(problem.get("detail") or problem.get("title")), _MAX_DETAIL_CHARS)
        message = f"{detail} (HTTP {stream.status} from {self.url})"
        if problem.get("pointed"):
            message += f"\n{_lines(str(problem['pointed']))}"
        if stream.status >= 500 or stream.status == 429:
            raise ServerFailed(message)
        raise (NotFound if stream.status == 404 else Refused)(message, problem)

    def _foreign(self, stream: Body, body: bytes) -> ServerFailed:
        """Make an error of the response of anything else than a Runstream server: neither a refusal nor an
        acknowledgement."""
        location = stream.headers.get("location")
        if location is not None:
            found = f"redirects to {readable(location, 120)}, which is not followed: give that address if it is right"
        else:
            found = f"answers HTTP {stream.status} {first_words(body)!r}"
        return ServerFailed(
            f"{self.url} {found}; no Runstream server answers there (no {PROTOCOL_HEADER} header). {IS_IT_OURS}"
        )


def segment(text: str) -> str:
    """Quote a part of a path."""
    return quote(text, safe="", errors="surrogatepass")  # the server refuses what is no text


def _available_bytes() -> int:
    """Return what fits into memory, as far as that can be told."""
    import psutil

    return int(psutil.virtual_memory().available)


def shortened(error: BaseException) -> str:
    return readable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 120)


def _lines(text: str) -> str:
    """Return lines with their spaces, without what controls a terminal."""
    shown = text[:_MAX_DETAIL_CHARS]
    return "".join(each if each.isprintable() or each == "\n" else " " for each in shown)


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
    return "?" + urlencode(pairs, errors="surrogatepass") if pairs else ""
