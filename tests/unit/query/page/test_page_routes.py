"""The page's routes: who gets the document, how it is packed and cached, and that nothing but its files is served."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from runstream_query.page.negotiating import accepts_gzip, accepts_html, is_cached
from runstream_query.page.routes import POLICY, add_page
from runstream_service.access import Action
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.origins import add_response_headers
from runstream_service.problems import problem_middleware
from runstream_service.routing import Call, Route, add_routes, plain_handler

pytestmark = pytest.mark.sockets

KEY = "0123456789abcdef-key"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Encoding": "gzip, br"}
SCRIPT = b"export const page = 1;\n" * 40
DOCUMENT = b"<!doctype html><script type=module src=/-/static/page-ABC.js></script>"
Client = TestClient[Any, Any]


def put_page(folder: Path, document: bytes = DOCUMENT) -> None:
    """Put a built page into a folder, as web/build.mjs does."""
    (folder / "static").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_bytes(document)
    for name, content in (("page-ABC.js", SCRIPT), ("page-ABC.css", b"body {}")):
        (folder / "static" / name).write_bytes(content)
        (folder / "static" / f"{name}.gz").write_bytes(gzip.compress(content))


async def taken(_: None, call: Call[None]) -> web.Response:
    return web.Response(text="an interface's own")


INTERFACES = (
    Route("GET", "/api/v1/runs/{run}", Action.READ, "A run", taken),
    Route("POST", "/ingest/v1/frames", Action.LOG, "Takes frames", taken),
    Route("GET", "/tracker/{name}", Action.READ, "Of a foreign client", taken),
    Route("GET", "/healthz", Action.READ, "Alone", taken),
)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A server with a key, an API and the page."""
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(ApiKeys.from_plain([KEY]))])
    add_response_headers(app)
    put_page(tmp_path / "built")
    add_page(app, INTERFACES, tmp_path / "built")
    # Behind the page's, to show that the order does not matter.
    add_routes(app, INTERFACES, lambda route: plain_handler(route, None))
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        yield client


PAGES = (
    "/",
    "/w",
    "/w/",
    "/w/p",
    "/w/p/",
    "/w/p/r",
    "/w/p/r/",
    "/w/p/archive/r",
    "/w/p/-/compare",
    "/-/api",
    "/-/api/",
)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_person_gets_the_document_without_a_key(client: Client, path: str, method: str) -> None:
    async with client.request(method, f"{path}?filter=x", headers=BROWSER) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert {"Accept", "Accept-Encoding"} < set(response.headers["Vary"].split(", "))
        assert await response.read() == (DOCUMENT if method == "GET" else b"")


async def test_names_may_be_anything_that_is_quoted(client: Client) -> None:
    for path in ("/my%20team/a%2Fb/r-1", "/%D0%BF/%F0%9F%99%82", "/w/p/-/c%00d", "/w/%2e%2e%2f%2e%2e/r"):
        async with client.get(URL(path, encoded=True), headers=BROWSER) as response:
            assert (response.status, await response.read()) == (200, DOCUMENT), path


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html;q=0, */*"])
async def test_a_program_at_a_runs_address_is_sent_to_its_json(client: Client, accept: str | None) -> None:
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Accept": accept} if accept else {})
    for path in ("/w/p/r-1", "/w/p/r-1/", "/w/p/archive/r-1", "/a%2Fb/c%3Fd/r-1?x=/y"):
        url = URL(path, encoded=True)
        async with client.get(url, headers=headers, allow_redirects=False, skip_auto_headers=["Accept"]) as response:
            assert response.status == 307
            assert response.headers["Cache-Control"] == "no-store"
            location = response.headers["Location"]
        assert urljoin(f"http://h{path}", location) == "http://h/api/v1/runs/r-1"
        assert urljoin(f"http://h/below{path}", location) == "http://h/below/api/v1/runs/r-1", "behind a proxy"
        async with client.get(urljoin(path, location), headers=headers) as response:
            assert await response.text() == "an interface's own"


async def test_a_program_elsewhere_finds_nothing(client: Client) -> None:
    for path in ("/", "/w", "/w/p", "/w/p/-/compare", "/-/api", "/w/p/not%20a%20run"):
        async with client.get(URL(path, encoded=True)) as response:
            assert response.status == 404, path
            assert response.content_type == "application/problem+json"


async def test_paths_of_programs_are_no_pages(client: Client) -> None:
    """Neither what is below them, nor where a method is missing."""
    statuses = {
        "/api/v1/nothing": 401,
        "/api": 401,
        "/ingest/v1/frames": 401,
        "/tracker/x": 401,
        "/tracker/x/y": 401,
        "/healthz/x": 401,
        "/w/p/r/more": 401,
    }
    for path, status in statuses.items():
        async with client.get(path, headers=BROWSER) as response:
            assert response.status == status, path
    key = {"Authorization": f"Bearer {KEY}"}
    for path, status in (("/ingest/v1/frames", 405), ("/api/v1/nothing", 404), ("/tracker/x", 200)):
        async with client.get(path, headers=BROWSER | key) as response:
            assert response.status == status, path


async def test_files_are_packed_and_kept_for_ever(client: Client) -> None:
    async with client.get("/-/static/page-ABC.js", headers=BROWSER, auto_decompress=False) as response:
        assert response.status == 200
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Content-Security-Policy"] == POLICY, "a worker's own policy is that of its script"
        packed, tag = await response.read(), response.headers["ETag"]
    assert gzip.decompress(packed) == SCRIPT
    for accepted in ("", "identity", "gzip;q=0", "br"):
        async with client.get("/-/static/page-ABC.js", headers={"Accept-Encoding": accepted}) as response:
            assert "Content-Encoding" not in response.headers
            assert await response.read() == SCRIPT
    async with client.get("/-/static/page-ABC.js", headers={"If-None-Match": f'"x", {tag}'}) as response:
        assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", tag)
    async with client.get("/-/static/page-ABC.js", headers={"If-None-Match": '"other"'}) as response:
        assert response.status == 200
    async with client.head("/-/static/page-ABC.css", headers={"Accept-Encoding": ""}) as response:
        assert (response.status, response.headers["Content-Length"], await response.read()) == (200, "7", b"")


HOSTILE = (
    "index.html",
    "page-ABC.js.gz",
    "PAGE-ABC.JS",
    "page-ABC.js%00",
    "..%2Findex.html",
    "%2e%2e%2fsources.sha256",
    "..%5c..%5cbundle.py",
    "%2Fetc%2Fpasswd",
    "static%2Fpage-ABC.js",
    "x" * 5000,
    "%ff%fe",
    "%0d%0aSet-Cookie:%20a=b",
    "constructor",
)


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_other_name_is_served(client: Client, name: str) -> None:
    async with client.get(URL(f"/-/static/{name}", encoded=True), headers=BROWSER) as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        assert "Set-Cookie" not in response.headers
        assert response.headers["Cache-Control"] == "no-store", "it may be there after an upgrade"


@pytest.mark.parametrize("path", ["/-/static/../../index.html", "/-/static/..", "/-/../-/static/../../pyproject.toml"])
async def test_paths_that_climb_lead_to_no_file(client: Client, path: str) -> None:
    """As they are, which clients do not send: they resolve them themselves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    received = await reader.read()
    writer.close()
    status = int(received.split()[1])
    assert status in (307, 401, 404), received[:200]
    assert b"hatchling" not in received


@pytest.mark.parametrize("path", ["/", "/-/static/page-ABC.js"])
async def test_pages_of_other_sites_get_no_part_of_it(client: Client, path: str) -> None:
    for dest, mode in (("iframe", "navigate"), ("script", "no-cors"), ("empty", "cors")):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        async with client.get(path, headers=BROWSER | headers) as response:
            assert response.status == 403, dest
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with client.get(path, headers=BROWSER | link) as response:
        assert response.status == 200


async def test_without_keys_another_host_name_gets_nothing(tmp_path: Path) -> None:
    """A name that was pointed to 127.0.0.1."""
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(ApiKeys())])
    put_page(tmp_path)
    add_page(app, INTERFACES, tmp_path)
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        async with client.get("/", headers=BROWSER | {"Host": "evil.example"}) as response:
            assert response.status == 403
        async with client.get("/", headers=BROWSER) as response:
            assert response.status == 200


async def test_a_page_that_was_not_built_says_how_and_stops_nothing(tmp_path: Path) -> None:
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(ApiKeys.from_plain([KEY]))])
    add_page(app, INTERFACES, tmp_path / "built")
    add_routes(app, INTERFACES, lambda route: plain_handler(route, None))
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        async with client.get("/w/p", headers=BROWSER) as response:
            assert response.status == 503
            assert response.headers["Content-Security-Policy"] == POLICY
            assert "python infra/page_build.py" in await response.text()
        async with client.get("/-/static/page-ABC.js") as response:
            assert response.status == 404
        async with client.get("/tracker/x", headers={"Authorization": f"Bearer {KEY}"}) as response:
            assert response.status == 200
        put_page(tmp_path / "built")
        async with client.get("/w/p", headers=BROWSER) as response:
            assert (response.status, await response.read()) == (200, DOCUMENT), "as soon as it is built"
        put_page(tmp_path / "built", b"<!doctype html>another")
        async with client.get("/w/p", headers=BROWSER) as response:
            assert await response.read() == b"<!doctype html>another"


@pytest.mark.parametrize(
    ("header", "html"),
    [
        ("text/html", True),
        ("TEXT/HTML;q=0.1", True),
        ("application/json, text/html ; q=0.0", False),
        ("application/xhtml+xml", True),
        ("text/*", False),
        ("*/*", False),
        ("text/htmlx", False),
        ("", False),
        (None, False),
    ],
)
def test_who_names_html_is_a_person(header: str | None, html: bool) -> None:
    assert accepts_html(header) is html


def test_gzip_is_sent_to_those_that_name_it() -> None:
    assert [accepts_gzip(one) for one in ("gzip", "br, GZIP;q=0.5", "gzip;q=0", "*", None)] == [1, 1, 0, 0, 0]


def test_tags_are_compared_weakly() -> None:
    assert [is_cached(one, "a") for one in ('"a"', 'W/"a"', '"b", W/"a"', "*", '"ab"', "a", "", None)] == [
        *(True,) * 4,
        *(False,) * 4,
    ]


def test_the_design_shows_the_policy_that_is_sent() -> None:
    design = (Path(__file__).parents[4] / "docs" / "design" / "page.md").read_text()
    assert f"`{POLICY}`" in " ".join(design.split())
