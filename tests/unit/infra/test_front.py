"""The front of a local cluster: requests reach a process that takes them, whole, and the response comes back whole."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from runstream_infra.cluster.front import Front
from runstream_infra.listening import listen
from runstream_infra.ports import free_ports

pytestmark = pytest.mark.sockets


def closed_address() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


async def backend(name: str) -> TestServer:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        told = {"who": name, "path": request.raw_path, "size": len(body), "key": request.headers.get("Authorization")}
        return web.json_response(told, status=201 if request.method == "PUT" else 200, headers={"X-Own": "kept"})

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(f"{number}\n".encode())
            await asyncio.sleep(0.02)
        return response

    async def breaks(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application(client_max_size=1 << 24)
    app.router.add_get("/api/v1/live", stream)
    app.router.add_get("/api/v1/breaks", breaks)
    app.router.add_route("*", "/{path:.*}", echo)
    server = TestServer(app)
    await server.start_server()
    return server


@pytest.fixture
async def front() -> AsyncIterator[str]:
    gateway, query = await backend("gateway"), await backend("query")
    address = [f"http://127.0.0.1:{server.port}" for server in (gateway, query)]
    dead = closed_address()
    runner = Front([dead, address[0]], [address[1], dead]).runner()
    await runner.setup()
    yield await listen(runner, "127.0.0.1", 0)
    await runner.cleanup()
    for one in (gateway, query):
        await one.close()


async def test_a_dead_process_is_passed_over_and_every_part_of_a_message_passes(front: str) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(4):
            headers = {"Authorization": "Bearer k"}
            data = bytes(3_000_000)
            async with client.put(f"{front}/ingest/v1/assets/a%2Fb?x=1", data=data, headers=headers) as response:
                assert (response.status, response.headers["X-Own"]) == (201, "kept")
                wanted = {"who": "gateway", "path": "/ingest/v1/assets/a%2Fb?x=1", "size": 3_000_000, "key": "Bearer k"}
                assert await response.json() == wanted
            async with client.get(f"{front}/api/v1/runs") as response:
                assert (await response.json())["who"] == "query"


async def test_a_packed_body_arrives_as_what_was_packed(front: str) -> None:
    packed = gzip.compress(b"x" * 1_000)
    headers = {"Content-Encoding": "gzip"}
    async with aiohttp.ClientSession() as client:
        url = f"{front}/clientlib/batch/logger/experiment/metric"
        async with client.post(url, data=packed, headers=headers) as response:
            told = await response.json()
    assert (told["who"], told["size"]) == ("gateway", 1_000)


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/ingest/v1/frames", "gateway"),
        ("/api/rest/v2/write/experiment/metric", "gateway"),
        ("/clientlib/rest/v2/write/experiment/output", "gateway"),
        ("/clientlib/asset", "gateway"),
        ("/asset/upload", "gateway"),
        ("/health/ping", "gateway"),
        ("/clientlib/isAlive/ver", "query"),
        ("/clientlib/rest/v2/experiment/metadata", "query"),
        ("/api/v1/assets", "query"),
    ],
)
async def test_what_is_written_goes_to_a_gateway_and_the_rest_to_a_query_server(
    front: str, path: str, who: str
) -> None:
    async with aiohttp.ClientSession() as client, client.get(front + path) as response:
        assert (await response.json())["who"] == who


async def test_a_response_is_passed_on_while_it_comes(front: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{front}/api/v1/live") as response:
        lines = [line async for line in response.content]
    assert lines == [b"0\n", b"1\n", b"2\n"]


async def test_who_breaks_off_is_named_in_a_problem(front: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{front}/api/v1/breaks") as response:
        problem = json.loads(await response.read())
        assert response.status == 502
        assert "broke off" in problem["detail"]


async def test_nobody_there_is_a_problem_that_says_when_to_come_again() -> None:
    dead = closed_address()
    server = TestServer(Front([dead], [dead]).application())
    await server.start_server()
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{server.port}/api/v1/runs") as response:
        problem = json.loads(await response.read())
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert dead in problem["detail"]
    await server.close()


async def test_a_client_that_leaves_takes_its_request_along() -> None:
    """A query ends when its client leaves: what is behind only sees the front's connection."""
    began, left = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        began.set()
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        left.set()
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", wait)
    behind = web.AppRunner(app)  # as our own: the handler goes on when its client has left
    await behind.setup()
    await web.TCPSite(behind, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{behind.addresses[0][1]}"
    runner = Front([address], [address]).runner()
    await runner.setup()
    url = await listen(runner, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(240):
        await began.wait()
        writer.close()
        await left.wait()
    await runner.cleanup()
    await behind.cleanup()


@pytest.mark.parametrize("target", ["http://evil.example/x", "x://y@evil.example/"])
async def test_a_target_that_is_no_path_is_refused(front: str, target: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(front.rpartition(":")[2]))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    told = await reader.read()
    writer.close()
    assert b" 400 " in told.partition(b"\r\n")[0]
    assert b"unreadable-request" in told
