"""What the server's OpenAPI document says of the routes that are not the query service's.

Their handlers know nothing of the document; tests/integration/query_api/test_whole_document.py holds each of them to
what stands here.
"""

from typing import Final

from runstream_infra.status import STATUS_PATH, ServerStatus
from runstream_ingest.gateway.commands import Commands
from runstream_protocols.all import DESCRIBED as PROTOCOLS
from runstream_query.answers import Answer
from runstream_query.http.described import Described


class Health(Answer):
    status: str


class Readiness(Answer):
    """`checks` has "ok" or the reason, by the name of each part."""

    ready: bool
    checks: dict[str, str]


class Acknowledges(Answer):
    """By which a client knows that a Runstream server acknowledges."""

    protocol: int
    server: str


class Acknowledgement(Acknowledges):
    """The frames are durable in the log: by writer, the next sequence number that is wanted of it. `receipt`: a hash
    over the headers of the frames that came."""

    receipt: str
    positions: str
    writers: dict[str, int]


class CommandAnswer(Acknowledges):
    """`visible`: whether every read shows the commands already; `wait_for` takes the positions. `commands` are their
    ids, under which /api/v1/commands says what came of each."""

    positions: str
    visible: bool
    commands: list[str]


class StoredAsset(Acknowledges):
    sha256: str
    size_bytes: int


_BYTES: Final = ("application/octet-stream",)
_ASSET: Final = "/ingest/v1/assets/{sha256}"

DESCRIBED: Final = (
    Described("GET", STATUS_PATH, "How the server is doing", {200: ServerStatus}),
    Described("POST", "/ingest/v1/frames", "Take in frames of writers", {200: Acknowledgement}, body_media=_BYTES),
    Described(
        "POST", "/ingest/v1/commands", "Append control events", {200: CommandAnswer, 202: CommandAnswer}, body=Commands
    ),
    Described("HEAD", _ASSET, "Whether a file is stored", {200: None, 404: None}),
    Described("PUT", _ASSET, "Store a file", {200: StoredAsset, 201: StoredAsset}, body_media=_BYTES),
    Described("GET", "/healthz", "Whether the process answers", {200: Health}),
    Described("GET", "/readyz", "Whether the server can do its work", {200: Readiness, 503: Readiness}),
    Described("GET", "/metrics", "Figures for Prometheus", {200: None}, media=("text/plain",)),
    *PROTOCOLS,
)
