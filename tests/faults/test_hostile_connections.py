"""Connections that nobody uses, that send slowly or never take their responses: everybody else is served, the process
holds no more than it may, and its log stays short. About 20 s."""

import itertools
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.hostile.clients import (
    GoodClient,
    allow_files,
    crowd,
    is_closed,
    opened,
    problem_in,
    received,
    rss_bytes,
    trickled_until_all_closed,
    trickled_until_closed,
    until,
)
from kit.servers.embedded import Server
from runstream.events import encoding
from runstream.events.control import RunStarted, encode_event

HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "
SHORT = {
    "RUNSTREAM_CONNECTIONS_HEAD_S": "1",
    "RUNSTREAM_CONNECTIONS_IDLE_S": "2",
    "RUNSTREAM_CONNECTIONS_BODY_WINDOW_S": "1",
    "RUNSTREAM_CONNECTIONS_READER_SILENCE_S": "2",
}


def frames(run: str) -> bytes:
    started = encode_event(RunStarted(at_us=1_700_000_000_000_000, workspace="default", project="p"))
    writer = run.encode().hex().rjust(32, "0")
    return encoding.encode_frame(writer, run, 0, 1, encoding.encode_events([(0, started)]))


def ingests(client: GoodClient, run: str) -> None:
    status, body = client.post("/ingest/v1/frames", frames(run), "application/vnd.runstream.frames")
    assert status == 200, body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hostile"), SHORT) as server:
        yield server
        assert "Traceback" not in server.log()
        assert len(server.log()) < 20_000
        server.stop()


@pytest.fixture
def good(server: Server) -> GoodClient:
    return GoodClient(server.url)


def with_files(count: int) -> tuple[str, ...]:
    """A command before another: that one may open so many files."""
    return ("sh", "-c", f'ulimit -n {count} && exec "$@"', "sh")


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may open 600 files."""
    assert allow_files(2_000)
    server = Server(tmp_path_factory.mktemp("cramped"))
    server.start(*with_files(600))
    yield server
    server.kill_group()


@pytest.mark.parametrize("first", [b"", b"GET", HALF, HEALTHY], ids=["silent", "line", "head", "keep-alive"])
def test_a_thousand_sockets_where_600_files_are_allowed(cramped: Server, first: bytes) -> None:
    good = GoodClient(cramped.url)
    evicted = good.closed("evicted")
    assert good.metric("runstream_connections_bound") == 300
    with crowd(cramped.url, 1_000, first):
        for number in range(10):
            assert good.get("/healthz")[0] == 200
            ingests(good, f"run-{number}")
        counts = [good.metric(f'runstream_connections{{state="{state}"}}') for state in ("arriving", "idle", "busy")]
        assert sum(counts) <= 300
        assert good.closed("evicted") - evicted > 500
        assert good.closed("no_files") == 0
    assert "Traceback" not in cramped.log()
    assert len(cramped.log()) < 10_000


def test_without_a_file_left_the_log_has_one_line_and_the_server_goes_on(tmp_path: Path) -> None:
    allow_files(2_000)
    # Nothing is kept for the process's own files, so the bound is never reached.
    server = Server(tmp_path, {"RUNSTREAM_CONNECTIONS_RESERVED_FILES": "0"})
    server.start(*with_files(400))
    try:
        good = GoodClient(server.url)
        with crowd(server.url, 600):
            for _ in range(20):
                assert good.get("/healthz")[0] == 200
            assert 0 < good.closed("no_files") < 20
        assert len(server.log()) < 2_000, server.log()
        assert "Traceback" not in server.log()
        server.stop()
    finally:
        server.kill_group()


def test_thousands_of_connections_are_served_and_kept(tmp_path: Path) -> None:
    count = 3_000 if allow_files(3_500) else 800
    with Server(tmp_path) as server:
        good = GoodClient(server.url)
        with crowd(server.url, count, HEALTHY) as clients:
            for client in clients:
                assert client.recv(65_536).startswith(b"HTTP/1.1 200")
                client.sendall(HEALTHY)
            assert len(clients) == count
            assert good.closed("evicted") == 0
            assert sum(good.metric(f'runstream_connections{{state="{state}"}}') for state in ("idle", "busy")) >= count
        server.stop()


@pytest.mark.parametrize("first", [b"", b"GE", HALF], ids=["silent", "line", "head"])
def test_who_sends_no_complete_headers_is_disconnected(server: Server, good: GoodClient, first: bytes) -> None:
    with crowd(server.url, 20, first) as clients:
        until(lambda: all(is_closed(client) for client in clients), "all are disconnected")
    assert good.closed("head_timeout") >= 20


@pytest.mark.parametrize("before", [b"", HEALTHY], ids=["new", "kept-alive"])
def test_a_byte_now_and_then_does_not_extend_the_time_for_headers(
    server: Server, good: GoodClient, before: bytes
) -> None:
    counted = good.closed("head_timeout")
    with crowd(server.url, 1, before + HALF) as [client]:
        trickled_until_closed(client, itertools.repeat(b"a"), 0.2)
    assert good.closed("head_timeout") == counted + 1


def test_an_idle_keep_alive_is_closed(server: Server, good: GoodClient) -> None:
    counted = good.closed("idle_timeout")
    with crowd(server.url, 5, HEALTHY) as clients:
        until(lambda: all(is_closed(client) for client in clients), "all are disconnected")
    assert good.closed("idle_timeout") == counted + 5


WRITES = [
    "/ingest/v1/frames",
    "/ingest/v1/commands",
    "/clientlib/metrics/batch",
    "/clientlib/experiment/upload",
    "/api/rest/v2/write/experiment/metric",
    "/api/v1/runs/query",
    "/nowhere",
    "/healthz",
]


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("trickles", [False, True], ids=["half", "trickled"])
def test_bodies_that_do_not_come_are_given_up(server: Server, chunked: bool, trickles: bool) -> None:
    sized = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
    first = b"3\r\n[1,\r\n" if chunked else b"[1,"
    piece = (b"1\r\n1\r\n" if chunked else b"1") if trickles else b""
    clients = {}
    for path in WRITES:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{sized}\r\n\r\n"
        clients[path] = opened(server.url, head.encode() + first)
    responses = trickled_until_all_closed(clients, piece, 0.2)
    for path, response in responses.items():
        # A route that refuses the request before its body answers that; the others say why the request ends.
        assert response.startswith(b"HTTP/1.1 4"), (path, response[:300])
        assert b"application/problem+json" in response, path
    assert responses["/ingest/v1/frames"].startswith(b"HTTP/1.1 408")
    assert responses["/ingest/v1/commands"].startswith(b"HTTP/1.1 408")


def test_a_body_that_comes_slowly_enough_is_taken(server: Server, good: GoodClient) -> None:
    body = frames("slow")
    head = f"POST /ingest/v1/frames HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    client = opened(server.url, head.encode())
    for begin in range(0, len(body), 40):
        client.sendall(body[begin : begin + 40])
    assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    client.close()


def test_pipelined_requests_that_nobody_reads_are_bounded(server: Server, good: GoodClient) -> None:
    before, counted = rss_bytes(server.pid), good.closed("slow_reader")
    requests = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000
    with crowd(server.url, 5) as clients:
        for client in clients:
            client.setblocking(False)
        rest = {client: memoryview(requests) for client in clients}

        def push() -> bool:
            for client in list(rest):
                try:
                    rest[client] = rest[client][client.send(rest[client]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    del rest[client]
            return not rest

        until(push, "all are disconnected")
    assert good.closed("slow_reader") >= counted + 5
    assert rss_bytes(server.pid) - before < 60_000_000


def test_headers_without_an_end_are_refused(server: Server, good: GoodClient) -> None:
    client = opened(server.url, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    more = (b"X-%d: %b\r\n" % (number, b"a" * 8_000) for number in itertools.count())
    trickled_until_closed(client, more, 0.0)
    client.close()
    assert good.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 140_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(300)) + b"\r\n",
    ],
)
def test_what_is_no_http_is_answered_with_a_problem(server: Server, good: GoodClient, request_bytes: bytes) -> None:
    before, counted = len(server.log()), good.metric("runstream_unreadable_requests_total")
    with crowd(server.url, 20, request_bytes) as clients:
        for client in clients:
            problem = problem_in(received(client))
            assert problem["status"] == 400
            assert problem["type"] == "urn:runstream:problem:unreadable-request"
    assert good.metric("runstream_unreadable_requests_total") == counted + 20
    assert len(server.log()) == before


@pytest.mark.parametrize("path", ["/api/v1/runs", "/ingest/v1/commands", "/healthz", "/there/is/none"])
def test_an_expectation_that_is_not_met_is_a_problem(server: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: the moon\r\nContent-Length: 2\r\n\r\n"
    problem = problem_in(received(opened(server.url, head.encode())))
    assert problem["status"] == 417
    detail = str(problem["detail"])
    assert "the moon" in detail
    assert "100-continue" in detail


@pytest.mark.parametrize("body", [b"zzz\r\n", b"5\r\nabcdefgh\r\n", b"-1\r\n"])
def test_a_chunk_that_is_none_is_a_problem(server: Server, body: bytes) -> None:
    head = b"POST /ingest/v1/frames HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    problem = problem_in(received(opened(server.url, head + body)))
    assert problem["status"] == 400


def test_a_client_that_leaves_is_no_line(server: Server, good: GoodClient) -> None:
    before = len(server.log())
    for path, size in (("/ingest/v1/frames", 100), ("/nowhere", 100), ("/api/v1/runs/query", 100)):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
        with crowd(server.url, 10, head + b"half") as clients:
            for client in clients:
                # With a reset instead of an orderly end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with crowd(server.url, 10, head + b"x" * 50):
            pass
    until(lambda: good.metric('runstream_connections{state="busy"}') <= 1, "they are gone")
    assert server.log()[before:] == ""


def test_the_address_of_the_cluster_survives_a_thousand_sockets() -> None:
    """`cluster up`'s proxy, where it may open 600 files."""
    allow_files(2_000)
    program = """
import asyncio
from aiohttp import web
from runstream_service.logs import configure_logging
from runstream_infra.cluster.front import Front
from runstream_infra.limits import Limits
from runstream_infra.listening import guarded_runner, listen
async def main():
    configure_logging()
    app = web.Application()
    async def here(request):
        return web.Response(text="here")
    app.router.add_route("*", "/{path:.*}", here)
    behind = guarded_runner(app, Limits())
    await behind.setup()
    url = await listen(behind, "127.0.0.1", 0)
    front = Front([url], [url]).runner()
    await front.setup()
    print(await listen(front, "127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    command = [*with_files(600), sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            good = GoodClient(url)
            with crowd(url, 1_000, HALF):
                for _ in range(20):
                    assert good.get("/api/v1/runs") == (200, b"here")
        finally:
            process.kill()
        _, errors = process.communicate()
    assert "Traceback" not in errors
    assert len(errors) < 5_000
