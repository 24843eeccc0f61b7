"""Assets and console output of a run."""

import asyncio
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import Field as ModelField

from runstream.events.moments import moment_of
from runstream_query.errors import NotFound
from runstream_query.http.context import Context
from runstream_query.http.cursors import read_cursor, write_cursor
from runstream_query.http.past import folded
from runstream_query.http.requests import PastParameters, RequestParameters
from runstream_query.http.serving import POSITION_HEADER
from runstream_query.repositories.assets import AssetRecord
from runstream_query.responses import Asset, Assets, Output, OutputPiece
from runstream_service.access import Action
from runstream_service.assets import AssetMissing
from runstream_service.disposition import FILE_POLICY, content_disposition
from runstream_service.problems import Problem
from runstream_service.routing import Call, Route

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")
#: What a browser may show by itself. Everything else, HTML and SVG with their scripts above all, is only saved.
_SHOWN: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/json", "audio/mpeg", "video/mp4"}
)
#: The type of bytes of which nothing is known.
OCTETS: Final = "application/octet-stream"
_MEDIA_TYPE: Final = re.compile(r"[\w.+\-]+/[\w.+\-]+(?:\s*;\s*[\w\-]+=[\w.\-]+)*\Z", re.ASCII)


#: Media types of texts, besides `text/...`.
_TEXT_TYPE: Final = re.compile(
    r"text/.+|application/(?:x-)?(?:ecmascript|javascript|json-seq|jsonlines|latex|ndjson|perl|sh|sql|tex|toml|xml|yaml)"
    r"|\S+\+(?:xml|yaml)",
    re.ASCII,
)


class AssetsParameters(PastParameters):
    kind: str | None = ModelField(default=None, max_length=100)


class OutputParameters(RequestParameters):
    stream: Literal["stdout", "stderr"] | None = None
    limit: int = ModelField(default=1000, ge=1, le=10_000, description="pieces of text a page")
    cursor: str | None = ModelField(default=None, max_length=100)
    format: Literal["json", "text"] = "json"


async def list_assets(context: Context, call: Call[AssetsParameters]) -> Assets:
    """By name, then by step and time."""
    run, kind = call.path["run"], call.parameters.kind
    prefix = await context.prefix(call.parameters.as_of, call.parameters.wait_s)
    if prefix is not None:
        past = await folded(context, run, prefix)
        found = [_record_of_past(row) for row in past.assets if kind is None or row["kind"] == kind]
        assets = await asyncio.to_thread(lambda: [_asset(one) for one in found])
    else:
        await context.require_run(run)
        found = await context.repositories.assets.of_run(context.scope, run, kind)
        assets = await context.off_loop(lambda: [_asset(one) for one in found])

    def in_order() -> list[Asset]:
        return sorted(assets, key=lambda asset: (asset.name, asset.step or 0, asset.at, asset.asset))

    return Assets(assets=await asyncio.to_thread(in_order) if context.usage.is_large else in_order())


def _record_of_past(row: Mapping[str, Any]) -> AssetRecord:
    """The record of a row as the fold makes it, whose time is an integer."""
    values = {field.name: row[field.name] for field in dataclasses.fields(AssetRecord)}
    return AssetRecord(**values | {"at": moment_of(row["at"])})


def _asset(record: AssetRecord) -> Asset:
    values = {name: getattr(record, name) for name in Asset.model_fields if name != "metadata"}
    values |= {name: values[name] or None for name in ("context", "role", "location", "model")}
    return Asset(**values, metadata=json.loads(record.metadata or "{}"))


async def download(context: Context, call: Call[RequestParameters]) -> web.StreamResponse:
    """The bytes of an asset, whole or one range of it."""
    run, asset = call.path["run"], call.path["asset"]
    record = await context.repositories.assets.find(context.scope, run, asset)
    if record is None:
        await context.require_run(run)
        raise NotFound(f"run {run!r} has no asset {asset[:80]!r}: /api/v1/runs/{run}/assets lists what it has")
    found = _asset(record)
    return await send_file(context, call.request, found.sha256, found.name, asset_headers(found))


async def send_file(
    context: Context, request: web.Request, sha256: str, name: str, headers: dict[str, str]
) -> web.StreamResponse:
    """The stored bytes, whole or the one range that is asked for, with `headers` (of `file_headers`). Raises
    AssetMissing, Problem (416)."""
    size_bytes = await context.assets.size_of(sha256)
    if size_bytes is None:
        raise AssetMissing(f"the bytes of {name!r} ({sha256}) are not in the storage")
    etag = f'"{sha256}"'
    headers = headers | {"ETag": etag, "Accept-Ranges": "bytes", POSITION_HEADER: str(context.visibility.visible())}
    if request.headers.get("If-None-Match") in (etag, "*"):
        return web.Response(status=304, headers=headers)
    span = _requested_range(request, size_bytes, etag)
    if span is None:
        start, end, status = 0, size_bytes, 200
    else:
        (start, end), status = span, 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    stream = await context.assets.open(sha256, start, end)
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(end - start)})
    await response.prepare(request)
    async for chunk in stream.chunks:
        await context.outgoing.write(request, response, chunk)
    await response.write_eof()
    return response


def asset_headers(asset: Asset) -> dict[str, str]:
    """`file_headers` of a run's file."""
    return file_headers(asset.name.rpartition("/")[2] or asset.asset, asset.content_type)


def file_headers(name: str, content_type: str, shows: Callable[[str], bool] = _SHOWN.__contains__) -> dict[str, str]:
    """How a browser is to take the file: by the type that was logged, never by guessing, and saved unless harmless, or
    of a media type that it `shows`. A text whose type names no charset is UTF-8: readers take Latin-1 otherwise."""
    content_type = content_type if _MEDIA_TYPE.match(content_type) else OCTETS
    media_type, _, parameters = content_type.lower().partition(";")
    if _TEXT_TYPE.fullmatch(media_type.strip()) and "charset" not in parameters:
        content_type = f"{content_type}; charset=utf-8"
    shown = shows(media_type.strip())
    return {
        "Content-Type": content_type,
        "Content-Disposition": content_disposition(name, inline=shown),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": FILE_POLICY,
        "Cache-Control": "private, no-cache",
    }


def _requested_range(request: web.Request, size_bytes: int, etag: str) -> tuple[int, int] | None:
    """The one range [start, end) that is asked for; None for the whole file, also where the header asks for several
    (RFC 9110 allows to ignore it) or for another version."""
    header = request.headers.get("Range")
    if header is None or request.headers.get("If-Range", etag) != etag:
        return None
    match = _RANGE.match(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size_bytes, size_bytes)
    else:
        start, end = max(0, size_bytes - int(match[2])), size_bytes
    if start >= end:
        raise Problem(
            416,
            "range",
            "The range is outside of the file",
            f"{header} is outside of {size_bytes} bytes: ask for less, or for the whole file",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return start, end


async def show_output(context: Context, call: Call[OutputParameters]) -> Output | web.StreamResponse:
    """What the run printed, ordered by writer and the writer's own order. As text: the page's pieces joined."""
    run, parameters = call.path["run"], call.parameters
    await context.require_run(run)
    after = None
    if parameters.cursor:
        writer, seq = read_cursor(parameters.cursor, 2)
        after = writer, seq
    page = await context.repositories.output.page(
        context.scope,
        run,
        after=after,
        stream=parameters.stream,
        limit=parameters.limit,
        text_bytes=context.settings.max_text_bytes,
    )
    cursor = write_cursor(page.pieces[-1].writer, page.pieces[-1].seq) if page.more else None
    if parameters.format == "text":
        headers = {"X-Content-Type-Options": "nosniff", POSITION_HEADER: str(context.visibility.visible())}
        if cursor:
            headers["Runstream-Next-Cursor"] = cursor
        return web.Response(
            text="".join(piece.text for piece in page.pieces), content_type="text/plain", headers=headers
        )
    pieces = [
        OutputPiece(writer=f"{piece.writer:016x}", seq=piece.seq, at=piece.at, stream=piece.stream, text=piece.text)
        for piece in page.pieces
    ]
    return Output(pieces=pieces, next_cursor=cursor)


_RUN: Final = "/api/v1/runs/{run}"
ROUTES: Final[Iterable[Route]] = (
    Route("GET", f"{_RUN}/assets", Action.READ, "Files of a run", list_assets, AssetsParameters, Assets),
    Route(
        "GET",
        f"{_RUN}/assets/{{asset}}",
        Action.READ,
        "A file's bytes",
        download,
        RequestParameters,
        None,
        ("application/octet-stream",),
    ),
    Route(
        "GET",
        f"{_RUN}/output",
        Action.READ,
        "What a run printed",
        show_output,
        OutputParameters,
        Output,
        ("text/plain",),
    ),
)
