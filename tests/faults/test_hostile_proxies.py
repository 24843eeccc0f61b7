"""A proxy on this machine does not make everybody behind it a program of this machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from runstream.errors import InvalidSetting
from runstream_infra.cluster.front import Front
from runstream_infra.settings import AccessSettings, CommonSettings
from runstream_service.access import Action
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.metrics import add_operations
from runstream_service.problems import problem_middleware
from runstream_service.proxies import TRUSTED_PROXIES, TrustedProxies, client_address, forwarded_client
from runstream_service.routing import Call, Route, add_routes, plain_handler

KEY = "0123456789abcdef-key"
BY_KEY = {"Authorization": f"Bearer {KEY}"}
#: What proxies, tunnels and content networks add to a request.
ADDED: list[dict[str, str]] = [
    {"X-Forwarded-For": "203.0.113.7"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "localhost"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"X-Real-IP": "127.0.0.1"},
    {"True-Client-IP": "203.0.113.7"},
    {"CF-Connecting-IP": "203.0.113.7"},
]


async def sick() -> str | None:
    return "the broker at 10.9.8.7 is away"


@asynccontextmanager
async def serving(keys: tuple[str, ...] = (), trusted: tuple[str, ...] = (), **options: Any) -> AsyncIterator[str]:
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(ApiKeys.from_plain(keys), **options)])
    app[TRUSTED_PROXIES] = TrustedProxies.of(trusted)

    async def who(_: None, call: Call[None]) -> web.Response:
        return web.Response(text=client_address(call.request))

    routes = [Route("GET", path, Action.READ, "Who asks", who) for path in ("/who", "/api/v1/runs")]
    add_routes(app, routes, lambda route: plain_handler(route, None))
    add_operations(app, CollectorRegistry(), {"log": sick})
    async with running(web.AppRunner(app)) as url:
        yield url


@asynccontextmanager
async def running(runner: web.AppRunner) -> AsyncIterator[str]:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.text()


async def get_as_nginx(url: str, path: str) -> str:
    """As nginx passes a request on by default: HTTP/1.0, with the name of what is behind it, and no header more."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    told = (await reader.read()).decode()
    writer.close()
    return told


@pytest.mark.parametrize("added", [{}, *ADDED], ids=str)
async def test_with_keys_figures_and_reasons_need_one_from_wherever(added: dict[str, str]) -> None:
    async with serving((KEY,)) as url:
        assert (await get(f"{url}/metrics", added))[0] == 401
        assert (await get(f"{url}/readyz", added)) == (503, '{"ready": false, "checks": {}}')
        assert (await get(f"{url}/healthz", added))[0] == 200
        assert "10.9.8.7" in (await get(f"{url}/readyz", added | BY_KEY))[1]
        assert (await get(f"{url}/metrics", added | BY_KEY))[0] == 200


@pytest.mark.parametrize("added", ADDED, ids=str)
async def test_where_this_machines_programs_need_none_those_behind_a_proxy_do(added: dict[str, str]) -> None:
    async with serving((KEY,), local_metrics=True) as url:
        assert (await get(f"{url}/metrics"))[0] == 200
        assert "10.9.8.7" in (await get(f"{url}/readyz"))[1]
        assert (await get(f"{url}/metrics", added))[0] == 401
        assert "10.9.8.7" not in (await get(f"{url}/readyz", added))[1]
        assert " 401 " in (await get_as_nginx(url, "/metrics")).splitlines()[0]


@pytest.mark.parametrize("added", ADDED, ids=str)
async def test_without_keys_nobody_behind_a_proxy_is_let_in_and_the_words_name_the_setting(
    added: dict[str, str],
) -> None:
    async with serving() as url:
        for path in ("/who", "/metrics", "/readyz", "/healthz"):
            status, told = await get(f"{url}{path}", added)
            assert status == 403, path
            assert next(iter(added)) in told
            assert "RUNSTREAM_TRUSTED_PROXIES" in told
            assert "10.9.8.7" not in told
        assert (await get(f"{url}/who"))[0] == 200
        told = await get_as_nginx(url, "/who")
        assert " 403 " in told.splitlines()[0]
        assert "RUNSTREAM_TRUSTED_PROXIES" in told


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1"),
        ({"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7"),
        ({"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}, "203.0.113.7"),
        ({"Forwarded": 'for="[2001:db8::7]:4711";proto=https'}, "2001:db8::7"),
    ],
)
async def test_a_trusted_proxy_says_who_stands_behind_it(headers: dict[str, str], address: str) -> None:
    async with serving((KEY,), trusted=("127.0.0.1",)) as url:
        assert await get(f"{url}/who", headers | BY_KEY) == (200, address)
    async with serving((), trusted=("127.0.0.1",)) as url:
        assert (await get(f"{url}/who", headers))[0] == (200 if address == "127.0.0.1" else 403)
    async with serving((KEY,)) as url:
        assert await get(f"{url}/who", headers | BY_KEY) == (200, "127.0.0.1"), (
            "who writes it is nobody that is trusted"
        )


@pytest.mark.parametrize(
    ("headers", "address", "is_known"),
    [
        ([], "10.0.0.1", True),
        ([("X-Forwarded-For", "203.0.113.7")], "203.0.113.7", True),
        ([("X-Forwarded-For", "127.0.0.1, 203.0.113.7, 10.0.0.2")], "203.0.113.7", True),
        ([("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "203.0.113.7")], "203.0.113.7", True),
        ([("X-Forwarded-For", "10.0.0.3, 10.0.0.2")], "10.0.0.3", True),
        ([("X-Forwarded-For", "203.0.113.7:4711")], "203.0.113.7", True),
        ([("X-Forwarded-For", "[2001:db8::7]:4711")], "2001:db8::7", True),
        ([("X-Forwarded-For", "2001:db8::7")], "2001:db8::7", True),
        ([("X-Forwarded-For", "::ffff:10.0.0.2, ::ffff:203.0.113.7")], "203.0.113.7", True),
        ([("X-Forwarded-For", "127.0.0.1, unknown")], "10.0.0.1", False),
        ([("X-Forwarded-For", "127.0.0.1, unknown, 10.0.0.2")], "10.0.0.2", False),
        ([("X-Forwarded-For", "")], "10.0.0.1", False),
        ([("X-Forwarded-For", "127.0.0.1,")], "10.0.0.1", False),
        ([("Forwarded", "for=127.0.0.1, for=203.0.113.7;by=10.0.0.1")], "203.0.113.7", True),
        ([("Forwarded", 'proto=https;for="203.0.113.7:80"')], "203.0.113.7", True),
        ([("Forwarded", "for=_hidden")], "10.0.0.1", False),
        ([("Forwarded", "proto=https")], "10.0.0.1", False),
        # A client may write the one that the proxy passes on as it is.
        ([("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=127.0.0.1")], "10.0.0.1", False),
        ([("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")], "203.0.113.7", True),
        ([("X-Forwarded-For", "203.0.113.7"), ("X-Real-IP", "127.0.0.1")], "203.0.113.7", True),
        ([("X-Real-IP", "203.0.113.7")], "203.0.113.7", True),
    ],
)
def test_the_last_address_that_is_none_of_a_trusted_proxy_counts(
    headers: list[tuple[str, str]], address: str, is_known: bool
) -> None:
    found = forwarded_client("10.0.0.1", CIMultiDict(headers), TrustedProxies.of(["10.0.0.0/24"]))
    assert (found.address, found.is_known) == (address, is_known)


async def test_the_front_of_a_local_cluster_tells_who_sent_a_request() -> None:
    """Behind it a process would take everybody for a program of this machine."""
    async with serving((), trusted=("127.0.0.1",)) as behind:
        async with running(Front([behind], [behind]).runner()) as front:
            assert await get(f"{front}/api/v1/runs") == (200, "127.0.0.1")
            for added in ADDED:
                assert (await get(f"{front}/api/v1/runs", added))[0] == 403, added
            assert " 403 " in (await get_as_nginx(front, "/api/v1/runs")).splitlines()[0]
        proxies = TrustedProxies.of(["127.0.0.1"])
        async with running(Front([behind], [behind], proxies).runner()) as front:
            assert await get(f"{front}/api/v1/runs", {"X-Forwarded-For": "127.0.0.1"}) == (200, "127.0.0.1")
            assert (await get(f"{front}/api/v1/runs", {"X-Forwarded-For": "203.0.113.7"}))[0] == 403


def test_the_settings_come_from_the_environment() -> None:
    given = {"RUNSTREAM_TRUSTED_PROXIES": "10.0.0.5, 192.168.0.0/16,::1", "RUNSTREAM_LOCAL_METRICS": "1"}
    found = CommonSettings.from_environment(given).access
    assert found.local_metrics
    covered = {"10.0.0.5", "192.168.3.4", "::1", "::ffff:10.0.0.5"}
    assert {one for one in (*covered, "10.0.0.6", "x", "") if found.trusted_proxies.covers(one)} == covered
    assert CommonSettings.from_environment({}).access == AccessSettings()
    for wrong in ({"RUNSTREAM_TRUSTED_PROXIES": "proxy.example"}, {"RUNSTREAM_LOCAL_METRICS": "maybe"}):
        with pytest.raises(InvalidSetting, match=next(iter(wrong))):
            CommonSettings.from_environment(wrong)
