"""The page's addresses: one document for all of them, and the scripts and styles that it loads.

They are open without a key, because they show nothing that is kept: the document requests all data by the API, with the
key that the person typed. A program that requests a run's address is sent to the run's JSON.
"""

import asyncio
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import web

from runstream.events.names import RUN_ID
from runstream_query.page.bundle import BUILT, Bundles, File
from runstream_query.page.negotiating import accepts_gzip, accepts_html, is_cached
from runstream_service.access import Action
from runstream_service.problems import Problem
from runstream_service.routing import Call, Handler, Route, add_routes, plain_handler

#: Nothing but what this server sends, no script that is no file, no style that a text brings.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types runstream"
)
#: Of the document and of its files: a worker runs under the policy of its own script.
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept, Accept-Encoding, Sec-Fetch-Site, Origin",
}
#: A name holds a hash of the content, so that what is kept under it is right for ever.
_FOR_EVER: Final = "public, max-age=31536000, immutable"
#: Kept, and compared with the server's before each use.
_COMPARED: Final = "no-cache"
_NOT_BUILT: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Runstream</title>
<h1>This server has no page</h1>
<p>It runs from a checkout whose page was not built. Whoever runs it builds the page by
<code>python infra/page_build.py</code> in the checkout and reloads this address; no restart is needed.
<p>All else works: the command line, Python, and the API at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.
"""


async def show_document(bundles: Bundles, call: Call[None]) -> web.Response:
    """Return the document to a person. To a program there is nothing here. Raises web.HTTPNotFound."""
    if not accepts_html(call.request.headers.get("Accept")):
        raise web.HTTPNotFound
    bundle = await asyncio.to_thread(bundles.newest)
    if bundle is None:
        return web.Response(status=503, body=_NOT_BUILT, headers=HEADERS | {"Content-Type": "text/html; charset=utf-8"})
    return _response(call.request, bundle.document, _COMPARED)


async def show_run(bundles: Bundles, call: Call[None]) -> web.Response:
    """Return the document to a person, and send a program to the run's JSON. Raises web.HTTPNotFound."""
    run = call.path["run"].rstrip("/")
    if accepts_html(call.request.headers.get("Accept")) or not RUN_ID.match(run):
        return await show_document(bundles, call)
    # Relative, so that it is right behind a proxy that serves this server below a path, too.
    above = "../" * (call.request.raw_path.partition("?")[0].count("/") - 1)
    location = f"{above}api/v1/runs/{quote(run, safe='')}"
    return web.Response(status=307, headers={"Location": location, "Vary": HEADERS["Vary"]})


async def show_file(bundles: Bundles, call: Call[None]) -> web.Response:
    """Return a file of the page. Raises Problem (404)."""
    name = call.path["name"]
    bundle = bundles.known
    if bundle is None or name not in bundle.files:
        bundle = await asyncio.to_thread(bundles.newest)
    if bundle is None or name not in bundle.files:
        detail = (
            f"The page of this server has no file {name[:100]!r}: reload the page, which is of another version "
            "than the server."
        )
        raise Problem(404, "http-404", "Not Found", detail)
    return _response(call.request, bundle.files[name], _FOR_EVER)


def _response(request: web.Request, file: File, cached: str) -> web.Response:
    # Weak, because it is the same for both ways of packing.
    headers = HEADERS | {"ETag": f'W/"{file.tag}"', "Cache-Control": cached}
    if is_cached(request.headers.get("If-None-Match"), file.tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = file.content_type
    if accepts_gzip(request.headers.get("Accept-Encoding")):
        return web.Response(body=file.packed, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=file.content, headers=headers)


_HTML: Final = ("text/html",)


def page_routes(interfaces: Collection[str]) -> tuple[Route, ...]:
    """Return the routes of the page. interfaces: first parts of programs' paths; no page lies below them."""
    reserved = "|".join(re.escape(name) for name in sorted({"-", *interfaces}))
    workspace = f"/{{workspace:(?!(?:{reserved})(?:/|$))[^/]+}}"
    project = f"{workspace}/{{project:[^/]+}}"
    pages = {
        "/": "Projects, recent runs, the server",
        workspace: "The projects of a workspace",
        f"{workspace}/": "The projects of a workspace",
        project: "The runs and charts of a project",
        f"{project}/": "The runs and charts of a project",
        f"{project}/-/{{view:[^/]+/?}}": "Another view of a project",
        "/-/{view:[^/]+/?}": "A view of the server",
    }
    runs = {
        f"{project}/{{run:[^/]+/?}}": "A run",
        f"{project}/archive/{{run:[^/]+/?}}": "An archived run, at an address that another tracker's client makes",
    }
    return (
        *(_page(path, summary, show_document) for path, summary in pages.items()),
        *(_page(path, summary, show_run) for path, summary in runs.items()),
        _page("/-/static/{name}", "A script or a style of the page", show_file, ("text/javascript", "text/css")),
    )


def _page(path: str, summary: str, handler: Handler, media: tuple[str, ...] = _HTML) -> Route:
    return Route("GET", path, Action.READ, summary, handler, media=media, tags=("page",), head=True, is_page=True)


def add_page(app: web.Application, interfaces: Iterable[Route], folder: Path = BUILT) -> None:
    """Add the page's routes. None lies below the paths of `interfaces`, the routes for programs, and they are tried
    last, wherever they are added, because the other paths begin with a name."""
    below = {route.path.split("/")[1] for route in interfaces}
    bundles = Bundles(folder)
    add_routes(app, page_routes(below), lambda route: plain_handler(route, bundles))
