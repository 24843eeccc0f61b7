"""What every server shares: keys and loopback, problem answers, probes, log lines."""

import asyncio
import hashlib
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter

from runstream.events.names import InvalidName
from runstream_protocols.comet.access import ACCESS, VERSION_PATH
from runstream_service.access import Action
from runstream_service.assets import AssetMissing, AssetUnavailable
from runstream_service.auth import (
    ApiKeys,
    InsecureBind,
    InvalidKey,
    auth_middleware,
    check_bind,
    login_secret,
)
from runstream_service.log import LogUnavailable
from runstream_service.logs import configure_logging
from runstream_service.metrics import ReadinessCheck, add_operations, key_counter, process_registry
from runstream_service.problems import Problem, problem_middleware
from runstream_service.protocols import ProtocolAccess
from runstream_service.routing import Call, Route, add_routes, plain_handler

pytestmark = pytest.mark.sockets

KEY = "0123456789abcdef-key"


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as client:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", client
    await runner.cleanup()


def guarded(keys: ApiKeys, **options: Any) -> web.Application:
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(keys, protocols=(ACCESS,), **options)])

    async def who(_: None, call: Call[None]) -> web.Response:
        return web.Response(text=call.principal.name)

    add_routes(app, [Route("GET", "/who", Action.READ, "Who asks", who)], lambda route: plain_handler(route, None))
    add_operations(app, CollectorRegistry())
    return app


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong-key-wrong-key", 401),
        (KEY[:-1], 401),
        (f"Basic {KEY}", 401),
        (f"Bearer {KEY}", 200),
        (f"bearer  {KEY}", 200),
        (KEY, 200),
        ("another-key-of-the-same", 200),
        ("a-key*with*asterisks", 200),
        (f"{KEY}*eyJiYXNlVXJsIjoiaHR0cDovL2hlcmUifQ==", 200),
        (f"Bearer {KEY}*eyJ9", 200),
        ("a-key*eyJ9", 401),
        (f"*{KEY}", 401),
        (f"eyJ9*{KEY}", 401),
        ("*", 401),
    ],
)
async def test_with_keys_only_they_are_let_in(authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with (
        serving(guarded(ApiKeys.from_plain([KEY, "another-key-of-the-same", "a-key*with*asterisks"]))) as (url, client),
        client.get(f"{url}/who", headers=headers) as response,
    ):
        text = await response.text()
        assert response.status == status
        if status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert KEY not in text
        else:
            assert len(text) == 8


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-some-key": KEY}, 200),
        ({"X-Some-Key": f" {KEY} "}, 200),
        ({"x-some-key": "None"}, 401),
        ({"x-some-key": ""}, 401),
        ({"x-other-key": KEY}, 401),
        ({"x-some-key": KEY, "Authorization": "Bearer wrong-key-wrong-key"}, 401),
        ({"x-some-key": "wrong-key-wrong-key", "Authorization": f"Bearer {KEY}"}, 200),
    ],
)
async def test_a_key_may_stand_in_the_header_of_a_protocol(headers: dict[str, str], status: int) -> None:
    guard = auth_middleware(ApiKeys.from_plain([KEY]), protocols=(ProtocolAccess("some", key_header="x-some-key"),))
    app = web.Application(middlewares=[problem_middleware(), guard])

    async def done(_: None, call: Call[None]) -> web.Response:
        return web.Response(text="done")

    add_routes(app, [Route("GET", "/read", Action.READ, "Read", done)], lambda route: plain_handler(route, None))
    async with serving(app) as (url, client), client.get(f"{url}/read", headers=headers) as response:
        assert response.status == status


async def test_a_token_that_a_key_signed_is_as_good_as_the_key() -> None:
    """The secret is of the key and the protocol: who logs in with a key gets what only that key's tokens pass by."""
    signing = ProtocolAccess(
        "signing",
        open_paths=frozenset({"/login"}),
        signed=lambda credential, secret: credential == f"Signed {secret.hex()}",
    )
    other = ProtocolAccess("other", signed=lambda credential, secret: credential == f"Other {secret.hex()}")
    keys = [KEY, "another-key-of-the-same:read"]
    guard = auth_middleware(ApiKeys.from_plain(keys), protocols=(other, signing))
    app = web.Application(middlewares=[problem_middleware(), guard])

    async def login(_: None, call: Call[None]) -> web.Response:
        secret = login_secret(call.request, call.request.query["key"], "signing")
        return web.Response(text="" if secret is None else secret.hex())

    async def who(_: None, call: Call[None]) -> web.Response:
        return web.Response(text=call.principal.name)

    routes = [
        Route("GET", "/login", Action.READ, "Log in", login),
        Route("GET", "/who", Action.READ, "Who asks", who),
        Route("POST", "/write", Action.LOG, "Write", who),
    ]
    add_routes(app, routes, lambda route: plain_handler(route, None))
    async with serving(app) as (url, client):

        async def got(method: str, path: str, credential: str = "") -> tuple[int, str]:
            async with client.request(method, f"{url}{path}", headers={"Authorization": credential}) as answer:
                return answer.status, await answer.text()

        assert await got("GET", "/login?key=wrong-key-wrong-key") == (200, "")
        _, secret = await got("GET", f"/login?key={KEY}")
        assert await got("GET", "/who", f"Signed {secret}") == await got("GET", "/who", KEY)
        assert (await got("POST", "/write", f"Signed {secret}"))[0] == 200
        for forged in (f"Other {secret}", f"Signed {secret[:-1]}", "Signed", secret):
            assert (await got("GET", "/who", forged))[0] == 401
        _, reading = await got("GET", "/login?key=another-key-of-the-same")
        assert (await got("GET", "/who", f"Signed {reading}"))[0] == 200
        assert (await got("POST", "/write", f"Signed {reading}"))[0] == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [("/some/upload/x", 200), ("/some/upload", 401), ("/some/other/x", 401), ("/a/some/upload/x", 401)],
)
async def test_paths_whose_urls_authorise_themselves_need_no_key(path: str, status: int) -> None:
    access = ProtocolAccess("some", ticket_paths=("/some/upload/",))
    guard = auth_middleware(ApiKeys.from_plain([KEY]), protocols=(access,))
    app = web.Application(middlewares=[problem_middleware(), guard])

    async def who(_: None, call: Call[None]) -> web.Response:
        return web.Response(text=call.principal.name)

    add_routes(app, [Route("PUT", path, Action.LOG, "Upload", who)], lambda route: plain_handler(route, None))
    async with serving(app) as (url, client), client.put(f"{url}{path}") as answer:
        assert answer.status == status
        assert (await answer.text() == "anybody") is (status == 200), "its handler has to judge it"


async def test_requests_are_counted_by_the_name_of_their_key() -> None:
    registry = CollectorRegistry()
    names = {key: hashlib.sha256(key.encode()).hexdigest()[:8] for key in (KEY, "another-key-of-the-same")}
    app = guarded(ApiKeys.from_plain(names), on_key=key_counter(registry))

    def counted(key: str) -> float | None:
        return registry.get_sample_value("runstream_keyed_requests_total", {"key": key})

    assert counted("refused") == 0
    async with serving(app) as (url, client):
        for key in (KEY, KEY, "another-key-of-the-same", "wrong-key-wrong-key", ""):
            async with client.get(f"{url}/who", headers={"Authorization": key} if key else {}) as response:
                await response.read()
        async with client.get(f"{url}/healthz") as response:
            await response.read()
    assert [counted(name) for name in names.values()] == [2, 1]
    assert counted("refused") == 2, "a wrong key and none; a probe needs none"


@pytest.mark.parametrize("authorization", [None, KEY, "wrong-key-wrong-key"])
async def test_the_version_of_comets_interface_is_told_to_everybody(authorization: str | None) -> None:
    async def version(request: web.Request) -> web.Response:
        return web.json_response({"version": "1.2.3"})

    guard = auth_middleware(ApiKeys.from_plain([KEY]), protocols=(ACCESS,))
    app = web.Application(middlewares=[problem_middleware(), _from_elsewhere, guard])
    app.router.add_get(VERSION_PATH, version)
    headers = {} if authorization is None else {"Authorization": authorization}
    async with serving(app) as (url, client):
        async with client.get(url + VERSION_PATH, headers=headers) as response:
            assert response.status == 200
        for path in (f"{VERSION_PATH}/", "/clientlib/isAlive", "/clientlib/isAlive/ver/x"):
            async with client.get(url + path, headers={"Authorization": "wrong-key-wrong-key"}) as response:
                assert response.status == 401


@pytest.mark.parametrize(("local_metrics", "metrics"), [(False, 401), (True, 200)])
async def test_probes_are_open_from_loopback_and_figures_where_that_is_set(local_metrics: bool, metrics: int) -> None:
    app = guarded(ApiKeys.from_plain([KEY]), local_metrics=local_metrics)
    async with serving(app) as (url, client):
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", metrics)):
            async with client.get(url + path) as response:
                assert response.status == status
        async with client.get(f"{url}/elsewhere") as response:
            assert response.status == 401, "what exists is nobody's business"


@web.middleware
async def _from_elsewhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As if another machine asked."""
    return await handler(request.clone(remote="10.1.2.3"))


@pytest.mark.parametrize(
    ("path", "headers", "status", "checks"),
    [
        ("/healthz", {}, 200, None),
        ("/readyz", {}, 503, {}),
        ("/readyz", {"Authorization": f"Bearer {KEY}"}, 503, {"log": "the broker at 10.9.8.7 is away"}),
        ("/readyz", {"Authorization": "Bearer wrong-key-wrong-key"}, 401, None),
        ("/metrics", {}, 401, None),
        ("/metrics", {"Authorization": f"Bearer {KEY}"}, 200, None),
    ],
)
async def test_probes_of_other_machines_are_told_yes_or_no_and_figures_need_a_key(
    path: str, headers: dict[str, str], status: int, checks: dict[str, str] | None
) -> None:
    async def log_away() -> str | None:
        return "the broker at 10.9.8.7 is away"

    guard = auth_middleware(ApiKeys.from_plain([KEY]))
    app = web.Application(middlewares=[problem_middleware(), _from_elsewhere, guard])
    add_operations(app, CollectorRegistry(), {"log": log_away})
    async with serving(app) as (url, client), client.get(url + path, headers=headers) as response:
        assert response.status == status
        if checks is not None:
            assert await response.json() == {"ready": False, "checks": checks}


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 200, None),
        ({"Host": "localhost:8000"}, 200, None),
        ({"Host": "[::1]:8000"}, 200, None),
        ({"Host": "tracker.test"}, 200, None),
        ({"Host": "evil.example"}, 403, "wrong-host"),
        ({"Host": "127.0.0.1.evil.example"}, 403, "wrong-host"),
        ({"Host": "[::1"}, 403, "wrong-host"),
        ({"Host": "localhost:80", "Origin": "http://localhost:80"}, 200, None),
        ({"Host": "localhost:80", "Origin": "http://localhost:3000"}, 403, "wrong-origin"),
        ({"Origin": "https://evil.example"}, 403, "wrong-origin"),
        ({"Origin": "null"}, 403, "wrong-origin"),
        ({"Origin": "http://[::1"}, 403, "wrong-origin"),
        ({"Origin": ""}, 403, "wrong-origin"),
    ],
)
async def test_without_keys_only_loopback_names_and_own_pages_are_let_in(
    headers: dict[str, str], status: int, kind: str | None
) -> None:
    app = guarded(ApiKeys(), allowed_hosts=["tracker.test"])
    async with serving(app) as (url, client), client.get(f"{url}/who", headers=headers) as response:
        assert response.status == status
        if kind:
            assert (await response.json(content_type=None))["type"] == f"urn:runstream:problem:{kind}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": "https://before.the.proxy"}, 200),
        ({"Origin": "https://before.the.proxy"}, 200),
        ({"Referer": "https://wiki.example/"}, 200),
    ],
    ids=str,
)
async def test_with_keys_too_pages_of_other_sites_are_kept_out(headers: dict[str, str], status: int) -> None:
    """Today they do not know the key; a cookie would come with what they send."""
    async with (
        serving(guarded(ApiKeys.from_plain([KEY]))) as (url, client),
        client.get(f"{url}/who", headers={"Authorization": KEY, **headers}) as response,
    ):
        assert response.status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"])
def test_loopback_needs_no_key(host: str) -> None:
    check_bind(host, ApiKeys())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org"])
def test_other_addresses_need_a_key(host: str) -> None:
    with pytest.raises(InsecureBind, match="has no API key"):
        check_bind(host, ApiKeys())
    check_bind(host, ApiKeys.from_plain([KEY]))


@pytest.mark.parametrize("key", ["", "short", "x" * 15, "with a space in it", "ключ-ключ-ключ-ключ"])
def test_keys_that_are_no_good_are_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        ApiKeys.from_plain([key])
    assert not key or key not in str(caught.value)


def test_keys_are_not_kept_in_plain() -> None:
    assert KEY not in repr(ApiKeys.from_plain([KEY]))


def failing(error: Exception, **options: Any) -> web.Application:
    app = web.Application(middlewares=[problem_middleware(**options)])

    async def fail(_: web.Request) -> web.Response:
        raise error

    app.router.add_get("/fail", fail)
    return app


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Problem(418, "teapot", "I am a teapot", "short and stout", handle=1), 418, "teapot"),
        (LogUnavailable("disk full"), 503, "log-unavailable"),
        (AssetUnavailable("disk full"), 503, "assets-unavailable"),
        (AssetMissing("none"), 404, "asset-missing"),
        (InvalidName("bad"), 422, "invalid-name"),
        (web.HTTPRequestEntityTooLarge(5, 6), 413, "http-413"),
        (RuntimeError("a secret"), 500, "internal"),
    ],
)
async def test_errors_become_problems(error: Exception, status: int, kind: str) -> None:
    async with serving(failing(error)) as (url, client):
        async with client.get(f"{url}/fail", headers={"X-Request-Id": "me-1"}) as response:
            assert response.content_type == "application/problem+json"
            problem = json.loads(await response.text())
        assert response.status == problem["status"] == status
        assert problem["type"] == f"urn:runstream:problem:{kind}"
        assert problem["title"]
        assert problem["request_id"] == response.headers["X-Request-Id"] == "me-1"
        assert "a secret" not in json.dumps(problem)
        assert ("Retry-After" in response.headers) == (status == 503)
        assert problem.get("handle") == (1 if kind == "teapot" else None)


async def test_routes_that_do_not_exist_are_problems_too() -> None:
    async with serving(failing(RuntimeError())) as (url, client):
        async with client.get(f"{url}/nowhere") as response:
            assert (response.status, json.loads(await response.text())["status"]) == (404, 404)
        async with client.post(f"{url}/fail") as response:
            assert response.status == 405
            assert "GET" in response.headers["Allow"]


async def test_a_request_id_that_could_break_a_log_line_is_replaced() -> None:
    async with (
        serving(failing(RuntimeError())) as (url, client),
        client.get(f"{url}/nowhere", headers={"X-Request-Id": "a b{}"}) as response,
    ):
        assert len(response.headers["X-Request-Id"]) == 32


@pytest.fixture
def log_lines() -> Iterator[Callable[[str], io.StringIO]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def start(form: Any) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(form, "INFO", stream)
        return stream

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_fault_is_logged_with_its_request_and_traceback(log_lines: Callable[[str], io.StringIO]) -> None:
    stream = log_lines("json")
    async with (
        serving(failing(RuntimeError("the cause"))) as (url, client),
        client.get(f"{url}/fail", headers={"X-Request-Id": "r-7"}),
    ):
        pass
    [line] = [json.loads(text) for text in stream.getvalue().splitlines() if "r-7" in text]
    assert (line["level"], line["request_id"], line["logger"]) == ("error", "r-7", "runstream_service.problems")
    assert "RuntimeError: the cause" in line["error"]


async def said_to(url: str, request: bytes) -> bytes:
    """What a server answers to bytes that no HTTP client would send."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    response = await asyncio.wait_for(reader.read(4096), 120)
    writer.close()
    return response


async def test_a_request_without_a_host_is_refused_without_asking_the_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def getfqdn(*_: object) -> str:
        raise AssertionError("the event loop was blocked by a question to the resolver")

    monkeypatch.setattr("socket.getfqdn", getfqdn)
    async with serving(guarded(ApiKeys())) as (url, _):
        assert b"wrong-host" in await said_to(url, b"GET /who HTTP/1.0\r\n\r\n")


async def test_what_is_no_http_is_one_line_and_no_error(log_lines: Callable[[str], io.StringIO]) -> None:
    stream = log_lines("json")
    async with serving(guarded(ApiKeys())) as (url, _):
        assert (await said_to(url, b"GET /who HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")).startswith(
            b"HTTP/1.0 400"
        )
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    [line] = [line for line in lines if line["logger"] == "aiohttp.server"]
    assert line["level"] == "info"
    assert "more than 8190 bytes" in line["message"]
    assert "error" not in line


async def test_a_body_that_does_not_unpack_is_refused(log_lines: Callable[[str], io.StringIO]) -> None:
    stream = log_lines("json")
    app = guarded(ApiKeys())

    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app.router.add_post("/read", read)
    headers = {"Content-Encoding": "gzip"}
    async with serving(app) as (url, client), client.post(f"{url}/read", data=b"no gzip", headers=headers) as response:
        assert response.status == 400
        assert (await response.json(content_type=None))["type"] == "urn:runstream:problem:unreadable-body"
    assert "error" not in {json.loads(text)["level"] for text in stream.getvalue().splitlines()}


def test_what_clients_send_cannot_begin_a_line_or_steer_a_terminal(log_lines: Callable[[str], io.StringIO]) -> None:
    stream = log_lines("text")
    logging.getLogger("a").warning("no field %s", "x\n12:00:00 error a: forged\x1b[2J", extra={"key": "a\rb"})
    assert stream.getvalue().endswith(r"no field x\n12:00:00 error a: forged\x1b[2J key=a\rb" + "\n")


def test_fields_of_a_line_stand_in_both_forms(log_lines: Callable[[str], io.StringIO]) -> None:
    stream = log_lines("json")
    logging.getLogger("a.b").warning("took %d s", 3, extra={"run": "r1"})
    line = json.loads(stream.getvalue())
    assert (line["message"], line["run"], line["level"]) == ("took 3 s", "r1", "warning")
    stream = log_lines("text")
    logging.getLogger("a.b").warning("took %d s", 3, extra={"run": "r1"})
    assert stream.getvalue().endswith("warning a.b: took 3 s run=r1\n")


async def ready() -> str | None:
    return None


async def not_yet() -> str | None:
    return "still loading"


async def broken() -> str | None:
    raise OSError("no disk")


async def silent() -> str | None:
    await asyncio.sleep(60)
    return None


@pytest.mark.parametrize(
    ("checks", "status", "told"),
    [
        ({}, 200, {}),
        ({"log": ready}, 200, {"log": "ok"}),
        ({"log": ready, "store": not_yet}, 503, {"log": "ok", "store": "still loading"}),
        ({"log": broken}, 503, {"log": "OSError: no disk"}),
        ({"log": silent}, 503, {"log": "no answer within 0.05 s"}),
    ],
)
async def test_readiness_is_that_of_every_part(
    checks: dict[str, ReadinessCheck], status: int, told: dict[str, str]
) -> None:
    app = web.Application()
    add_operations(app, CollectorRegistry(), checks, check_timeout_s=0.05)
    async with serving(app) as (url, client), client.get(f"{url}/readyz") as response:
        assert (response.status, (await response.json())["checks"]) == (status, told)


async def test_metrics_are_prometheus_text() -> None:
    registry = process_registry()
    Counter("things", "Things.", registry=registry).inc(3)
    app = web.Application()
    add_operations(app, registry)
    async with serving(app) as (url, client), client.get(f"{url}/metrics") as response:
        text = await response.text()
    assert "things_total 3.0" in text
    assert "process_resident_memory_bytes" in text
