"""Tickets: addresses of files that open without a key, for the images, sound, video and pages that a web page shows."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict
from pydantic import Field as ModelField

from runstream.events.moments import moment_of
from runstream.filenames import last_part
from runstream_query.errors import InvalidRequest
from runstream_query.http.context import Context
from runstream_query.http.files import OCTETS, file_headers, send_file
from runstream_query.http.requests import RequestParameters
from runstream_query.repositories.artifact_files import FileRecord
from runstream_query.repositories.assets import AssetRecord
from runstream_query.ticket_responses import FileTicket, Tickets
from runstream_service.access import Action
from runstream_service.auth import TICKET_PATH
from runstream_service.routing import Call, Route
from runstream_service.tickets import Ticket, expiry_s, opened, sign

_MAX_ASSETS: Final = 1_000
#: Each is a statement.
_MAX_FILES: Final = 50
#: Longer names of types are none.
_MAX_TYPE_CHARS: Final = 200
#: Zeros stand where nobody gave a hash.
_NO_SHA256: Final = "0" * 64
#: Files with scripts of their own.
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml"})
_TEXTS: Final = frozenset({"text/plain", "application/json"})
#: A page in a frame runs what stands in itself. It has no origin (`sandbox`), loads nothing, and sends nothing: a
#: document without connections, forms and addresses but `data:` and `blob:`. Where the frame itself may go, the page
#: around it decides (`frame-src 'self'`).
PAGE_POLICY: Final = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval' data: blob:",
        "style-src 'unsafe-inline' data:",
        *(f"{kind}-src data: blob:" for kind in ("img", "media", "font")),
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)


class RunFile(BaseModel):
    """A file of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = ModelField(max_length=200)
    asset: str = ModelField(max_length=500)


class VersionFile(BaseModel):
    """A file of a version of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str = ModelField(max_length=200)
    ordinal: int = ModelField(ge=1, lt=1 << 63)
    name: str = ModelField(min_length=1, max_length=1000)


class TicketsParameters(RequestParameters):
    assets: list[RunFile] = ModelField(default=[], max_length=_MAX_ASSETS, description="files of runs")
    files: list[VersionFile] = ModelField(default=[], max_length=_MAX_FILES, description="files of versions")


async def make_tickets(context: Context, call: Call[TicketsParameters]) -> Tickets:
    """In the order of the request. null: there is no such file, or its bytes are elsewhere."""
    parameters, repositories = call.parameters, context.repositories
    if not (parameters.assets or parameters.files):
        raise InvalidRequest("neither assets nor files are given: name at least one", name="assets")
    known: dict[tuple[str, str], AssetRecord] = {}
    if parameters.assets:
        wanted = [(one.run, one.asset) for one in parameters.assets]
        known = {(row.run, row.asset): row for row in await repositories.assets.among(context.scope, wanted)}
    files = [
        await repositories.artifact_files.file(context.scope, one.artifact, one.ordinal, one.name)
        for one in parameters.files
    ]
    expires_s = expiry_s(context.now_us())
    return Tickets(
        assets=_signed(call.request, [known.get((one.run, one.asset)) for one in parameters.assets], expires_s),
        files=_signed(call.request, files, expires_s),
        expires_at=moment_of(expires_s * 1_000_000),
    )


def _signed(
    request: web.Request, files: Sequence[AssetRecord | FileRecord | None], expires_s: int
) -> list[FileTicket | None]:
    """Return a ticket for each file whose bytes are here."""
    here = {place: file for place, file in enumerate(files) if file is not None and _is_here(file)}
    tickets = [Ticket(file.sha256, last_part(file.name), _type_of(file), expires_s) for file in here.values()]
    made = dict(zip(here, zip(here.values(), sign(request, tickets), strict=True), strict=True))
    return [None if place not in made else _shown(*made[place]) for place in range(len(files))]


def _is_here(file: AssetRecord | FileRecord) -> bool:
    elsewhere = file.location if isinstance(file, AssetRecord) else file.link
    return not elsewhere and file.sha256 not in ("", _NO_SHA256)


def _type_of(file: AssetRecord | FileRecord) -> str:
    return file.content_type if len(file.content_type) <= _MAX_TYPE_CHARS else OCTETS


def _shown(file: AssetRecord | FileRecord, ticket: str) -> FileTicket:
    return FileTicket(
        address=f"{TICKET_PATH}{ticket}", name=file.name, size_bytes=file.size_bytes, content_type=file.content_type
    )


async def open_ticket(context: Context, call: Call[RequestParameters]) -> web.StreamResponse:
    """The bytes of the file that the ticket is for, whole or one range of them."""
    now_us = context.now_us()
    ticket = opened(call.request, call.path["ticket"], now_us)
    headers = file_headers(ticket.name, ticket.content_type, _shows)
    media_type = ticket.content_type.partition(";")[0].strip().lower()
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-DNS-Prefetch-Control"] = "off"
    if media_type in _PAGES:
        # In a tab of its own a page could lead its reader elsewhere: it runs in frames alone.
        if call.request.headers.get("Sec-Fetch-Dest", "iframe").strip().lower() == "iframe":
            headers["Content-Security-Policy"] = PAGE_POLICY
            headers["Connection-Allowlist"] = "()"
        headers["Cache-Control"] = "no-store"
    else:
        left_s = max(0, ticket.expires_s - now_us // 1_000_000)
        headers["Cache-Control"] = f"private, max-age={left_s}, immutable"
    return await send_file(context, call.request, ticket.sha256, ticket.name, headers)


def _shows(media_type: str) -> bool:
    return media_type.startswith(("image/", "audio/", "video/")) or media_type in _PAGES | _TEXTS


ROUTES: Final[Iterable[Route]] = (
    Route(
        "POST",
        "/api/v1/tickets",
        Action.READ,
        "Addresses of files that open without a key, for ten minutes at most",
        make_tickets,
        TicketsParameters,
        Tickets,
        examples={
            "two files of a run": {"assets": [{"run": "calm-otter", "asset": one} for one in ("a1", "a2")]},
            "a file of a model": {"files": [{"artifact": "0" * 32, "ordinal": 1, "name": "card.html"}]},
        },
    ),
    Route(
        "GET",
        f"{TICKET_PATH}{{ticket}}",
        Action.READ,
        "The bytes of the file that a ticket is for",
        open_ticket,
        RequestParameters,
        None,
        ("application/octet-stream",),
    ),
)
