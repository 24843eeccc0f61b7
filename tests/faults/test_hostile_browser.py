"""What pages of other sites have a browser of this machine send to a server without keys: nothing of it is done."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream.events.control import RunStarted, encode_event
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_service.access import READING
from runstream_service.auth import ApiKeys
from runstream_service.origins import RESPONSE_HEADERS
from runstream_service.routing import routes_of

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0", "Accept": "*/*", "Accept-Language": "en"}
IMAGE = {**BROWSER, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {**IMAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
#: By name: what browsers send for a page's image, form, script ..., of today and of before `Sec-Fetch-Site`.
ATTACKS: Mapping[str, Mapping[str, str]] = {
    "image": IMAGE,
    "script": {**IMAGE, "Sec-Fetch-Dest": "script"},
    "iframe": {**LINK, "Sec-Fetch-Dest": "iframe"},
    "fetch": {**IMAGE, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": "https://evil.example"},
    "another port of this machine": {**IMAGE, "Sec-Fetch-Site": "same-site"},
    "a sandboxed file of our own": {**IMAGE, "Origin": "null"},
    "an image on our own page": {**IMAGE, "Sec-Fetch-Site": "same-origin"},
    "a link": LINK,
    "a link on our own page": {**LINK, "Sec-Fetch-Site": "same-origin"},
    "a link in a mail": {**LINK, "Sec-Fetch-Site": "none"},
    "an old browser": BROWSER,
    "an old browser that tells the page": {**BROWSER, "Referer": "https://evil.example/"},
    "an old browser with a password": {**BROWSER, "Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    "an overridden method": {**BROWSER, "X-HTTP-Method-Override": "PUT"},
    "nothing at all": {},
}
FORM = {"Content-Type": "text/plain"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestClient[Any, Any]]:
    """The embedded server, once for all tests of this file: it takes seconds to start."""
    settings = ServerSettings(data_dir=tmp_path_factory.mktemp("server"))
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            yield client
        stop.set()
        await worker


def routes_that_write(client: TestClient[Any, Any]) -> list[tuple[str, str]]:
    """All but those whose action changes nothing, and the probe of Comet's client."""
    app, found = client.app, []
    assert app is not None
    for route, ours in routes_of(app).items():
        path = route.resource.canonical.replace("{", "").replace("}", "") if route.resource else ""
        if ours.action not in READING and not path.endswith("/ping"):
            found.append((route.method, path))
    return found


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_route_that_writes_takes_what_pages_send(client: TestClient[Any, Any], attack: str) -> None:
    tried = 0
    for method, path in routes_that_write(client):
        if method not in ("GET", "POST"):
            continue  # a page has to ask first
        if method == "POST" and attack == "nothing at all":
            continue  # that is no browser
        headers = {**ATTACKS[attack], **(FORM if method == "POST" else {})}
        async with client.request(method, path, headers=headers, data=b"{}" if method == "POST" else None) as response:
            problem = await response.json(content_type=None)
            assert (response.status, "client-unknown" in problem["type"] or "wrong-" in problem["type"]) == (
                403,
                True,
            ), path
            assert not [name for name in response.headers if name.lower().startswith("access-control")]
        tried += 1
    assert tried > (20 if attack == "nothing at all" else 100)


async def test_what_answers_head_reads(client: TestClient[Any, Any]) -> None:
    """HEAD may come from any page that is shown in an old browser."""
    app = client.app
    assert app is not None
    for route, ours in routes_of(app).items():
        if route.method == "HEAD" and ours.action not in READING:
            assert route.resource is not None
            assert route.resource.canonical == "/ingest/v1/assets/{sha256}"


@pytest.mark.parametrize("name", [b"Origin", b"Referer", b"Host", b"Sec-Fetch-Site", b"Forwarded", b"User-Agent"])
@pytest.mark.parametrize("value", [b"http://\xff\xfe", b"\xc3", b"x" * 7_000, b"http://[", b"\t\t", b"%00"])
async def test_odd_headers_are_no_fault_of_the_server(client: TestClient[Any, Any], name: bytes, value: bytes) -> None:
    for path in (b"/api/v1/runs", b"/api/rest/v2/write/experiment/delete?experimentKey=\xff", b"/\xff%ff"):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        host = b"" if name == b"Host" else b"Host: 127.0.0.1\r\n"
        writer.write(b"GET %s HTTP/1.1\r\n%s%s: %s\r\nConnection: close\r\n\r\n" % (path, host, name, value))
        status = int((await reader.readline()).split()[1])
        assert 200 <= status < 500, (path, status)
        await reader.read()
        writer.close()


async def test_asking_first_gets_no_allowance(client: TestClient[Any, Any]) -> None:
    """What comes of OPTIONS is what decides about PUT, and about headers that show a program."""
    asking = {
        **ATTACKS["fetch"],
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "runstream-client",
    }
    asking["Access-Control-Request-Private-Network"] = "true"
    for headers in (asking, {**asking, "Origin": "null"}, {**BROWSER, "Access-Control-Request-Method": "PUT"}):
        for _, path in [*routes_that_write(client), ("", "/api/v1/runs"), ("", "/healthz"), ("", "/nowhere")]:
            async with client.options(path, headers=headers) as response:
                assert response.status in (403, 404, 405), path
                assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_pages_of_other_sites_read_nothing_and_links_to_us_work(client: TestClient[Any, Any]) -> None:
    paths = ["/api/v1/runs", "/api/v1/server", "/metrics", "/healthz", "/clientlib/health/ping", "/openapi.json"]
    for path in paths:
        for attack in ("image", "script", "iframe", "fetch", "another port of this machine"):
            async with client.get(path, headers=ATTACKS[attack]) as response:
                assert response.status == 403, (path, attack)
                assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    for headers in (LINK, {**LINK, "Sec-Fetch-Site": "none"}, {}, BROWSER):
        async with client.get("/api/v1/runs", headers=headers) as response:
            assert response.status == 200
    socket = {**ATTACKS["fetch"], "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-Fetch-Mode": "websocket"}  # fmt: skip
    for path in ("/api/v1/runs", "/api/v1/live"):
        async with client.get(path, headers=socket) as response:
            assert response.status == 403


async def test_a_name_that_was_pointed_here_is_not_ours(client: TestClient[Any, Any]) -> None:
    """DNS rebinding: to the browser the page and this server are one site."""
    own = {**IMAGE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    port = client.port
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0.0.0.0",
        "[::]",
        "2130706433",
        "",
    ):
        headers = {**own, "Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"}
        async with client.get("/api/v1/runs", headers=headers) as response:
            assert (response.status, "wrong-host" in await response.text()) == (403, True), host
    for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "LOCALHOST", "localhost."):
        async with client.get("/api/v1/runs", headers={**own, "Host": f"{host}:{port}"}) as response:
            assert response.status == 200, host


async def test_our_own_pages_and_programs_write(client: TestClient[Any, Any]) -> None:
    started = json.loads(encode_event(RunStarted(at_us=1, workspace="w", project="p")))
    own = {**IMAGE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    own["Origin"] = f"http://127.0.0.1:{client.port}"
    for number, headers in enumerate((own, {})):
        command = {"key": f"run{number}", "event": started}
        async with client.post("/ingest/v1/commands", json=command, headers=headers) as response:
            assert response.status == 200, await response.text()
    path = "/api/rest/v2/write/experiment/set-status"
    for headers in (own, {"Authorization": "any"}, {"Runstream-Client": "test"}, {"X-COMET-DEBUG-SDK-VERSION": "3"}):
        async with client.get(path, params={"experimentKey": "run0"}, headers=headers) as response:
            assert response.status == 200, await response.text()


async def test_every_response_keeps_other_sites_out(client: TestClient[Any, Any]) -> None:
    """Refusals and paths that are not there, too."""
    for method, path in [("GET", "/api/v1/runs"), ("GET", "/metrics"), ("GET", "/nowhere"), ("PUT", "/api/v1/runs"),
                         ("POST", "/ingest/v1/frames"), ("GET", "/api/rest/v2/workspaces")]:  # fmt: skip
        async with client.request(method, path) as response:
            # What a browser may keep it asks about before each use, and no other cache keeps it.
            kept = {"Cache-Control": "private, no-cache"} if "ETag" in response.headers else {}
            for name, value in {**RESPONSE_HEADERS, **kept}.items():
                if name == "Vary":
                    assert set(value.split(", ")) <= set(response.headers[name].split(", ")), path
                else:
                    assert response.headers[name] == value, (path, name)


async def test_a_page_that_somebody_logged_runs_no_script_here(client: TestClient[Any, Any]) -> None:
    started = json.loads(encode_event(RunStarted(at_us=1, workspace="w", project="p")))
    async with client.post("/ingest/v1/commands", json={"key": "a", "event": started}) as response:
        assert response.status == 200
    key = {"Authorization": "any"}
    for name in ("page.html", "drawing.svg", 'x"; evil="y.html', "a\r\nSet-Cookie: a=b.html", "\u202elmth.exe.html"):
        params = {"experimentKey": "a", "fileName": name}
        data = {"file": io.BytesIO(b"<script>alert(1)</script>")}
        async with client.post(
            "/api/rest/v2/write/experiment/upload-asset", params=params, data=data, headers=key
        ) as response:
            assert response.status == 200, await response.text()
    async with client.get("/api/v1/runs/a/assets") as response:
        assets = (await response.json(content_type=None))["assets"]
    assert len(assets) == 5
    for asset in assets:
        async with client.get(f"/api/v1/runs/a/assets/{asset['asset']}", headers=LINK) as response:
            assert response.status == 200
            assert response.headers["Content-Disposition"].startswith("attachment; filename=")
            assert "Set-Cookie" not in response.headers
            assert "%E2%80%AE" not in response.headers["Content-Disposition"], "the name does not turn around"
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
