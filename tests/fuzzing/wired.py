"""Targets: raw bytes of an HTTP server to the sender's transport and to `runstream.API`, over a real socket.

An input is the name of a call, a line end, and what the server sends to each request before it closes.
"""

import contextlib
import functools
import random
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from fuzzing.answered import gateway_fields
from fuzzing.cases import Fault, Target
from fuzzing.values import Pairs, as_bytes, damaged, json_bytes, odd_text, odd_value, some_changes
from runstream import API
from runstream.errors import RunstreamError
from runstream.sender.responses import meaning_of
from runstream.sender.transport import HttpTransport, Unreachable
from runstream_query.http.routes import ROUTES

#: Requests that one call may make before the server says no more: a response that always has a next page would go on
#: for ever.
_MOST_REQUESTS: Final = 6
_TIMEOUT_S: Final = 20.0
#: A response may be read whole, decoded, and made into objects.
_MULTIPLE: Final = 120


class Scripted:
    """Listens on 127.0.0.1 and sends the same bytes to every request. One for a process; used by one thread."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._response = b""
        self._left = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, response: bytes) -> None:
        """What is sent from here on."""
        self._response, self._left = response, _MOST_REQUESTS

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_TIMEOUT_S)
                self._read_request(connection)
                if self._left > 0:
                    self._left -= 1
                    connection.sendall(self._response)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(1.0)
                    while connection.recv(65_536):
                        pass

    def _read_request(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        while len(body) < size:
            body += connection.recv(65_536)


@functools.cache
def _server() -> Scripted:
    return Scripted()


@functools.cache
def _schemas() -> Mapping[str, Mapping[str, Any]]:
    """JSON schemas of responses by path."""
    return {one.path: one.response.model_json_schema() for one in ROUTES if one.response is not None}


def instance(rng: random.Random, schema: Mapping[str, Any], whole: Mapping[str, Any], depth: int = 6) -> Any:
    """A value that a JSON schema allows, for the part of the language that pydantic writes."""
    if "$ref" in schema:
        return instance(rng, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, depth - 1)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return instance(rng, rng.choice(schema[word]), whole, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            return Pairs((name, instance(rng, one, whole, depth - 1)) for name, one in schema["properties"].items())
        case "object":
            inner = schema.get("additionalProperties")
            value = instance(rng, inner, whole, depth - 1) if isinstance(inner, Mapping) else 1
            return Pairs([("a", value)])
        case "array":
            items = schema.get("items", {})
            return [instance(rng, items, whole, depth - 1) for _ in range(rng.choice((0, 1, 2)) if depth > 0 else 0)]
        case "string":
            return rng.choice(("a", "run-1", "2026-01-31T12:00:00.000000Z", "0:41", "NaN", ""))
        case "integer":
            return rng.choice((0, 1, 7, 1_750_000_000_000_000))
        case "number":
            return rng.choice((0.5, 1, 1e308))
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
    return rng.choice(("a", 1, None, {"a": [1]}))


_RUN: Final = "/api/v1/runs/{run}"
#: A call of the API, and the path whose answer it expects.
_CALLS: Final[Mapping[str, tuple[Callable[[API], object], str]]] = {
    "runs": (lambda api: list(api.runs("x = 1")), "/api/v1/runs/query"),
    "run": (lambda api: api.run("r"), _RUN),
    "writers": (lambda api: list(api.writers("r")), _RUN),
    "parameters": (lambda api: api.parameters("r"), f"{_RUN}/parameters"),
    "environment": (lambda api: api.environment("r"), f"{_RUN}/environment"),
    "summaries": (lambda api: list(api.summaries("r")), "/api/v1/summaries"),
    "assets": (lambda api: list(api.assets("r")), f"{_RUN}/assets"),
    "output": (lambda api: api.output("r"), f"{_RUN}/output"),
    "history": (lambda api: list(api.history("r")), f"{_RUN}/history"),
    "workspaces": (lambda api: list(api.workspaces()), "/api/v1/workspaces"),
    "projects": (lambda api: list(api.projects()), "/api/v1/projects"),
    "experiments": (lambda api: list(api.experiments()), "/api/v1/experiments"),
    "artifacts": (lambda api: list(api.artifacts()), "/api/v1/artifacts"),
    "live": (lambda api: list(api.live(reconnect=False)), "/api/v1/live"),
    "command": (lambda api: api.archive("r"), "commands"),
    "create": (lambda api: api.create_project("p"), "commands"),
}
_STATUS_LINES: Final = (
    *(b"HTTP/1.1 200 OK",) * 14,
    *(
        b"HTTP/1.1 404 Not Found",
        b"HTTP/1.1 500 X",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 422 X",
    ),
    *(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 99999 X",
        b"HTTP/9.9 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1",
    ),
    *(
        b"ICY 200 OK",
        b"SSH-2.0-OpenSSH_9.6",
        b"",
        b"HTTP/1.1 -1 X",
        b"HTTP/1.1 2\xb20 X",
        b"HTTP/1.1 200 " + b"a" * 70_000,
    ),
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + b"HTTP/1.1 200 OK",
)


def response(rng: random.Random, body: bytes) -> bytes:
    """The bytes of a response with that body, mostly right."""
    lines = [b"HTTP/1.1 200 OK" if rng.random() < 0.5 else rng.choice(_STATUS_LINES)]
    kind = rng.choice(
        (b"application/json", b"application/json", b"text/html", b"application/problem+json", b"text/event-stream")
    )
    lines.append(b"Content-Type: " + kind)
    if rng.random() < 0.92:
        lines.append(b"Runstream-Protocol: 1")  # or nothing of it is looked at
    size = b"%d" % len(body)
    chance = rng.random()
    if chance < 0.15:
        lines.append(b"Transfer-Encoding: chunked")
        piece = rng.choice((size, b"%x" % len(body), b"ffffffffffffffff", b"-1", b"zz", b"", b"0", b"1" * 5000))
        body = piece + b"\r\n" + body + b"\r\n0\r\n\r\n"
    elif chance < 0.3:
        lines.append(
            b"Content-Length: "
            + rng.choice((b"0", b"-1", b"9" * 30, b"x", b"1e3", b"99999999999", size + b", " + size))
        )
    elif chance < 0.9:
        lines.append(b"Content-Length: " + size)
    if rng.random() < 0.1:
        more = (
            b"X: " + b"a" * 70_000,
            b"no colon",
            b"\xff\xfe: \xff",
            b"Location: file:///etc/passwd",
            b"Content-Encoding: gzip",
        )
        lines.append(
            rng.choice((*more, b"\r\n".join(b"X-%d: y" % number for number in range(150)), b"Retry-After: \xb2"))
        )
    data = b"\r\n".join(lines) + b"\r\n\r\n" + body
    return damaged(rng, data) if rng.random() < 0.1 else data


def make_api(rng: random.Random) -> bytes:
    name = rng.choice(tuple(_CALLS))
    path = _CALLS[name][1]
    schema = _schemas().get(path)
    if path == "commands":
        document: Any = Pairs([("positions", "0:41"), ("visible", True), ("commands", ["ab-0"]), ("changed", True)])
    elif schema is not None:
        document = instance(rng, schema, schema)
    else:
        document = odd_value(rng)
    body = json_bytes(rng, document, some_changes(rng))
    if name == "live":
        body = (
            rng.choice((b"event: run\ndata: ", b"event: summary\ndata: ", b"data: ", b"id: 1\nevent: run\ndata: "))
            + body
            + b"\n\n"
        )
    if rng.random() < 0.05:
        body = rng.choice((b"<html>Hotel</html>", as_bytes(odd_text(rng)), b"\xff\xfe", b"[" * 100_000, b"null", b"1"))
    return name.encode() + b"\n" + response(rng, body)


def run_api(data: bytes) -> None:
    name, _, response = data.partition(b"\n")
    call = _CALLS.get(name.decode(errors="replace"))
    if call is None:
        return
    server = _server()
    server.begin(response)
    with contextlib.suppress(RunstreamError):
        call[0](API(url=server.url, api_key="k" * 32))


def make_wire(rng: random.Random) -> bytes:
    _, fields = gateway_fields(rng)
    return b"frames\n" + response(rng, json_bytes(rng, fields, some_changes(rng)))


def run_wire(data: bytes) -> None:
    server = _server()
    server.begin(data.partition(b"\n")[2])
    transport = HttpTransport(server.url)
    try:
        response = transport.request("POST", "/ingest/v1/frames", b"x", {}, timeout_s=_TIMEOUT_S)
    except Unreachable:
        return
    finally:
        transport.close()
    if not 0 <= response.status <= 999:
        raise Fault("a status that is none", str(response.status))
    meaning_of(response, 1_750_000_000.0)


TARGETS: Final = (
    Target("api", make_api, run_api, lambda data: _MULTIPLE * len(data), 10),
    Target("wire", make_wire, run_wire, lambda data: _MULTIPLE * len(data), 10),
)
