"""A real browser: pages of another site, and our own, try what pages can do to a server without keys.

Where there is no Chromium the test is skipped, and with RUNSTREAM_REQUIRE_BROWSER=1 (as in CI) it fails.
"""

import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from kit.browser.other_sites import Other, serving, visit
from runstream_query.http.files import file_headers
from runstream_service.access import Action
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.origins import add_response_headers
from runstream_service.problems import problem_middleware
from runstream_service.routing import Call, Route, add_routes, plain_handler

#: Everything that a page can do without asking first, each with its own address, and then a word that it is done.
ATTACK = """<!doctype html><title>x</title><body><iframe name="sink"></iframe><script>
const to = name => `${target}/write/${name}`;
const wait = ms => new Promise(done => setTimeout(done, ms));
const add = (tag, name, more) => document.body.append(Object.assign(document.createElement(tag), {...more}));
async function go() {
  add("img", "image", {src: to("image")});
  add("script", "script", {src: to("script")});
  add("iframe", "iframe", {src: to("iframe")});
  add("link", "style", {rel: "stylesheet", href: to("style")});
  add("video", "video", {src: to("video")});
  add("object", "object", {data: to("object")});
  for (const method of ["get", "post"]) {
    const form = Object.assign(document.createElement("form"), {method, action: to(`form-${method}`), target: "sink"});
    form.enctype = "text/plain";
    document.body.append(form);
    form.submit();
    await wait(300);
  }
  navigator.sendBeacon(to("beacon"), "x");
  for (const mode of ["no-cors", "cors"]) {
    await fetch(to(`fetch-get-${mode}`), {mode}).catch(() => 0);
    await fetch(to(`fetch-post-${mode}`), {mode, method: "POST", body: "{}"}).catch(() => 0);
  }
  const headers = {"Content-Type": "application/json", "Runstream-Client": "x", "Authorization": "x"};
  await fetch(to("fetch-header"), {method: "POST", body: "{}", headers}).catch(() => 0);
  await fetch(to("fetch-put"), {method: "PUT", body: "{}"}).catch(() => 0);
  const read = await fetch(`${target}/read`).then(found => found.text(), () => "");
  try { new WebSocket(to("socket").replace("http", "ws")); } catch {}
  await wait(500);
  await fetch("/done", {method: "POST", body: read});
}
go();
</script>"""
#: What our own page does: by script what it may, and what a text of somebody's on it could have it do.
OWN = """<!doctype html><title>x</title><body><img src="/write/own-image"><iframe src="/file/page.html"></iframe>
<iframe src="/file/drawing.svg"></iframe><script>
async function go() {
  const json = {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}};
  const told = [await fetch("/write/own-get"), await fetch("/write/own-post", json), await fetch("/read")];
  await new Promise(done => setTimeout(done, 700));
  await fetch(`${other}/done`, {method: "POST", mode: "no-cors", body: told.map(one => one.status).join()});
}
go();
</script>"""
FILE = "<script>fetch('/write/file', {method: 'POST'}); new Image().src = '/write/file-image'</script>"


class Target:
    """A server without keys: which of its routes were reached, what was answered, and what was done."""

    def __init__(self) -> None:
        self.answered: dict[str, int] = {}
        self.done: list[str] = []
        self.page = ""

    def application(self) -> web.Application:
        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            self.answered[request.path] = response.status
            return response

        async def write(request: web.Request) -> web.Response:
            self.done.append(request.match_info["name"])
            return web.Response()

        async def read(_: None, call: Call[None]) -> web.Response:
            return web.json_response({"secret": "of the runs"})

        async def page(_: None, call: Call[None]) -> web.Response:
            headers = {"Content-Security-Policy": "default-src * 'unsafe-inline'"}
            return web.Response(text=self.page, content_type="text/html", headers=headers)

        async def file(_: None, call: Call[None]) -> web.Response:
            name = call.path["name"]
            kind = "text/html" if name.endswith("html") else "image/svg+xml"
            return web.Response(text=FILE, headers=file_headers(name, kind))

        app = web.Application(middlewares=[noted, problem_middleware(), auth_middleware(ApiKeys())])
        add_response_headers(app)
        app.router.add_route("*", "/write/{name}", write)
        routes = (
            Route("GET", "/read", Action.READ, "Data", read),
            Route("GET", "/page", Action.READ, "A page", page),
            Route("GET", "/file/{name}", Action.READ, "A file", file),
        )
        add_routes(app, routes, lambda route: plain_handler(route, None))
        return app


@pytest.mark.parametrize("name", ["other.localhost", "127.0.0.1"], ids=["another site", "another port"])
async def test_pages_of_others_do_nothing(name: str, tmp_path: Path) -> None:
    target, other = Target(), Other()
    async with serving(target.application()) as port, serving(other.application()) as other_port:
        other.page = ATTACK.replace("<script>", f"<script>const target = 'http://127.0.0.1:{port}';", 1)
        read = await visit(f"http://{name}:{other_port}/", other, tmp_path / "profile")
    assert target.done == []
    assert read == ""
    tried = {path.removeprefix("/write/") for path, status in target.answered.items() if status == 403}
    ways = {"image", "script", "iframe", "style", "video", "object", "form-get", "form-post", "beacon", "socket"}
    ways |= {f"fetch-{method}-{mode}" for method in ("get", "post") for mode in ("cors", "no-cors")}
    assert ways <= tried, f"the browser did not try {ways - tried}: {json.dumps(target.answered)}"
    assert set(target.answered.values()) == {403}


async def test_our_own_page_may_write_and_what_somebody_put_into_it_may_not(tmp_path: Path) -> None:
    target, other = Target(), Other()
    async with serving(target.application()) as port, serving(other.application()) as other_port:
        target.page = OWN.replace("<script>", f"<script>const other = 'http://127.0.0.1:{other_port}';", 1)
        told = await visit(f"http://127.0.0.1:{port}/page", other, tmp_path / "profile")
    assert told == "200,200,200"
    assert sorted(target.done) == ["own-get", "own-post"]
    assert target.answered["/write/own-image"] == 403
    assert not {"/write/file", "/write/file-image"} & target.answered.keys(), "a file that somebody logged ran"
