"""Clients that do not take their responses, and how connections are shared among addresses: in this process, through
the runner of every process kind. About 10 s."""

import asyncio
import fcntl
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kit.hostile.clients import GENEROUS_S, problem_in
from runstream_infra.cluster.front import Front
from runstream_infra.limits import Limits
from runstream_infra.listening import guarded_runner, listen
from runstream_service.connection_settings import ConnectionSettings
from runstream_service.listening import GuardedRunner
from runstream_service.problems import problem_middleware
from runstream_service.protocol import keep_little_unsent

BODY = bytes(20_000_000)
PATIENT = ConnectionSettings(reader_silence_s=1_000, idle_s=100_000)
QUICK = ConnectionSettings(reader_silence_s=0.5, head_s=30, idle_s=30, body_window_s=1)


@asynccontextmanager
async def serving(
    settings: ConnectionSettings, *routes: web.RouteDef, bound: int | None = None
) -> AsyncIterator[tuple[str, GuardedRunner]]:
    app = web.Application(middlewares=[problem_middleware()])
    app.router.add_routes([web.get("/large", large), web.get("/small", small), web.get("/events", events), *routes])
    runner = guarded_runner(app, Limits(connections=settings), shutdown_timeout=0.1)
    if bound is not None:
        runner.connections.bound = runner.connections._most = bound
        runner.connections.address_bound = max(1, bound * settings.max_address_percent // 100)
    await runner.setup()
    try:
        yield await listen(runner, "127.0.0.1", 0), runner
    finally:
        await runner.cleanup()


async def large(_: web.Request) -> web.Response:
    return web.Response(body=bytes(BODY), content_type="application/json")


async def small(_: web.Request) -> web.Response:
    return web.Response(text="small")


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    keep_little_unsent(request)
    while True:
        await response.write(b"data: " + b"x" * 20_000 + b"\n\n")


async def connected(url: str, path: str | None = None, *, source: str = "127.0.0.1") -> socket.socket:
    """A connection that has asked for a path; it reads nothing by itself."""
    loop = asyncio.get_running_loop()
    host, _, port = url.removeprefix("http://").partition(":")
    client = socket.socket()
    client.setblocking(False)
    client.bind((source, 0))
    await loop.sock_connect(client, (host, int(port)))
    if path is not None:
        await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


async def until(holds: Callable[[], bool], what: str | Callable[[], str]) -> None:
    deadline_s = time.monotonic() + GENEROUS_S
    while not holds():
        assert time.monotonic() < deadline_s, what if isinstance(what, str) else what()
        await asyncio.sleep(0.02)


def state_of(runner: GuardedRunner) -> str:
    """What a server knows of its connections."""
    connections = runner.connections
    left = sorted(connection.unsent_bytes() for connection in connections._readers)
    return f"{connections.counts()}, closed {dict(connections.closed)}, {connections.bound} allowed, unsent {left}"


async def rest_of(client: socket.socket) -> bytes:
    found = bytearray()
    try:
        while chunk := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1 << 20), GENEROUS_S):
            found += chunk
    except ConnectionError:
        pass
    return bytes(found)


def kernel_bytes(runner: GuardedRunner) -> int:
    """What the kernel holds of responses for the clients of a server."""
    held = 0
    assert runner.server is not None
    for connection in runner.server.connections:
        if connection.transport is not None:
            descriptor = connection.transport.get_extra_info("socket").fileno()
            held += struct.unpack("i", fcntl.ioctl(descriptor, 0x5411, bytes(4)))[0]  # SIOCOUTQ
    return held


def unsent(runner: GuardedRunner) -> list[tuple[int, int]]:
    """The readers that a server waits for, and what is left for each: changes whenever one of them took something."""
    return [(id(reader), connection.unsent_bytes()) for connection, reader in runner.connections._readers.items()]


def held_bytes(runner: GuardedRunner) -> int:
    assert runner.server is not None
    return sum(
        connection.transport.get_write_buffer_size()
        for connection in runner.server.connections
        if connection.transport is not None
    )


#: Linux would keep 3.8 MB for each of them.
@pytest.mark.parametrize(("path", "kernel_each"), [("/large", 1_500_000), ("/events", 200_000)])
async def test_who_takes_nothing_is_cut_off_and_holds_little_until_then(path: str, kernel_each: int) -> None:
    async with serving(PATIENT) as (url, runner):
        clients = [await connected(url, path) for _ in range(20)]
        # Let the kernel widen its buffers, as for a client that reads for a while.
        for client in clients:
            for _ in range(50):
                assert await asyncio.get_running_loop().sock_recv(client, 65_536), state_of(runner)
        await until(lambda: len(runner.connections._readers) == 20, lambda: f"not all stand still: {state_of(runner)}")
        assert kernel_bytes(runner) < 20 * kernel_each
        # What asyncio lets through before it stops, and one piece.
        assert held_bytes(runner) < 20 * (65_536 + 262_144 + 1_000)
        runner.connections.advance(900)
        assert runner.connections.closed["slow_reader"] == 0
        runner.connections.advance(1_000)
        await until(lambda: runner.connections.closed["slow_reader"] == 20, "all of them are cut off")
        await until(lambda: runner.connections.counts()["busy"] == 0, "their requests end")
        assert runner.connections.untaken_bytes == 0
        for client in clients:
            assert len(await rest_of(client)) < len(BODY)
            client.close()


async def test_who_takes_a_response_now_and_then_gets_all_of_it() -> None:
    async with serving(PATIENT) as (url, runner):
        client = await connected(url, "/large")
        taken, pauses = 0, 0
        while taken < len(BODY):
            before = unsent(runner)
            while taken < len(BODY) and unsent(runner) == before:
                chunk = await asyncio.get_running_loop().sock_recv(client, 1_000_000)
                assert chunk, "it was cut off"
                taken += len(chunk)
                # `sock_recv` returns at once what the kernel has: the server needs a turn of the loop to write more.
                await asyncio.sleep(0.005)
            runner.connections.advance(900)
            pauses += 1
        assert pauses >= 5
        assert runner.connections.closed["slow_reader"] == 0
        client.close()


async def test_responses_that_are_not_taken_are_bounded_together() -> None:
    settings = ConnectionSettings(max_untaken_bytes=50_000_000, reader_silence_s=30)
    async with serving(settings) as (url, runner):
        stuck = [await connected(url, "/large") for _ in range(2)]
        await until(lambda: runner.connections.untaken_bytes == 2 * len(BODY), "two of them are held")
        client = await connected(url, "/large")
        head = await asyncio.get_running_loop().sock_recv(client, 65_536)
        assert head.startswith(b"HTTP/1.1 503"), head
        assert problem_in(head)["type"] == "urn:runstream:problem:busy"
        assert b"Retry-After: 1" in head
        # Small ones are not held back, and who has not moved for some seconds makes room for a large one.
        async with aiohttp.ClientSession() as good:
            async with good.get(f"{url}/small") as response:
                assert response.status == 200
            runner.connections.now_s += 6
            async with good.get(f"{url}/large") as response:
                assert len(await response.read()) == len(BODY)
        for each in (*stuck, client):
            each.close()


async def test_a_crowd_at_one_address_does_not_close_the_connections_of_another() -> None:
    async with serving(ConnectionSettings(), bound=100) as (url, runner), aiohttp.ClientSession() as good:
        async with good.get(f"{url}/small") as response:
            assert response.status == 200
        kept = [each for each in runner.connections._all if each.address.name == "127.0.0.1"]
        assert len(kept) == 1
        crowd = [await connected(url, source="127.0.0.2") for _ in range(300)]
        await until(lambda: runner.connections.closed["evicted"] >= 200, "the crowd makes room for itself")
        assert [each for each in runner.connections._all if each.address.name == "127.0.0.1"] == kept
        assert runner.connections._addresses["127.0.0.2"].connections <= 90
        async with good.get(f"{url}/small") as response:
            assert response.status == 200
        for client in crowd:
            client.close()


async def test_busy_connections_of_one_address_leave_room_for_others() -> None:
    waits = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await waits.wait()
        return web.Response()

    async with serving(ConnectionSettings(), web.get("/wait", wait), bound=50) as (url, runner):
        crowd = [await connected(url, "/wait", source="127.0.0.2") for _ in range(45)]
        await until(lambda: runner.connections.counts()["busy"] == 45, "all of them are served")
        refused = await connected(url, "/wait", source="127.0.0.2")
        assert problem_in(await rest_of(refused))["type"] == "urn:runstream:problem:too-many-connections"
        assert runner.connections.closed["address_full"] == 1
        async with aiohttp.ClientSession() as good, good.get(f"{url}/small") as response:
            assert response.status == 200
        waits.set()
        for client in (*crowd, refused):
            client.close()


async def leaves_in_its_body(request: web.Request) -> web.Response:
    await request.read()
    raise AssertionError("the body ended")


async def leaves_before_the_response(request: web.Request) -> web.StreamResponse:
    await until(lambda: request.transport is None, "the client leaves")
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    return response


async def leaves_within_the_response(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 10_000)
        await asyncio.sleep(0)


async def fails_with_another_error(request: web.Request) -> web.StreamResponse:
    await until(lambda: request.transport is None, "the client leaves")
    raise BrokenPipeError("what the transport says")


@pytest.mark.parametrize(
    "handler",
    [leaves_in_its_body, leaves_before_the_response, leaves_within_the_response, fails_with_another_error],
)
async def test_a_client_that_leaves_is_one_debug_line(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(QUICK, web.post("/leave", handler)) as (url, runner):
        caplog.clear()
        client = await connected(url)
        request = b"POST /leave HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        await asyncio.get_running_loop().sock_sendall(client, request)
        await until(lambda: runner.connections.counts()["busy"] == 1, "it is served")
        await asyncio.sleep(0.05)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await until(lambda: not any(runner.connections.counts().values()), "it is gone")
        await until(lambda: any("left" in record.message for record in caplog.records), "the line")
    lines = [record for record in caplog.records if record.name.startswith(("runstream", "aiohttp", "asyncio"))]
    assert [(line.levelname, line.message) for line in lines if "selector" not in line.message] == [
        ("DEBUG", "POST /leave: the client left")
    ]


async def test_an_error_of_what_is_behind_is_none_of_the_client(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise ConnectionResetError("the store's connection")

    async with (
        serving(QUICK, web.get("/broken", broken)) as (url, _),
        aiohttp.ClientSession() as client,
        client.get(f"{url}/broken") as response,
    ):
        assert response.status == 500
        assert (await response.json(content_type=None))["type"] == "urn:runstream:problem:internal"
    assert "the store's connection" in caplog.text


async def test_a_response_that_breaks_off_is_cut_and_has_no_second_head() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"the first part")
        raise RuntimeError("in the middle")

    async with serving(QUICK, web.get("/breaks", breaks)) as (url, _):
        response = await rest_of(await connected(url, "/breaks"))
        assert response.count(b"HTTP/1.1") == 1
        assert not response.endswith(b"0\r\n\r\n")


def test_the_parts_of_aiohttp_that_the_bounds_rely_on_are_there() -> None:
    from aiohttp.web_protocol import RequestHandler

    slots: set[Any] = {slot for kind in RequestHandler.__mro__ for slot in getattr(kind, "__slots__", ())}
    wanted = {"_messages", "_current_request", "_reading_paused", "_buffer_paused", "_paused", "_force_close", "_close"}
    assert wanted | {"_max_msg_queue_size", "_msg_queue_resume_size"} <= slots
    assert all(hasattr(RequestHandler, name) for name in ("handle_error", "log_exception", "finish_response"))


@pytest.mark.parametrize("path", ["/ingest/v1/frames", "/api/v1/runs/query"])
async def test_the_address_of_a_cluster_gives_up_a_body_that_does_not_come(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def behind(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    quick = Limits(connections=ConnectionSettings(body_window_s=0.5))
    async with serving(ConnectionSettings(), web.post(path, behind)) as (url, _):
        front = Front([url], [url]).runner(quick)
        await front.setup()
        try:
            front_url = await listen(front, "127.0.0.1", 0)
            client = await connected(front_url)
            half = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nhalf".encode()
            await asyncio.get_running_loop().sock_sendall(client, half)
            response = await rest_of(client)
            assert response.startswith(b"HTTP/1.1 408"), response
            assert problem_in(response)["type"] == "urn:runstream:problem:slow-body"
            client.close()
            caplog.clear()
            client = await connected(front_url)
            await asyncio.get_running_loop().sock_sendall(client, half)
            await until(lambda: front.connections.counts()["busy"] == 1, "it is served")
            client.close()
            await until(lambda: not any(front.connections.counts().values()), "it is gone")
            assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
        finally:
            await front.cleanup()
