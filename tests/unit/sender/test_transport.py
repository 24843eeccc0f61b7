"""The HTTP transport against sockets that behave badly, and the meaning of responses."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from runstream.sender.backoff import LONGEST_S, Backoff
from runstream.sender.responses import Accepted, Failing, Later, Meaning, Refused, Rewind, Stuck, meaning_of
from runstream.sender.transport import HttpTransport, InvalidTarget, Response, Unreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(*connections: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each function serves one connection, which is closed behind it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for behave in connections:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                behave(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    size = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")), 0
    )
    while len(body) < size:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def respond_once(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(OK)


def respond_twice(connection: socket.socket) -> None:
    respond_once(connection)
    respond_once(connection)


@pytest.mark.sockets
def test_a_connection_is_kept_and_the_targets_path_is_kept_too() -> None:
    seen: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        for _ in range(2):
            seen.append(read_request(connection).split(b"\r\n")[0])
            connection.sendall(OK)

    with server(keep) as url:
        transport = HttpTransport(url + "/prefix/")
        for _ in range(2):
            assert transport.request("POST", "/x", b"body", {}).body == b"{}"
        transport.close()
    assert seen == [b"POST /prefix/x HTTP/1.1"] * 2


@pytest.mark.sockets
@pytest.mark.parametrize("body", [b"body", io.BytesIO(b"body")])
def test_an_idle_connection_that_was_closed_is_opened_again_at_once(body: bytes | io.BytesIO) -> None:
    seen: list[bytes] = []

    def second(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with server(respond_once, second) as url:
        transport = HttpTransport(url)
        transport.request("POST", "/x", b"", {})
        assert transport.request("PUT", "/x", body, {"Content-Length": "4"}).status == 200
        transport.close()
    assert seen[0].endswith(b"\r\n\r\nbody")


@pytest.mark.sockets
def test_a_connection_that_is_cut_before_the_first_response_is_unreachable() -> None:
    def cut(connection: socket.socket) -> None:
        read_request(connection)

    with server(cut) as url, pytest.raises(Unreachable, match=url):
        HttpTransport(url).request("POST", "/x", b"body", {})


@pytest.mark.sockets
def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    release = threading.Event()

    def hold(connection: socket.socket) -> None:
        release.wait(10)

    with server(hold) as url:
        with pytest.raises(Unreachable) as caught:
            HttpTransport(url).request("POST", "/x", b"", {}, timeout_s=0.05)
        release.set()
        assert caught.value.too_slow
    with pytest.raises(Unreachable, match="refused") as caught:
        HttpTransport(url).request("POST", "/x", b"", {})
    assert not caught.value.too_slow


@pytest.mark.sockets
def test_a_refusal_that_comes_before_the_body_was_sent_counts() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with server(refuse) as url:
        assert HttpTransport(url).request("POST", "/x", bytes(20_000_000), {}).status == 413


@pytest.mark.sockets
def test_what_is_no_http_is_unreachable() -> None:
    with server(lambda connection: connection.sendall(b"SSH-2.0\r\n\r\n")) as url, pytest.raises(Unreachable):
        HttpTransport(url).request("GET", "/x", None, {})


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "http://", "http://host:99999", "http://[::1"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InvalidTarget, match="RUNSTREAM_URL"):
        HttpTransport(url)


OURS = {"runstream-protocol": "1"}
ACK = b'{"protocol":1,"server":"runstream 9","receipt":"r","writers":{"ab":3}}'
BAD = b'{"type":"urn:runstream:problem:bad","title":"bad","detail":"why","writer_id":"ab"}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "meaning"),
    [
        (200, {}, ACK, Accepted({"ab": 3})),
        (409, {}, b'{"type":"urn:runstream:problem:gap","expected":{"ab":3}}', Rewind({"ab": 3}, "HTTP 409 {")),
        (422, {}, BAD, Refused(422, "ab", "HTTP 422 bad: why", "bad")),
        (413, {}, b'{"type":"urn:runstream:problem:x","title":"y"}', Refused(413, None, "HTTP 413 y", "x")),
        (401, {}, b"", Stuck("HTTP 401")),
        (404, {}, b"not here", Stuck("HTTP 404 not here")),
        (302, {}, b"", Stuck("HTTP 302")),
        (429, {"retry-after": "4"}, b"", Later(4.0, "HTTP 429")),
        (503, {}, b"", Later(1.0, "HTTP 503")),
        (503, {"retry-after": "soon"}, b"", Later(1.0, "HTTP 503")),
        (503, {"retry-after": "nan"}, b"", Later(1.0, "HTTP 503")),
        (503, {"retry-after": "99999"}, b"", Later(300.0, "HTTP 503")),
        (503, {"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, b"", Later(20.0, "HTTP 503")),
        (500, {}, b"", Failing("HTTP 500")),
        (502, {}, b"[]", Failing("HTTP 502 []")),
    ],
)
def test_responses_of_a_gateway_are_sorted_by_what_is_done_about_them(
    status: int, headers: dict[str, str], body: bytes, meaning: Meaning
) -> None:
    found = meaning_of(Response(status, OURS | headers, body), now_unix_s=10.0, receipt="r")
    if isinstance(meaning, Rewind):
        assert isinstance(found, Rewind)
        assert found.expected == meaning.expected
    else:
        assert found == meaning


@pytest.mark.parametrize(
    "status", [*range(200, 206), *range(300, 309), *range(400, 432), 451, 499, *range(500, 512), 999]
)
@pytest.mark.parametrize("body", [b"", b"<html>Please sign in</html>", b"{}", b"[]", ACK, BAD, b'{"writers":{"ab":3}}'])
def test_a_response_without_our_header_never_says_anything_about_records(status: int, body: bytes) -> None:
    for headers in ({}, {"runstream-protocol": "2"}, {"content-type": "application/problem+json"}):
        found = meaning_of(Response(status, headers, body, url="http://here/x"), 10.0, "another")
        assert isinstance(found, Failing | Later)
        assert "http://here/x" in found.reason


def test_a_receipt_of_what_was_sent_needs_no_header() -> None:
    assert meaning_of(Response(200, {}, ACK), 10.0, "r") == Accepted({"ab": 3})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>hello</html>"),
        (200, b'{"positions":"0:1","writers":{"ab":3}}'),
        (200, ACK.replace(b'"r"', b'"another"')),
        (200, ACK.replace(b'"protocol":1', b'"protocol":2')),
        (200, ACK.replace(b"3", b"-3")),
        (200, ACK.replace(b"3", b"true")),
        (200, ACK.replace(b"3", b"1e3")),
        (200, ACK.replace(b"3", b"9" * 40)),
        (200, b"[" * 100_000),
        (200, b'{"writers":' * 100_000),
        (409, b'{"type":"urn:runstream:problem:gap","title":"gap"}'),
        (409, b'{"title":"gap","expected":{"ab":3}}'),
        (409, b'{"type":"urn:runstream:problem:other","expected":{"ab":3}}'),
        (422, b'{"title":"bad","writer_id":"ab"}'),
        (422, BAD.replace(b"urn:runstream", b"urn:other")),
        (413, b"too large"),
        (400, b'{"type":"urn:runstream:problem:unreadable-body","writer_id":"ab"}'),
    ],
)
def test_a_response_with_our_header_that_does_not_say_what_it_means_is_a_failure(status: int, body: bytes) -> None:
    assert isinstance(meaning_of(Response(status, OURS, body), 10.0, "r"), Failing)


def test_what_a_server_says_cannot_control_a_terminal() -> None:
    body = b'{"type":"urn:runstream:problem:x","title":"\\u001b]0;owned\\u0007 a\\nb"}'
    found = meaning_of(Response(422, OURS, body), 10.0)
    assert isinstance(found, Refused)
    assert found.reason.isprintable()
    foreign = meaning_of(Response(302, {"location": "http://x/\x1b[2J"}, b"\x1b[31m"), 10.0)
    assert isinstance(foreign, Failing)
    assert foreign.reason.isprintable()
    assert "redirect to http://x/" in foreign.reason


@pytest.mark.parametrize("luck", [0.0, 0.999])
def test_waits_double_up_to_a_bound_and_are_never_none(luck: float) -> None:
    backoff = Backoff(lambda: luck)
    waits = [backoff.next_wait_s() for _ in range(2000)]
    assert waits == sorted(waits)
    assert 0.01 <= waits[0] <= 0.1
    assert LONGEST_S * 0.1 <= waits[-1] <= LONGEST_S
    backoff.succeeded()
    assert backoff.next_wait_s() == waits[0]
